"""TLS: what is encrypted, what is refused, and how a certificate is renewed."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import time
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any, Callable

import pytest
import trustme
from clients import KINDS
from nedb.client import ServerError
from nedbd import BINARY, PATIENCE_S, ROOT, Nedbd, eventually, read_all

Start = Callable[..., Nedbd]


class Pair:
    """A certificate for this machine with its key, in files."""

    def __init__(self, authority: trustme.CA, directory: Path) -> None:
        """Makes both and writes them."""
        self.authority = authority
        self.cert, self.key = directory / "cert.pem", directory / "key.pem"
        self.renew()

    def renew(self, authority: trustme.CA | None = None) -> None:
        """Writes others in their place."""
        made = (authority or self.authority).issue_cert("localhost", "127.0.0.1")
        self.cert.write_bytes(b"".join(it.bytes() for it in made.cert_chain_pems))
        self.key.write_bytes(made.private_key_pem.bytes())

    @property
    def flags(self) -> tuple[str, ...]:
        """What the server is told."""
        return ("--tls-cert", str(self.cert), "--tls-key", str(self.key))


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(trustme.CA(), tmp_path)


def connect(server: Nedbd, authority: trustme.CA, **versions: Any) -> HTTPSConnection:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    for name, version in versions.items():
        setattr(context, name, version)
    return HTTPSConnection(server.host, server.port, context=context, timeout=PATIENCE_S)


def serial(server: Nedbd, authority: trustme.CA) -> Any:
    connection = connect(server, authority)
    connection.connect()
    certificate = connection.sock.getpeercert()
    connection.close()
    return certificate["serialNumber"]


def test_requests_and_streams_go_through_tls(start: Start, pair: Pair) -> None:
    server = start(*pair.flags, token="t")
    assert "https://127.0.0.1:" in server.line
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        connection = connect(server, pair.authority, minimum_version=version, maximum_version=version)
        assert server.get("/v1/databases", connection=connection).status == 200
        # The connection is kept.
        name = f"db{int(version)}"
        assert server.post("/v1/databases", {"name": name}, connection=connection).status == 201
        data = b"0123456789" * 300_000
        stored = server.request("PUT", f"/v1/databases/{name}/files/f", data, connection=connection)
        assert stored.status == 201
        assert server.get(f"/v1/databases/{name}/files/f", connection=connection).body == data
        connection.close()
    assert server.stop() == 0


def test_a_client_that_sends_too_much_reads_why_it_is_refused(start: Start, pair: Pair) -> None:
    server = start(*pair.flags, "--body-bytes-max", "1000000")
    connection = connect(server, pair.authority)
    answer = server.post("/v1/databases", b" " * 16_000_000, connection=connection)
    assert (answer.status, answer.code) == (413, "LIMIT_EXCEEDED")
    assert answer.headers["connection"] == "close"
    connection.close()


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_clients_for_python_go_through_tls(start: Start, pair: Pair, tmp_path: Path, kind: str) -> None:
    server = start(*pair.flags, token="t")
    url, trusted = f"https://{server.host}:{server.port}", tmp_path / "authority.pem"
    pair.authority.cert_pem.write_to_path(str(trusted))
    with KINDS[kind](url, token="t", tls_ca_file=str(trusted)) as client:
        db = client.create_database("db")
        assert db.put("c", "a", {"n": 1})["_seq"] == 0 and db.get("c", "a")["n"] == 1
        data = b"0123456789" * 300_000
        assert db.put_file("f", iter([data, data])) == 0 and db.get_file("f") == data * 2
    with KINDS[kind](url, token="t", tls_verify=False) as trusting:
        assert trusting.db("db").seq == 1
    # The system's certificates do not vouch for it; it is not tried again.
    with KINDS[kind](url, token="t") as stranger, pytest.raises(ServerError, match="(?i)certificate"):
        stranger.databases()


NODE_SCRIPT = """
const { NedbClient } = require("nedb-engine/client");
(async () => {
  const client = new NedbClient(process.argv[1], { token: "t", retryCount: 0 });
  const db = await client.createDatabase("db");
  await db.put("c", "a", { n: 1 });
  const data = Buffer.alloc(3_000_000, "0123456789");
  await db.putFile("f", new Blob([data]).stream());
  console.log((await db.get("c", "a")).n, data.equals(await db.getFile("f")));
})().catch((error) => console.log(error.code));
"""


def test_the_client_for_node_goes_through_tls(start: Start, pair: Pair, tmp_path: Path) -> None:
    node = os.environ.get("NODE") or shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    server, trusted = start(*pair.flags, token="t"), tmp_path / "authority.pem"
    pair.authority.cert_pem.write_to_path(str(trusted))
    told = []
    for variables in ({}, {"NODE_EXTRA_CA_CERTS": str(trusted)}):
        ended = subprocess.run(
            [node, "-e", NODE_SCRIPT, f"https://{server.host}:{server.port}"], cwd=ROOT, capture_output=True,
            text=True, timeout=PATIENCE_S, env={**os.environ, **variables})
        told.append(ended.stdout.strip())
    # Nothing was sent to a server that is not trusted.
    assert told == ["UNAVAILABLE", "1 true"]


def test_who_speaks_no_tls_or_does_not_trust_gets_nothing(start: Start, pair: Pair) -> None:
    server = start(*pair.flags)
    with server.socket() as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP/1.1" not in read_all(client)
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(server, trustme.CA()).connect()
    connection = connect(server, pair.authority)
    metrics = server.get("/metrics", connection=connection).body
    assert b"nedbd_tls_handshakes_failed_total 2" in metrics
    connection.close()


def test_a_client_that_does_not_shake_hands_is_let_go(start: Start, pair: Pair) -> None:
    server = start(*pair.flags, "--idle-timeout-ms", "200")
    with server.socket() as client:
        begun = time.monotonic()
        assert read_all(client) == b"" and time.monotonic() - begun < 10
    # A stop does not wait for one either.
    with server.socket():
        begun = time.monotonic()
        assert server.stop() == 0 and time.monotonic() - begun < 10


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_a_renewed_certificate_is_used_after_sighup(start: Start, pair: Pair) -> None:
    server = start(*pair.flags)
    first = serial(server, pair.authority)
    kept = connect(server, pair.authority)
    assert server.get("/health", connection=kept).status == 200
    pair.renew()
    assert serial(server, pair.authority) == first
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: serial(server, pair.authority) != first)
    # Who was connected before still is; and what is no pair changes nothing.
    assert server.get("/health", connection=kept).status == 200
    second = serial(server, pair.authority)
    pair.key.write_text("nothing")
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: "certificate not reloaded" in server.log.read_text())
    assert serial(server, pair.authority) == second
    kept.close()


def refusal(*flags: str) -> str:
    ended = subprocess.run([BINARY, "--port", "0", *flags], capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode == 1
    return ended.stderr


def test_a_wrong_pair_is_refused_at_the_start(pair: Pair, tmp_path: Path) -> None:
    cert, key, data = str(pair.cert), str(pair.key), ["--data", str(tmp_path / "data")]
    other = tmp_path / "other"
    other.mkdir()
    stranger = Pair(pair.authority, other)
    assert "--tls-key" in refusal(*data, "--tls-cert", cert)
    assert "cannot be used together" in refusal(*data, "--tls-cert", cert, "--tls-key", str(stranger.key))
    assert "no private key" in refusal(*data, "--tls-cert", cert, "--tls-key", cert)
    assert "no certificate" in refusal(*data, "--tls-cert", key, "--tls-key", key)
    assert "gone.pem" in refusal(*data, "--tls-cert", cert, "--tls-key", str(tmp_path / "gone.pem"))
    assert not (tmp_path / "data").exists()
