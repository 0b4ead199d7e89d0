"""Checkpoints from Python: the option, what opening says of them, and that the GIL is let go of."""

from __future__ import annotations

import os
from pathlib import Path

import nedb
import pytest
from nedb import NEDB


def saved(directory: Path) -> list[str]:
    return sorted(name for name in os.listdir(directory) if name.startswith("checkpoint."))


def test_a_checkpoint_is_loaded_at_the_next_opening(directory: Path) -> None:
    with NEDB(directory) as db:
        db.put("c", "a", {"n": 1})
        assert db.checkpoint("note") == db.head
        assert db.log[-1].payload["note"] == "note"
        assert len(db.log[-1].payload["views"]) == 64
        db.put("c", "b", {"n": 2})
    assert saved(directory) == ["checkpoint.0"]
    with NEDB(directory) as db:
        report = db.open_report()
        assert (report["checkpoint_seq"], report["op_count"], report["warnings"]) == (0, 3, [])
        assert [row["_id"] for row in db.query("FROM c")] == ["a", "b"]
        assert db.verify() and db.verify_determinism()


def test_automatic_checkpoints_are_saved_when_closing_at_the_latest(directory: Path) -> None:
    with NEDB(directory, checkpoint_every_ops=1_000) as db:
        db.put("c", "a", {})
        head = db.head
    assert saved(directory) == ["checkpoint.0"]
    with NEDB(directory) as db:
        assert (db.open_report()["checkpoint_seq"], db.head, db.seq) == (0, head, 0)


def test_a_checkpoint_that_was_changed_is_ignored_with_a_warning(directory: Path) -> None:
    with NEDB(directory) as db:
        db.put("c", "a", {"n": 1})
        db.checkpoint()
    (directory / "checkpoint.0").write_bytes(b"something else")
    with NEDB(directory) as db:
        report = db.open_report()
        assert report["checkpoint_seq"] is None
        assert "checkpoint.0 is ignored" in report["warnings"][0]
        assert db.get("c", "a") == {"_id": "a", "_seq": 0, "n": 1}
        assert not db.verify()
        found = db.verify_report()
        assert (found["damage"], found["derived_damage"]["file"]) == (None, "checkpoint.0")
        assert db.repair()["removed_checkpoints"] == ["checkpoint.0"]
        assert db.verify()


def test_in_memory_a_checkpoint_is_a_mark(db: NEDB) -> None:
    db.put("c", "a", {})
    db.checkpoint("mark")
    assert db.log[-1].payload == {"note": "mark"}


def test_an_option_that_is_no_number_of_ops_is_refused(directory: Path) -> None:
    for wrong in (0, -1, 1.5, "many"):
        with pytest.raises((nedb.InvalidArgument, TypeError)):
            NEDB(directory, checkpoint_every_ops=wrong)  # type: ignore[arg-type]
