"""What a client, or a disk, may do to a server that must not stop the others: named after the attacks that found it.

No test is about how long something takes, but for whether the others are answered while the worst still runs.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from nedbd import Answer, Nedbd, eventually

Start = Callable[..., Nedbd]
#: A query that runs for minutes, over one document of a million characters, unless it is ended.
PATTERN = "%" + "_" * 500_000 + "b%"
SLOW = {"nql": "FROM c WHERE " + " OR ".join(["s LIKE $1"] * 200), "params": [PATTERN]}


class Slow(threading.Thread):
    """A slow query under way."""

    def __init__(self, server: Nedbd, db: str) -> None:
        """Send it."""
        super().__init__(daemon=True)
        self.server, self.db, self.answer = server, db, None
        self.connection = server.connect()
        self.start()

    def run(self) -> None:
        """Wait for its answer."""
        try:
            self.answer: Answer | None = self.server.post(f"{self.db}/query", SLOW, connection=self.connection)
        except OSError:
            pass


def begun(server: Nedbd, count: int) -> None:
    """Waits until so many queries have begun: they take a processor."""
    eventually(lambda: f"nedbd_queries {count}" in server.get("/metrics").body.decode().splitlines())


def filled(server: Nedbd, name: str = "a") -> str:
    """Makes a database with one large document."""
    db = server.create(name)
    server.ok("POST", f"{db}/put", {"coll": "c", "id": "x", "doc": {"s": "a" * 1_000_000}})
    return db


def test_a_query_that_takes_all_it_can_holds_up_nobody(start: Start) -> None:
    server = start()
    db, other = filled(server), server.create("b")
    slow = [Slow(server, db) for _ in range(2)]
    begun(server, 2)
    for n in range(20):
        server.ok("POST", f"{db}/put", {"coll": "c", "id": f"y{n}", "doc": {"n": n}})
        assert server.ok("GET", f"{db}/get?coll=c&id=y{n}")["doc"]["n"] == n
        assert server.ok("POST", f"{db}/query", {"nql": f'FROM c WHERE _id = "y{n}"'})["count"] == 1
        assert server.ok("GET", f"{other}/get?coll=c&id=x")["doc"] is None
        assert server.get("/health").status == 200 and server.get("/metrics").status == 200
    assert all(it.is_alive() for it in slow), "the query has ended, so it shows nothing"
    assert server.stop() == 0
    for it in slow:
        it.join(60)
        assert it.answer is not None and (it.answer.status, it.answer.code) == (503, "NOT_READY")


def test_a_query_ends_at_its_time(start: Start) -> None:
    server = start("--request-timeout-ms", "700")
    db = filled(server)
    answer = server.post(f"{db}/query", SLOW)
    assert (answer.status, answer.code) == (408, "REQUEST_TIMEOUT")
    begun(server, 0)


def test_a_query_ends_when_its_client_leaves(start: Start) -> None:
    server = start()
    db = filled(server)
    slow = Slow(server, db)
    begun(server, 1)
    assert slow.connection.sock is not None
    slow.connection.sock.shutdown(2)
    begun(server, 0)


def test_more_slow_queries_than_there_are_places_wait_for_one(start: Start) -> None:
    server = start("--request-timeout-ms", "3000")
    db = filled(server)
    slow = [Slow(server, db) for _ in range(30)]
    eventually(lambda: "nedbd_queries 0" not in server.get("/metrics").body.decode().splitlines())
    assert server.get("/health").status == 200
    server.ok("POST", f"{db}/put", {"coll": "d", "id": "x", "doc": {}})
    for it in slow:
        it.join(60)
        assert it.answer is not None and it.answer.status in (408, 429), it.answer


def test_an_answer_is_bounded_in_bytes(start: Start) -> None:
    server = start("--answer-bytes-max", str(1 << 20))
    db = server.create()
    docs = {str(n): {"pad": "x" * 5_000} for n in range(1_000)}
    server.ok("POST", f"{db}/put_many", {"coll": "r", "docs": docs})
    refused = server.post(f"{db}/query", {"nql": "FROM r"})
    assert (refused.status, refused.code) == (413, "LIMIT_EXCEEDED")
    assert "LIMIT" in refused.json["error"]["message"]
    assert server.ok("POST", f"{db}/query", {"nql": "FROM r LIMIT 200"})["count"] == 200


def test_what_clients_do_not_read_is_bounded_in_all(start: Start) -> None:
    server = start("--answer-bytes-max", str(8 << 20), "--request-timeout-ms", "1500")
    db = server.create()
    # Longer than what the system holds for a connection.
    docs = {str(n): {"pad": "x" * 5_000} for n in range(1_550)}
    server.ok("POST", f"{db}/put_many", {"coll": "r", "docs": docs})
    body = json.dumps({"nql": "FROM r WHERE pad != \"y\""}).encode()
    head = f"POST {db}/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    deaf = [server.socket() for _ in range(40)]
    for it in deaf:
        it.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        it.sendall(head + body)
    eventually(lambda: server.get(f"{db}/get?coll=r&id=1").status == 200)
    # Those for whom there was no room are told so.
    eventually(lambda: 'status="429"' in server.get("/metrics").body.decode())
    server.ok("POST", f"{db}/put", {"coll": "d", "id": "x", "doc": {}})
    for it in deaf:
        it.close()
    eventually(lambda: server.post(f"{db}/query", {"nql": "FROM r"}).status == 200)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes, where the system lets this test make one."""
    path = tmp_path / "disk"
    path.mkdir()
    made = sys.platform == "linux" and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(path)], capture_output=True).returncode == 0
    if not made:
        pytest.skip("a small file system takes the rights to mount one; the crash tests fill a simulated disk")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=False)


