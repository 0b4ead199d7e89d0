"""A server under mixed load for a while, killed and restarted again and again.

    cargo build --release -p nedbd
    NEDBD_BINARY=target/release/nedbd python bench/soak.py --seconds 600

Writers, each with documents and a file of its own, put, delete, read, query and write batches; a reader follows the
feed of changes. Every few seconds the server is killed (SIGKILL) or stopped (SIGTERM, on systems that have it) and
started again on the same directory. Then it is checked that

* every document and file is what was acknowledged last, or what was in flight when the server went;
* every acknowledged write is in the log under its seq, with the head that it was answered with;
* the feed had every op once, in order, across all restarts;
* the log verifies, and replaying it gives the state that is served;
* a stop ends with 0;
* within one life of the server its memory grows by no more than what an op may cost (on Linux).

Prints a report; exits with 1 when anything of this does not hold.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "server"))

from nedbd import Answer, Nedbd  # noqa: E402

DB = "/v1/databases/soak"
DOCUMENT_COUNT = 20
WRITER_COUNT = 8
#: What an op may leave in memory: its version, its place in the log, its key, its postings; and what a short life
#: of a process takes for buffers and threads, which the allocator keeps, with the cache of texts.
OP_BYTES_MAX = 400
LIFE_BYTES_MAX = 64 << 20
CACHE_BYTES = 8 << 20
#: What every op of the log may take once more: a checkpoint is made from views of its own, and what they took may
#: stay with the process for the next one.
COPY_BYTES_MAX = 200
#: How long the least memory is looked for, since views that are made and let go of come on top.
MEASURE_S = 1.0


def served(answer: Answer) -> Answer:
    """The answer, unless it is that of a server that is going: then what was in flight may be there or not."""
    if answer.status >= 300:
        raise OSError(answer)
    return answer


class Writer:
    """One client with documents of its own, and what it knows of them."""

    def __init__(self, number: int, seed: int) -> None:
        """Nothing is written yet."""
        self.number = number
        self.random = random.Random(seed * 1000 + number)
        self.step = 0
        #: By id the step that was acknowledged last; None for a deletion. A file has an id too.
        self.acknowledged: dict[str, Any] = {}
        #: What was sent and not answered.
        self.in_flight: dict[str, Any] = {}
        #: By seq the head that a write was answered with.
        self.heads: dict[int, str] = {}
        self.problems: list[str] = []

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"file {self.number}"

    def run(self, server: Nedbd, stop: threading.Event) -> None:
        """Works until the server goes or it is told to stop."""
        connection = server.connect()
        try:
            while not stop.is_set():
                self.work(server, connection)
        except (OSError, HTTPException):
            # The server was killed: what was in flight may be there or not.
            return
        finally:
            connection.close()

    def work(self, server: Nedbd, connection: HTTPConnection) -> None:
        """Does one thing."""
        self.step += 1
        id = f"{self.number}-{self.random.randrange(DOCUMENT_COUNT)}"
        kind = self.random.choices(["put", "delete", "batch", "get", "query", "file"], [40, 5, 10, 30, 10, 5])[0]
        write = {"coll": "c", "id": id, "doc": self.document(self.step)}
        if kind == "put":
            self.write(server, connection, {id: self.step}, "put", {**write, "idem": f"{self.number}-{self.step}"})
        elif kind == "delete":
            self.write(server, connection, {id: None}, "delete", {"coll": "c", "id": id})
        elif kind == "batch":
            other = f"{self.number}-last"
            items = [{"op": "put", **write}] + [{"op": "put", **write, "id": other}]
            self.write(server, connection, {id: self.step, other: self.step}, "batch", {"items": items})
        elif kind == "file":
            self.write(server, connection, {self.file: self.step}, None, self.content(self.step))
        elif kind == "get":
            found = served(server.get(f"{DB}/get?coll=c&id={id}", connection=connection)).json["doc"]
            self.expect(id, found and found["step"], "get")
        else:
            nql = {"nql": "FROM c WHERE writer = $1 ORDER BY step DESC LIMIT 5", "params": [self.number]}
            for row in served(server.post(f"{DB}/query", nql, connection=connection)).json["rows"]:
                self.expect(row["_id"], row["step"], "query")

    def write(self, server: Nedbd, connection: HTTPConnection, meant: dict[str, Any], path: str | None,
              body: Any) -> None:
        """Sends a write, and notes what it means once it is answered."""
        self.in_flight = meant
        if path is None:
            answer = server.request("PUT", f"{DB}/files/file%20{self.number}", body, connection=connection)
        else:
            answer = server.post(f"{DB}/{path}", body, connection=connection)
        if 300 <= answer.status < 500:
            self.problems.append(f"a write was refused: {answer}")
        served(answer)
        self.acknowledged.update(meant)
        self.in_flight = {}
        self.heads[answer.json["seq"]] = answer.json["head"]

    def expect(self, id: str, found: Any, where: str) -> None:
        """Checks what was found of an own document while the server runs; nobody else writes to it."""
        allowed = [self.acknowledged.get(id)] + ([self.in_flight[id]] if id in self.in_flight else [])
        if found not in allowed:
            self.problems.append(f"{where}: {id!r} is at {found}, not at {' or '.join(map(str, allowed))}")

    def settle(self, found: dict[str, Any]) -> None:
        """Checks what was found after a start, and goes on from there."""
        for id in {**self.acknowledged, **self.in_flight, **found}:
            self.expect(id, found.get(id), "after a start")
        of_batch = {found.get(id) == step for id, step in self.in_flight.items()}
        if len(of_batch) > 1:
            self.problems.append(f"half of a batch is there: {self.in_flight}")
        self.acknowledged, self.in_flight = dict(found), {}

    def document(self, step: int) -> dict[str, Any]:
        """The document of a step."""
        return {"writer": self.number, "step": step, "text": "soak " * (step % 50)}

    def content(self, step: int) -> bytes:
        """The file of a step, which tells the step."""
        return f"{step:020}".encode() * (1000 + step % 3000)


class Feed:
    """What the feed of changes has said, across restarts."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self.hashes: list[str] = []
        self.problems: list[str] = []

    def read(self, server: Nedbd, connection: HTTPConnection, wait_ms: int) -> bool:
        """Reads the next page; tells whether it had anything."""
        after = len(self.hashes) - 1
        path = f"{DB}/changes?after_seq={after}&limit=1000&wait_ms={wait_ms}"
        page = served(server.get(path, connection=connection)).json
        for number, op in enumerate(page["changes"], after + 1):
            if op["seq"] != number:
                self.problems.append(f"the feed has op {op['seq']} in place of {number}")
            self.hashes.append(op["hash"])
        return bool(page["changes"])

    def follow(self, server: Nedbd, stop: threading.Event) -> None:
        """Reads on until the server goes or it is told to stop."""
        connection = server.connect()
        try:
            while not stop.is_set():
                self.read(server, connection, 100)
        except (OSError, HTTPException):
            return
        finally:
            connection.close()


