"""A server under test: the real binary, on a port of its own, and plain requests to it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
#: The binary; `make test-server` says which, since a build may be elsewhere.
BINARY = os.environ.get("NEDBD_BINARY", str(ROOT / "target" / "release" / "nedbd"))
#: Longer than anything here takes on a machine that does three other things.
PATIENCE_S = 30.0


class Answer(NamedTuple):
    """What the server answered."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        """The body as a value."""
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The code of an error."""
        return self.json["error"]["code"] if self.status >= 400 else None


class Nedbd:
    """A running server."""

    def __init__(self, data: Path, *flags: str, token: str | None = None, **variables: str) -> None:
        """Starts it and waits until it listens; ``wait_until_ready`` waits for its databases."""
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("NEDB")}
        self.data, self.token = data, token
        environment = {**inherited, "NEDBD_PORT": "0", "NEDBD_DATA": str(data), **variables}
        if token is not None:
            environment["NEDBD_TOKEN"] = token
        self.log = data.parent / f"{data.name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [BINARY, *flags], stdout=subprocess.PIPE, stderr=log, env=environment, text=True, encoding="utf-8")
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        assert "://" in self.line, f"it did not start: {self.log.read_text()}"
        self.host, port = self.line.split("://")[1].split()[0].rsplit(":", 1)
        self.port = int(port)

    @property
    def url(self) -> str:
        """Where it is, for a client."""
        return f"http://{self.host}:{self.port}"

    def __enter__(self) -> Nedbd:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None,
                connection: http.client.HTTPConnection | None = None) -> Answer:
        """Sends a request on a connection of its own, or on a given one; a str or bytes goes as it is."""
        given = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            given["Content-Type"] = "application/json"
            body = body if isinstance(body, (str, bytes)) else json.dumps(body)
            body = body.encode() if isinstance(body, str) else body
        own = connection or self.connect()
        own.request(method, path, body, {**given, **(headers or {})})
        response = own.getresponse()
        answer = Answer(response.status, response.read(),
                        {name.lower(): text for name, text in response.getheaders()})
        if connection is None:
            own.close()
        return answer

    def get(self, path: str, **options: Any) -> Answer:
        """Sends a GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        """Sends a POST."""
        return self.request("POST", path, body, **options)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """Sends a request that must succeed, and returns the value of its body."""
        answer = self.request(method, path, body)
        assert answer.status < 300, answer
        return answer.json

    def create(self, name: str = "db", **init: Any) -> str:
        """Makes a database and returns its path."""
        self.ok("POST", "/v1/databases", {"name": name, "init": init} if init else {"name": name})
        return f"/v1/databases/{name}"

    def connect(self) -> http.client.HTTPConnection:
        """Opens a connection."""
        return http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE_S)

    def socket(self) -> socket.socket:
        """Opens a connection for bytes."""
        return socket.create_connection((self.host, self.port), timeout=PATIENCE_S)

    def wait_until_ready(self) -> None:
        """Waits until all databases are open."""
        eventually(lambda: self.get("/health?ready=true").status == 200)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and returns what the process ended with."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """Ends the process as a crash would."""
        self.process.kill()
        self.process.wait(PATIENCE_S)


class Events:
    """A stream of server-sent events."""

    def __init__(self, server: Nedbd, path: str, last_event_id: int | None = None) -> None:
        """Opens the stream."""
        headers = {"Accept": "text/event-stream"}
        if server.token is not None:
            headers["Authorization"] = f"Bearer {server.token}"
        if last_event_id is not None:
            headers["Last-Event-ID"] = str(last_event_id)
        self.connection = server.connect()
        self.connection.request("GET", path, headers=headers)
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Yields the id and the op of each event, until the stream ends."""
        event: dict[str, str] = {}
        for line in self.response:
            name, _, text = line.decode().rstrip("\n").partition(": ")
            if name:
                event[name] = text
            elif event.get("event") == "op":
                yield int(event["id"]), json.loads(event["data"])
                event = {}
            else:
                event = {}

    def take(self, count: int) -> list[tuple[int, Any]]:
        """Reads so many events."""
        events = iter(self)
        return [next(events) for _ in range(count)]

    def close(self) -> None:
        """Closes the connection."""
        self.response.close()
        self.connection.close()


def eventually(holds: Any) -> None:
    """Waits until something holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def read_all(stream: socket.socket) -> bytes:
    """Reads until the other side closes."""
    pieces = []
    try:
        while piece := stream.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def start_beside_broken(start: Callable[..., Nedbd]) -> Nedbd:
    """Starts a server whose data directory has a database ``broken``, which it cannot open."""
    server = start()
    server.create("broken")
    assert server.stop() == 0
    (server.data / "broken" / "meta.json").write_text("{")
    again = start()
    again.wait_until_ready()
    return again
