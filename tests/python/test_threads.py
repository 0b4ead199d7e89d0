"""Many threads on one handle."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nedb import NEDB

# Sorts and matches every row against a pattern that takes long.
SLOW = "FROM c WHERE s LIKE '%x%x%x%x%y' OR s LIKE '%z%z%z%q' ORDER BY s DESC, n LIMIT 1"


def filled(db: NEDB, count: int) -> NEDB:
    db.put_many("c", {str(n): {"n": n, "s": "xz" * 40 + str(n)} for n in range(count)})
    return db


def test_other_threads_run_during_a_query(db: NEDB) -> None:
    filled(db, 20_000)
    done = threading.Event()
    steps_of_others = 0

    def query() -> None:
        db.query(SLOW)
        done.set()

    thread = threading.Thread(target=query)
    thread.start()
    started = time.perf_counter()
    longest = 0.0
    while not done.is_set():
        before = time.perf_counter()
        time.sleep(0)
        steps_of_others += 1
        longest = max(longest, time.perf_counter() - before)
    taken = time.perf_counter() - started
    thread.join()
    # With the GIL held, this thread would stand still for the whole query.
    assert steps_of_others > 20 and longest < max(0.5 * taken, 0.1), (steps_of_others, longest, taken)


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
