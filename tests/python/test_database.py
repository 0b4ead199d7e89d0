"""The class NEDB: lifetime, clocks, reads at a time, many documents, durability."""

from __future__ import annotations

import copy
import gc
import os
import weakref
from pathlib import Path
from typing import Any

import nedb
import pytest
from nedb import NEDB, Sequencer


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert nedb.__version__ == version("nedb-engine")


def test_a_context_manager_closes(directory: Path) -> None:
    with NEDB(directory) as db:
        db.put("c", "id", {"n": 1})
    with pytest.raises(nedb.DatabaseClosed):
        db.put("c", "id", {"n": 2})
    db.close()


def test_an_exception_passes_through_a_context_manager() -> None:
    with pytest.raises(KeyError), NEDB():
        raise KeyError("x")


def test_a_directory_keeps_everything(directory: Path) -> None:
    with NEDB(str(directory)) as db:
        db.create_index("users", "age", "ordered")
        row = db.put("users", "a", {"age": 31, "name": "Á"}, caused_by=[], evidence="seen")
        db.link("users:a", "knows", "users:b")
        head, seq = db.head, db.seq
        assert db.path == str(directory)
    with NEDB(os.fspath(directory)) as db:
        assert (db.head, db.seq) == (head, seq)
        assert db.get("users", "a") == row
        assert db.neighbors("users:a", "knows") == ["users:b"]
        assert db.indexes() == [("users", "age", "ordered")]
        assert db.verify() and db.verify_determinism()
        assert db.verify_report()["ok"] is True
        assert db.open_report()["op_count"] == 2


def test_a_second_opening_is_refused_and_a_reader_follows(directory: Path) -> None:
    with NEDB(directory) as db:
        db.put("c", "id", {"n": 1})
        with pytest.raises(nedb.DatabaseLocked):
            NEDB(directory)
        with NEDB(directory, read_only=True) as reader:
            assert reader.read_only and not db.read_only
            assert reader.get("c", "id") == db.get("c", "id")
            db.put("c", "id", {"n": 2})
            assert reader.refresh() == db.seq
            assert reader.get("c", "id") == db.get("c", "id")
            with pytest.raises(nedb.ReadOnly):
                reader.put("c", "id", {"n": 3})


def test_checkpoint_returns_the_head(directory: Path) -> None:
    with NEDB(directory) as db:
        db.put("c", "id", {})
        assert db.checkpoint("note") == db.head
        assert db.log[-1].op == "checkpoint"


def test_a_clock_may_be_a_number_or_a_callable() -> None:
    with NEDB(clock=5) as db:
        db.put("c", "id", {})
        assert db.log[0].ts == 5.0
    now = [100.0]
    with NEDB(clock=lambda: now[0]) as db:
        db.put("c", "id", {}, ttl_s=10)
        assert db.log[0].ts == 100.0
        now[0] = 109.0
        assert db.get("c", "id") is not None
        now[0] = 111.0
        assert db.get("c", "id") is None
        assert db.query("FROM c") == []
        assert db.get("c", "id", as_of=0) is not None
        assert db.sweep() == 1


def test_a_clock_may_use_the_database_and_may_fail() -> None:
    answers: list[Any] = []
    db = NEDB(clock=lambda: float(len(answers)))
    answers.append(db.get("c", "id"))
    db.put("c", "id", {})
    assert db.log[0].ts == 1.0

    def failing() -> float:
        raise RuntimeError("no time")

    with pytest.raises(RuntimeError, match="no time"):
        NEDB(clock=failing)


def test_reads_at_a_seq_and_at_a_date(db: NEDB) -> None:
    db.put("rates", "r", {"pct": 5}, valid_from="2024-01-01", valid_to="2024-12-31")
    db.put("rates", "r", {"pct": 6}, valid_from="2025-01-01")
    row = db.get("rates", "r", valid_as_of="2024-06-15")
    assert row is not None and (row["pct"], row["_valid_to"]) == (5, "2024-12-31")
    row = db.get("rates", "r", as_of=10**30)
    assert row is not None and row["pct"] == 6
    assert db.get("rates", "r", as_of=-1) is None


def test_many_documents_are_a_mapping_or_carry_their_ids(db: NEDB) -> None:
    rows = db.put_many("c", {"a": {"n": 1}, "b": {"n": 2}})
    assert rows == [{"_id": "a", "_seq": 0, "n": 1}, {"_id": "b", "_seq": 1, "n": 2}]
    rows = db.put_many("c", ({"_id": str(n), "n": n} for n in range(3)))
    assert [row["_id"] for row in rows] == ["0", "1", "2"]
    assert db.put_many("c", []) == []
    with pytest.raises(nedb.InvalidArgument):
        db.put_many("c", [{"_id": "new"}, {"_id": 1}])
    assert db.get("c", "new") is None


def test_parameters_by_position_and_by_name(db: NEDB) -> None:
    db.put_many("c", {"a": {"n": 1, "s": "x' OR 1 = 1"}, "b": {"n": 2, "s": "y"}})
    assert [row["_id"] for row in db.query("FROM c WHERE s = $1", ["x' OR 1 = 1"])] == ["a"]
    assert [row["_id"] for row in db.query("FROM c WHERE s = $1 AND n = $2", ("y", 2))] == ["b"]
    assert [row["_id"] for row in db.query("FROM c WHERE n > $least", {"least": 1.5})] == ["b"]
    with pytest.raises(nedb.NQLError):
        db.query("FROM c WHERE n = $2", [1])


def test_expire_and_the_collections(db: NEDB) -> None:
    db.put("b", "id", {})
    db.put("a", "id", {})
    assert db.collections() == ["b", "a"]
    assert db.expire("a", "id", 5) is True
    assert db.expire("a", "nothing", 5.0) is False
    row = db.get("a", "id")
    assert row is not None and "_expires_at" in row


def test_edges_come_and_go(db: NEDB) -> None:
    assert db.link("c:a", "knows", "c:b") == 0
    assert db.inbound("c:b", "knows") == ["c:a"]
    assert db.unlink("c:a", "knows", "c:b") == 1
    assert db.neighbors("c:a", "knows") == []
    assert db.neighbors("c:a", "knows", as_of=0) == ["c:b"]


def test_delete_returns_the_seq_of_its_op(db: NEDB) -> None:
    assert db.delete("c", "nothing") == 0
    assert db.log[0].op == "delete"


def test_a_database_shows_itself_and_can_be_weakly_referenced(directory: Path) -> None:
    assert repr(NEDB()) == "<NEDB() at seq -1>"
    db = NEDB(directory)
    assert repr(db) == f"<NEDB({str(directory)!r}) at seq -1>"
    reference = weakref.ref(db)
    del db
    gc.collect()
    assert reference() is None
    NEDB(directory).close()


def test_the_class_can_be_extended() -> None:
    class Users(NEDB):
        def add(self, name: str) -> dict[str, Any]:
            return self.put("users", name, {"name": name})

    assert Users().add("a")["_seq"] == 0


def test_a_sequencer_passes_calls_on(db: NEDB) -> None:
    sequencer = Sequencer(db, max_batch=8)
    sequencer.put("c", "id", {"n": 1})
    assert sequencer.committed_seq == sequencer.seq == db.seq == 0
    assert sequencer.get("c", "id") == db.get("c", "id")
    sequencer.close()
    assert db.put("c", "id", {"n": 2})["_seq"] == 1
    with pytest.raises(AttributeError):
        sequencer.no_such_verb
    with pytest.raises(AttributeError):
        copy.copy(Sequencer.__new__(Sequencer)).put
