"""Backup and repair as a Python program calls them; what they do is tested in the core."""

from __future__ import annotations

from pathlib import Path

import pytest

import nedb
from nedb import NEDB


def test_a_backup_opens_with_the_head_that_it_reports(tmp_path: Path) -> None:
    with NEDB(tmp_path / "db") as db:
        db.put("c", "a", {"n": 1})
        report = db.backup(tmp_path / "copy")
        assert (report["seq"], report["head"]) == (db.seq, db.head)
        with pytest.raises(nedb.InvalidArgument):
            db.backup(tmp_path / "copy")
    with NEDB(tmp_path / "copy") as copy:
        assert copy.head == report["head"] and copy.verify()


def test_a_repaired_database_is_written_to_again(tmp_path: Path) -> None:
    with NEDB(tmp_path) as db:
        for n in range(3):
            db.put("c", str(n), {"n": 1})
        nothing = {
            "carried_op_count": 0,
            "cut_bytes": 0,
            "damage": None,
            "damaged_file": None,
            "removed_checkpoints": [],
        }
        assert db.repair() == nothing
    log = tmp_path / "log.aof"
    damaged = log.read_bytes().replace(b'"_id":"1","n":1', b'"_id":"1","n":2')
    log.write_bytes(damaged)
    with NEDB(tmp_path) as db:
        with pytest.raises(nedb.ReadOnly, match="repair"):
            db.put("c", "x", {})
        report = db.repair()
        assert report["damage"]["seq"] == 1
        assert Path(report["damaged_file"]).read_bytes() == damaged
        assert db.log[1].op == "repair"
        db.put("c", "x", {})
        assert db.verify()
