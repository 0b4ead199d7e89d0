"""Compare this engine with SQLite and NEDB 1.2.2 on the same work, in one run.

    python bench/compare.py --nedb-1x <python with nedb-engine==1.2.2>

Runs each side in a process of its own and takes turns: every task on A, B, C, then the next, and all
of that again for each round. A figure is the median of its rounds, a ratio the median of the rounds'
ratios, so that what slows the machine for a while slows all sides. Every answer is checked before
anything is timed. Writes results.json, RESULTS.md and, where matplotlib is installed, results.svg.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import report
import workload
from options import add_engines, common
from table import CHURN_ROWS, HISTORY_ROWS, MAIN_ROWS, Row

HERE = Path(__file__).resolve().parent
CHURN_COUNT = 1_000


class Process:
    """A side in a process of its own."""

    def __init__(self, name: str, python: str, script: str = "worker.py") -> None:
        self.name = name
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        self.child = subprocess.Popen(
            [python, str(HERE / script), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
            text=True,
            env=environment,
        )
        self.about = self.ask(do="about")

    def ask(self, **request) -> dict:
        """Send a request and wait for its reply."""
        self.child.stdin.write(json.dumps(request) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise SystemExit(f"the side {self.name} ended at {request}; what it said is above")
        return json.loads(line)

    def close(self) -> None:
        """Let the process end."""
        self.child.stdin.close()
        self.child.wait()


class Progress:
    """One line on a terminal, rewritten as work goes on; nothing elsewhere."""

    def __init__(self) -> None:
        self.is_shown = sys.stderr.isatty()

    def show(self, text: str) -> None:
        """Say what is being done."""
        if self.is_shown:
            sys.stderr.write(f"\r\033[K{text}")
            sys.stderr.flush()


class Comparison:
    """The sides, the options, and what was measured so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.progress = Progress()
        self.sides = {"ours": Process("ours", options.nedb), "sqlite": Process("sqlite", options.nedb)}
        if options.nedb_1x:
            self.sides["nedb1"] = Process("nedb1", options.nedb_1x)
        self.faults: dict[str, str] = {}

    def run(self) -> dict:
        """Measure everything; returns what goes into results.json."""
        sizes = [self._size(size_bytes) for size_bytes in self.options.sizes]
        churn = None if self.options.overwrite_count == 0 else self._churn()
        for side in self.sides.values():
            side.close()
        return {
            "machine": machine(self.sides),
            "note": self.options.note,
            "rounds": self.options.rounds,
            "sizes": sizes,
            "churn": churn,
        }

    def _size(self, size_bytes: int) -> dict:
        count = self.options.count or workload.DOCUMENT_COUNTS[size_bytes]
        for side in self.sides.values():
            self.progress.show(f"{size_bytes} bytes: loading {side.name}")
            side.ask(do="load", size_bytes=size_bytes, count=count)
        docs = workload.documents(size_bytes, count)
        later = workload.documents(size_bytes, count, seed=1)
        words = workload.search_words(docs)
        now, then = workload.Oracle(later, words), workload.Oracle(docs, words)
        wrong = self._check(MAIN_ROWS, {"": then}) | self._check(
            HISTORY_ROWS, {"head": now, "asof": then}
        )
        measured = self._measure((*MAIN_ROWS, *HISTORY_ROWS), f"{size_bytes} bytes")
        mean = sum(len(json.dumps(d, separators=(",", ":"))) for _, d in docs) / count
        return {
            "size_bytes": size_bytes,
            "mean_bytes": round(mean, 1),
            "count": count,
            "selectivities": workload.selectivities(docs, words),
            "tasks": measured,
            "wrong": wrong,
        }

    def _churn(self) -> dict:
        size_bytes, ours = self.options.sizes[0], self.sides["ours"]
        overwrite_count = self.options.overwrite_count
        self.progress.show(f"overwriting {CHURN_COUNT} documents {overwrite_count} times in all")
        request = {"size_bytes": size_bytes, "count": CHURN_COUNT}
        ours.ask(do="churn", overwrite_count=overwrite_count, **request)
        docs = workload.documents(size_bytes, CHURN_COUNT)
        oracle = workload.Oracle(docs, workload.search_words(docs))
        wrong = self._check(CHURN_ROWS, {"fresh": oracle, "churned": oracle})
        return {
            "size_bytes": size_bytes,
            "count": CHURN_COUNT,
            "overwrite_count": overwrite_count,
            "tasks": self._measure(CHURN_ROWS, "overwritten"),
            "wrong": wrong,
        }

    def _check(self, rows: tuple[Row, ...], oracles: dict) -> dict[str, str]:
        """Check every answer. A wrong one of ours ends the run; of others it is noted."""
        wrong = {}
        for row in rows:
            for side in self._sides_of(row):
                self.progress.show(f"checking {side.name}: {row.task}")
                place, _, query = row.task.rpartition("/")
                fault = self._fault(side, row.task, query, oracles[place])
                if fault and side.name == "ours":
                    raise SystemExit(f"ours answers {row.task} wrongly: {fault}")
                if fault:
                    wrong[f"{side.name} {row.task}"] = fault
        return wrong

    def _fault(self, side: Process, task: str, query: str, oracle) -> str | None:
        if query == "put":
            return None
        rows = side.ask(do="answer", task=task)["rows"]
        if query == "verify":
            return None if rows == [True] else "verify is not true"
        if query == "get":
            return oracle.content_fault(rows, lambda _document: True)
        return oracle.fault(query, rows)

    def _measure(self, rows: tuple[Row, ...], title: str) -> dict[str, dict[str, list[float]]]:
        """Take turns; returns the seconds of every round for each task and side."""
        measured: dict = {row.task: {} for row in rows}
        for turn in range(self.options.rounds):
            for row in rows:
                for side in self._sides_of(row):
                    self.progress.show(
                        f"{title}: round {turn + 1} of {self.options.rounds}, {row.task}, {side.name}"
                    )
                    budget_s = self.options.budget_s
                    seconds = side.ask(do="run", task=row.task, budget_s=budget_s)["seconds"]
                    measured[row.task].setdefault(side.name, []).append(seconds)
        return measured

    def _sides_of(self, row: Row) -> list[Process]:
        return [self.sides[name] for name in row.sides if name in self.sides]


