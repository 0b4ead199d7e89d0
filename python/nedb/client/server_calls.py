"""The verbs of a server as calls, and what a client is told of it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import quote, urlsplit

from nedb import InvalidArgument

from .call import Answer, Call
from .database_calls import ask, member, members, nothing

__all__: list[str] = []

DATABASES = "/v1/databases"


@dataclass(frozen=True)
class Place:
    """Where a server is and how it is spoken to."""

    is_tls: bool
    host: str
    port: int
    #: What stands before every path.
    prefix: str
    headers: Mapping[str, str]
    timeout_s: float
    connect_timeout_s: float
    tls_ca_file: Optional[str]
    tls_verify: bool

    def tls(self) -> ssl.SSLContext:
        """Make the settings of TLS."""
        context = ssl.create_default_context(cafile=self.tls_ca_file)
        if not self.tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def place_of(
    url: str,
    token: Optional[str],
    timeout_s: float,
    connect_timeout_s: float,
    tls_ca_file: Optional[str],
    tls_verify: bool,
) -> Place:
    """Read what a client is told."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidArgument(f"a server is http://host:port or https://host:port, not {url!r}")
    if parts.username is not None or parts.password is not None:
        raise InvalidArgument("a token is an argument of its own, not part of the URL, which logs show")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise InvalidArgument(f"a server is http://host:port: {error}") from None
    headers = {"Accept": "application/json", "User-Agent": "nedb-client"}
    if token is not None:
        if not token.isascii() or not token.isprintable():
            raise InvalidArgument("a token is printable ASCII")
        headers["Authorization"] = f"Bearer {token}"
    return Place(parts.scheme == "https", parts.hostname, port, parts.path.rstrip("/"), headers, timeout_s,
                 connect_timeout_s, tls_ca_file, tls_verify)


def segment(name: str, what: str) -> str:
    """Write a name as one segment of a path."""
    if not isinstance(name, str) or not name:
        raise InvalidArgument(f"the name of a {what} is a str that is not empty")
    try:
        written = quote(name, safe="")
    except UnicodeEncodeError:
        raise InvalidArgument("a text holds a lone surrogate, which is no character") from None
    # Who stands in between takes these two for another path.
    return written.replace(".", "%2E") if name in (".", "..") else written


def database(name: str) -> str:
    """Return the path of a database."""
    return f"{DATABASES}/{segment(name, 'database')}"


def health() -> Call[dict[str, Any]]:
    """Return what the server says of itself: version, live, ready; it asks for no token."""
    return ask("/health", "", Answer.value)


def databases() -> Call[list[dict[str, Any]]]:
    """Return the databases: name, seq, head, rows and collections of each, or its state where it is not open."""
    return ask(DATABASES, "", member("databases"))


def create_database(name: str, init: Optional[Mapping[str, Any]] = None) -> Call[dict[str, Any]]:
    """Make a database, with all that ``init`` says or not at all."""
    body = members(name=name, init=init)
    return Call("POST", DATABASES, member("database"), members=body, writes=True)


def drop_database(name: str, force: bool = False) -> Call[None]:
    """Remove a database and its files; one that the server could not open only by force."""
    return Call("DELETE", database(name), nothing, query={"force": True if force else None}, writes=True)
