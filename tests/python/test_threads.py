"""Many threads on one handle."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from nedb import NEDB



def filled(db: NEDB, count: int) -> NEDB:
    """The database with as many documents."""
    db.put_many("c", {str(n): {"n": n, "s": "xz" * 40 + str(n)} for n in range(count)})
    return db


@pytest.fixture
def steps() -> Iterator[list[int]]:
    """Counts the steps of another thread, which runs only while this one gives the GIL away."""
    counter, stop = [0], threading.Event()

    def count() -> None:
        while not stop.is_set():
            counter[0] += 1
            time.sleep(0)

    thread = threading.Thread(target=count)
    interval = sys.getswitchinterval()
    thread.start()
    # Nobody is made to give the GIL away.
    sys.setswitchinterval(1_000)
    yield counter
    stop.set()
    sys.setswitchinterval(interval)
    thread.join()


def lets_others_run(call: Callable[[], object], steps: list[int]) -> bool:
    """Says whether another thread runs during the call; one given the GIL may be slow to wake up."""
    for _ in range(200):
        before = steps[0]
        call()
        if steps[0] > before:
            return True
    return False


def test_other_threads_run_while_the_engine_works(
    db: NEDB, directory: Path, steps: list[int]
) -> None:
    filled(db, 2_000)
    assert not lets_others_run(lambda: db.head, steps)
    assert lets_others_run(lambda: db.query("FROM c WHERE s LIKE '%x%y' ORDER BY s"), steps)
    assert lets_others_run(db.q("c").search("nothing").run, steps)
    assert lets_others_run(db.verify, steps)
    assert lets_others_run(db.verify_determinism, steps)
    with NEDB(directory) as durable:
        assert lets_others_run(lambda: durable.put("c", "id", {}), steps)
        assert lets_others_run(lambda: durable.put_many("c", {"a": {}, "b": {}}), steps)
        assert lets_others_run(lambda: durable.checkpoint(), steps)


def test_a_clock_in_python_does_not_stop_threads() -> None:
    with NEDB(clock=time.time) as db, ThreadPoolExecutor(8) as pool:
        def work(client: int) -> None:
            for n in range(200):
                db.put("c", f"{client}-{n}", {"n": n}, client=str(client))
                db.get("c", f"{client}-{n}")
                db.query("FROM c LIMIT 1")

        list(pool.map(work, range(8)))
        assert db.seq == 1_599


def test_writers_and_readers_share_a_handle(directory: Path) -> None:
    with NEDB(directory) as db, ThreadPoolExecutor(8) as pool:
        def write(client: int) -> list[int]:
            return [
                db.put("c", f"{client}-{n}", {"n": n}, client=str(client))["_seq"] for n in range(50)
            ]

        def read(_reader: int) -> None:
            for _ in range(50):
                rows = db.query("FROM c")
                assert len({row["_id"] for row in rows}) == len(rows)

        writes = [pool.submit(write, client) for client in range(4)]
        reads = [pool.submit(read, reader) for reader in range(3)]
        seqs = [seq for future in writes for seq in future.result()]
        for future in reads:
            future.result()
        assert sorted(seqs) == list(range(200)) == [op.seq for op in db.log]
        assert db.verify() and db.verify_determinism()


def test_a_query_under_construction_belongs_to_one_thread_at_a_time(db: NEDB) -> None:
    filled(db, 100)
    query = db.q("c").where("n", "<", 50)
    with ThreadPoolExecutor(4) as pool:
        assert {len(rows) for rows in pool.map(lambda _: query.run(), range(200))} == {50}


def test_no_thread_stands_still_because_another_one_queries(tmp_path: Path) -> None:
    for db in (NEDB(), NEDB(tmp_path / "db")):
        db.put("c", "x", {"s": "a" * 1_000_000})
        pattern = "%" + "_" * 120_000 + "b%"
        reader = threading.Thread(target=db.query, args=("FROM c WHERE s LIKE $1", [pattern]))
        reader.start()
        time.sleep(0.1)
        for n in range(20):
            db.put("other", str(n), {"n": n})
            assert db.get("other", str(n)) is not None
        assert reader.is_alive(), "the query has ended, so it shows nothing"
        reader.join()


def test_other_threads_run_while_many_rows_become_objects() -> None:
    db = NEDB()
    db.put_many("c", {str(n): {"g": f"group {n}", "n": n} for n in range(200_000)})
    longest, done = 0.0, threading.Event()

    def tick() -> None:
        nonlocal longest
        while not done.is_set():
            begun = time.perf_counter()
            time.sleep(0.001)
            longest = max(longest, time.perf_counter() - begun)

    ticker = threading.Thread(target=tick)
    ticker.start()
    begun = time.perf_counter()
    rows = db.query("FROM c")
    total = time.perf_counter() - begun
    done.set()
    ticker.join()
    assert len(rows) == 200_000
    # Most of it is making objects: before, all of that was one step.
    assert longest < total / 3, (longest, total)
