"""Runs the conformance suite through both clients: the same cases, the same answers, the same heads.

In: ``tests/conformance/cases/<topic>/*.json``. Out: one test for each case and client, and a line of counts for
each. A case is a database of its own on one server, whose clock stands at what the case says. ``reopen`` is a
stop and a start of the server. Nothing is repeated here (``retry_count=0``), so that no idempotency key which a
client made is part of an op: ``test_client.py`` tests those.
"""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Iterator

import nedb
import pytest
from clients import KINDS
from nedbd import Nedbd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "conformance"))
from compare import Mismatch, check_answer, check_copy, equal, load, text_of, written_out  # noqa: E402

COUNTS: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
#: Verbs that a client does not have, each with its reason: their cases are skipped, and counted as that.
NO_PATH = {
    "damage": "the files are the server's, which has them open",
    "close": "a client does not close the databases of a server",
    "open_report": "the server has it in its log; describe says what of it still holds",
    "repair": "it is done beside the server, on the directory",
    "refresh": "a server that only reads refreshes by itself, on a timer",
    **dict.fromkeys(["encrypted", "rewrap_key"], "the key is the server's, for all its databases"),
}


class Suite:
    """The server of all cases, which is started anew where a case asks for it, and a client of it."""

    def __init__(self, root: Path, kind: str) -> None:
        """Starts it."""
        self.root, self.clock, self.read_only, self.kind = root, root / "clock", False, kind
        self.clock.write_text("1000.5")
        self.start(False)

    def start(self, read_only: bool) -> None:
        """Starts a server on the data directory."""
        self.read_only = read_only
        flags = ["--sweep-interval-ms", "0", *(["--read-only"] if read_only else [])]
        self.server = Nedbd(self.root / "data", *flags, NEDBD_TEST_CLOCK=str(self.clock))
        self.server.wait_until_ready()
        self.client = self.connect(self.server)

    def connect(self, server: Nedbd) -> Any:
        """Makes a client that repeats nothing."""
        return KINDS[self.kind](server.url, retry_count=0)

    def stop(self) -> None:
        """Stops it as an operator does."""
        self.client.close()
        assert self.server.stop() == 0


def check_error(form: dict[str, Any], error: nedb.NEDBError) -> None:
    """Checks an error's code, message and place."""
    if error.code != form["error"] or form.get("message_contains", "").lower() not in str(error).lower():
        raise Mismatch(form, f"{error.code} {error}") from error
    if "position" in form:
        assert isinstance(error, nedb.NQLError)
        got = {"line": error.lineno, "column": error.offset}
        if got != form["position"]:
            raise Mismatch(form["position"], got) from error


