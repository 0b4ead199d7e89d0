"""Databases go to and fro between NEDB 1.2.2 and this one, with one head.

Both are called `nedb`, so 1.2.2 runs in an interpreter of its own, which NEDB_1X_PYTHON names (the
Makefile makes one). Without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from nedb import NEDB

# Opens a directory, makes the calls that it is told, and says what 1.2.2 then holds.
SCRIPT_1X = """
import json, sys
import nedb
assert nedb.__version__ == "1.2.2", nedb.__version__
db = nedb.NEDB(sys.argv[1])
for verb, args, options in json.load(sys.stdin):
    getattr(db, verb)(*args, **options)
db.flush()
ids = [(op.payload["coll"], op.payload["id"]) for op in db.log.ops if op.op in ("put", "delete")]
docs = {"%s:%s" % it: db.get(*it) for it in ids}
print(json.dumps({"head": db.head, "verify": db.verify(), "ops": len(db.log.ops), "docs": docs}))
"""

Step = tuple[str, list[Any], dict[str, Any]]

STEPS: list[Step] = [
    ("put", ["users", "alice", {"name": "Ál 😀", "n": 1, "f": 1.0, "\uff5e": 1, "😀": 2}], {}),
    ("put", ["users", "bob", {"deep": [{"z": None, "a": [True, 1e16, -0.0, 1e-07]}]}], {"idem": "k"}),
    ("put", ["users", "alice", {"n": 2}], {"caused_by": [0], "evidence": "é\x7f", "confidence": 0.5}),
    ("put", ["facts", "a:b", {}], {"valid_from": "2024-01-01", "client": "app", "nonce": 7}),
    ("link", ["users:alice", "knows", "users:bob"], {}),
    ("unlink", ["users:alice", "knows", "users:bob"], {}),
    ("delete", ["users", "bob"], {}),
    ("put", ["numbers", "big", {"v": [2**63 - 1, -(2**63), 5e-324, 1.7976931348623157e308]}], {}),
]
FIXTURES = Path(__file__).parent.parent / "fixtures" / "format" / "2.0"


@pytest.fixture(scope="module")
def python_1x() -> str:
    """The interpreter that has nedb-engine 1.2.2."""
    python = os.environ.get("NEDB_1X_PYTHON")
    if not python:
        pytest.skip("NEDB_1X_PYTHON names no interpreter with nedb-engine 1.2.2")
    probe = [python, "-c", "import nedb; assert nedb.__version__ == '1.2.2'"]
    if subprocess.run(probe, capture_output=True, env=clean_environment()).returncode != 0:
        pytest.skip(f"{python} has no nedb-engine 1.2.2")
    return python


def clean_environment() -> dict[str, str]:
    """Ours must not be found where 1.2.2 is looked for."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def in_1x(python: str, directory: Path, steps: list[Step] | None = None) -> dict[str, Any]:
    """Lets 1.2.2 open a directory and make some calls; returns what it holds."""
    ran = subprocess.run(
        [python, "-c", SCRIPT_1X, str(directory)],
        input=json.dumps(steps or []),
        capture_output=True,
        text=True,
        env=clean_environment(),
        cwd=directory.parent,
    )
    assert ran.returncode == 0, ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def make(db: NEDB, steps: list[Step]) -> None:
    for verb, args, options in steps:
        getattr(db, verb)(*args, **options)


def held(db: NEDB) -> dict[str, Any]:
    """Says what we hold in the words of SCRIPT_1X."""
    ids = [
        (op.payload["coll"], op.payload["id"]) for op in db.log if op.op in ("put", "delete")
    ]
    docs = {f"{coll}:{id}": db.get(coll, id) for coll, id in ids}
    return {"head": db.head, "verify": db.verify(), "ops": len(db.log), "docs": docs}


def test_1x_opens_what_we_write(python_1x: str, directory: Path) -> None:
    with NEDB(directory, clock=1_800_000_000.25) as db:
        make(db, STEPS)
        ours = held(db)
    assert ours["verify"] and in_1x(python_1x, directory) == ours


def test_we_open_what_1x_writes(python_1x: str, directory: Path) -> None:
    theirs = in_1x(python_1x, directory, STEPS)
    with NEDB(directory) as db:
        assert held(db) == theirs and theirs["verify"]
        assert db.verify_determinism()


@pytest.mark.parametrize("name", sorted(path.name for path in FIXTURES.iterdir()))
def test_1x_opens_the_fixtures_of_our_format(python_1x: str, directory: Path, name: str) -> None:
    directory.mkdir()
    (directory / "log.aof").write_bytes((FIXTURES / name / "log.aof").read_bytes())
    expected = json.loads((FIXTURES / name / "expected.json").read_text(encoding="utf-8"))
    answer = in_1x(python_1x, directory)
    assert (answer["head"], answer["ops"]) == (expected["head"], expected["ops"])
    assert answer["verify"]


def test_a_database_goes_to_and_fro(python_1x: str, directory: Path) -> None:
    for turn in range(3):
        with NEDB(directory) as db:
            assert db.open_report()["damage"] is None
            make(db, [("put", ["turns", f"ours {turn}", {"turn": turn, "é": "😀"}], {})])
            make(db, [("delete", ["turns", f"theirs {turn - 1}"], {})])
            ours = held(db)
        assert in_1x(python_1x, directory) == ours
        steps: list[Step] = [("put", ["turns", f"theirs {turn}", {"turn": turn}], {})]
        theirs = in_1x(python_1x, directory, steps)
        assert theirs["verify"] and theirs["ops"] == ours["ops"] + 1
        with NEDB(directory) as db:
            assert held(db) == theirs


def test_ops_that_1x_does_not_know_keep_its_head(python_1x: str, directory: Path) -> None:
    with NEDB(directory) as db:
        db.put("users", "alice", {"n": 1})
        db.batch([{"op": "put", "coll": "users", "id": "bob", "doc": {"n": 2}}])
        db.checkpoint("a mark")
        db.put("users", "carol", {"n": 3})
        head, count = db.head, len(db.log)
    answer = in_1x(python_1x, directory)
    assert (answer["head"], answer["ops"], answer["verify"]) == (head, count, True)
    assert answer["docs"]["users:carol"]["n"] == 3