class Soak:
    """The whole run."""

    def __init__(self, data: Path, seconds: float, life_s: float, seed: int) -> None:
        """Nothing runs yet."""
        self.data, self.seconds, self.life_s = data, seconds, life_s
        self.random = random.Random(seed)
        self.writers = [Writer(number, seed) for number in range(WRITER_COUNT)]
        self.feed = Feed()
        self.problems: list[str] = []
        self.kill_count = self.stop_count = 0
        self.growths: list[Growth] = []

    def run(self) -> None:
        """Runs lives of the server until the time is over."""
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline or self.kill_count < 1:
            with self.start() as server:
                self.check(server)
                self.live(server)
        with self.start() as server:
            self.check(server)
            if server.stop() != 0:
                self.problems.append("the last stop did not end with 0")

    def start(self) -> Nedbd:
        """Starts the server and waits until its database is open."""
        server = Nedbd(self.data, "--cache-bytes", str(CACHE_BYTES), "--checkpoint-every-ops", "2000")
        server.wait_until_ready()
        if server.get(DB).status == 404:
            server.create("soak", indexes=[["c", "writer", "eq"], ["c", "step", "ordered"]])
        return server

    def live(self, server: Nedbd) -> None:
        """Works with a server for a while, and ends it."""
        stop = threading.Event()
        workers = [threading.Thread(target=it.run, args=(server, stop)) for it in self.writers]
        workers.append(threading.Thread(target=self.feed.follow, args=(server, stop)))
        for worker in workers:
            worker.start()
        life_s = self.life_s * self.random.uniform(0.5, 1.5)
        time.sleep(life_s / 2)
        half = self.measure(server)
        time.sleep(life_s / 2)
        end = self.measure(server)
        if half and end:
            self.growths.append(Growth(end[0], end[0] - half[0], end[1] - half[1]))
        if self.random.random() < 0.7 or self.kill_count == 0 or sys.platform == "win32":
            server.kill()
            self.kill_count += 1
        else:
            self.stop_count += 1
            if server.stop(signal.SIGTERM) != 0:
                self.problems.append("a stop did not end with 0")
        stop.set()
        for worker in workers:
            worker.join()

    def measure(self, server: Nedbd) -> tuple[int, int] | None:
        """The number of ops, and the least resident memory of a short while, in bytes."""
        status = Path(f"/proc/{server.process.pid}/status")
        if not status.exists():
            return None
        end = time.monotonic() + min(MEASURE_S, self.life_s / 10)
        resident_bytes = memory_of(status)
        while time.monotonic() < end:
            time.sleep(0.02)
            resident_bytes = min(resident_bytes, memory_of(status))
        return server.ok("GET", DB)["seq"], resident_bytes

    def check(self, server: Nedbd) -> None:
        """Checks what a start has found."""
        found: list[dict[str, Any]] = [{} for _ in self.writers]
        for row in server.ok("POST", f"{DB}/query", {"nql": "FROM c"})["rows"]:
            found[row["writer"]][row["_id"]] = row["step"]
        for writer in self.writers:
            content = server.get(f"{DB}/files/file%20{writer.number}").body
            if not content.startswith(b"{"):
                step = int(content[:20])
                found[writer.number][writer.file] = step
                if content != writer.content(step):
                    self.problems.append(f"{writer.file} is not what was put in step {step}")
            writer.settle(found[writer.number])
        connection = server.connect()
        while self.feed.read(server, connection, 0):
            pass
        connection.close()
        report = server.ok("GET", f"{DB}/verify?determinism=true")
        if not (report["ok"] and report["deterministic"]):
            self.problems.append(f"verify says {report}")
        self.problems += heads_that_differ(self.writers, self.feed.hashes)

    def all_problems(self) -> list[str]:
        """Everything that does not hold."""
        found = self.problems + self.feed.problems
        for writer in self.writers:
            found += writer.problems
        return found + growths_that_are_none(self.growths)


