"""Files: streamed both ways, in parts, and never half there."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any, Callable
from urllib.parse import quote

import pytest
from nedbd import PATIENCE_S, Answer, Nedbd, eventually, read_all

#: Longer than what is read and written at once, so that it goes in several pieces.
LARGE = random.Random(1).randbytes(3_000_000) if hasattr(random.Random, "randbytes") else os.urandom(3_000_000)


def file_path(db: str, name: str) -> str:
    return f"{db}/files/{quote(name, safe='')}"


def put(server: Nedbd, db: str, name: str, data: bytes, query: str = "") -> Any:
    answer = server.request("PUT", f"{file_path(db, name)}{query}", data)
    assert answer.status == 201, answer
    return answer.json


@pytest.mark.parametrize("data", [b"", b"some text", LARGE], ids=["empty", "short", "long"])
def test_what_was_put_comes_back(server: Nedbd, db: str, data: bytes) -> None:
    stored = put(server, db, "notes.txt", data)
    assert stored["file"]["version"] == 0 and stored["file"]["size"] == len(data) and stored["seq"] == 0
    answer = server.get(file_path(db, "notes.txt"))
    assert answer.status == 200 and answer.body == data
    assert answer.headers["content-length"] == str(len(data))
    assert answer.headers["etag"] == f'"{stored["file"]["root"]}"'
    assert answer.headers["content-type"] == "application/octet-stream"
    assert (answer.headers["nedb-file-version"], answer.headers["nedb-file-seq"]) == ("0", "0")


@pytest.mark.parametrize("name", ["a/b/c.txt", "ä ö", "?x=1", "%2f", "a:b", "versions", "root"])
def test_a_name_is_any_text(server: Nedbd, db: str, name: str) -> None:
    put(server, db, name, name.encode())
    assert server.get(file_path(db, name)).body == name.encode()
    assert server.ok("GET", f"{db}/files")["files"] == [name]
    assert server.ok("GET", f"{file_path(db, name)}/versions")["count"] == 1


def test_a_write_says_what_writes_say(server: Nedbd, db: str) -> None:
    put(server, db, "a", b"1")
    said = "?tier=cold&client=app&nonce=7&idem=k&caused_by=0&evidence=scan&confidence=0.5&valid_from=2024-01-01"
    second = put(server, db, "b", b"2", said)
    op = server.ok("GET", f"{db}/log?limit=1")["log"][0]
    assert (op["client"], op["nonce"], op["caused_by"], op["evidence"]) == ("app", 7, [0], "scan")
    assert (op["hash"], op["payload"]["tier"]) == (second["head"], "cold")
    put(server, db, "c", b"3", "?caused_by=0,1")
    again = put(server, db, "b", b"other", "?idem=k")
    assert again == second and server.ok("GET", db)["seq"] == 2
    for query, status, code in [("?tier=hot", 400, "INVALID_ARGUMENT"), ("?ttl_s=5", 400, "INVALID_ARGUMENT"),
                                ("?client=app&nonce=7", 409, "REPLAY_ERROR"), ("?caused_by=x", 400, "INVALID_ARGUMENT"),
                                ("?caused_by=99", 400, "INVALID_ARGUMENT")]:
        answer = server.request("PUT", f"{file_path(db, 'd')}{query}", b"x")
        assert (answer.status, answer.code) == (status, code), query
    assert server.ok("GET", db)["seq"] == 2


def test_versions_are_kept_and_read_by_number_and_seq(server: Nedbd, db: str) -> None:
    roots = [put(server, db, "f", data)["file"]["root"] for data in (b"one", b"two", b"three")]
    path = file_path(db, "f")
    assert [server.get(f"{path}?version={n}").body for n in (0, 1, 2, -1, -3)] == [
        b"one", b"two", b"three", b"three", b"one"]
    assert server.get(f"{path}?as_of=1").body == b"two"
    versions = server.ok("GET", f"{path}/versions")
    assert [it["root"] for it in versions["versions"]] == roots and versions["seq"] == 2
    assert server.ok("GET", f"{path}/versions?as_of=0")["count"] == 1
    assert server.ok("GET", f"{path}/root?version=1")["root"] == roots[1]
    assert server.ok("GET", f"{db}/files?as_of=-1")["files"] == []
    for missing in (f"{path}?version=9", f"{path}?as_of=-1", f"{path}?tier=cold", file_path(db, "g"), f"{path}/root?version=9"):
        assert (server.get(missing).status, server.get(missing).code) == (404, "NOT_FOUND")
    assert server.ok("GET", f"{db}/files/nothing/versions")["versions"] == []


def test_head_says_all_but_the_bytes(server: Nedbd, db: str) -> None:
    put(server, db, "f", LARGE)
    path = file_path(db, "f")
    head, whole = server.request("HEAD", path), server.get(path)
    assert head.status == 200 and head.body == b""
    for name in ("content-length", "etag", "accept-ranges", "nedb-file-version"):
        assert head.headers[name] == whole.headers[name]
    assert server.request("HEAD", file_path(db, "g")).status == 404


def ranged(server: Nedbd, path: str, range_: str, **headers: str) -> Answer:
    return server.get(path, headers={"Range": range_, **headers})


def test_a_part_is_read_by_range(server: Nedbd, db: str) -> None:
    root = put(server, db, "f", LARGE)["file"]["root"]
    path, size = file_path(db, "f"), len(LARGE)
    for range_, start, end in [("bytes=0-0", 0, 1), ("bytes=5-9", 5, 10), ("bytes=2000000-", 2_000_000, size),
                               ("bytes=-7", size - 7, size), ("bytes=1000000-9999999", 1_000_000, size),
                               ("bytes=-99999999", 0, size)]:
        part = ranged(server, path, range_)
        assert part.status == 206 and part.body == LARGE[start:end], range_
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    for range_ in ("bytes=3000000-", "bytes=-0"):
        refused = ranged(server, path, range_)
        assert (refused.status, refused.code) == (416, "RANGE_NOT_SATISFIABLE")
        assert refused.headers["content-range"] == f"bytes */{size}"
    # What is not understood is as if it were not there; so is a range of another version.
    for range_ in ("bytes=9-5", "lines=1-2", "bytes=x-", "bytes=0-1,5-6", "bytes=-"):
        assert ranged(server, path, range_).status == 200, range_
    assert ranged(server, path, "bytes=0-4", **{"If-Range": f'"{root}"'}).status == 206
    assert ranged(server, path, "bytes=0-4", **{"If-Range": '"other"'}).status == 200


def test_who_has_the_bytes_is_not_sent_them_again(server: Nedbd, db: str) -> None:
    root = put(server, db, "f", b"text")["file"]["root"]
    path = file_path(db, "f")
    for tag in (f'"{root}"', f'"x", W/"{root}"', "*"):
        answer = server.get(path, headers={"If-None-Match": tag})
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", f'"{root}"')
    assert server.get(path, headers={"If-None-Match": '"x"'}).status == 200


def test_an_upload_that_breaks_off_leaves_nothing(server: Nedbd, db: str) -> None:
    head = f"PUT {file_path(db, 'f')} HTTP/1.1\r\nHost: localhost\r\n"
    for framing, begun in [("Content-Length: 9000000\r\n\r\n", LARGE), ("Transfer-Encoding: chunked\r\n\r\n", b"2dc6c0\r\n" + LARGE)]:
        with server.socket() as client:
            client.sendall(head.encode() + framing.encode() + begun)
        eventually(lambda: b"nedbd_connections 1" in server.get("/metrics").body)
    assert server.ok("GET", db)["seq"] == -1 and server.ok("GET", f"{db}/files")["files"] == []
    # What it had brought is given back, and what another put brings meanwhile is not.
    put(server, db, "f", b"whole")
    # The call that took in the last piece may end after its connection.
    compacted = lambda: server.ok("POST", f"{db}/compact_blobs")["report"]  # noqa: E731
    eventually(lambda: compacted()["after_bytes"] < 10_000)
    assert compacted()["kept_chunk_count"] == 2
    assert server.get(file_path(db, "f")).body == b"whole"


def test_a_put_is_on_the_disk_when_it_is_answered(start: Callable[..., Nedbd]) -> None:
    server = start()
    db = server.create()
    put(server, db, "f", LARGE)
    server.kill()
    again = start()
    again.wait_until_ready()
    assert again.get(file_path(db, "f")).body == LARGE


def test_a_file_may_be_longer_than_a_body(start: Callable[..., Nedbd]) -> None:
    # What nobody reads of a body is thrown away up to twice that, so that the client gets its answer.
    server = start("--body-bytes-max", "2000000", "--file-bytes-max", str(len(LARGE)))
    db = server.create()
    put(server, db, "f", LARGE)
    for body in (LARGE + b"x", iter([LARGE, b"x"])):
        connection = server.connect()
        connection.request("PUT", file_path(db, "g"), body, encode_chunked=not isinstance(body, bytes),
                           headers={} if isinstance(body, bytes) else {"Transfer-Encoding": "chunked"})
        answer = connection.getresponse()
        assert answer.status == 413 and b"LIMIT_EXCEEDED" in answer.read()
        connection.close()
    assert server.ok("GET", f"{db}/files")["files"] == ["f"]


def test_a_client_that_stops_sending_or_reading_is_let_go(start: Callable[..., Nedbd]) -> None:
    server = start("--idle-timeout-ms", "300")
    db = server.create()
    put(server, db, "f", LARGE * 4)
    with server.socket() as client:
        client.sendall(f"PUT {file_path(db, 'g')} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc".encode())
        assert b" 408 " in read_all(client).split(b"\r\n")[0]
    with server.socket() as client:
        client.sendall(f"GET {file_path(db, 'f')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        client.recv(10)
        eventually(lambda: b"nedbd_connections 1" in server.get("/metrics").body)
    assert server.ok("GET", f"{db}/files")["files"] == ["f"]


def test_a_proof_leads_to_the_root(server: Nedbd, db: str) -> None:
    root = put(server, db, "f", LARGE)["file"]["root"]
    path = file_path(db, "f")
    proof = server.ok("GET", f"{path}/proof?chunk=3")["proof"]
    assert proof["root"] == root and len(proof["leaf"]) == 64 and {side for _, side in proof["path"]} <= {"L", "R"}
    assert server.get(f"{path}/proof?chunk=99999").code == "NOT_FOUND"
    assert server.get(f"{path}/proof?chunk=-1").code == "INVALID_ARGUMENT"


def test_what_files_cost_is_counted_for_each_tier(server: Nedbd, db: str) -> None:
    for _ in range(2):
        put(server, db, "f", LARGE)
    stats = server.ok("GET", f"{db}/compression_stats?tier=warm")["stats"]
    assert stats["logical_bytes"] == 2 * len(LARGE) and stats["dedup_hits"] == stats["unique_chunks"]
    assert stats["ratio"] > 1.9
    assert server.ok("GET", f"{db}/compression_stats?tier=cold")["stats"]["logical_bytes"] == 0
    assert server.get(f"{db}/compression_stats?tier=hot").code == "INVALID_ARGUMENT"


def test_a_damaged_file_is_an_error_and_not_other_bytes(start: Callable[..., Nedbd]) -> None:
    server = start()
    db = server.create()
    put(server, db, "f", LARGE)
    assert server.stop() == 0
    packs = sorted((server.data / "db" / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    flip(packs[-1], 2_000_000)
    again = start()
    again.wait_until_ready()
    path = file_path(db, "f")
    assert ranged(again, path, "bytes=0-9").status == 206
    with again.socket() as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head, _, body = read_all(client).partition(b"\r\n\r\n")
    # The bytes before the damage are right, and then the answer breaks off.
    assert b" 200 " in head and len(body) < len(LARGE) and LARGE.startswith(body)
    damaged = ranged(again, path, "bytes=2000000-2000009")
    assert (damaged.status, damaged.code) == (500, "INTEGRITY_ERROR")


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(bytes(content))


def test_a_slow_upload_costs_no_thread(start: Callable[..., Nedbd]) -> None:
    server = start()
    db = server.create()
    head = "PUT {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nab"
    clients = [server.socket() for _ in range(40)]
    for number, client in enumerate(clients):
        client.sendall(head.format(file_path(db, str(number))).encode())
    eventually(lambda: b"nedbd_connections 41" in server.get("/metrics").body)
    threads = Path(f"/proc/{server.process.pid}/task")
    if threads.exists():
        assert len(list(threads.iterdir())) < 30
    for client in clients:
        client.sendall(b"cd")
        client.settimeout(PATIENCE_S)
        assert b" 201 " in client.recv(65536)
        client.close()
    assert len(server.ok("GET", f"{db}/files")["files"]) == 40
