"""What goes wrong between a client and a server, beside what goes wrong in a database.

In: the body of an answer. Out: the exception that the embedded database would raise, by the error's code; a
subclass of :class:`ServerError` for the codes that only a server has.
"""

from __future__ import annotations

from typing import Any, Optional

import nedb
from nedb import NEDBError, NQLError

__all__ = ["DatabaseExists", "DatabaseNotFound", "ServerError", "TimedOut", "Unauthorized", "Unavailable"]


class ServerError(NEDBError):
    """What only a server refuses. ``code`` names it; ``status`` is that of the answer, None without one."""

    code = "INTERNAL_ERROR"
    # That of KeyError would quote the message.
    __str__ = BaseException.__str__

    def __init__(self, message: str, code: Optional[str] = None, status: Optional[int] = None) -> None:
        """Keep what the answer says."""
        super().__init__(message)
        self.status = status
        if code is not None:
            self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled with all three."""
        return type(self), (self.args[0], self.code, self.status)


class Unauthorized(ServerError):
    """The token is missing or wrong."""

    code = "UNAUTHORIZED"


class DatabaseNotFound(ServerError, KeyError):
    """The server has no database of that name."""

    code = "DATABASE_NOT_FOUND"


class DatabaseExists(ServerError):
    """The server has a database of that name already."""

    code = "DATABASE_EXISTS"


class Unavailable(ServerError, ConnectionError):
    """The server was not reached, or it refuses requests for now; nothing was written."""

    code = "UNAVAILABLE"


class TimedOut(Unavailable, TimeoutError):
    """There was no answer in time; nothing was written."""

    code = "REQUEST_TIMEOUT"


#: Codes of the server that have a class of their own. Any other is a ServerError.
OWN: dict[str, type[ServerError]] = {
    "UNAUTHORIZED": Unauthorized,
    "DATABASE_NOT_FOUND": DatabaseNotFound,
    "DATABASE_EXISTS": DatabaseExists,
    "NOT_READY": Unavailable,
    "TOO_MANY_REQUESTS": Unavailable,
    "REQUEST_TIMEOUT": TimedOut,
    "UNAVAILABLE": Unavailable,
}


def _subclasses() -> dict[str, type[NEDBError]]:
    """Return the classes of the engine by their codes."""
    named = (getattr(nedb, name) for name in nedb.__all__)
    return {
        it.code: it
        for it in named
        if isinstance(it, type) and issubclass(it, NEDBError) and it is not NEDBError
    }


ENGINE = _subclasses()


def of_answer(status: int, error: dict[str, Any], nql: Optional[str]) -> NEDBError:
    """Make the exception of an error's object; ``nql`` is the query that met it."""
    code, message = str(error.get("code")), str(error.get("message"))
    if code not in ENGINE:
        return OWN.get(code, ServerError)(message, code, status)
    made = ENGINE[code](message)
    if isinstance(made, NQLError):
        _set_place(made, error.get("position"), nql)
    return made


def _set_place(made: NQLError, position: Optional[dict[str, int]], nql: Optional[str]) -> None:
    """Set where in the query an NQLError is, as the embedded database does."""
    made.position = None
    if position is None or nql is None:
        return
    made.position = len(nql.encode()[: position["offset"]].decode(errors="ignore"))
    made.lineno, made.offset = position["line"], position["column"]
    lines = nql.split("\n")
    made.text = lines[position["line"] - 1] if position["line"] <= len(lines) else None
