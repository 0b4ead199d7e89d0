"""What the worst that the limits allow costs everybody else.

    cargo build --release -p nedbd
    NEDBD_BINARY=target/release/nedbd python bench/hostile.py                 # two minutes; writes HOSTILE.md
    NEDBD_BINARY=target/release/nedbd python bench/hostile.py --seconds 600   # ten minutes of everything at once
    python bench/hostile.py --quick                                           # seconds; prints only

First one attack after the other, each as often as it fits: beside it one client puts a document and asks for `/health`
every few milliseconds, each on a connection that it keeps. The longest wait of each, and the resident memory of the
server before and after, are what counts. Then all attacks at once beside an honest client that puts, gets and queries
by id: every one of its requests must be answered, and its 99th percentile is held beside that of a quiet server.

Exits with 1 when a bound does not hold: a put waits at most 20 ms, `/health` at most 50 ms, memory comes back to within
100 MiB, an honest request is never refused, and its 99th percentile is at most ten times that of a quiet server.
"""

from __future__ import annotations

import argparse
import json
import platform
import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Callable, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "server"))

from nedbd import Nedbd  # noqa: E402

DB = "/v1/databases/victim"
PUT_MS_MAX, HEALTH_MS_MAX, RESIDENT_MIB_MAX, RATIO_MAX = 20.0, 50.0, 100.0, 10.0
OUT = Path(__file__).resolve().parent / "HOSTILE.md"
WORDS = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor "


class Attack(NamedTuple):
    """What is sent again and again, by so many clients."""

    name: str
    says: str
    clients: int
    send: Callable[["Stage"], None]


