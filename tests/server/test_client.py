"""The clients: what they add to the calls of a database. What the calls mean is the conformance suite's to say."""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
import random
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Iterator

import nedb
import nedb.client
import pytest
from clients import KINDS
from flaky import Flaky
from nedb.client import AsyncDatabase, AsyncNedbClient, Database, NedbClient
from nedbd import ROOT, Nedbd, start_beside_broken

Connect = Callable[..., Any]


@pytest.fixture(params=list(KINDS))
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients of each kind; they are closed at the end."""
    made: list[Any] = []

    def connect(*arguments: Any, **options: Any) -> Any:
        made.append(KINDS[request.param](*arguments, **options))
        return made[-1]

    yield connect
    for client in made:
        client.close()


@pytest.fixture
def flaky(server: Nedbd) -> Iterator[Flaky]:
    """A proxy before the server that fails by a script."""
    proxy = Flaky(server)
    yield proxy
    proxy.close()


# ------------------------------------------------------------------------------------ databases


def test_databases_are_made_listed_and_dropped(server: Nedbd, connect: Connect) -> None:
    client = connect(server.url)
    assert client.databases() == [] and client.health()["service"] == "nedbd"
    db = client.create_database("shop", {"indexes": [["users", "name", "eq"]], "seed": {"users": [{"_id": "u", "n": 1}]}})
    assert db.indexes() == [("users", "name", "eq")] and db.get("users", "u")["n"] == 1
    with pytest.raises(nedb.client.DatabaseExists):
        client.create_database("shop")
    assert client.create_database("shop", exist_ok=True).seq == 0
    assert [it["name"] for it in client.databases()] == ["shop"]
    assert db.describe()["rows"] == 1 and db.read_only is False
    client.drop_database("shop")
    with pytest.raises(nedb.client.DatabaseNotFound) as caught:
        db.get("users", "u")
    assert isinstance(caught.value, KeyError) and (caught.value.code, caught.value.status) == ("DATABASE_NOT_FOUND", 404)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), copy.code, str(copy)) == (type(caught.value), caught.value.code, str(caught.value))


def test_a_database_that_was_not_opened_is_dropped_only_by_force(
    start: Callable[..., Nedbd], connect: Connect
) -> None:
    client = connect(start_beside_broken(start).url)
    with pytest.raises(nedb.IntegrityError, match="force"):
        client.drop_database("broken")
    client.drop_database("broken", force=True)
    assert client.databases() == []


@pytest.mark.parametrize("text_bytes", [40_000, 400_000])
def test_more_documents_than_a_body_may_hold_are_refused_with_what_to_do(
    start: Callable[..., Nedbd], connect: Connect, text_bytes: int
) -> None:
    # The body is thrown away by the server, or so long that the connection ends before it is sent.
    server = start("--body-bytes-max", "1000000")
    db = connect(server.url).create_database("db")
    docs = {str(n): {"t": "x" * text_bytes} for n in range(40)}
    with pytest.raises(nedb.LimitExceeded, match=r"1000000 bytes.*body_bytes_max.*fewer.* at a time"):
        db.put_many("c", docs)
    assert db.seq == -1
    assert len(db.put_many("c", dict(list(docs.items())[:2]))) == 2


def test_a_long_body_without_an_answer_may_have_been_too_long(flaky: Flaky, connect: Connect) -> None:
    db = connect(flaky.url).create_database("db")
    docs = {"a": {"t": "x" * 2_000_000}}
    flaky.script = ["drop"]
    with pytest.raises(nedb.CommitUnknown, match=r"20000\d\d bytes.*body_bytes_max.*fewer documents at a time"):
        db.put_many("c", docs)
    flaky.script = ["drop"]
    with pytest.raises(nedb.CommitUnknown) as caught:
        db.put_many("c", {"a": {}})
    assert "bytes" not in str(caught.value)


def test_a_backup_leaves_out_what_is_damaged_of_files_when_asked_to(
    start: Callable[..., Nedbd], connect: Connect
) -> None:
    server = start()
    db = connect(server.url).create_database("db")
    db.put_file("good", b"what is sound")
    db.put_file("bad", random.Random(1).randbytes(9_000))
    whole = db.backup("whole", skip_damaged_files=True)
    assert (whole["damage"], whole["damage_count"], whole["path"]) == ([], 0, "db/whole")
    server.stop()
    pack = server.data / "db" / "blobs" / "000001.pack"
    pack.write_bytes(pack.read_bytes()[:-3_000] + bytes(3_000))
    db = connect(start().url).db("db")
    with pytest.raises(nedb.IntegrityError, match="bad"):
        db.backup("none")
    part = db.backup("part", skip_damaged_files=True)
    assert {it["name"] for it in part["damage"]} == {"bad"} and part["damage_count"] >= 1
    with nedb.NEDB(server.data / ".backups" / "db" / "part", read_only=True) as copy:
        assert copy.get_file("good") == b"what is sound" and copy.head == part["head"]


def test_a_transaction_is_one_op_or_none(server: Nedbd, connect: Connect) -> None:
    db = connect(server.url).create_database("db")
    document = {"n": 1}
    with db.transaction(client="app", idem="t") as tx:
        tx.put("c", "a", document, evidence="why")
        document["n"] = 2
        tx.link("c:a", "r", "c:b")
        assert tx.results is None
    stored = tx.results
    assert stored[0]["n"] == 1 and stored[1] is None and db.seq == 0 and db.log[0].op == "tx"
    with pytest.raises(nedb.InvalidArgument):
        tx.put("c", "b", {})
    with pytest.raises(RuntimeError):
        with db.transaction() as tx:
            tx.delete("c", "a")
            raise RuntimeError
    with db.transaction():
        pass
    with pytest.raises(nedb.PreconditionFailed):
        with db.transaction() as tx:
            tx.put("c", "a", {}, if_seq=-1)
    assert db.seq == 0


def test_a_query_is_composed_and_run(server: Nedbd, connect: Connect) -> None:
    db = connect(server.url).create_database("db")
    db.put_many("c", [{"_id": str(n), "n": n, "even": n % 2 == 0} for n in range(10)])
    query = db.q("c").where("even", "=", True).where("n", ">", 2).order_by("n", desc=True).limit(2)
    assert [row["n"] for row in query.run()] == [8, 6]
    assert query.params == [True, 2] and "8" not in query.nql()
    assert [row["operator"] for row in db.query("EXPLAIN FROM c WHERE n = 1")] == ["scan", "filter"]
    with pytest.raises(nedb.InvalidArgument):
        db.q("c").where("n", "; DROP", 1)
    with pytest.raises(nedb.NQLError) as caught:
        db.query("FROM c\nWHERE é = 'é' AND n = = 1")
    error = caught.value
    assert (error.lineno, error.offset, error.position) == (2, 23, 29) and error.text == "WHERE é = 'é' AND n = = 1"


def test_the_log_is_a_sequence_of_ops(server: Nedbd, connect: Connect) -> None:
    db = connect(server.url, retry_count=0).create_database("db")
    for n in range(5):
        db.put("c", str(n), {"n": n}, evidence="e")
    log = db.log
    assert [op.seq for op in log] == [op.seq for op in log[:]] == [0, 1, 2, 3, 4]
    assert log[-1].hash == db.head and log[1].prev_hash == log[0].hash and log[3] == log[3] != log[2]
    assert [op.seq for op in log[3:0:-2]] == [3, 1] and log[7:] == []
    assert log[0].evidence == "e" and log[0].to_dict()["payload"]["coll"] == "c" and log[0].caused_by is None
    with pytest.raises(IndexError):
        log[5]


def test_changes_are_followed_and_resumed_without_a_gap_or_a_repeat(server: Nedbd, connect: Connect) -> None:
    db = connect(server.url).create_database("db")
    writer = NedbClient(server.url).db("db")
    for n in range(3):
        writer.put("c", str(n), {})
    assert [op.seq for op in db.changes(follow=False)] == [0, 1, 2]
    feed = iter(db.changes(after_seq=1))
    assert next(feed).seq == 2
    waiting = threading.Timer(0.1, lambda: writer.put("c", "late", {}))
    waiting.start()
    late = next(feed)
    waiting.join()
    assert late.seq == 3 and late.payload["id"] == "late"
    assert [op.seq for op in db.changes(after_seq=late.seq, follow=False)] == []
    with pytest.raises(nedb.InvalidArgument):
        next(iter(db.changes(after_seq=99)))


def test_changes_survive_a_restart_of_the_server(start: Callable[..., Nedbd], connect: Connect) -> None:
    server = start()
    port = str(server.port)
    db = connect(server.url).create_database("db")
    db.put("c", "a", {})
    feed = iter(db.changes())
    assert next(feed).seq == 0
    server.kill()
    again = threading.Thread(target=lambda: start("--port", port))
    again.start()
    assert db.put("c", "b", {})["_seq"] == 1
    assert next(feed).seq == 1
    again.join()


# --------------------------------------------------------------------------- failures and keys


@pytest.mark.parametrize("failure", ["lose", "cut", "drop", 502, (503, "NOT_READY"), (429, "TOO_MANY_REQUESTS")])
def test_a_write_is_repeated_until_it_is_answered_and_written_once(
    flaky: Flaky, connect: Connect, failure: Any
) -> None:
    db = connect(flaky.url).create_database("db")
    writes: list[Callable[[], Any]] = [
        lambda: db.put("c", "a", {"n": 1})["_seq"],
        lambda: db.link("c:a", "r", "c:b"),
        lambda: db.unlink("c:a", "r", "c:b"),
        lambda: db.batch([{"op": "put", "coll": "c", "id": "b", "doc": {}}])[0]["_seq"],
        lambda: db.expire("c", "b", 1000) and db.seq,
        lambda: db.delete("c", "a"),
    ]
    for seq, write in enumerate(writes):
        flaky.script = [failure]
        assert write() == seq and not flaky.script
    assert db.seq == len(writes) - 1
    keys = [op.idem for op in db.log]
    assert len(set(keys)) == len(keys) and all(len(key) >= 16 for key in keys)


def test_a_key_of_the_caller_is_kept(server: Nedbd, connect: Connect) -> None:
    db = connect(server.url).create_database("db")
    assert db.put("c", "a", {"n": 1}, idem="mine") == db.put("c", "a", {"n": 2}, idem="mine")
    assert [op.idem for op in db.log] == ["mine"]
    assert connect(server.url, retry_count=0).db("db").put("c", "b", {})["_seq"] == 1
    assert db.log[1].idem is None


def test_what_has_no_key_is_repeated_only_where_nothing_was_done(flaky: Flaky, connect: Connect) -> None:
    db = connect(flaky.url).create_database("db")
    flaky.script = [(503, "NOT_READY"), (429, "TOO_MANY_REQUESTS")]
    db.put_many("c", {"a": {}, "b": {}})
    assert db.seq == 1 and not flaky.script
    for failure in ("lose", "drop", 502):
        before, flaky.script = len(flaky.seen), [failure]
        with pytest.raises(nedb.CommitUnknown):
            db.put_many("c", {"x": {}})
        assert len(flaky.seen) == before + 1, "it was sent again"
    assert db.seq == 2


def test_a_read_is_repeated_and_then_says_that_nobody_is_there(flaky: Flaky, connect: Connect) -> None:
    db = connect(flaky.url).create_database("db")
    db.put("c", "a", {"n": 1})
    flaky.script = ["lose", "cut", 503]
    assert db.get("c", "a")["n"] == 1
    client = connect(flaky.url, retry_count=1)
    flaky.script = ["drop", "drop"]
    with pytest.raises(nedb.client.Unavailable) as caught:
        client.db("db").get("c", "a")
    assert isinstance(caught.value, (nedb.NEDBError, ConnectionError)) and caught.value.code == "UNAVAILABLE"
    assert not flaky.script
    flaky.script = ["lose", "drop"]
    with pytest.raises(nedb.CommitUnknown):
        client.db("db").put("c", "b", {})


def test_nobody_at_the_port_is_unavailable(server: Nedbd, connect: Connect) -> None:
    client = connect(server.url, retry_count=2)
    server.stop()
    with pytest.raises(nedb.client.Unavailable):
        client.databases()
    with pytest.raises(nedb.client.Unavailable):
        client.db("db").put("c", "a", {})


def test_an_answer_that_does_not_come_is_timed_out_and_not_asked_for_again(flaky: Flaky, connect: Connect) -> None:
    connect(flaky.url).create_database("db")
    db = connect(flaky.url, timeout_s=0.2).db("db")
    flaky.script = ["wait"]
    with pytest.raises(nedb.client.TimedOut) as caught:
        db.get("c", "a")
    assert isinstance(caught.value, TimeoutError)
    flaky.script = ["wait"]
    with pytest.raises(nedb.CommitUnknown):
        db.put("c", "a", {})
    assert [method for method, path in flaky.seen if path.endswith("/put")] == ["POST"]


def test_an_answer_of_something_else_is_an_error(flaky: Flaky, connect: Connect) -> None:
    client = connect(flaky.url, retry_count=0)
    for status in (200, 404, 500):
        flaky.script = [status]
        with pytest.raises(nedb.client.ServerError) as caught:
            client.databases()
        assert (caught.value.code, caught.value.status) == ("INTERNAL_ERROR", status)


# ---------------------------------------------------------------------------------------- files

LARGE = bytes(range(251)) * 12_000


def test_a_file_is_sent_and_read_piece_by_piece(server: Nedbd, connect: Connect, tmp_path: Path) -> None:
    db = connect(server.url).create_database("db")
    (tmp_path / "large").write_bytes(b"head" + LARGE)
    taken: list[int] = []
    with (tmp_path / "large").open("rb") as large:
        large.seek(4)
        assert db.put_file("a/large", large, tier="cold", progress=taken.append) == 0
    assert taken[-1] == len(LARGE) and taken == sorted(taken) and len(taken) > 2
    assert db.put_file("pieces", (LARGE[n : n + 70_000] for n in range(0, len(LARGE), 70_000)), caused_by=[0]) == 0
    assert db.put_file("empty", b"") == 0 and db.files() == ["a/large", "pieces", "empty"]
    assert db.get_file("a/large") == db.get_file("pieces") == LARGE and db.get_file("empty") == b""
    assert db.log[1].caused_by == [0] and db.file_versions("a/large")[0]["tier"] == "cold"
    with db.open_file("a/large") as file:
        assert (file.size, file.version, file.name, file.tell()) == (len(LARGE), 0, "a/large", 0)
        db.put_file("a/large", b"another version")
        assert file.read(5) == LARGE[:5] and file.seek(-7, 2) == len(LARGE) - 7 and file.read() == LARGE[-7:]
        assert file.seek(1_048_570) and file.read(20) == LARGE[1_048_570:1_048_590] and file.read(0) == b""
        buffer = bytearray(2_000_000)
        assert file.seek(9) == 9 and file.readinto(buffer) == len(buffer) and buffer == LARGE[9:2_000_009]
        assert file.seek(len(LARGE) + 5) and file.read() == b""
        with pytest.raises(nedb.InvalidArgument):
            file.seek(-1)
    assert file.closed
    with pytest.raises(ValueError):
        file.read()
    with db.open_file("empty") as file:
        assert (file.read(), file.size) == (b"", 0)
    for missing in (lambda: db.get_file("none"), lambda: db.open_file("none"), lambda: db.get_file("pieces", 7)):
        with pytest.raises(nedb.NotFound):
            missing()
    leaf, path, root = db.file_proof("pieces", 1)
    assert root == db.file_root("pieces") and db.verify_proof(leaf, path, root)
    assert db.compression_stats("warm")["logical_bytes"] == len(LARGE) + len("another version")
    assert db.compact_blobs()["kept_chunk_count"] > 0


def test_a_file_that_cannot_be_taken_in_leaves_nothing(server: Nedbd, connect: Connect) -> None:
    db = connect(server.url).create_database("db")

    def stop(taken_bytes: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError):
        db.put_file("a", LARGE, progress=stop)
    with pytest.raises(nedb.InvalidArgument):
        db.put_file("a", ["text"])
    for wrong in ("text", 5, None):
        with pytest.raises(nedb.InvalidArgument):
            db.put_file("a", wrong)
    with pytest.raises(nedb.InvalidArgument):
        db.put_file("a", iter([LARGE]), tier="hot")
    assert db.seq == -1 and db.put_file("a", b"whole") == 0


def test_a_file_is_sent_again_only_where_it_can_be_read_again(flaky: Flaky, connect: Connect, tmp_path: Path) -> None:
    db = connect(flaky.url).create_database("db")
    (tmp_path / "large").write_bytes(LARGE)
    with (tmp_path / "large").open("rb") as large:
        for version, data in enumerate([b"bytes", large]):
            for failure in ("lose", 502):
                flaky.script = [failure]
                db.put_file(f"f{version}{failure}", data)
                assert not flaky.script and len(db.file_versions(f"f{version}{failure}")) == 1
    assert db.get_file("f1lose") == LARGE and db.seq == 3
    before, flaky.script = len(flaky.seen), ["lose"]
    with pytest.raises(nedb.CommitUnknown):
        db.put_file("once", iter([b"a", b"b"]))
    assert len(flaky.seen) == before + 1
    # The server did nothing, but the iterable is at its end: what is left of it is no file.
    flaky.script = [(503, "NOT_READY")]
    with pytest.raises(nedb.client.ServerError):
        db.put_file("rest", iter([b"a", b"b"]))
    assert len(flaky.seen) == before + 2 and "rest" not in db.files()
    flaky.script = ["drop", "cut"]
    assert db.get_file("f0lose") == b"bytes"


# ------------------------------------------------------------------------------------- settings


def test_the_token_is_said_and_a_wrong_one_is_refused(start: Callable[..., Nedbd], connect: Connect) -> None:
    server = start(token="my-secret")
    assert connect(server.url, "my-secret").databases() == []
    for token in (None, "wrong"):
        client = connect(server.url, token)
        assert client.health()["ok"]
        with pytest.raises(nedb.client.Unauthorized):
            client.databases()


@pytest.mark.parametrize("url", ["127.0.0.1:7070", "ftp://host", "http://", "http://a:b@host", "http://h:99999", "http://h/?q"])
def test_a_url_that_is_none_is_refused(connect: Connect, url: str) -> None:
    with pytest.raises(nedb.InvalidArgument):
        connect(url)


def test_names_and_values_that_are_none_are_refused_before_they_are_sent(server: Nedbd, connect: Connect) -> None:
    client = connect(server.url)
    db = client.create_database("db")
    for wrong in (
        lambda: client.db(""),
        lambda: client.db("\ud800"),
        lambda: db.put("c", "\ud800", {}),
        lambda: db.get("c", "\ud800"),
        lambda: db.put("c", "a", {1: 2}),
        lambda: db.put("c", "a", {"x": [{"y": float("nan")}]}),
        lambda: db.put("c", "a", {"x": object()}),
        lambda: db.put("c", "a", [1]),
        lambda: db.put_json("c", "a", '{}, "idem": "x"'),
        lambda: db.put_json("c", "a", b"\xff"),
        lambda: db.put("c", "a", {}, caused_by=5),
        lambda: db.put_many("c", "text"),
        lambda: db.get("c", "a", as_of="0"),
        lambda: db.query("FROM c", "x"),
        lambda: db.batch({"op": "put"}),
    ):
        with pytest.raises(nedb.InvalidArgument):
            wrong()
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises((nedb.LimitExceeded, nedb.InvalidArgument)):
        db.put("c", "a", {"x": circle})
    assert db.seq == -1


def test_any_name_and_id_reaches_the_server_as_it_is(server: Nedbd, connect: Connect) -> None:
    db = connect(server.url).create_database("db")
    for id in ("a/b", "..", "%2f", "?x=1&y", "ä ö", "\x7f", "a+b", "\"", "\u2028"):
        assert db.put("c c", id, {"t": id}) == db.get("c c", id)
        assert db.get_json("c c", id) == nedb.NEDB().put_json("c", id, f'{{"t": {nedb_text(id)}}}').replace(
            b'"_seq":0', f'"_seq":{db.seq}'.encode())


def nedb_text(text: str) -> str:
    """Spells a text in JSON."""
    return '"' + "".join(f"\\u{ord(character):04x}" for character in text) + '"'


def test_a_closed_client_says_so(server: Nedbd, connect: Connect) -> None:
    client = connect(server.url)
    with client:
        client.databases()
    client.close()
    with pytest.raises(nedb.DatabaseClosed):
        client.databases()


# --------------------------------------------------------------------------------- connections


def connection_count(server: Nedbd) -> int:
    """Returns how many connections the server has accepted, this one not counted."""
    lines = server.get("/metrics").body.decode().splitlines()
    return int(next(line for line in lines if line.startswith("nedbd_connections ")).split()[1]) - 1


def test_calls_of_a_thread_share_a_connection_and_threads_do_not(server: Nedbd) -> None:
    with NedbClient(server.url) as client:
        db = client.create_database("db")
        for n in range(20):
            db.put("c", str(n), {})
        assert connection_count(server) == 1
        barrier = threading.Barrier(4)

        def write(name: str) -> None:
            barrier.wait()
            for n in range(20):
                assert db.put(name, str(n), {"name": name})["name"] == name
            barrier.wait()
            barrier.wait()

        threads = [threading.Thread(target=write, args=[f"t{n}"]) for n in range(3)]
        for thread in threads:
            thread.start()
        barrier.wait()
        barrier.wait()
        assert connection_count(server) == 4
        barrier.wait()
        for thread in threads:
            thread.join()
        assert db.seq == 79


def test_hundreds_of_tasks_share_a_few_connections(server: Nedbd) -> None:
    async def write() -> int:
        async with AsyncNedbClient(server.url) as client:
            db = await client.create_database("db")
            await asyncio.gather(*(db.put("c", str(n), {"n": n}) for n in range(300)))
            assert connection_count(server) <= 16
            return len(await db.query("FROM c"))

    assert asyncio.run(write()) == 300


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again(start: Callable[..., Nedbd]) -> None:
    server = start("--idle-timeout-ms", "100")
    with NedbClient(server.url, retry_count=0) as client:
        db = client.create_database("db")
        wait = threading.Event()
        for seq in range(2):
            # put_many is never repeated: it must find a connection that holds.
            assert db.put_many("c", [{"_id": "a"}])[0]["_seq"] == seq
            wait.wait(0.4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_does_not_share_the_connection(server: Nedbd) -> None:
    with NedbClient(server.url) as client:
        db = client.create_database("db")
        db.put("c", "parent", {})
        child = os.fork()
        if child == 0:
            written = [db.put("c", f"child{n}", {})["_id"] for n in range(20)]
            os._exit(0 if written == [f"child{n}" for n in range(20)] else 1)
        written = [db.put("c", f"parent{n}", {})["_id"] for n in range(20)]
        assert written == [f"parent{n}" for n in range(20)]
        assert os.waitpid(child, 0)[1] == 0


# ---------------------------------------------------------------------------------------- shape


def signature_of(function: Any) -> list[tuple[str, Any, Any]]:
    """Returns the parameters behind the first: name, kind, default."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return [(it.name, it.kind, it.default) for it in parameters]


