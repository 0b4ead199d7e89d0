"""One side of the disk benchmarks in a process of its own.

In: one JSON request a line on standard input. Out: one JSON reply a line on standard output.
``disk.py`` starts this file with the interpreter that has the side installed.

Requests: ``{"do": "about"}``; ``{"do": "floor", "folder", "count", "line_bytes", "batch_count"}``;
``{"do": "durable", "folder", "count", "threads"}``; ``{"do": "bulk", "folder", "count"}``;
``{"do": "fill", "folder", "count", "indexed", "checkpoint"}``; ``{"do": "open", "folder"}``;
``{"do": "get", "folder", "count"}``; ``{"do": "query", "folder"}``. A reply has ``seconds`` for one op.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import platform
import shutil
import sys
import threading
import time
from pathlib import Path

import workload

BULK_COUNT = 1_000


class Ours:
    """This engine in a directory, through its Python binding."""

    #: How a large database is made when making it is not what is measured.
    fill_options = {"durability": "never"}

    def __init__(self) -> None:
        self.nedb = importlib.import_module("nedb")
        self.version = getattr(self.nedb, "__version__", "")

    def open(self, folder: str, **options):
        return self.nedb.NEDB(folder, **options)

    def put(self, db, client: str, id_: str, document: dict) -> None:
        db.put("docs", id_, document, client=client)

    def put_batch(self, db, batch: list[tuple[str, dict]]) -> None:
        db.put_many("docs", [{"_id": id_, **document} for id_, document in batch])

    def get(self, db, id_: str) -> dict | None:
        return db.get("docs", id_)

    def query(self, db, nql: str) -> list[dict]:
        return db.query(nql)

    def index(self, db, field: str, kind: str) -> None:
        db.create_index("docs", field, kind)

    def close(self, db) -> None:
        db.close()


class Nedb1(Ours):
    """NEDB 1.2.2 in a directory: it has no call that writes many."""

    fill_options = {}

    def __init__(self) -> None:
        super().__init__()
        self.version = "1.2.2"

    def put_batch(self, db, batch: list[tuple[str, dict]]) -> None:
        for id_, document in batch:
            db.put("docs", id_, document)


class Sqlite:
    """SQLite with a write-ahead log, synced at every commit (``synchronous=FULL``)."""

    def __init__(self) -> None:
        self.sqlite3 = importlib.import_module("sqlite3")
        self.version = self.sqlite3.sqlite_version
        self.local = threading.local()

    def open(self, folder: str):
        Path(folder).mkdir(parents=True, exist_ok=True)
        path = str(Path(folder) / "docs.sqlite")
        self._connection(path).execute(
            "CREATE TABLE IF NOT EXISTS docs (id TEXT PRIMARY KEY, doc TEXT)"
        )
        return path

    def _connection(self, path: str):
        # A connection belongs to a thread.
        if getattr(self.local, "path", None) != path:
            connection = self.sqlite3.connect(path, isolation_level=None, timeout=60)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            self.local.connection, self.local.path = connection, path
        return self.local.connection

    def put(self, db, client: str, id_: str, document: dict) -> None:
        self._connection(db).execute(
            "INSERT OR REPLACE INTO docs VALUES (?, ?)", (id_, json.dumps(document))
        )

    def put_batch(self, db, batch: list[tuple[str, dict]]) -> None:
        connection = self._connection(db)
        connection.execute("BEGIN")
        rows = [(id_, json.dumps(document)) for id_, document in batch]
        connection.executemany("INSERT OR REPLACE INTO docs VALUES (?, ?)", rows)
        connection.execute("COMMIT")

    def get(self, db, id_: str) -> dict | None:
        row = self._connection(db).execute("SELECT doc FROM docs WHERE id = ?", (id_,)).fetchone()
        return json.loads(row[0]) if row else None

    def close(self, db) -> None:
        if getattr(self.local, "path", None) == db:
            self.local.connection.close()
            self.local.path = None


SIDES = {"ours": Ours, "nedb1": Nedb1, "sqlite": Sqlite}


class Worker:
    """Answers requests about one side."""

    def __init__(self, side) -> None:
        self.side = side
        self.held: dict[str, object] = {}

    def about(self, _request: dict) -> dict:
        """Say what runs here."""
        return {"version": self.side.version, "python": platform.python_version()}

    def floor(self, request: dict) -> dict:
        """Append lines and sync them, a batch at a time: what no log can be faster than."""
        folder = fresh(request["folder"])
        batch_count = request.get("batch_count", 1)
        lines = b"x" * (request["line_bytes"] * batch_count)
        file = os.open(folder / "floor", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        start = time.perf_counter()
        for _ in range(request["count"] // batch_count):
            os.write(file, lines)
            os.fdatasync(file)
        seconds = time.perf_counter() - start
        os.close(file)
        return {"seconds": seconds / request["count"]}

    def durable(self, request: dict) -> dict:
        """Put from some threads at once, each put acknowledged once it is on the disk."""
        folder, threads = fresh(request["folder"]), request["threads"]
        docs = workload.documents(110, request["count"])
        db = self.side.open(str(folder))
        each = len(docs) // threads
        start_together = threading.Barrier(threads + 1)

        def write(number: int) -> None:
            start_together.wait()
            for id_, document in docs[number * each : (number + 1) * each]:
                self.side.put(db, f"client {number}", id_, document)

        workers = [threading.Thread(target=write, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        start_together.wait()
        start = time.perf_counter()
        for worker in workers:
            worker.join()
        seconds = time.perf_counter() - start
        log = folder / "log.aof"
        line_bytes = log.stat().st_size / (each * threads) if log.exists() else None
        self.side.close(db)
        return {"seconds": seconds / (each * threads), "line_bytes": line_bytes}

    def bulk(self, request: dict) -> dict:
        """Write in batches of a thousand, each synced."""
        docs = workload.documents(110, request["count"])
        db = self.side.open(str(fresh(request["folder"])))
        start = time.perf_counter()
        for at in range(0, len(docs), BULK_COUNT):
            self.side.put_batch(db, docs[at : at + BULK_COUNT])
        seconds = time.perf_counter() - start
        self.side.close(db)
        return {"seconds": seconds / len(docs)}

    def fill(self, request: dict) -> dict:
        """Make a database of many small documents."""
        folder, count = fresh(request["folder"]), request["count"]
        db = self.side.open(str(folder), **self.side.fill_options)
        for field, kind in request.get("indexes", []):
            self.side.index(db, field, kind)
        start = time.perf_counter()
        made = 0
        for at in range(0, count, 50_000):
            # Documents are made in portions: a million of them as dicts would be a gigabyte.
            part = workload.documents(110, min(50_000, count - at), seed=at)
            batch = [(f"doc{at + n:07d}", document) for n, (_, document) in enumerate(part)]
            began = time.perf_counter()
            for first in range(0, len(batch), BULK_COUNT):
                self.side.put_batch(db, batch[first : first + BULK_COUNT])
            made += time.perf_counter() - began
        if request.get("checkpoint"):
            db.checkpoint()
        self.side.close(db)
        log = folder / "log.aof"
        return {
            "seconds": made / count,
            "all_seconds": time.perf_counter() - start,
            "log_bytes": log.stat().st_size if log.exists() else None,
            "checkpoint_bytes": sum(path.stat().st_size for path in folder.glob("checkpoint.*")),
        }

    def open(self, request: dict) -> dict:
        """Open a database and keep it: this process is to be a new one, so that memory tells."""
        before = resident_bytes()
        start = time.perf_counter()
        db = self.side.open(request["folder"])
        seconds = time.perf_counter() - start
        # What opening needed for a while went back to the allocator, not to the system.
        gc.collect()
        self.held["db"] = db
        return {"seconds": seconds, "resident_bytes": resident_bytes() - before}

    def get(self, request: dict) -> dict:
        """Get random documents of the open database."""
        ids = workload.random.Random(1).choices(range(request["of"]), k=request["count"])
        ids = [f"doc{number:07d}" for number in ids]
        db = self.held["db"]
        start = time.perf_counter()
        for id_ in ids:
            self.side.get(db, id_)
        return {"seconds": (time.perf_counter() - start) / len(ids)}

    def query(self, request: dict) -> dict:
        """Run an indexed query on the open database, over and over."""
        db, count = self.held["db"], request["count"]
        start = time.perf_counter()
        for number in range(count):
            rows = self.side.query(db, request["nql"].replace("?", str(number % 100)))
        seconds = (time.perf_counter() - start) / count
        return {"seconds": seconds, "rows": len(rows)}


def fresh(folder: str) -> Path:
    """Make an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    Path(folder).mkdir(parents=True)
    return Path(folder)


def resident_bytes() -> int:
    """Return how much memory of this process is in memory; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Answer requests until standard input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(SIDES[sys.argv[1]]())
    for line in sys.stdin:
        request = json.loads(line)
        gc.collect()
        gc.disable()
        reply = getattr(worker, request["do"])(request)
        gc.enable()
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