class Stage:
    """A server with databases that are worth attacking."""

    def __init__(self, server: Nedbd, is_small: bool) -> None:
        """Fill them."""
        self.server = server
        server.create("victim")
        scale = 10 if is_small else 1
        self.load("small", {str(n): {"s": f"text {n}", "n": n, "g": n % 1000} for n in range(20_000 // scale)})
        page = WORDS * (500_000 // len(WORDS))
        for n in range(200 // scale):
            self.load("pages", {str(n): {"body": page, "n": n}})
        self.load("one", {"x": {"s": "a" * 1_000_000}})
        for n in range(30 // scale):
            self.load("rows", {f"{n}_{i}": {"pad": "x" * 5_000} for i in range(1_000)})
        for field, kind in (("s", "search"), ("n", "ordered"), ("g", "eq")):
            server.ok("POST", f"{DB}/index", {"coll": "small", "field": field, "kind": kind})

    def load(self, coll: str, docs: dict[str, Any]) -> None:
        """Put documents."""
        self.server.ok("POST", f"{DB}/put_many", {"coll": coll, "docs": docs})

    def query(self, nql: str, params: list[Any] | None = None) -> int:
        """Ask, and return the status of the answer."""
        body = {"nql": nql} if params is None else {"nql": nql, "params": params}
        return self.server.post(f"{DB}/query", body).status

    def resident_mib(self) -> float:
        """Return what the server holds of the machine's memory."""
        with suppress(OSError):
            for line in Path(f"/proc/{self.server.process.pid}/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    return int(line.split()[1]) / 1024
        return 0.0


def deaf(stage: Stage) -> None:
    """Ask for much, and read nothing for a second."""
    body = b'{"nql":"FROM rows LIMIT 12000"}'
    with stage.server.socket() as it:
        it.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        it.sendall(f"POST {DB}/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(1)


def hang_up(stage: Stage) -> None:
    """Ask for what takes long, and leave."""
    body = json.dumps({"nql": "FROM one WHERE s LIKE $1", "params": ["%" + "_" * 500_000 + "b%"]}).encode()
    with stage.server.socket() as it:
        it.sendall(f"POST {DB}/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(0.2)


def silent(stage: Stage) -> None:
    """Connect, and say nothing."""
    with stage.server.socket():
        time.sleep(0.5)


ATTACKS = [
    Attack("pattern", "LIKE with 500,000 `_` over a text of 1 MB", 2,
           lambda it: it.query("FROM one WHERE s LIKE $1", ["%" + "_" * 500_000 + "b%"])),
    Attack("conditions", "9,000 conditions over 200 documents of 0.5 MB", 2,
           lambda it: it.query("FROM pages WHERE " + " AND ".join(["n > -1"] * 9_000))),
    Attack("too many conditions", "100,000 conditions, 1,000 sort keys: more than the limits allow", 2,
           lambda it: (it.query("FROM small WHERE " + " AND ".join(["n > -1"] * 100_000)),
                       it.query("FROM small ORDER BY " + ", ".join(["s"] * 1_000)))),
    Attack("sort keys", "64 sort keys over 20,000 documents", 2,
           lambda it: it.query("FROM small ORDER BY " + ", ".join(["s", "n"] * 32) + " LIMIT 20000")),
    Attack("search", "SEARCH without an index over 100 MB of pages", 2, lambda it: it.query('FROM pages SEARCH "nothing"')),
    Attack("scan", "a condition over 100 MB of pages", 2, lambda it: it.query('FROM pages WHERE body LIKE "%q_q%"')),
    Attack("groups", "20,000 groups with four aggregates", 2,
           lambda it: it.query("FROM small GROUP BY s SUM n, AVG n, MIN n, MAX n")),
    Attack("answers", "answers of 60 MB that nobody reads", 8, deaf),
    Attack("hang-ups", "clients that leave queries of seconds", 4, hang_up),
    Attack("silence", "200 connections that say nothing", 200, silent),
    Attack("bulk", "put_many of 50,000 empty documents", 1,
           lambda it: it.load("empty", {str(n): {} for n in range(50_000)})),
]


def ends(attack: Attack, stage: Stage, stop: threading.Event, counts: list[int]) -> None:
    """Attack until told to stop."""
    while not stop.is_set():
        with suppress(OSError, HTTPException, AssertionError):
            attack.send(stage)
        counts[0] += 1


def begin(attacks: list[Attack], stage: Stage, stop: threading.Event) -> tuple[list[threading.Thread], list[int]]:
    """Begin attacks; returns their threads, and the count of what was sent."""
    counts = [0]
    threads = [threading.Thread(target=ends, args=(it, stage, stop, counts), daemon=True)
               for it in attacks for _ in range(it.clients)]
    for thread in threads:
        thread.start()
    return threads, counts


def timed(connection: HTTPConnection, method: str, path: str, body: Any = None) -> tuple[float, int]:
    """Send a request; returns how long it took, in milliseconds, and its status."""
    data = None if body is None else json.dumps(body).encode()
    begun = time.perf_counter()
    connection.request(method, path, data, {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    return (time.perf_counter() - begun) * 1000, response.status


class Waits:
    """How long one client waited, and what it was refused."""

    def __init__(self) -> None:
        """Begin with none."""
        self.all: list[float] = []
        self.refused: list[int] = []

    def add(self, found: tuple[float, int]) -> None:
        """Take note of an answer."""
        self.all.append(found[0])
        if found[1] >= 300:
            self.refused.append(found[1])

    def at(self, share: float) -> float:
        """Return how long a share of all waited at most."""
        found = sorted(self.all)
        return found[min(len(found) - 1, int(len(found) * share))] if found else float("nan")


def watch(stage: Stage, seconds: float) -> tuple[Waits, Waits]:
    """Put, and ask for health, for a while."""
    puts, health = Waits(), Waits()
    connections = stage.server.connect(), stage.server.connect()
    deadline, number = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        number += 1
        puts.add(timed(connections[0], "POST", f"{DB}/put", {"coll": "honest", "id": str(number % 100), "doc": {}}))
        health.add(timed(connections[1], "GET", "/health"))
        time.sleep(0.003)
    return puts, health


def honest(stage: Stage, seconds: float) -> Waits:
    """Put, get and query by id for a while."""
    waits, connection, number = Waits(), stage.server.connect(), 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        number = (number + 1) % 1000
        for method, path, body in (
            ("POST", f"{DB}/put", {"coll": "honest", "id": str(number), "doc": {"n": number}}),
            ("GET", f"{DB}/get?coll=honest&id={number}", None),
            ("POST", f"{DB}/query", {"nql": "FROM honest WHERE _id = $1", "params": [str(number)]}),
        ):
            waits.add(timed(connection, method, path, body))
        time.sleep(0.002)
    return waits


def settle(stage: Stage, before_mib: float) -> float:
    """Wait a moment for memory to come back; returns by how much it has grown."""
    deadline = time.monotonic() + 5
    while (grown := stage.resident_mib() - before_mib) > RESIDENT_MIB_MAX and time.monotonic() < deadline:
        time.sleep(0.1)
    return grown


def run(seconds: float, each_s: float, is_small: bool) -> tuple[list[str], list[str]]:
    """Run everything; returns the lines of a report, and what does not hold."""
    lines, missed = [], []
    with tempfile.TemporaryDirectory() as folder, Nedbd(Path(folder) / "data", "--request-timeout-ms", "5000") as server:
        server.wait_until_ready()
        stage = Stage(server, is_small)
        watch(stage, 1)
        lines.append("| attack | what | clients | sent | put p50 / p99 / max, ms | /health max, ms | memory after, MiB |")
        lines.append("|---|---|---|---|---|---|---|")
        for attack in [Attack("nobody", "a quiet server", 0, silent), *ATTACKS]:
            before_mib, stop = stage.resident_mib(), threading.Event()
            threads, counts = begin([attack], stage, stop)
            time.sleep(0.2)
            puts, health = watch(stage, each_s)
            stop.set()
            for thread in threads:
                thread.join(30)
            grown_mib = settle(stage, before_mib)
            lines.append(
                f"| {attack.name} | {attack.says} | {attack.clients} | {counts[0]} | {puts.at(0.5):.2f} / {puts.at(0.99):.1f} / "
                f"{puts.at(1):.1f} | {health.at(1):.1f} | {grown_mib:+.0f} |")
            print(lines[-1], flush=True)
            if puts.at(1) > PUT_MS_MAX:
                missed.append(f"{attack.name}: a put waited {puts.at(1):.1f} ms")
            if health.at(1) > HEALTH_MS_MAX:
                missed.append(f"{attack.name}: /health waited {health.at(1):.1f} ms")
            if grown_mib > RESIDENT_MIB_MAX:
                missed.append(f"{attack.name}: {grown_mib:.0f} MiB were not given back")
            if puts.refused or health.refused:
                missed.append(f"{attack.name}: refused {puts.refused + health.refused}")
        quiet = honest(stage, min(seconds, 10))
        before_mib, stop = stage.resident_mib(), threading.Event()
        threads, counts = begin(ATTACKS[:-1], stage, stop)
        time.sleep(1)
        beside = honest(stage, seconds)
        stop.set()
        for thread in threads:
            thread.join(30)
        grown_mib = settle(stage, before_mib)
        ratio = beside.at(0.99) / quiet.at(0.99)
        lines += [
            "",
            f"All at once for {seconds:.0f} s ({sum(it.clients for it in ATTACKS[:-1])} clients, {counts[0]} attacks) beside an honest client: "
            f"{len(beside.all)} requests, {len(beside.refused)} refused; p50 {beside.at(0.5):.2f} ms, p99 {beside.at(0.99):.1f} ms, "
            f"max {beside.at(1):.0f} ms; on a quiet server p50 {quiet.at(0.5):.2f} ms, p99 {quiet.at(0.99):.1f} ms: {ratio:.1f} times. "
            f"Memory after: {grown_mib:+.0f} MiB.",
        ]
        print(lines[-1], flush=True)
        if beside.refused:
            missed.append(f"an honest client was refused {len(beside.refused)} times: {sorted(set(beside.refused))}")
        if ratio > RATIO_MAX:
            missed.append(f"the honest client's p99 is {ratio:.1f} times that of a quiet server")
        if grown_mib > RESIDENT_MIB_MAX:
            missed.append(f"all at once: {grown_mib:.0f} MiB were not given back")
        begun = time.monotonic()
        threads, _ = begin(ATTACKS[:2], stage, stop := threading.Event())
        time.sleep(0.5)
        code = server.stop()
        stop.set()
        lines += ["", f"SIGTERM in the middle of queries: it ended with {code} after {time.monotonic() - begun - 0.5:.2f} s."]
        print(lines[-1], flush=True)
    return lines, missed


def main() -> int:
    """Measure, print, and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30, help="how long all attacks run at once (30)")
    parser.add_argument("--each", type=float, default=5, help="how long each runs alone (5)")
    parser.add_argument("--quick", action="store_true", help="a smoke run with a tenth of the data, which prints only")
    args = parser.parse_args()
    seconds, each_s = (2.0, 0.5) if args.quick else (args.seconds, args.each)
    lines, missed = run(seconds, each_s, args.quick)
    bounds = "\n".join(f"- {it}" for it in missed) or "Every bound holds."
    print(bounds)
    if not args.quick:
        head = (
            "# What the worst that the limits allow costs everybody else\n\n"
            f"`make bench-hostile`, {time.strftime('%Y-%m-%d')}, {platform.machine()} with 2 processors that the server, its "
            "attackers and the client that is timed share.\n\n")
        OUT.write_text(f"{head}{chr(10).join(lines)}\n\n## What is missed\n\n{bounds}\n", encoding="utf-8")
    return 1 if missed and not args.quick else 0


if __name__ == "__main__":
    sys.exit(main())