#: Verbs that cannot have the same parameters, each with its reason.
OTHER_PARAMETERS = {
    "backup": "a copy is on the server, below its directory of backups: it has a name, not a path",
    "verify_files": "one request, one answer: nothing tells of progress",
}


@pytest.mark.parametrize("cls", [Database, AsyncDatabase])
def test_methods_have_the_parameters_of_the_embedded_database(cls: type) -> None:
    compared = 0
    for name, method in inspect.getmembers(nedb.NEDB, callable):
        if name.startswith("_") or not hasattr(cls, name) or name in OTHER_PARAMETERS:
            continue
        static = isinstance(inspect.getattr_static(nedb.NEDB, name), staticmethod)
        theirs = inspect.signature(method) if static else signature_of(method)
        ours = inspect.signature(getattr(cls, name)) if static else signature_of(getattr(cls, name))
        assert str(ours) == str(theirs) if static else ours == theirs, name
        assert getattr(cls, name).__doc__, name
        compared += 1
    assert compared > 20


@pytest.mark.parametrize("page", ["README.md", "docs/nedbd.md"])
def test_what_the_documents_show_of_the_client_runs(start: Callable[..., Nedbd], page: str) -> None:
    server = start(token="my-secret" if page.startswith("docs") else None)
    if server.token is None:
        NedbClient(server.url).create_database("shop")
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    [block] = [it for it in blocks if "nedb.client" in it]
    assert "http://127.0.0.1:7070" in block
    exec(compile(block.replace("http://127.0.0.1:7070", server.url), page, "exec"), {})
    assert NedbClient(server.url, server.token).db("shop").get("users", "u1")["name"] == "Ada"


def test_importing_nedb_loads_no_client_and_the_blocking_one_no_httpx() -> None:
    code = ("import sys, nedb; assert 'nedb.client' not in sys.modules and 'http.client' not in sys.modules; "
            "from nedb.client import NedbClient; NedbClient(); assert 'httpx' not in sys.modules")
    path = str(Path(nedb.__file__).parent.parent)
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": path})


def test_a_reader_of_changes_is_told_of_another_log(server: Nedbd, connect: Connect) -> None:
    client = connect(server.url)
    db = client.create_database("db")
    db.put("c", "a", {})
    ops = iter(db.changes())
    assert next(ops).seq == 0
    client.drop_database("db")
    other = client.create_database("db")
    for n in range(3):
        other.put("c", f"other{n}", {})
    with pytest.raises(nedb.PreconditionFailed, match="after_hash"):
        next(ops)
