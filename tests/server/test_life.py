"""Starting, stopping, crashing, reading beside a writer."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from http.client import HTTPException
from pathlib import Path
from typing import Callable

from nedbd import Answer, Events, Nedbd, eventually, start_beside_broken

Start = Callable[..., Nedbd]
FIXTURES = Path(__file__).parent.parent / "fixtures" / "format"


def put(server: Nedbd, db: str, id: str, **options: object) -> dict:
    return server.ok("POST", f"{db}/put", {"coll": "c", "id": id, "doc": {}, **options})


def test_what_was_written_is_there_after_a_stop(start: Start) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        server = start()
        server.wait_until_ready()
        db = f"/v1/databases/db{int(number)}"
        server.create(f"db{int(number)}")
        head = put(server, db, "a")["head"]
        assert server.stop(number) == 0
        again = start()
        again.wait_until_ready()
        assert again.ok("GET", db)["head"] == head
        assert again.stop() == 0


def test_a_checkpoint_is_saved_beside_the_writes_and_used_at_the_next_start(start: Start) -> None:
    server = start("--checkpoint-every-ops", "10")
    db = server.create()
    docs = {str(n): {"n": n} for n in range(25)}
    for _ in range(4):
        head = server.ok("POST", f"{db}/put_many", {"coll": "c", "docs": docs})["head"]
    saved = server.data / "db"
    eventually(lambda: list(saved.glob("checkpoint.*")))
    server.kill()
    again = start("--log-level", "2")
    again.wait_until_ready()
    assert again.ok("GET", db)["head"] == head
    assert again.ok("GET", f"{db}/verify?determinism=true")["deterministic"] is True


def test_a_checkpoint_is_saved_after_some_time_where_something_was_written(start: Start) -> None:
    server = start("--checkpoint-interval-ms", "20", "--log-level", "2")
    server.create("idle")
    db = server.create()
    seq = put(server, db, "a")["seq"]
    saved = server.data / "db"
    eventually(lambda: [path.name for path in saved.glob("checkpoint.*")] == [f"checkpoint.{seq}"])
    time.sleep(0.2)
    assert server.log.read_text().count("checkpoint saved") == 1
    assert server.ok("GET", db)["seq"] == seq and not list((server.data / "idle").glob("checkpoint.*"))


def test_with_a_key_what_is_on_the_disk_is_encrypted(start: Start) -> None:
    key = "000102030405060708090a0b0c0d0e0f" * 2
    server = start(NEDB_TMK=key)
    db = server.create("secret", seed={"c": [{"id": "a", "t": "nobody reads this"}]})
    head = server.ok("GET", db)["head"]
    assert server.stop() == 0
    stored = [path.read_bytes() for path in server.data.rglob("*") if path.is_file()]
    assert stored and not any(b"nobody reads" in it for it in stored)
    again = start(NEDB_TMK=key)
    again.wait_until_ready()
    assert again.ok("GET", db)["head"] == head and again.ok("GET", f"{db}/rows/c/a")["t"] == "nobody reads this"
    assert again.stop() == 0
    without = start()
    without.wait_until_ready()
    refused = without.get(db)
    assert (refused.status, refused.code) == (503, "KEY_REQUIRED") and without.get("/health").status == 200
    assert key not in server.log.read_text()


def test_a_stop_finishes_what_is_in_flight(start: Start) -> None:
    server = start()
    db = server.create()
    body = json.dumps({"coll": "c", "id": "slow", "doc": {}}).encode()
    with server.socket() as client:
        head = f"POST {db}/put HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body[:5])
        eventually(lambda: b"nedbd_connections 2" in server.get("/metrics").body)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: "stopping" in server.log.read_text())
        client.sendall(body[5:])
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 ") and b'"seq":0' in answer
    assert server.process.wait(30) == 0
    again = start()
    again.wait_until_ready()
    assert again.ok("GET", db)["rows"] == 1


def test_a_second_signal_ends_at_once(start: Start) -> None:
    server = start()
    with server.socket() as client:
        client.sendall(b"POST /v1/databases HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")
        eventually(lambda: b"nedbd_connections 2" in server.get("/metrics").body)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: "stopping" in server.log.read_text())
        begun = time.monotonic()
        assert server.stop(signal.SIGTERM) == 130
        assert time.monotonic() - begun < 5


def test_a_stop_does_not_wait_for_ever_and_says_that_it_did_not(start: Start) -> None:
    server = start("--stop-timeout-ms", "200")
    db = server.create()
    put(server, db, "a")
    with server.socket() as client:
        client.sendall(b"POST /v1/databases HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")
        eventually(lambda: b"nedbd_connections 2" in server.get("/metrics").body)
        assert server.stop() == 3
    # What no call was in was closed as ever.
    assert "some requests did not end in time" in server.log.read_text() and " stopped" in server.log.read_text()


def test_a_stop_waits_once_for_requests_and_for_calls(start: Start, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("1000.5")
    server = start("--stop-timeout-ms", "1000", NEDBD_TEST_CLOCK=str(clock))
    db = server.create()
    head = put(server, db, "a")["head"]
    clock.unlink()
    os.mkfifo(clock)
    with server.socket() as client:
        # It asks the time, and nobody says it; a long body is not written where its connection is served.
        body = json.dumps({"coll": "c", "id": "b", "doc": {"t": "x" * 20_000}})
        client.sendall(f"POST {db}/put HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        eventually(lambda: b"nedbd_connections 2" in server.get("/metrics").body)
        time.sleep(0.1)
        begun = time.monotonic()
        assert server.stop() == 3
        assert 0.9 < time.monotonic() - begun < 1.9
    assert "some calls did not end in time" in server.log.read_text()
    again = start()
    again.wait_until_ready()
    assert again.ok("GET", db)["head"] == head


def test_a_hangup_without_a_certificate_ends_nothing(start: Start) -> None:
    server = start()
    db = server.create()
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: "nothing to reload" in server.log.read_text())
    put(server, db, "a")
    assert server.stop() == 0


def test_nothing_acknowledged_is_lost_in_a_crash(start: Start) -> None:
    heads = {}
    for round_number in range(3):
        server = start()
        server.wait_until_ready()
        if round_number == 0:
            server.create()
        acknowledged: list[str] = []

        def write(writer: int) -> None:
            connection = server.connect()
            try:
                for n in range(10_000):
                    id = f"{round_number}-{writer}-{n}"
                    body = {"coll": "c", "id": id, "doc": {"n": n}}
                    if server.post("/v1/databases/db/put", body, connection=connection).status == 200:
                        acknowledged.append(id)
            except (OSError, HTTPException):
                pass

        writers = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
        for writer in writers:
            writer.start()
        eventually(lambda: len(acknowledged) > 50)
        server.kill()
        for writer in writers:
            writer.join()
        heads[round_number] = set(acknowledged)
    server = start()
    server.wait_until_ready()
    rows = server.ok("POST", "/v1/databases/db/query", {"nql": "FROM c"})["rows"]
    found = {row["_id"] for row in rows}
    for acknowledged_ids in heads.values():
        assert acknowledged_ids <= found
    assert server.ok("GET", "/v1/databases/db/verify?determinism=true")["ok"] is True


def test_what_is_half_made_or_half_dropped_is_gone_after_a_crash(start: Start) -> None:
    server = start()
    server.create("shop")
    server.kill()
    aside = server.data / ".aside-7"
    (server.data / "shop").rename(aside)
    again = start()
    assert again.ok("GET", "/v1/databases")["databases"] == [] and not aside.exists()


def test_damage_behind_a_checkpoint_is_found_by_a_read_or_a_verification(start: Start) -> None:
    server = start()
    db = server.create(seed={"c": [{"id": "a", "n": 1}, {"id": "b"}]})
    assert server.stop() == 0
    log = server.data / "db" / "log.aof"
    assert list(log.parent.glob("checkpoint.*"))
    log.write_bytes(log.read_bytes().replace(b'"n":1', b'"n":2'))
    again = start()
    again.wait_until_ready()
    detail = again.ok("GET", db)
    assert (detail["integrity"], detail["log"]) == ({"ok": False, "verified_seq": None}, None)
    assert (again.get(f"{db}/rows/c/a").status, again.get(f"{db}/changes").code) == (500, "INTEGRITY_ERROR")
    verified = again.ok("GET", f"{db}/verify")
    assert (verified["ok"], verified["seq"], verified["report"]["damage"]["seq"]) == (False, -1, 0)
    assert again.ok("GET", db)["integrity"] == {"ok": False, "verified_seq": -1}


def test_the_bytes_of_files_are_verified_when_asked_for(start: Start) -> None:
    server = start()
    server.wait_until_ready()
    assert server.stop() == 0
    shutil.copytree(FIXTURES / "2.0" / "files", server.data / "db")
    db, pack = "/v1/databases/db", server.data / "db" / "blobs" / "000001.pack"
    again = start()
    again.wait_until_ready()
    verified = again.ok("GET", f"{db}/verify?files=true")
    assert verified["ok"] and verified["files"]["ok"] and verified["files"]["version_count"] == 5
    assert "files" not in again.ok("GET", f"{db}/verify")
    assert again.stop() == 0
    pack.write_bytes(bytes(1_000) + pack.read_bytes()[1_000:])
    again = start()
    again.wait_until_ready()
    verified = again.ok("GET", f"{db}/verify?files=true")
    assert (verified["ok"], verified["report"]["ok"], verified["files"]["ok"]) == (False, True, False)
    assert verified["files"]["damage"][0]["name"] == "text.txt"


def test_a_damaged_database_is_read_and_the_others_are_served(start: Start) -> None:
    server = start("--checkpoint-every-ops", "0")
    for name in ("good", "bad", "broken"):
        server.create(name, seed={"c": [{"id": "a", "n": 1}]})
        server.ok("POST", f"/v1/databases/{name}/put", {"coll": "c", "id": "b", "doc": {}})
    assert server.stop() == 0
    log = server.data / "bad" / "log.aof"
    log.write_bytes(log.read_bytes().replace(b'"n":1', b'"n":2'))
    (server.data / "broken" / "meta.json").write_text("{")
    again = start()
    again.wait_until_ready()
    states = {line["name"]: line for line in again.ok("GET", "/v1/databases")["databases"]}
    assert states["broken"]["state"] == "failed" and states["broken"]["error"]["code"] == "INTEGRITY_ERROR"
    assert states["good"]["rows"] == 2
    detail = again.ok("GET", "/v1/databases/bad")
    assert detail["read_only"] is True and detail["integrity"]["ok"] is False
    refused = again.post("/v1/databases/bad/put", {"coll": "c", "id": "c", "doc": {}})
    assert (refused.status, refused.code) == (403, "READ_ONLY")
    verified = again.ok("GET", "/v1/databases/bad/verify")
    assert verified["ok"] is False and verified["report"]["damage"]["seq"] == 0
    assert again.get("/v1/databases/broken").status == 500


def test_a_database_that_was_not_opened_is_dropped_only_by_force(start: Start) -> None:
    again = start_beside_broken(start)
    refused = again.request("DELETE", "/v1/databases/broken")
    assert (refused.status, refused.code) == (500, "INTEGRITY_ERROR") and "force" in refused.json["error"]["message"]
    assert again.request("DELETE", "/v1/databases/broken?force=false").code == "INTEGRITY_ERROR"
    assert again.request("DELETE", "/v1/databases/broken?forced=true").code == "INVALID_ARGUMENT"
    assert (again.data / "broken" / "log.aof").exists()
    assert again.ok("DELETE", "/v1/databases/broken?force=true") == {"dropped": True}
    assert not (again.data / "broken").exists()


def test_a_reader_beside_a_writer_sees_what_is_written_and_writes_nothing(start: Start) -> None:
    writer = start()
    db = writer.create()
    put(writer, db, "a")
    reader = start("--read-only", "--refresh-interval-ms", "20")
    reader.wait_until_ready()
    assert reader.ok("GET", db)["rows"] == 1
    events = Events(reader, f"{db}/changes?after_seq=0")
    put(writer, db, "b")
    assert [seq for seq, _ in events.take(1)] == [1]
    events.close()
    for method, path, body in [("POST", f"{db}/put", {"coll": "c", "id": "x", "doc": {}}), ("DELETE", db, None),
                               ("POST", "/v1/databases", {"name": "other"})]:
        assert reader.request(method, path, body).code == "READ_ONLY"
    second = start()
    second.wait_until_ready()
    assert second.get(db).code == "DATABASE_LOCKED" and second.request("DELETE", db).code == "DATABASE_LOCKED"
    assert second.request("DELETE", f"{db}?force=true").code == "DATABASE_LOCKED"
    assert writer.ok("GET", db)["seq"] == 1


def test_a_reader_finds_databases_that_are_made_later_and_forgets_those_that_are_dropped(start: Start) -> None:
    writer = start()
    writer.create("first")
    reader = start("--read-only", "--refresh-interval-ms", "20", "--log-level", "2")
    reader.wait_until_ready()
    names = lambda: [it["name"] for it in reader.ok("GET", "/v1/databases")["databases"]]  # noqa: E731
    writer.create("asked", seed={"c": [{"id": "a"}]})
    assert reader.ok("GET", "/v1/databases/asked/rows/c/a")["_id"] == "a"
    writer.create("listed", seed={"c": [{"id": "a"}]})
    assert names() == ["asked", "first", "listed"] and reader.ok("GET", "/v1/databases/listed")["rows"] == 1
    put(writer, "/v1/databases/listed", "b")
    eventually(lambda: reader.ok("GET", "/v1/databases/listed")["rows"] == 2)
    for name in ("none", "..%2Fdata%2Ffirst", ".backups", "x" * 65):
        assert reader.get(f"/v1/databases/{name}").code == "DATABASE_NOT_FOUND"
    writer.ok("DELETE", "/v1/databases/asked")
    eventually(lambda: reader.get("/v1/databases/asked").code == "DATABASE_NOT_FOUND")
    assert names() == ["first", "listed"]
    # Another one of the same name is that one, and not what was read before.
    writer.ok("DELETE", "/v1/databases/listed")
    writer.create("listed", seed={"d": [{"id": "z"}]})
    eventually(lambda: reader.get("/v1/databases/listed/rows/d/z").status == 200)
    assert reader.ok("GET", "/v1/databases/listed")["collections"] == {"d": 1}
    assert reader.stop() == 0
    assert " ERROR " not in reader.log.read_text()


def test_readers_that_meet_a_drop_are_no_error_of_the_server(start: Start) -> None:
    server = start("--cache-bytes", "0", "--checkpoint-every-ops", "0")
    seed = {"c": [{"id": str(n), "t": "x" * 100} for n in range(100)]}
    statuses: set[tuple[int, str | None]] = set()
    stop = threading.Event()

    def read(ask: Callable[[object], Answer]) -> None:
        connection = server.connect()
        while not stop.is_set():
            try:
                answer = ask(connection)
            except (HTTPException, OSError):
                # The answer broke off, and the connection with it.
                connection = server.connect()
                continue
            statuses.add((answer.status, answer.code))

    db = "/v1/databases/db"
    asks = [lambda it: server.post(f"{db}/query", {"nql": 'FROM c WHERE t LIKE "%y%"'}, connection=it),
            lambda it: server.get(f"{db}/rows/c/7", connection=it), lambda it: server.get(f"{db}/files/f", connection=it),
            lambda it: server.get(f"{db}/changes?wait_ms=5", connection=it), lambda it: server.get(db, connection=it),
            lambda it: server.get("/v1/databases", connection=it), lambda it: server.get(f"{db}/verify", connection=it)]
    readers = [threading.Thread(target=read, args=(ask,)) for ask in asks]
    for reader in readers:
        reader.start()
    for _ in range(4):
        server.create("db", seed=seed)
        server.ok("PUT", f"{db}/files/f", b"0123456789" * 50_000)
        time.sleep(0.02)
        server.ok("DELETE", db)
    stop.set()
    for reader in readers:
        reader.join()
    assert statuses <= {(200, None), (404, "DATABASE_NOT_FOUND"), (404, "NOT_FOUND"), (404, "DOCUMENT_NOT_FOUND")}
    assert (404, "DATABASE_NOT_FOUND") in statuses and " ERROR " not in server.log.read_text()


def test_expired_documents_are_swept_on_a_timer(start: Start) -> None:
    server = start("--sweep-interval-ms", "30")
    db = server.create()
    put(server, db, "a", ttl_s=0.01)
    eventually(lambda: server.ok("GET", db)["seq"] == 1)
    assert server.ok("GET", db)["log"][0]["op"] == "delete"


def test_logs_are_json_on_request_and_hold_no_document(start: Start) -> None:
    server = start("--log-format", "json", "--log-level", "1")
    db = server.create()
    server.ok("POST", f"{db}/put", {"coll": "c", "id": "the-id", "doc": {"name": "the-name"}})
    server.ok("GET", f"{db}/rows/c/the-id")
    server.ok("POST", f"{db}/query", {"nql": 'FROM c WHERE name = "the-name"'})
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    requests = [line for line in lines if line["target"] == "nedbd::request"]
    assert [line["route"].rsplit("/", 1)[-1] for line in requests] == ["databases", "put", "{id}", "query"]
    assert {line["status"] for line in requests} == {200, 201}
    assert "the-" not in server.log.read_text()


def test_at_level_0_requests_are_not_logged(start: Start) -> None:
    server = start()
    server.create()
    assert server.stop() == 0
    log = server.log.read_text()
    assert "started" in log and "stopped" in log and "/v1/" not in log


def test_the_configuration_is_read_from_a_file(start: Start, tmp_path) -> None:
    path = tmp_path / "nedbd.toml"
    path.write_text('rows_count_max = 1\ntoken = "from-file"\n')
    server = start("--config", str(path))
    server.token = "from-file"
    db = server.create(seed={"c": [{"id": "a"}, {"id": "b"}]})
    assert server.post(f"{db}/query", {"nql": "FROM c"}).status == 413
    assert server.get(db, headers={"Authorization": ""}).status == 401


def test_what_could_not_be_opened_is_served_once_it_can_be(start: Start) -> None:
    server = start()
    for name in ("mended", "gone", "again"):
        server.create(name, seed={"c": [{"id": "a"}]})
    assert server.stop() == 0
    definitions = {name: server.data / name / "meta.json" for name in ("mended", "gone", "again")}
    for path in definitions.values():
        path.write_text("{")
    writer, reader = start(), start("--read-only", "--refresh-interval-ms", "50")
    for each in (writer, reader):
        each.wait_until_ready()
        assert each.get("/v1/databases/mended").code == "INTEGRITY_ERROR"
    definitions["mended"].unlink()
    writer.ok("DELETE", "/v1/databases/gone?force=true")
    writer.ok("DELETE", "/v1/databases/again?force=true")
    writer.create("again", seed={"c": [{"id": "a"}, {"id": "b"}]})
    for each in (writer, reader):
        eventually(lambda: each.get("/v1/databases/mended").status == 200)
        eventually(lambda: each.get("/v1/databases/gone").code == "DATABASE_NOT_FOUND")
        eventually(lambda: each.get("/v1/databases/again").status == 200)
        assert each.ok("GET", "/v1/databases/again")["rows"] == 2
    # Why one was not opened each has said once, however often it has tried; they share the file.
    assert writer.log.read_text().count("not opened") == 6
