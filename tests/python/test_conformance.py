"""Runs the conformance suite from Python.

In: ``tests/conformance/cases/<topic>/*.json``. Out: one test for each case, and a line of counts.
The format of a case is described in ``tests/conformance/README.md``.
"""

from __future__ import annotations

import io
import json
import pathlib
import sys
import tempfile

import pytest

import nedb

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "conformance"))
from compare import Mismatch, check_answer, check_copy, equal, load, text_of, written_out  # noqa: E402

NEEDS_DISK = {"reopen", "open_again", "rewrap_key", "damage"}
COUNTS = {"cases": 0, "memory": 0, "disk": 0, "skipped": 0, "failed": 0}


def check_error(form, error):
    """Checks an error's code, message and place."""
    if error.code != form["error"]:
        raise Mismatch(form, f"{error.code} {error}") from error
    if form.get("message_contains", "").lower() not in str(error).lower():
        raise Mismatch(form, str(error)) from error
    if "position" in form:
        got = {"line": error.lineno, "column": error.offset}
        if got != form["position"]:
            raise Mismatch(form["position"], got) from error


class Host:
    """A database under test, with its clock and its directory."""

    def __init__(self, now, directory, tmk=None):
        """Opens an empty database, in memory without a directory; ``tmk`` is a key in hexadecimal."""
        self.tmk = tmk and bytes.fromhex(tmk)
        self.encrypt_existing = None
        self.now = now
        self.directory = directory
        self.closed = False
        self.read_only = False
        self.open()

    def open(self):
        """Opens the directory, or a new database in memory."""
        clock = lambda: self.now  # noqa: E731 - reads the clock when it is asked
        self.db = nedb.NEDB(self.directory, self.tmk, read_only=self.read_only, clock=clock,
                            encrypt_existing=self.encrypt_existing)
        self.closed = False

    def state(self):
        """Returns seq and head."""
        return None if self.closed else (self.db.seq, self.db.head)

    def run(self, step):
        """Runs a step and checks its answer, and, after an error, that nothing changed."""
        before, expect = self.state(), step.get("expect", {})
        args = {name: written_out(value) for name, value in step.get("args", {}).items()}
        try:
            answer = getattr(self, f"do_{step['do']}", None) or getattr(self.db, step["do"])
            answer = answer(**args) if callable(answer) else answer
        except nedb.NEDBError as error:
            if "error" not in expect:
                raise Mismatch(expect, f"{error.code} {error}") from error
            check_error(expect, error)
            assert self.closed or self.state() == before, "a refused call changed seq or head"
            return
        if "error" in expect:
            raise Mismatch(expect, answer)
        if expect:
            check_answer(expect, answer)

    def do_put(self, coll, id, doc=None, doc_text=None, **options):
        """Puts a document: a dict as a dict, anything else as its text."""
        if isinstance(doc, dict):
            return self.db.put(coll, id, doc, **options)
        text = text_of(doc) if doc_text is None else doc_text
        return json.loads(self.db.put_json(coll, id, text, **options))

    def do_get(self, coll, id, **options):
        """Reads a document both ways."""
        found = self.db.get_json(coll, id, **options)
        value = None if found is None else json.loads(found)
        assert equal(value, self.db.get(coll, id, **options)), "get and get_json differ"
        return value

    def do_query(self, nql, params=None, params_text=None):
        """Runs a query with its parameters."""
        return self.db.query(nql, params if params_text is None else json.loads(params_text))

    def do_batch(self, items=None, items_text=None, **options):
        """Writes a transaction."""
        return self.db.batch(items if items_text is None else json.loads(items_text), **options)

    def do_put_file(self, name, text, **options):
        """Writes a file: as bytes, and what is long piece by piece."""
        data = text.encode()
        return self.db.put_file(name, data if len(data) < 1000 else io.BytesIO(data), **options)

    def do_get_file(self, name, **at):
        """Reads a file both ways."""
        data = self.db.get_file(name, **at)
        with self.db.open_file(name, **at) as file:
            assert file.read() == data, "get_file and open_file differ"
        return data.decode()

    def do_file_equals(self, name, text, **at):
        """Compares a file with a text."""
        return self.do_get_file(name, **at) == text

    def do_file_proof(self, name, chunk_index, **at):
        """Makes a proof, by its names."""
        leaf, path, root = self.db.file_proof(name, chunk_index, **at)
        return {"leaf": leaf, "path": [list(step) for step in path], "root": root}

    def do_verify_proof(self, leaf, path, root):
        """Checks a proof."""
        return nedb.NEDB.verify_proof(leaf, [tuple(step) for step in path], root)

    def do_checkpoint(self, **options):
        """Appends a checkpoint; Python answers the head, as 1.x did, the suite wants the seq."""
        assert self.db.checkpoint(**options) == self.db.head
        return self.db.seq

    def do_op(self, seq):
        """Reads an op from the log."""
        return self.db.log[seq].to_dict() if 0 <= seq < len(self.db.log) else None

    def do_close(self):
        """Closes the database."""
        self.closed = True
        self.db.close()

    def do_reopen(self, read_only=False, without_checkpoints=False, tmk=None, encrypt_existing=None,
                  encrypts=False):
        """Closes the database and opens its directory again; seq and head must stay.

        A key that is given is the one from now on, an empty one is none; ``encrypts`` says that the
        database becomes an encrypted one, which one op more tells.
        """
        before = self.state()
        self.db.close()
        self.closed = True
        if tmk is not None:
            self.tmk = bytes.fromhex(tmk) or None
        self.encrypt_existing = encrypt_existing
        if without_checkpoints:
            for saved in pathlib.Path(self.directory).glob("checkpoint.*"):
                saved.unlink()
        self.read_only = read_only
        self.open()
        if encrypts:
            assert self.db.encrypted and self.db.seq == before[0] + 1, "it was not encrypted"
            assert self.db.log[self.db.seq].to_dict()["prev_hash"] == before[1]
            return
        assert before in (None, self.state()), "reopening changed seq or head"

    def do_backup(self, **options):
        """Copies the database into a new directory, opens the copy, and holds it against what was reported."""
        with tempfile.TemporaryDirectory() as copies:
            path = pathlib.Path(copies, "copy")
            report = self.db.backup(path, **options)
            with nedb.NEDB(path, self.tmk, read_only=True) as copy:
                check_copy(copy, report, self.db)
        return report

    def do_rewrap_key(self, old_tmk, new_tmk):
        """Changes the key, and opens with the new one from then on."""
        old, new = bytes.fromhex(old_tmk), bytes.fromhex(new_tmk)
        self.db.rewrap_key(old, new)
        self.tmk = new

    def do_damage(self, file, find=None, put=None, text=None):
        """Closes the database, changes or makes a file of its directory, and opens it again."""
        before, path = self.state(), pathlib.Path(self.directory, file)
        self.db.close()
        self.closed = True
        if text is None:
            data, old, new = path.read_bytes(), find.encode(), put.encode()
            assert old in data and len(old) == len(new), f"there is nothing like {find} in {file}"
            path.write_bytes(data.replace(old, new, 1))
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode())
        self.open()
        assert before == self.state(), "damage changed seq or head"

    def do_open_again(self):
        """Opens the directory a second time, for writing."""
        nedb.NEDB(self.directory, self.tmk, clock=self.now).close()

    def do_set_clock(self, now):
        """Moves the clock."""
        self.now = now

    def do_expect_state(self, **wanted):
        """Checks seq and head against those that a step gives."""
        got = {name: getattr(self.db, name) for name in wanted}
        if got != wanted:
            raise Mismatch(wanted, got)

    def check_end(self, head):
        """Checks what must hold after every case."""
        if self.closed:
            return
        assert head in (None, self.db.head), f"head is {self.db.head}, expected {head}"
        assert self.db.verify(), "verify is false"
        assert self.db.verify_determinism(), "verify_determinism is false"
        if self.directory is not None:
            self.do_reopen(read_only=self.read_only)


