"""The exception classes, and what wrong arguments raise."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import nedb
import pytest
from nedb import NEDB

CODES = {
    "InvalidArgument": ("INVALID_ARGUMENT", ValueError),
    "LimitExceeded": ("LIMIT_EXCEEDED", ValueError),
    "NQLError": ("NQL_ERROR", SyntaxError),
    "ReplayError": ("REPLAY_ERROR", Exception),
    "IdempotencyConflict": ("IDEMPOTENCY_CONFLICT", Exception),
    "PreconditionFailed": ("PRECONDITION_FAILED", Exception),
    "DatabaseLocked": ("DATABASE_LOCKED", Exception),
    "DatabaseClosed": ("DATABASE_CLOSED", Exception),
    "ReadOnly": ("READ_ONLY", Exception),
    "IntegrityError": ("INTEGRITY_ERROR", Exception),
    "CommitUnknown": ("COMMIT_UNKNOWN", Exception),
    "StorageError": ("STORAGE_ERROR", OSError),
    "KeyRequired": ("KEY_REQUIRED", Exception),
    "WrongKey": ("WRONG_KEY", Exception),
    "PlainDatabase": ("PLAIN_DATABASE", Exception),
    "NotFound": ("NOT_FOUND", KeyError),
}


@pytest.mark.parametrize("name", CODES)
def test_every_code_has_a_class(name: str) -> None:
    code, base = CODES[name]
    error = getattr(nedb, name)
    assert error.code == code
    assert issubclass(error, nedb.NEDBError) and issubclass(error, base)
    assert error.__module__ == "nedb" and error.__doc__


def test_an_exception_can_be_pickled(db: NEDB) -> None:
    with pytest.raises(nedb.InvalidArgument) as caught:
        db.put("c", "", {})
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is nedb.InvalidArgument and copy.args == caught.value.args


def test_a_wrong_query_says_where(db: NEDB) -> None:
    nql = "FROM users\nWHERE é = 'é' AND x = = 1"
    with pytest.raises(nedb.NQLError) as caught:
        db.query(nql)
    error = caught.value
    assert isinstance(error, SyntaxError)
    assert error.position == nql.index("= = 1") + 2
    assert (error.lineno, error.offset) == (2, error.position - nql.index("\n"))
    assert error.text == "WHERE é = 'é' AND x = = 1"
    assert error.code == "NQL_ERROR" and str(error) == error.args[0] == error.msg


WRONG: dict[str, Any] = {
    "an id that is None": lambda db: db.put("c", None, {}),
    "an id that is a number": lambda db: db.put("c", 1, {}),
    "an id that is empty": lambda db: db.put("c", "", {}),
    "an id with a lone surrogate": lambda db: db.put("c", "\ud800", {}),
    "a collection that is None": lambda db: db.put(None, "id", {}),
    "a nonce that is a float": lambda db: db.put("c", "id", {}, nonce=1.5),
    "a nonce that is a bool": lambda db: db.put("c", "id", {}, nonce=True),
    "a nonce beyond 64 bits": lambda db: db.put("c", "id", {}, nonce=2**63),
    "a client that is a number": lambda db: db.put("c", "id", {}, client=1),
    "an idempotency key that is bytes": lambda db: db.put("c", "id", {}, idem=b"k"),
    "a time to live that is a text": lambda db: db.put("c", "id", {}, ttl_s="1"),
    "a time to live that is a bool": lambda db: db.put("c", "id", {}, ttl_s=True),
    "causes that are a text": lambda db: db.put("c", "id", {}, caused_by="0"),
    "causes that are a number": lambda db: db.put("c", "id", {}, caused_by=0),
    "causes that hold a text": lambda db: db.put("c", "id", {}, caused_by=["0"]),
    "a confidence that is a text": lambda db: db.put("c", "id", {}, confidence="high"),
    "a confidence beyond a float": lambda db: db.put("c", "id", {}, confidence=10**400),
    "a date that is a number": lambda db: db.put("c", "id", {}, valid_from=2024),
    "a seq that is a text": lambda db: db.get("c", "id", as_of="0"),
    "a query that is bytes": lambda db: db.query(b"FROM c"),
    "parameters that are a number": lambda db: db.query("FROM c", 1),
    "parameters that are a text": lambda db: db.query("FROM c", "x"),
    "a kind of index that is unknown": lambda db: db.create_index("c", "f", "hash"),
    "documents that are a text": lambda db: db.put_many("c", "xy"),
    "documents that are a number": lambda db: db.put_many("c", 1),
    "a listed document without _id": lambda db: db.put_many("c", [{"a": 1}]),
    "a batch that is no list": lambda db: db.batch(5),
    "a path that is a number": lambda db: NEDB(5),
    "a cache that is negative": lambda db: NEDB(cache_bytes=-1),
    "checkpoints after no ops": lambda db: NEDB(checkpoint_every_ops=0),
    "checkpoints after less than no ops": lambda db: NEDB(checkpoint_every_ops=-1),
    "a clock that is a text": lambda db: NEDB(clock="now"),
    "a clock that is not finite": lambda db: NEDB(clock=float("nan")),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG.keys())
def test_an_argument_of_the_wrong_kind_is_refused(db: NEDB, call: Any) -> None:
    with pytest.raises(nedb.InvalidArgument):
        call(db)
    assert (db.seq, db.head) == (-1, "0" * 64)


def test_a_missing_or_unknown_argument_is_pythons_own_error(db: NEDB) -> None:
    with pytest.raises(TypeError):
        db.put("c", "id")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        db.put("c", "id", {}, ttl=5)  # type: ignore[call-arg]


def test_the_codes_of_refused_writes(db: NEDB) -> None:
    db.put("c", "id", {}, client="app", nonce=5, idem="k")
    with pytest.raises(nedb.ReplayError):
        db.put("c", "id", {}, client="app", nonce=5)
    with pytest.raises(nedb.IdempotencyConflict):
        db.put("c", "other", {}, idem="k")
    with pytest.raises(nedb.PreconditionFailed):
        db.put("c", "id", {}, if_seq=-1)
    assert db.seq == 0


def test_a_file_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(nedb.StorageError) as caught:
        NEDB(tmp_path / "file" / "data")
    assert isinstance(caught.value, OSError) and caught.value.errno
