"""Measure what a disk bounds: durable writes, bulk loads, opening, memory, and how cost grows.

    python bench/disk.py --nedb-1x <python with nedb-engine==1.2.2>

Beside each engine stands the floor: the same bytes appended to a plain file and synced. Sides and floor
take turns within a round; a figure is the median of its rounds, a ratio the median of the rounds'
ratios, since what a sync costs changes from one minute to the next. The parts in Rust are examples of
the core (``durable``, ``readers``), which print JSON. Writes DISK.md, disk.json and, where matplotlib
is installed, disk.svg.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import disk_report
from compare import Process, Progress, machine, write_results
from options import add_engines, add_folder, common

HERE = Path(__file__).resolve().parent
LINE_BYTES = 430
THREADS = 16
BULK_COUNT = 1_000
SIDES = ("ours", "sqlite", "nedb1")


class Disk:
    """The options, the folder, and the sides that are there."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.progress = Progress()
        self.pythons = {"ours": options.nedb, "sqlite": options.nedb}
        if options.nedb_1x:
            self.pythons["nedb1"] = options.nedb_1x
        self.sides = {name: self._start(name) for name in SIDES if name in self.pythons}

    def _start(self, name: str) -> Process:
        return Process(name, self.pythons[name], "disk_worker.py")

    def run(self) -> dict:
        """Measure everything; returns what goes into disk.json."""
        options = self.options
        results = {
            "machine": machine(self.sides),
            "rounds": options.rounds,
            "line_bytes": LINE_BYTES,
            "threads": THREADS,
            "durable": self._rounds("durable, one thread", options.puts, 1),
            "together": self._rounds(f"durable, {THREADS} threads", options.puts, THREADS),
            "bulk": self._bulk(),
        }
        for side in self.sides.values():
            side.close()
        results["growth"] = [self._growth(count) for count in options.growth]
        # What an entry costs does not depend on how many there are, once there are many.
        results["entries"] = self._entries(min(options.growth[-1], 100_000))
        results["rust"] = self._rust()
        return results

    def _rounds(self, title: str, count: int, threads: int) -> dict:
        measured: dict[str, list[float]] = {}
        for turn in range(self.options.rounds):
            for name, side in self.sides.items():
                self.progress.show(f"{title}: round {turn + 1} of {self.options.rounds}, {name}")
                request = {"do": "durable", "threads": threads, "folder": str(self.folder / name)}
                # A slow side does less, so that a round stays short enough for its ratio to mean something.
                share = count * (threads if name != "sqlite" else 1)
                found = side.ask(**request, count=share)
                measured.setdefault(name, []).append(found["seconds"])
                measured.setdefault(f"{name} floor", []).append(self._floor(count, LINE_BYTES))
        return measured

    def _floor(self, count: int, line_bytes: int, batch_count: int = 1) -> float:
        request = {"line_bytes": line_bytes, "batch_count": batch_count, "count": count}
        return self.sides["ours"].ask(do="floor", folder=str(self.folder / "floor"), **request)["seconds"]

    def _bulk(self) -> dict:
        measured: dict[str, list[float]] = {}
        for turn in range(self.options.rounds):
            for name, side in self.sides.items():
                self.progress.show(f"bulk load: round {turn + 1} of {self.options.rounds}, {name}")
                count = self.options.bulk // (10 if name == "nedb1" else 1)
                found = side.ask(do="bulk", folder=str(self.folder / name), count=count)
                measured.setdefault(name, []).append(found["seconds"])
            floor = self._floor(self.options.bulk, LINE_BYTES, BULK_COUNT)
            measured.setdefault("floor", []).append(floor)
        return measured

    def _growth(self, count: int) -> dict:
        """Fill a database, then open it in new processes: without and with a checkpoint."""
        found: dict = {"count": count}
        indexes = [["age", "eq"], ["score", "ordered"]]
        for name, options in {
            "plain": {},
            "checkpointed": {"checkpoint": True},
            "indexed": {"indexes": indexes},
        }.items():
            self.progress.show(f"{count:,} documents: filling, {name}")
            folder = str(self.folder / f"{name}-{count}")
            with_fresh = self._start("ours")
            filled = with_fresh.ask(do="fill", folder=folder, count=count, **options)
            with_fresh.close()
            is_plain = name == "plain"
            found[name] = {**filled, "opens": [self._open(folder, is_plain) for _ in range(3)]}
        found["reads"] = self._reads(str(self.folder / f"indexed-{count}"), count)
        if "nedb1" in self.pythons and count <= self.options.nedb1_count_max:
            folder = str(self.folder / f"nedb1-{count}")
            self.progress.show(f"{count:,} documents: NEDB 1.2.2")
            side = self._start("nedb1")
            side.ask(do="fill", folder=folder, count=count)
            side.close()
            found["nedb1"] = {"opens": [self._open(folder, False, "nedb1")]}
        return found

    def _open(self, folder: str, is_plain: bool, name: str = "ours") -> dict:
        """Open in a new process; a plain database has no checkpoint, also none of a former opening."""
        for path in Path(folder).glob("checkpoint.*") if is_plain else ():
            path.unlink()
        side = self._start(name)
        found = side.ask(do="open", folder=folder)
        side.close()
        return found

    def _reads(self, folder: str, count: int) -> dict:
        side = self._start("ours")
        side.ask(do="open", folder=folder)
        reads = {
            # The first look at each document misses the cache; the system still has the file's pages.
            "get": side.ask(do="get", of=count, count=20_000)["seconds"],
            "eq": side.ask(do="query", nql="FROM docs WHERE age = ? LIMIT 10", count=2_000),
            "range": side.ask(
                do="query", nql="FROM docs WHERE score >= ? ORDER BY score LIMIT 10", count=2_000
            ),
        }
        side.close()
        return {name: it if isinstance(it, float) else it["seconds"] for name, it in reads.items()}

    def _entries(self, count: int) -> dict:
        """Say what an entry of each kind of index adds to the memory of an open database."""
        bytes_each = {}
        base = median(one["resident_bytes"] for one in [self._entry_open(count, []) for _ in range(3)])
        for field, kind in (("age", "eq"), ("name", "eq"), ("score", "ordered"), ("bio", "search")):
            with_it = self._entry_open(count, [[field, kind]])["resident_bytes"]
            bytes_each[f"{kind} {field}"] = (with_it - base) / count
        return {"count": count, "bytes": bytes_each}

    def _entry_open(self, count: int, indexes: list) -> dict:
        self.progress.show(f"memory of an index: {indexes}")
        folder = str(self.folder / "entries")
        side = self._start("ours")
        side.ask(do="fill", folder=folder, count=count, indexes=indexes)
        side.close()
        return self._open(folder, False)

    def _rust(self) -> dict:
        found = {}
        for example in ("durable", "readers"):
            self.progress.show(f"Rust: {example}")
            command = ["cargo", "run", "--release", "--quiet", "--package", "nedb-core"]
            command += ["--example", example, "--", "--json", str(self.folder / example)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[example] = json.loads(done.stdout)
        return found


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = common(__doc__, rounds=9)
    add_engines(parser)
    add_folder(parser)
    parser.add_argument("--growth", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    options = parser.parse_args(arguments)
    options.puts, options.bulk, options.nedb1_count_max = 1_000, 50_000, 100_000
    if options.quick:
        options.rounds, options.growth = 1, [1_000, 2_000]
        options.puts, options.bulk, options.nedb1_count_max = 50, 2_000, 1_000
    return options


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, and print the tables; 1 where a bound is missed in a full run."""
    options = parse_arguments(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="nedb-bench-") as folder:
        disk = Disk(options, Path(folder))
        results = disk.run()
    disk.progress.show("")
    text = disk_report.markdown(results)
    if write_results(options, results, text, ("disk.json", "DISK.md")):
        disk_report.plot(results, (options.out or HERE) / "disk.svg")
    print(text)
    return 0 if options.quick else int("**no**" in text)


if __name__ == "__main__":
    sys.exit(main())