def run_case(case, directory):
    """Runs the steps of a case in one place, then checks what must hold after every case."""
    host = Host(case.get("clock", 1000.5), directory, case.get("tmk"))
    try:
        for number, step in enumerate(case["steps"]):
            try:
                host.run(step)
            except Exception as error:
                message = f"step {number} ({step['do']}): {error}"
                raise AssertionError(message) from error
        host.check_end(case.get("head"))
    finally:
        host.db.close()


@pytest.fixture(scope="module", autouse=True)
def closing_line(request):
    """Prints the counts after the last case."""
    yield
    line = ("conformance (python): {cases} cases, {memory} runs in memory, {disk} on disk, "
            "{skipped} skipped, {failed} failed")
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n" + line.format(**COUNTS))
    assert COUNTS["cases"] > 0, "no case was found"


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in load()])
def test_case(case):
    """Runs one case in every place it asks for."""
    COUNTS["cases"] += 1
    if "python" in case.get("skip", {}):
        COUNTS["skipped"] += 1
        pytest.skip(case["skip"]["python"])
    needs_disk = "tmk" in case or any(step["do"] in NEEDS_DISK for step in case["steps"])
    COUNTS["failed"] += 1
    if not needs_disk:
        run_case(case, None)
        COUNTS["memory"] += 1
    if needs_disk or case.get("durable"):
        with tempfile.TemporaryDirectory() as directory:
            run_case(case, directory)
        COUNTS["disk"] += 1
    COUNTS["failed"] -= 1
