"""A proxy before a server that fails as networks do, by a script."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from nedbd import Nedbd


class Flaky:
    """Hands requests on; for each of the next requests the script may say otherwise.

    ``lose`` hands it on and closes the connection without the answer, ``cut`` gives half of the answer,
    ``drop`` closes without handing it on, ``wait`` hands it on and answers nothing for a while; a number is a
    status that it answers itself, as a proxy does; (status, code) is an answer of nedbd.
    """

    def __init__(self, server: Nedbd) -> None:
        """Begins to listen."""
        self.server, self.script, self.seen = server, list[Any](), list[tuple[str, str]]()
        self.released = threading.Event()
        flaky = self

        class Handler(BaseHTTPRequestHandler):
            """Answers one connection."""

            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                """Answers a request."""
                flaky.answer(self)

            do_POST = do_PUT = do_DELETE = do_GET

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self.listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.listener.daemon_threads = True
        threading.Thread(target=self.listener.serve_forever, args=[0.01], daemon=True).start()
        self.url = f"http://127.0.0.1:{self.listener.server_address[1]}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Does with a request what the script says."""
        body = self._body(request)
        self.seen.append((request.command, request.path))
        what = self.script.pop(0) if self.script else "pass"
        if what == "drop":
            request.close_connection = True
        elif isinstance(what, int):
            self._reply(request, what, b"<html>a proxy speaks</html>", {})
        elif isinstance(what, tuple):
            text = f'{{"error":{{"code":"{what[1]}","message":"not now"}}}}'
            self._reply(request, what[0], text.encode(), {"Retry-After": "0"})
        else:
            self._hand_on(request, body, what)

    def _body(self, request: BaseHTTPRequestHandler) -> bytes:
        """Reads the body of a request, in chunks if it comes so."""
        if request.headers.get("transfer-encoding") != "chunked":
            return request.rfile.read(int(request.headers.get("content-length", 0)))
        pieces = []
        while size := int(request.rfile.readline(), 16):
            pieces.append(request.rfile.read(size))
            request.rfile.readline()
        request.rfile.readline()
        return b"".join(pieces)

    def _hand_on(self, request: BaseHTTPRequestHandler, body: bytes, what: str) -> None:
        """Asks the server, and does with its answer what the script says."""
        upstream = http.client.HTTPConnection(self.server.host, self.server.port, timeout=30)
        upstream.request(request.command, request.path, body, {"Content-Type": "application/json"})
        response = upstream.getresponse()
        data = response.read()
        upstream.close()
        if what == "pass":
            self._reply(request, response.status, data, {})
            return
        request.close_connection = True
        if what == "cut":
            request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data[: len(data) // 2])
        elif what == "wait":
            self.released.wait(30)

    def _reply(self, request: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict[str, str]) -> None:
        """Sends an answer."""
        request.send_response(status)
        for name, text in {**headers, "Content-Length": str(len(data))}.items():
            request.send_header(name, text)
        request.end_headers()
        request.wfile.write(data)

    def close(self) -> None:
        """Ends it."""
        self.released.set()
        self.listener.shutdown()
        self.listener.server_close()
