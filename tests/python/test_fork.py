"""A fork copies the handle; only the process that opened the database may write through it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

import nedb
from nedb import NEDB

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def in_a_fork(work: object) -> int:
    """Runs ``work`` in a child process and returns its exit status; 0 when it returned True."""
    child = os.fork()
    if child == 0:
        status = 2
        try:
            status = 0 if work() else 1  # type: ignore[operator]
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if sys.version_info >= (3, 9) else 0


def refused(write: object) -> bool:
    """Says whether a call is refused because another process holds the directory."""
    try:
        write()  # type: ignore[operator]
    except nedb.DatabaseLocked as error:
        return "fork" in str(error)
    return False


def test_a_fork_reads_and_does_not_write(tmp_path: Path) -> None:
    db = NEDB(tmp_path)
    db.put("c", "a", {"n": 1})

    def child() -> bool:
        reads = db.get("c", "a") is not None and db.verify()
        refusals = [
            refused(lambda: db.put("c", "child", {})),
            refused(lambda: db.create_index("c", "n")),
            refused(db.flush),
        ]
        db.close()
        return reads and all(refusals)

    assert in_a_fork(child) == 0
    # Closing in the child took neither the lock nor the log from the parent.
    with pytest.raises(nedb.DatabaseLocked):
        NEDB(tmp_path)
    db.put("c", "parent", {})
    assert db.verify() and len(db.log) == 2
    db.close()
    with NEDB(tmp_path) as again:
        assert again.open_report()["damage"] is None


def test_a_fork_may_open_what_the_parent_has_closed(tmp_path: Path) -> None:
    db = NEDB(tmp_path)
    db.put("c", "a", {})
    db.close()

    def child() -> bool:
        with NEDB(tmp_path) as mine:
            mine.put("c", "child", {})
        return True

    assert in_a_fork(child) == 0
    with NEDB(tmp_path) as again:
        assert len(again.log) == 2


def test_a_fork_in_the_middle_of_writes_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    db = NEDB(tmp_path)
    stop = threading.Event()

    def write(name: str) -> None:
        while not stop.is_set():
            db.put_many(name, {str(n): {} for n in range(50)})

    def child() -> bool:
        signal.alarm(30)
        refusals = [refused(lambda: db.put("c", "child", {})), refused(db.flush), refused(db.checkpoint),
                    refused(lambda: db.create_index("c", "n")), refused(lambda: db.put_file("f", b""))]
        # Reads answer what was there at the fork, or are refused.
        for read in (lambda: db.get("c0", "1"), lambda: db.query("FROM c1 WHERE n = 1 LIMIT 2"), lambda: db.get_file("f"),
                     db.verify_determinism):
            try:
                read()
            except nedb.DatabaseLocked as error:
                refusals.append("fork" in str(error))
        db.close()
        return all(refusals)

    db.put_file("f", b"words")
    threads = [threading.Thread(target=write, args=[f"c{n}"]) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert [in_a_fork(child) for _ in range(20)] == [0] * 20
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert db.verify()
    db.close()
