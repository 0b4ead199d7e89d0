"""Runs the conformance suite over HTTP: the same cases, the same answers, the same heads.

In: ``tests/conformance/cases/<topic>/*.json``. Out: one test for each case, and a line of counts. A case
is a database of its own on one server, whose clock stands at what the case says. ``reopen`` is a stop and
a start of the server.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import urlencode

import pytest
from nedbd import Answer, Nedbd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "conformance"))
from compare import Mismatch, check_answer, equal, load, text_of, written_out  # noqa: E402

COUNTS = {"cases": 0, "runs": 0, "skipped": 0, "failed": 0}
#: Verbs without a path, each with its reason: their cases are skipped, and counted as that.
FILES = "files have no paths yet"
NO_PATH = {
    "close": "a client does not close the databases of a server",
    "refresh": "a server that only reads refreshes by itself, on a timer",
    **dict.fromkeys(["encrypted", "rewrap_key"], "the key is the server's, for all its databases"),
    **dict.fromkeys(["put_file", "get_file", "file_equals", "file_root", "file_proof", "verify_proof", "files",
                     "file_versions", "compression_stats", "compact_blobs"], FILES),
}
#: Members whose JSON text is passed on as it is.
TEXTS = {"doc_text": "doc", "docs_text": "docs", "params_text": "params", "items_text": "items"}


class Suite:
    """The server of all cases, which is started anew where a case asks for it."""

    def __init__(self, root: Path) -> None:
        """Starts it."""
        self.root, self.clock, self.read_only = root, root / "clock", False
        self.clock.write_text("1000.5")
        self.start(False)

    def start(self, read_only: bool) -> None:
        """Starts a server on the data directory."""
        self.read_only = read_only
        flags = ["--sweep-interval-ms", "0", *(["--read-only"] if read_only else [])]
        self.server = Nedbd(self.root / "data", *flags, NEDBD_TEST_CLOCK=str(self.clock))
        self.server.wait_until_ready()
        self.connection = self.server.connect()

    def stop(self) -> None:
        """Stops it as an operator does."""
        self.connection.close()
        assert self.server.stop() == 0

    def request(self, method: str, path: str, body: str | None = None) -> Answer:
        """Sends a request on the one connection."""
        return self.server.request(method, path, body, connection=self.connection)


class Refused(Exception):
    """An error that the server answered."""

    def __init__(self, error: dict[str, Any]) -> None:
        """Keeps the error's object."""
        super().__init__(f"{error['code']} {error['message']}")
        self.error = error


def check_error(form: dict[str, Any], error: dict[str, Any]) -> None:
    """Checks an error's code, message and place."""
    if error["code"] != form["error"] or form.get("message_contains", "").lower() not in error["message"].lower():
        raise Mismatch(form, error)
    if "position" in form:
        got = {name: error["position"][name] for name in ("line", "column")}
        if got != form["position"]:
            raise Mismatch(form["position"], got)


def body_of(args: dict[str, Any]) -> str:
    """Writes a body, with documents as the texts that the case gives."""
    members = [f"{text_of(TEXTS.get(name, name))}:{value if name in TEXTS else text_of(value)}"
               for name, value in args.items()]
    return "{" + ",".join(members) + "}"


