"""Measure the server: reads, durable writes, reads beside writes, and its start.

    cargo build --release -p nedbd
    NEDBD_BINARY=target/release/nedbd python bench/serve.py

The load is made by wrk (`apt install wrk`), on the same machine: client and server share its cores. Beside the
durable puts stands the floor, the bytes of their lines appended to a plain file and synced, before and after the
puts of the same round. A figure is the median of its rounds, a ratio the median of the rounds' ratios. Every
kind of request is checked once before it is timed, and no answer may be an error. Writes SERVER.md and
server.json; the exit code is 1 when a full run misses a bound.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import serve_report
import workload
from compare import HERE, Progress, machine, write_results
from options import add_folder, common

sys.path.insert(0, str(HERE.parent / "tests" / "server"))

from nedbd import BINARY, Nedbd  # noqa: E402

#: What a line of the log has, of a document of 110 bytes.
LINE_BYTES = 430
DOCUMENT_BYTES = 110
READ_CONNECTIONS = 16
PUT_CONNECTIONS = 64
#: Connections that read without a pause beside the writers.
BESIDE_CONNECTIONS = 4


class Serve:
    """The options, the folder, and the server."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.progress = Progress()
        self.documents = workload.documents(DOCUMENT_BYTES, options.documents)

    def run(self) -> dict:
        """Measure everything; returns what goes into server.json."""
        options = self.options
        rounds: list[dict] = []
        with Nedbd(self.folder / "data") as server:
            database = self._fill(server)
            self._check(server, database)
            for turn in range(options.rounds):
                rounds.append(self._round(server, database, turn))
            if server.stop() != 0:
                raise SystemExit(f"the server did not stop cleanly: {server.log.read_text()}")
        return {
            "machine": {**machine({}), "nedbd": _first_line(BINARY, "--version"), "wrk": _first_line("wrk", "-v")},
            "documents": options.documents,
            "seconds": options.seconds,
            "connections": {"read": READ_CONNECTIONS, "put": PUT_CONNECTIONS, "beside": BESIDE_CONNECTIONS},
            "line_bytes": LINE_BYTES,
            "rounds": rounds,
            "start_ms": [self._start_ms(number) for number in range(options.starts)],
        }

    def _fill(self, server: Nedbd) -> str:
        self.progress.show(f"loading {len(self.documents):,} documents")
        database = server.create("bench")
        server.ok("POST", f"{database}/index", {"coll": "docs", "field": "age", "kind": "eq"})
        for start in range(0, len(self.documents), 1_000):
            part = dict(self.documents[start : start + 1_000])
            server.ok("POST", f"{database}/put_many", {"coll": "docs", "docs": part})
        return database

    def _check(self, server: Nedbd, database: str) -> None:
        """See that what is timed is answered, and answered right."""
        id, document = self.documents[-1]
        found = server.ok("GET", f"{database}/get?coll=docs&id={id}")["doc"]
        assert {name: found[name] for name in document} == document, found
        query = {"nql": "FROM docs WHERE age = $1 LIMIT 10", "params": [workload.AGE]}
        rows = server.ok("POST", f"{database}/query", query)["rows"]
        of_age = [id for id, document in self.documents if document["age"] == workload.AGE]
        assert [row["_id"] for row in rows] == of_age[:10], rows

    def _round(self, server: Nedbd, database: str, turn: int) -> dict:
        self.progress.show(f"round {turn + 1} of {self.options.rounds}")
        load = Load(server.url, database, self.documents, self.options.seconds)
        begun = _processor_time()
        found: dict = {
            "get": load.run("get", READ_CONNECTIONS),
            "query": load.run("query", READ_CONNECTIONS),
        }
        before = self._floor()
        found["put"] = load.run("put", PUT_CONNECTIONS, f"alone-{turn}")
        found["floor"] = (before + self._floor()) / 2
        # wrk makes its requests before it sends the first: the reads begin after the puts, and end before them.
        puts = load.start("put", PUT_CONNECTIONS, f"beside-{turn}", lead_seconds=1)
        time.sleep(1)
        # Readers of documents that nobody writes, in the database that is written to.
        found["get_beside"] = load.run("get", BESIDE_CONNECTIONS)
        found["put_beside"] = _result(puts)
        found["stolen_share"] = _stolen_share(begun, _processor_time())
        return found

    def _floor(self) -> float:
        """Append lines to a plain file and sync each; returns how many a second."""
        line, count = b"x" * LINE_BYTES, self.options.floor_count
        sync = getattr(os, "fdatasync", os.fsync)
        file = os.open(self.folder / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            start = time.perf_counter()
            for _ in range(count):
                os.write(file, line)
                sync(file)
            return count / (time.perf_counter() - start)
        finally:
            os.close(file)

    def _start_ms(self, number: int) -> float:
        """Start a server on an empty directory; returns the milliseconds until it has answered."""
        data = self.folder / f"empty-{number}"
        data.mkdir()
        start = time.perf_counter()
        with Nedbd(data) as server:
            assert server.get("/health").status == 200
            return (time.perf_counter() - start) * 1e3


class Load:
    """Requests of one kind, by wrk."""

    def __init__(self, url: str, database: str, documents: list[tuple[str, dict]], seconds: int) -> None:
        self.url, self.database, self.seconds = url, database, seconds
        self.count = len(documents)
        self.document = json.dumps(documents[0][1], separators=(",", ":"))

    def run(self, kind: str, connections: int, prefix: str = "") -> dict:
        """Ask for some seconds."""
        return _result(self.start(kind, connections, prefix))

    def start(self, kind: str, connections: int, prefix: str = "", lead_seconds: int = 0) -> subprocess.Popen[str]:
        """Begin to ask, for as long as other loads, and a lead before them and after."""
        command = ["wrk", "--threads", "1", "--connections", str(connections)]
        command += ["--duration", f"{self.seconds + 2 * lead_seconds}s", "--timeout", "10s", "--script", str(HERE / "serve.lua")]
        command += [self.url, "--", kind, self.database, str(self.count), prefix, self.document]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _result(load: subprocess.Popen[str]) -> dict:
    said, _ = load.communicate()
    line = next((line for line in said.splitlines() if line.startswith("{")), None)
    if load.returncode != 0 or line is None:
        raise SystemExit(f"wrk failed:\n{said}")
    found = json.loads(line)
    if found.pop("failed") > 0:
        raise SystemExit(f"some requests were not answered, or with an error:\n{said}")
    found["rate"] = found["requests"] / found["seconds"]
    return found


def _processor_time() -> list[int]:
    """Return what the processors did since the machine started, in ticks; nothing where Linux does not say it."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            # user, nice, system, idle, waiting, interrupts (two), stolen by other machines on the same host
            return [int(word) for word in file.readline().split()[1:9]]
    except OSError:
        return []


def _stolen_share(begun: list[int], ended: list[int]) -> float | None:
    """Return which share of the time that the processors wanted others on the same host had."""
    if not begun:
        return None
    ticks = [end - begin for begin, end in zip(begun, ended)]
    return ticks[7] / max(1, sum(ticks) - ticks[3] - ticks[4])


def _first_line(*command: str) -> str:
    # wrk says its version and how it is used, and ends with 1.
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.partition("\n")[0].partition("[")[0].strip()


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = common(__doc__, rounds=7)
    add_folder(parser)
    parser.add_argument("--seconds", type=int, default=5, help="how long each load lasts")
    options = parser.parse_args(arguments)
    options.documents, options.floor_count, options.starts = 20_000, 500, 9
    if options.quick:
        options.rounds, options.seconds = 1, 1
        options.documents, options.floor_count, options.starts = 2_000, 50, 2
    return options


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, and print the page; 1 where a bound is missed in a full run."""
    options = parse_arguments(arguments)
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt install wrk, or https://github.com/wg/wrk")
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="nedb-bench-") as folder:
        serve = Serve(options, Path(folder))
        results = serve.run()
    serve.progress.show("")
    text = serve_report.markdown(results)
    write_results(options, results, text, ("server.json", "SERVER.md"))
    print(text)
    return 0 if options.quick else int("**no**" in text)


if __name__ == "__main__":
    sys.exit(main())
