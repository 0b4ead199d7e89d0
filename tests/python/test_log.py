"""db.log: the ops as a sequence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import pytest
from nedb import NEDB, Op


@pytest.fixture
def written(db: NEDB) -> NEDB:
    """A database with ten ops."""
    for n in range(10):
        db.put("c", str(n), {"n": n})
    return db


def test_the_log_is_a_sequence(written: NEDB) -> None:
    log = written.log
    assert isinstance(log, Sequence) and len(log) == 10
    assert [op.seq for op in log] == list(range(10))
    assert [op.seq for op in reversed(log)] == list(range(9, -1, -1))
    assert (log[0].seq, log[-1].seq, log[-10].seq) == (0, 9, 0)
    for index in (10, -11, 10**30):
        with pytest.raises(IndexError):
            log[index]
    with pytest.raises(TypeError):
        log["0"]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "part", [slice(None), slice(2, 5), slice(-3, None), slice(8, 2, -2), slice(5, 2), slice(20, 30)]
)
def test_slices_are_those_of_a_list(written: NEDB, part: slice) -> None:
    assert [op.seq for op in written.log[part]] == list(range(10))[part]


def test_finding_an_op(written: NEDB) -> None:
    log, other = written.log, NEDB(clock=1.0)
    other.put("c", "x", {})
    assert log[3] in log and other.log[0] not in log and "x" not in log
    assert log.index(log[3]) == 3 and log.count(log[3]) == 1 and log.count(3) == 0
    with pytest.raises(ValueError):
        log.index(log[3], 4)
    assert log[3] == log[3] and log[3] != log[4] and len({log[3], log[3], log[4]}) == 2


def test_the_log_grows_and_an_iteration_does_not(written: NEDB) -> None:
    log = written.log
    for count, _op in enumerate(log, start=1):
        written.put("more", str(count), {})
    assert count == 10 and len(log) == 20


def test_an_op_says_everything(db: NEDB) -> None:
    db.put("c", "a", {"n": 1})
    document = {"caused_by": [0], "evidence": "e", "confidence": 0.5, "valid_from": "2024-01-01"}
    db.put("c", "b", {"n": 2}, client="app", nonce=7, idem="k", **document)  # type: ignore[arg-type]
    op = db.log[1]
    assert isinstance(op, Op) and repr(op) == "<Op 1: 'put' by 'app'>"
    assert (op.seq, op.client, op.nonce, op.op, op.idem) == (1, "app", 7, "put", "k")
    assert (op.caused_by, op.evidence, op.confidence) == ([0], "e", 0.5)
    assert (op.valid_from, op.valid_to, op.ts) == ("2024-01-01", None, 1_700_000_000.0)
    assert op.prev_hash == db.log[0].hash and op.hash == db.head
    assert op.payload["doc"]["n"] == 2
    assert {name: getattr(op, name) for name in op.to_dict()} == op.to_dict()
    assert "valid_to" not in op.to_dict()


def test_the_chain_can_be_checked_with_the_standard_library(written: NEDB) -> None:
    # A halfway float, whose spelling tells repr from others.
    written.put("c", "float", {"x": [568323668778759.25, 1e-7], "text": "é\x7f😀"})
    head = "0" * 64
    optional = ("caused_by", "evidence", "confidence", "valid_from", "valid_to")
    for op in written.log:
        body = {k: v for k, v in op.to_dict().items() if k not in ("hash", "prev_hash")}
        body = {k: v for k, v in body.items() if k not in optional or v is not None}
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        assert op.prev_hash == head
        head = hashlib.blake2b((head + text).encode(), digest_size=32).hexdigest()
        assert op.hash == head
    assert head == written.head