def heads_that_differ(writers: list[Writer], hashes: list[str]) -> list[str]:
    """Says which acknowledged writes are not in the log as they were answered."""
    problems = []
    for writer in writers:
        for seq, head in writer.heads.items():
            in_log = hashes[seq] if seq < len(hashes) else "nothing"
            if in_log != head:
                problems.append(f"op {seq} was acknowledged with head {head}, and the log has {in_log}")
        writer.heads = {}
    return problems


def memory_of(status: Path) -> int:
    """The resident memory of a process in bytes."""
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return int(lines["VmRSS"].split()[0]) * 1024


class Growth(NamedTuple):
    """What became of memory in half a life of the server."""

    seq: int
    op_count: int
    grown_bytes: int

    @property
    def bytes_max(self) -> int:
        """What it may be."""
        return LIFE_BYTES_MAX + self.op_count * OP_BYTES_MAX + self.seq * COPY_BYTES_MAX


def growths_that_are_none(growths: list[Growth]) -> list[str]:
    """Says in which lives memory grew by more than the ops in them may cost."""
    return [f"{it.op_count} ops up to {it.seq} took {it.grown_bytes} bytes of memory"
            for it in growths if it.grown_bytes > it.bytes_max]


def main() -> int:
    """Runs it and prints the report."""
    parser = argparse.ArgumentParser(description="Mixed load with kills and restarts; checks that nothing is lost.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--life-s", type=float, default=10, help="mean time between two kills or stops")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        soak = Soak(Path(directory) / "data", arguments.seconds, arguments.life_s, arguments.seed)
        soak.run()
    problems = soak.all_problems()
    print(f"ops: {len(soak.feed.hashes)}, kills: {soak.kill_count}, stops: {soak.stop_count}")
    print(f"calls: {sum(writer.step for writer in soak.writers)} by {WRITER_COUNT} writers")
    if soak.growths:
        most = max(soak.growths, key=lambda growth: growth.grown_bytes)
        print(f"memory: grew by {most.grown_bytes / 2**20:.1f} MiB at the most, in half a life of {most.op_count} ops"
              f" up to {most.seq}")
    for problem in problems[:20]:
        print(f"VIOLATION: {problem}")
    print(f"{len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