class Host:
    """A database under test."""

    def __init__(self, suite: Suite, name: str, now: float) -> None:
        """Makes it."""
        if suite.read_only:
            # The case before failed where it had the server only read.
            suite.stop()
            suite.start(False)
        self.suite, self.name, self.path = suite, name, f"/v1/databases/{name}"
        self.do_set_clock(now)
        self.call("POST", "/v1/databases", json.dumps({"name": name}))

    def call(self, method: str, path: str, body: str | None = None) -> Any:
        """Sends a request and returns the value of the answer."""
        answer = self.suite.request(method, path, body)
        if answer.status >= 400:
            raise Refused(answer.json["error"])
        return answer.json

    def post(self, verb: str, args: dict[str, Any]) -> Any:
        """Posts arguments to a verb."""
        return self.call("POST", f"{self.path}/{verb}", body_of(args))

    def query_string(self, verb: str, args: dict[str, Any]) -> Any:
        """Asks a verb with its arguments in the query string."""
        given = {name: value for name, value in args.items() if value is not None}
        return self.call("GET", f"{self.path}/{verb}?{urlencode(given)}")

    def detail(self) -> Any:
        """Describes the database."""
        return self.call("GET", self.path)

    def state(self) -> tuple[int, str]:
        """Returns seq and head."""
        detail = self.detail()
        return detail["seq"], detail["head"]

    def run(self, step: dict[str, Any]) -> None:
        """Runs a step and checks its answer, and, after an error, that nothing changed."""
        before, expect = self.state(), step.get("expect", {})
        args = {name: written_out(value) for name, value in step.get("args", {}).items()}
        try:
            answer = getattr(self, f"do_{step['do']}")(**args)
        except Refused as refused:
            if "error" not in expect:
                raise
            check_error(expect, refused.error)
            assert self.state() == before, "a refused call changed seq or head"
            return
        if "error" in expect:
            raise Mismatch(expect, answer)
        if expect:
            check_answer(expect, answer)

    def do_put(self, **args: Any) -> Any:
        return self.post("put", args)["doc"]

    def do_put_many(self, **args: Any) -> Any:
        return self.post("put_many", args)["docs"]

    def do_delete(self, **args: Any) -> Any:
        return self.post("delete", args)["seq"]

    def do_get(self, **args: Any) -> Any:
        return self.query_string("get", args)["doc"]

    def do_query(self, **args: Any) -> Any:
        answer = self.post("query", args)
        assert answer["count"] == len(answer["rows"])
        return answer["rows"]

    def do_link(self, **args: Any) -> Any:
        return self.post("link", args)["seq"]

    def do_unlink(self, **args: Any) -> Any:
        return self.post("unlink", args)["seq"]

    def do_neighbors(self, **args: Any) -> Any:
        return self.query_string("neighbors", args)["nodes"]

    def do_inbound(self, **args: Any) -> Any:
        return self.query_string("inbound", args)["nodes"]

    def do_create_index(self, **args: Any) -> None:
        self.post("index", args)

    def do_indexes(self) -> Any:
        return self.detail()["indexes"]

    def do_collections(self) -> Any:
        return list(self.detail()["collections"])

    def do_expire(self, **args: Any) -> Any:
        return self.post("expire", args)["found"]

    def do_sweep(self) -> Any:
        return self.post("sweep", {})["deleted"]

    def do_batch(self, **args: Any) -> Any:
        return self.post("batch", args)["results"]

    def do_checkpoint(self, **args: Any) -> Any:
        return self.post("checkpoint", args)["seq"]

    def do_verify(self) -> Any:
        return self.call("GET", f"{self.path}/verify")["ok"]

    def do_verify_determinism(self) -> Any:
        return self.call("GET", f"{self.path}/verify?determinism=true")["deterministic"]

    def do_verify_report(self) -> Any:
        return self.call("GET", f"{self.path}/verify")["report"]

    def do_verify_files(self) -> Any:
        return self.call("GET", f"{self.path}/verify?files=true")["files"]

    def do_seq(self) -> Any:
        return self.state()[0]

    def do_head(self) -> Any:
        return self.state()[1]

    def do_flush(self) -> None:
        self.post("flush", {})

    def do_durable_seq(self) -> Any:
        return self.post("flush", {})["durable_seq"]

    def do_op(self, seq: int) -> Any:
        if not 0 <= seq <= self.state()[0]:
            return None
        page = self.query_string("changes", {"after_seq": seq - 1, "limit": 1})
        return page["changes"][0]

    def do_set_clock(self, now: float) -> None:
        """Moves the clock of the server."""
        self.suite.clock.write_text(repr(float(now)))

    def do_expect_state(self, **wanted: Any) -> None:
        """Checks seq and head against those that a step gives."""
        state = dict(zip(("seq", "head"), self.state()))
        got = {name: state[name] for name in wanted}
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
        assert self.state() == before, "reopening changed seq or head"

    def do_open_again(self) -> None:
        """Starts a second server on the data directory and asks it for the database."""
        with Nedbd(self.suite.root / "data") as second:
            second.wait_until_ready()
            answer = second.get(self.path)
            if answer.status >= 400:
                raise Refused(answer.json["error"])

    def check_end(self, head: str | None) -> None:
        """Checks what must hold after every case."""
        assert head in (None, self.state()[1]), f"head is {self.state()[1]}, expected {head}"
        verified = self.call("GET", f"{self.path}/verify?determinism=true")
        assert verified["ok"] and verified["deterministic"]
        changes = self.query_string("changes", {"limit": 10_000})
        assert [op["seq"] for op in changes["changes"]] == list(range(self.state()[0] + 1))

    def drop(self) -> None:
        """Drops the database, so that the next start has less to open."""
        if self.suite.read_only:
            self.suite.stop()
            self.suite.start(False)
        self.call("DELETE", self.path)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Suite]:
    """The server of all cases; prints the counts after the last one."""
    suite = Suite(tmp_path_factory.mktemp("conformance"))
    yield suite
    suite.stop()
    line = "conformance (http): {cases} cases, {runs} runs on disk, {skipped} skipped, {failed} failed"
    capture: Any = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n" + line.format(**COUNTS))


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in load()])
def test_case(suite: Suite, case: dict[str, Any]) -> None:
    """Runs one case."""
    COUNTS["cases"] += 1
    if "http" in case.get("skip", {}):
        COUNTS["skipped"] += 1
        pytest.skip(case["skip"]["http"])
    reasons = [NO_PATH[step["do"]] for step in case["steps"] if step["do"] in NO_PATH]
    if "tmk" in case or any("tmk" in step.get("args", {}) for step in case["steps"]):
        reasons.append(NO_PATH["encrypted"])
    if reasons:
        COUNTS["skipped"] += 1
        pytest.skip(reasons[0])
    COUNTS["failed"] += 1
    host = Host(suite, f"case-{COUNTS['cases']}", case.get("clock", 1000.5))
    for number, step in enumerate(case["steps"]):
        try:
            host.run(step)
        except Exception as error:
            raise AssertionError(f"step {number} ({step['do']}): {error}") from error
    host.check_end(case.get("head"))
    host.drop()
    COUNTS["failed"] -= 1
    COUNTS["runs"] += 1


def test_a_body_keeps_the_texts_of_the_case() -> None:
    """What a document is spelt like reaches the server."""
    assert body_of({"coll": "c", "doc_text": '{"a": 1.50}'}) == '{"coll":"c","doc":{"a": 1.50}}'
    assert not equal(1, 1.0)