def machine(sides: dict[str, Process]) -> dict:
    """Say what may matter of the machine, and nothing that names it."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {name: side.about["version"] for name, side in sides.items()},
        "pythons": {name: side.about["python"] for name, side in sides.items()},
    }


def write_results(
    options: argparse.Namespace, results: dict, text: str, names: tuple[str, str]
) -> bool:
    """Write the figures and the page under their names; a smoke run writes only where it is told to."""
    folder = options.out or (None if options.quick else HERE)
    if folder is None:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / names[1]).write_text(text, encoding="utf-8")
    return True


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = common(__doc__, rounds=7)
    add_engines(parser)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(workload.DOCUMENT_COUNTS))
    parser.add_argument("--overwrite-count", type=int, default=1_000_000)
    parser.add_argument("--note", default="", help="a sentence to put above the results")
    options = parser.parse_args(arguments)
    options.budget_s, options.count = 0.2, None
    if options.quick:
        options.sizes, options.rounds, options.overwrite_count = [110], 1, 5_000
        options.budget_s, options.count = 0.005, 2_000
    return options


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, and print the table; 1 where a bound is missed in a full run."""
    options = parse_arguments(arguments)
    comparison = Comparison(options)
    results = comparison.run()
    comparison.progress.show("")
    text = report.markdown(results)
    if write_results(options, results, text, ("results.json", "RESULTS.md")):
        report.plot(results, (options.out or HERE) / "results.svg")
    print(text)
    return 0 if options.quick else int(report.misses(results) > 0)


if __name__ == "__main__":
    sys.exit(main())