class Host:
    """A database under test."""

    def __init__(self, suite: Suite, name: str, now: float) -> None:
        """Makes it."""
        if suite.read_only:
            # The case before failed where it had the server only read.
            suite.stop()
            suite.start(False)
        self.suite, self.name = suite, name
        self.do_set_clock(now)
        self.db = suite.client.create_database(name)

    def state(self) -> tuple[int, str]:
        """Returns seq and head."""
        return self.db.seq, self.db.head

    def run(self, step: dict[str, Any]) -> None:
        """Runs a step and checks its answer, and, after an error, that nothing changed."""
        before, expect = self.state(), step.get("expect", {})
        args = {name: written_out(value) for name, value in step.get("args", {}).items()}
        try:
            own: Any = getattr(self, f"do_{step['do']}", None)
            answer = getattr(self.db, step["do"]) if own is None else own
            answer = answer(**args) if callable(answer) else answer
        except nedb.NEDBError as error:
            if "error" not in expect:
                raise Mismatch(expect, f"{error.code} {error}") from error
            check_error(expect, error)
            assert self.state() == before, "a refused call changed seq or head"
            return
        if "error" in expect:
            raise Mismatch(expect, answer)
        if expect:
            check_answer(expect, answer)

    def do_put(self, coll: str, id: str, doc: Any = None, doc_text: str | None = None, **options: Any) -> Any:
        """Puts a document: a dict as a dict, anything else as its text."""
        if isinstance(doc, dict):
            return self.db.put(coll, id, doc, **options)
        text = text_of(doc) if doc_text is None else doc_text
        return json.loads(self.db.put_json(coll, id, text, **options))

    def do_get(self, coll: str, id: str, **options: Any) -> Any:
        """Reads a document both ways."""
        found = self.db.get_json(coll, id, **options)
        value = None if found is None else json.loads(found)
        assert equal(value, self.db.get(coll, id, **options)), "get and get_json differ"
        return value

    def do_query(self, nql: str, params: Any = None, params_text: str | None = None) -> Any:
        """Runs a query with its parameters."""
        return self.db.query(nql, params if params_text is None else json.loads(params_text))

    def do_batch(self, items: Any = None, items_text: str | None = None, **options: Any) -> Any:
        """Writes a transaction."""
        return self.db.batch(items if items_text is None else json.loads(items_text), **options)

    def do_put_file(self, name: str, text: str, **options: Any) -> Any:
        """Writes a file: as bytes, and what is long piece by piece."""
        data = text.encode()
        return self.db.put_file(name, data if len(data) < 1000 else io.BytesIO(data), **options)

    def do_get_file(self, name: str, **at: Any) -> str:
        """Reads a file both ways."""
        data: bytes = self.db.get_file(name, **at)
        with self.db.open_file(name, **at) as file:
            assert file.read() == data, "get_file and open_file differ"
        return data.decode()

    def do_file_equals(self, name: str, text: str, **at: Any) -> bool:
        """Compares a file with a text."""
        return self.do_get_file(name, **at) == text

    def do_file_proof(self, name: str, chunk_index: int, **at: Any) -> Any:
        """Makes a proof, by its names."""
        leaf, path, root = self.db.file_proof(name, chunk_index, **at)
        return {"leaf": leaf, "path": [list(step) for step in path], "root": root}

    def do_verify_proof(self, leaf: str, path: Any, root: str) -> Any:
        """Checks a proof."""
        return self.db.verify_proof(leaf, [tuple(step) for step in path], root)

    def do_checkpoint(self, **options: Any) -> Any:
        """Appends a checkpoint; Python answers the head, the suite wants the seq."""
        assert self.db.checkpoint(**options) == self.db.head
        return self.db.seq

    def do_op(self, seq: int) -> Any:
        """Reads an op from the log."""
        return self.db.log[seq].to_dict() if 0 <= seq <= self.db.seq else None

    def do_backup(self, **options: Any) -> Any:
        """Has the server copy the database, opens the copy, and holds it against what was reported."""
        report = self.db.backup(**options)
        path = self.suite.root / "data" / ".backups" / report["path"]
        with nedb.NEDB(path, read_only=True) as copy:
            check_copy(copy, report, self.db)
        return report

    def do_set_clock(self, now: float) -> None:
        """Moves the clock of the server."""
        self.suite.clock.write_text(repr(float(now)))

    def do_expect_state(self, **wanted: Any) -> None:
        """Checks seq and head against those that a step gives."""
        got = {name: getattr(self.db, name) for name in wanted}
        if got != wanted:
            raise Mismatch(wanted, got)

    def do_reopen(self, read_only: bool = False, without_checkpoints: bool = False) -> None:
        """Stops the server and starts it again; seq and head must stay."""
        before = self.state()
        self.suite.stop()
        if without_checkpoints:
            for saved in (self.suite.root / "data" / self.name).glob("checkpoint.*"):
                saved.unlink()
        self.suite.start(read_only)
        self.db = self.suite.client.db(self.name)
        assert self.state() == before, "reopening changed seq or head"

    def do_open_again(self) -> None:
        """Starts a second server on the data directory and asks it for the database."""
        with Nedbd(self.suite.root / "data") as second:
            second.wait_until_ready()
            client = self.suite.connect(second)
            try:
                client.db(self.name).describe()
            finally:
                client.close()

    def check_end(self, head: str | None) -> None:
        """Checks what must hold after every case."""
        assert head in (None, self.db.head), f"head is {self.db.head}, expected {head}"
        assert self.db.verify(), "verify is false"
        assert self.db.verify_determinism(), "verify_determinism is false"
        ops = self.db.log[:]
        assert [op.seq for op in ops] == list(range(self.db.seq + 1))

    def drop(self) -> None:
        """Drops the database, so that the next start has less to open."""
        if self.suite.read_only:
            self.suite.stop()
            self.suite.start(False)
        self.suite.client.drop_database(self.name)


@pytest.fixture(scope="module", params=list(KINDS))
def suite(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Suite]:
    """The server of all cases for each client; prints the counts after the last one."""
    suite = Suite(tmp_path_factory.mktemp("conformance"), request.param)
    yield suite
    suite.stop()
    counts = COUNTS[suite.kind]
    capture: Any = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\nconformance (http, {suite.kind} client): {counts['cases']} cases, {counts['runs']} runs on disk, "
              f"{counts['skipped']} skipped, {counts['failed']} failed")


def why_skipped(case: dict[str, Any]) -> str | None:
    """Returns why a case cannot run over HTTP; None when it can."""
    if "http" in case.get("skip", {}):
        return str(case["skip"]["http"])
    if "tmk" in case or any("tmk" in step.get("args", {}) for step in case["steps"]):
        return NO_PATH["encrypted"]
    return next((NO_PATH[step["do"]] for step in case["steps"] if step["do"] in NO_PATH), None)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in load()])
def test_case(suite: Suite, case: dict[str, Any]) -> None:
    """Runs one case."""
    counts = COUNTS[suite.kind]
    counts["cases"] += 1
    reason = why_skipped(case)
    if reason is not None:
        counts["skipped"] += 1
        pytest.skip(reason)
    counts["failed"] += 1
    host = Host(suite, f"case-{counts['cases']}", case.get("clock", 1000.5))
    for number, step in enumerate(case["steps"]):
        try:
            host.run(step)
        except Exception as error:
            raise AssertionError(f"step {number} ({step['do']}): {error}") from error
    host.check_end(case.get("head"))
    host.drop()
    counts["failed"] -= 1
    counts["runs"] += 1