@pytest.mark.parametrize("key", [None, "c8" * 32])
def test_a_full_disk_ends_once_there_is_room(tmp_path: Path, small_disk: Path, key: str | None) -> None:
    keys: dict[str, str] = {} if key is None else {"NEDB_TMK": key}
    with Nedbd(small_disk / "data", **keys) as server:
        server.wait_until_ready()
        db, other = server.create("shop"), server.create("other")
        server.ok("POST", f"{db}/put", {"coll": "c", "id": "before", "doc": {}})
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        large = {"coll": "c", "id": "x", "doc": {"s": "y" * 200_000}}
        for path in (db, other):
            refused = server.post(f"{path}/put", large)
            assert (refused.status, refused.code) == (507, "STORAGE_ERROR"), refused
            message = refused.json["error"]["message"]
            assert "No space left" in message and path.rsplit("/", 1)[1] in message
            assert server.ok("GET", f"{path}/get?coll=c&id=x")["doc"] is None
        assert server.get(f"{db}/get?coll=c&id=before").status == 200
        assert server.get("/health").status == 200 and server.get("/health?ready=true").status == 503
        assert 'nedbd_database_refuses_writes{database="shop"} 1' in server.get("/metrics").body.decode()
        eventually(lambda: "refuses writes" in server.log.read_text())
        assert "shop" in server.log.read_text()
        filler.unlink()
        # Nobody need write, nor anybody start the server again.
        server.wait_until_ready()
        assert 'nedbd_database_refuses_writes{database="shop"} 0' in server.get("/metrics").body.decode()
        server.ok("POST", f"{db}/put", large)
        verified = server.ok("GET", f"{db}/verify")
        assert verified["ok"] is True
        assert server.stop() == 0


def test_a_database_whose_directory_is_gone_is_not_acknowledged(start: Start) -> None:
    server = start()
    gone, other = server.create("gone"), server.create("other")
    server.ok("POST", f"{gone}/put", {"coll": "c", "id": "a", "doc": {}})
    moved = server.data.parent / "moved"
    shutil.move(server.data / "gone" / "log.aof", moved)
    refused = server.post(f"{gone}/put", {"coll": "c", "id": "b", "doc": {}})
    assert (refused.status, refused.code) == (500, "STORAGE_ERROR")
    assert "log.aof" in refused.json["error"]["message"]
    verified: Any = server.get(f"{gone}/verify").json
    assert verified["ok"] is False
    server.ok("POST", f"{other}/put", {"coll": "c", "id": "a", "doc": {}})
    shutil.move(moved, server.data / "gone" / "log.aof")
    server.ok("POST", f"{gone}/put", {"coll": "c", "id": "b", "doc": {}})
    assert server.ok("GET", f"{gone}/verify")["ok"] is True
    server.wait_until_ready()
    assert server.stop() == 0
