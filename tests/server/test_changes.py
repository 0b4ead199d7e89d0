"""The feed of changes: every op once, in order, from any place on."""

from __future__ import annotations

import threading
import time
from typing import Callable

import pytest
from nedbd import Events, Nedbd, eventually

Start = Callable[..., Nedbd]


def put(server: Nedbd, db: str, id: str) -> dict:
    return server.ok("POST", f"{db}/put", {"coll": "c", "id": id, "doc": {}})


def test_pages_go_on_where_the_last_one_ended(server: Nedbd, db: str) -> None:
    heads = [put(server, db, str(n))["head"] for n in range(7)]
    after_seq, ops = -1, []
    while True:
        page = server.ok("GET", f"{db}/changes?after_seq={after_seq}&limit=3")
        ops += page["changes"]
        assert (page["seq"], page["head"]) == (ops[-1]["seq"], ops[-1]["hash"])
        after_seq = page["seq"]
        if not page["more"]:
            break
    assert [(op["seq"], op["hash"]) for op in ops] == list(enumerate(heads))
    end = server.ok("GET", f"{db}/changes?after_seq=6")
    assert (end["changes"], end["seq"], end["head"], end["more"]) == ([], 6, heads[-1], False)


def test_an_empty_page_waits_for_an_op(server: Nedbd, db: str) -> None:
    begun = time.monotonic()
    assert server.ok("GET", f"{db}/changes?wait_ms=100")["changes"] == []
    assert time.monotonic() - begun >= 0.1
    timer = threading.Timer(0.1, put, (server, db, "a"))
    timer.start()
    page = server.ok("GET", f"{db}/changes?wait_ms=10000")
    assert [op["seq"] for op in page["changes"]] == [0] and time.monotonic() - begun < 8
    timer.join()


@pytest.mark.parametrize("after_seq", ["1", "5", "-2", "x", "1.5"])
def test_a_seq_that_is_not_in_the_log_is_refused(server: Nedbd, db: str, after_seq: str) -> None:
    put(server, db, "a")
    answer = server.get(f"{db}/changes?after_seq={after_seq}")
    assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT")
    answer = server.get(f"{db}/changes", headers={"Accept": "text/event-stream", "Last-Event-ID": after_seq})
    assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT")


def test_a_stream_has_what_was_and_what_comes(server: Nedbd, db: str) -> None:
    for n in range(3):
        put(server, db, str(n))
    events = Events(server, f"{db}/changes?after_seq=0")
    assert [seq for seq, _ in events.take(2)] == [1, 2]
    batch = {"items": [{"op": "put", "coll": "c", "id": "x", "doc": {}}, {"op": "delete", "coll": "c", "id": "0"}]}
    head = server.ok("POST", f"{db}/batch", batch)["head"]
    (seq, op), = events.take(1)
    assert (seq, op["seq"], op["op"], op["hash"]) == (3, 3, "tx", head)
    events.close()


def test_a_stream_that_breaks_is_resumed_without_a_gap_or_a_repeat(start: Start) -> None:
    server = start()
    db = server.create()
    stop = threading.Event()
    heads: dict[int, str] = {}

    def write(writer: int) -> None:
        connection = server.connect()
        n = 0
        while not stop.is_set():
            body = {"coll": "c", "id": f"{writer}-{n}", "doc": {}}
            stored = server.post(f"{db}/put", body, connection=connection).json
            heads[stored["seq"]] = stored["head"]
            n += 1
        connection.close()

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for writer in writers:
        writer.start()
    seen: list[tuple[int, str]] = []
    for round_number in range(6):
        # The id of the last event counts, whatever the path still says.
        last = seen[-1][0] if seen else None
        events = Events(server, f"{db}/changes?after_seq=-1", last_event_id=last)
        seen += [(seq, op["hash"]) for seq, op in events.take(20 + round_number)]
        events.close()
    stop.set()
    for writer in writers:
        writer.join()
    last_seq = server.ok("GET", db)["seq"]
    events = Events(server, f"{db}/changes?after_seq={seen[-1][0]}")
    seen += [(seq, op["hash"]) for seq, op in events.take(last_seq - seen[-1][0])]
    events.close()
    assert [seq for seq, _ in seen] == list(range(last_seq + 1))
    assert dict(seen) == heads, "every write is in the feed with the head that it was answered with"


def test_many_streams_cost_no_threads(start: Start) -> None:
    server = start()
    db = server.create()
    streams = [Events(server, f"{db}/changes") for _ in range(50)]
    put(server, db, "a")
    for stream in streams:
        assert [seq for seq, _ in stream.take(1)] == [0]
    begun = time.monotonic()
    assert put(server, db, "b")["seq"] == 1 and time.monotonic() - begun < 5
    for stream in streams:
        stream.close()


