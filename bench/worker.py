"""One side in a process of its own.

In: one JSON request a line on standard input. Out: one JSON reply a line on standard output. What a
database prints goes to standard error. ``compare.py`` starts this file with the interpreter that has
the side installed.

Requests: ``{"do": "about"}``, ``{"do": "load", "size_bytes", "count"}``, ``{"do": "churn", "size_bytes",
"count", "overwrite_count"}``, ``{"do": "run", "task", "budget_s"}``, ``{"do": "answer", "task"}``.

A task is ``put``, ``get``, ``verify``, a query's name, or a query's name after ``head/`` or ``asof/``
(a collection that was overwritten once, now and half way) or ``fresh/`` or ``churned/``.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
import time

import sides
import workload

GET_COUNT = 50_000


class Worker:
    """Answers requests about one side."""

    def __init__(self, side) -> None:
        self.side = side
        self.dbs: dict = {}
        self.calls: dict[str, tuple] = {}

    def about(self, _request: dict) -> dict:
        """Say what runs here."""
        return {
            "version": self.side.version,
            "python": platform.python_version(),
            "has_verify": self.side.has_verify,
            "has_history": self.side.has_history,
        }

    def load(self, request: dict) -> dict:
        """Make the databases of one size anew."""
        size_bytes, count = request["size_bytes"], request["count"]
        side, docs = self.side, workload.documents(size_bytes, count)
        self.dbs.clear()
        self.calls.clear()
        self.docs, self.words = docs, workload.search_words(docs)
        self.ids = workload.random_ids(docs, min(GET_COUNT, 10 * count))
        self.dbs = {"plain": side.fill(docs, False), "indexed": side.fill(docs, True)}
        if side.has_history:
            history = side.fill(docs, True)
            side.overwrite(history, workload.documents(size_bytes, count, seed=1))
            self.dbs["history"] = history
        self.half_way_seq = count - 1
        return {}

    def churn(self, request: dict) -> dict:
        """Make a small database twice: once fresh, once after its documents were overwritten often."""
        size_bytes, count = request["size_bytes"], request["count"]
        side, docs = self.side, workload.documents(size_bytes, count)
        self.dbs.clear()
        self.calls.clear()
        self.words = workload.search_words(docs)
        other = [workload.documents(size_bytes, count, seed=seed) for seed in range(1, 9)]
        churned = side.fill(docs, True)
        for turn in range(request["overwrite_count"] // count - 1):
            side.overwrite(churned, other[turn % len(other)])
        side.overwrite(churned, docs)
        self.dbs = {"fresh": side.fill(docs, True), "churned": churned}
        return {}

    def run(self, request: dict) -> dict:
        """Do a task once, or a query for as long as the budget says, and say what one of it took."""
        task = request["task"]
        gc.collect()
        gc.disable()
        try:
            timed = {"put": self._put, "get": self._get, "verify": self._verify}.get(task)
            seconds = timed() if timed else self._query(task, request["budget_s"])
        finally:
            gc.enable()
        return {"seconds": seconds}

    def answer(self, request: dict) -> dict:
        """Give the rows of a query, or what a get gives, to be checked."""
        task = request["task"]
        if task == "get":
            rows = [self.side.get(self.dbs["plain"], id_) for id_ in self.ids[:100]]
            return {"rows": rows}
        if task == "verify":
            return {"rows": [self.side.verify(self.dbs["plain"])]}
        return {"rows": self._prepared(task)()}

    def _put(self) -> float:
        db = self.side.open()
        start = time.perf_counter()
        self.side.put_all(db, self.docs)
        return (time.perf_counter() - start) / len(self.docs)

    def _get(self) -> float:
        start = time.perf_counter()
        self.side.get_all(self.dbs["plain"], self.ids)
        return (time.perf_counter() - start) / len(self.ids)

    def _verify(self) -> float:
        start = time.perf_counter()
        self.side.verify(self.dbs["plain"])
        return (time.perf_counter() - start) / len(self.docs)

    def _query(self, task: str, budget_s: float) -> float:
        call = self._prepared(task)
        count, elapsed = 0, 0.0
        batch = 1
        while elapsed < budget_s:
            start = time.perf_counter()
            for _ in range(batch):
                call()
            elapsed += time.perf_counter() - start
            count += batch
            batch = min(2 * batch, 1_000)
        return elapsed / count

    def _prepared(self, task: str):
        if task not in self.calls:
            place, _, query = task.rpartition("/")
            as_of = self.half_way_seq if place == "asof" else None
            if not place:
                place = "plain" if query in ("scan", "group") else "indexed"
            db = self.dbs["history" if place in ("head", "asof") else place]
            self.calls[task] = self.side.prepare(db, query, self.words, as_of)
        return self.calls[task]


def main() -> None:
    """Answer requests until standard input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(sides.make(sys.argv[1]))
    for line in sys.stdin:
        request = json.loads(line)
        reply = getattr(worker, request["do"])(request)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