def test_a_stream_ends_with_its_database_and_with_the_server(start: Start) -> None:
    server = start()
    dropped, kept = server.create("dropped"), server.create("kept")
    of_dropped, of_kept = Events(server, f"{dropped}/changes"), Events(server, f"{kept}/changes")
    put(server, kept, "a")
    assert server.ok("DELETE", dropped) == {"dropped": True}
    assert list(of_dropped) == []
    begun = time.monotonic()
    assert server.stop() == 0 and time.monotonic() - begun < 10
    assert [seq for seq, _ in of_kept] == [0]


def test_a_client_that_reads_nothing_does_not_hold_up_writers(start: Start) -> None:
    server = start("--idle-timeout-ms", "500")
    db = server.create()
    with server.socket() as client:
        client.sendall(f"GET {db}/changes HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode())
        document = {"t": "x" * 500_000}
        for n in range(40):
            server.ok("POST", f"{db}/put", {"coll": "c", "id": str(n), "doc": document})
        eventually(lambda: b"nedbd_connections 1" in server.get("/metrics").body)
    assert server.ok("GET", db)["seq"] == 39


def test_no_op_is_asked_for_and_none_is_given(server: Nedbd, db: str) -> None:
    put(server, db, "a")
    page = server.ok("GET", f"{db}/changes?limit=0&wait_ms=5000")
    assert (page["changes"], page["seq"], page["more"]) == ([], -1, True)
    page = server.ok("GET", f"{db}/changes?limit=0&after_seq=0")
    assert (page["changes"], page["seq"], page["more"]) == ([], 0, False)


def test_a_reader_is_not_led_on_in_another_log(server: Nedbd, db: str) -> None:
    heads = [put(server, db, str(n))["head"] for n in range(3)]
    for after_seq, head in [(-1, "0" * 64), *enumerate(heads)]:
        page = server.ok("GET", f"{db}/changes?after_seq={after_seq}&after_hash={head}")
        assert [op["seq"] for op in page["changes"]] == list(range(after_seq + 1, 3))
    server.ok("DELETE", db)
    server.create()
    for n in range(3):
        put(server, db, f"other{n}")
    for after_seq, head in [*enumerate(heads), (5, heads[0]), (-1, heads[0]), (0, "x"), (-2, heads[0])]:
        for headers in [{}, {"Accept": "text/event-stream"}, {"Accept": "text/event-stream", "Last-Event-ID": "2"}]:
            answer = server.get(f"{db}/changes?after_seq={after_seq}&after_hash={head}", headers=headers)
            assert (answer.status, answer.code) == (412, "PRECONDITION_FAILED"), (after_seq, headers)


def test_a_stream_of_long_ops_is_whole(server: Nedbd, db: str) -> None:
    sizes = [10, 60_000, 70_000, 1_500_000, 10, 1_000_000]
    for n, size in enumerate(sizes):
        server.ok("POST", f"{db}/put", {"coll": "c", "id": str(n), "doc": {"t": "é" * size}})
    events = Events(server, f"{db}/changes?after_seq=-1")
    for (seq, op), size in zip(events.take(len(sizes)), sizes):
        assert op["seq"] == seq and len(op["payload"]["doc"]["t"]) == size
    events.close()


def test_a_subscriber_that_reads_nothing_does_not_hold_up_a_stop(server: Nedbd, db: str) -> None:
    for n in range(20):
        server.ok("POST", f"{db}/put", {"coll": "c", "id": str(n), "doc": {"t": "x" * 1_000_000}})
    with server.socket() as client:
        client.sendall(f"GET {db}/changes HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode())
        time.sleep(0.5)
        begun = time.monotonic()
        assert server.stop() == 0 and time.monotonic() - begun < 15


def resident_kib(server: Nedbd) -> int:
    """Reads how much memory the server has."""
    from pathlib import Path

    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def test_subscribers_that_read_nothing_hold_up_nobody_and_hold_little(start: Start) -> None:
    server = start("--durability", "never")
    db = server.create()
    document = {"t": "x" * 4_000}
    for n in range(10):
        docs = {f"{n}-{i}": document for i in range(1_000)}
        server.ok("POST", f"{db}/put_many", {"coll": "c", "docs": docs})
    before, clients = resident_kib(server), []
    slowest: dict[str, float] = {}
    for _ in range(150):
        client = server.socket()
        client.sendall(f"GET {db}/changes HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode())
        clients.append(client)
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        for name, method, path, body in [("health", "GET", "/health", None),
                                         ("put", "POST", f"{db}/put", {"coll": "d", "id": "x", "doc": {}})]:
            begun = time.monotonic()
            server.ok(method, path, body)
            slowest[name] = max(slowest.get(name, 0), time.monotonic() - begun)
    grown = (resident_kib(server) - before) / len(clients)
    print(f"{grown:.0f} KiB each, {slowest}")
    assert grown < 700, "a subscriber holds a few windows"
    assert slowest["put"] < 1 and slowest["health"] < 1, slowest
    for client in clients:
        client.close()
