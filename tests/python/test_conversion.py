"""Python objects to canonical JSON text and back."""

from __future__ import annotations

import enum
import json
import math
import random
import struct
import types
from collections import OrderedDict, UserDict, namedtuple
from typing import Any

import nedb
import pytest
from nedb import NEDB

FLOATS = [
    0.0, -0.0, 1.0, 0.1, 1e-4, 1e-5, 1.5e-5, 1e-7, 1e15, 1e16, 1e22, 1.5e300, 5e-324,
    1.7976931348623157e308, 9999999999999998.0, 123456.789,
    # Halfway between two shortest spellings: repr takes the even one.
    568323668778759.25, 562949953421312.25, 562949953421312.75,
]  # fmt: skip
INTEGERS = [0, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1]
STRINGS = ["", "plain", 'quote " slash \\ /', "\x00\x1f\b\f\n\r\t\x7f\x80", "é ß 漢 😀 \u2028 \ufeff"]


def stored(db: NEDB, document: Any) -> dict[str, Any]:
    """What comes back of a document, without what the database adds."""
    row = db.put("c", "id", document)
    assert row == db.get("c", "id")
    return {key: value for key, value in row.items() if key not in ("_id", "_seq")}


def canonical(value: Any) -> str:
    """The canonical text, made by the standard library."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")


@pytest.mark.parametrize("value", [*FLOATS, *INTEGERS, *STRINGS, None, True, False, [], {}], ids=repr)
def test_a_value_comes_back_as_it_went_in(db: NEDB, value: Any) -> None:
    (back,) = stored(db, {"value": value}).values()
    assert (type(back), repr(back)) == (type(value), repr(value))


@pytest.mark.parametrize("value", [*FLOATS, *INTEGERS, *STRINGS], ids=repr)
def test_the_stored_text_is_canonical(db: NEDB, value: Any) -> None:
    db.put("c", "id", {"b": value, "_id": "id", "a": [value, {"": value}]})
    expected = {"_id": "id", "_seq": 0, "a": [value, {"": value}], "b": value}
    assert db.get_json("c", "id") == canonical(expected).encode()


def random_value(source: random.Random, depth: int) -> Any:
    """Any JSON value."""
    kind = source.randrange(7 if depth else 5)
    if kind == 0:
        return source.choice([None, True, False])
    if kind == 1:
        return source.choice([source.getrandbits(64), -source.getrandbits(63)])
    if kind == 2:
        value = struct.unpack("d", source.randbytes(8))[0]
        return value if math.isfinite(value) else source.getrandbits(51) / 4
    if kind in (3, 4):
        return "".join(source.choices('ab"\\\n\x00\x7fé😀\u2028 /', k=source.randrange(9)))
    count = source.randrange(5)
    if kind == 5:
        return [random_value(source, depth - 1) for _ in range(count)]
    return {random_value(source, 0).__repr__(): random_value(source, depth - 1) for _ in range(count)}


def test_random_documents_agree_with_the_standard_library(db: NEDB) -> None:
    source = random.Random(20_240_229)
    for _ in range(2_000):
        document = {f"k{key}": random_value(source, 4) for key in range(source.randrange(6))}
        assert stored(db, document) == document
        text = db.get_json("c", "id")
        assert text is not None and text.decode() == canonical(json.loads(text))
        db.put_json("c", "id", json.dumps(document))
        assert stored(db, document) == document


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Celsius(float):
    def __repr__(self) -> str:
        return "warm"


Point = namedtuple("Point", "x y")


def test_subclasses_are_stored_as_what_they_extend(db: NEDB) -> None:
    document = OrderedDict(c=Colour.RED, l=Level.HIGH, f=Celsius(2.5), p=Point(1, 2))
    assert stored(db, document) == {"c": "red", "f": 2.5, "l": 3, "p": [1, 2]}


def test_any_mapping_is_a_document(db: NEDB) -> None:
    inner = types.MappingProxyType({"a": 1})
    assert stored(db, UserDict(x=inner, y=(1, (2,)))) == {"x": {"a": 1}, "y": [1, [2]]}


def test_a_mapping_that_writes_while_it_is_read_is_no_trouble(db: NEDB) -> None:
    class Writing(UserDict):  # type: ignore[type-arg]
        def __iter__(self) -> Any:
            db.put("other", "id", {"deep": {"deeper": [1, 2.5, "x"]}})
            return super().__iter__()

    assert stored(db, {"inner": Writing(a=1)}) == {"inner": {"a": 1}}
    assert db.get("other", "id") is not None


def test_keys_come_back_sorted_and_the_document_is_the_callers_own(db: NEDB) -> None:
    row = db.put("c", "id", {"b": [1], "a b": 1, "a": 2, "é": 3, "Z": 4})
    assert list(row) == ["Z", "_id", "_seq", "a", "a b", "b", "é"]
    row["b"].append(2)
    again = db.get("c", "id")
    assert again is not None and again["b"] == [1]


def circular() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["itself"] = [value, value]
    return value


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = [value]
    return value


REFUSED: dict[str, Any] = {
    "not a number": math.nan,
    "infinity": math.inf,
    "an int beyond u64": 2**64,
    "an int below i64": -(2**63) - 1,
    "a huge int": 10**5000,
    "a lone surrogate": "\ud800",
    "bytes": b"x",
    "a set": {1},
    "an object": object(),
    "a class": dict,
    "a complex number": 1j,
    "a key that is no str": {1: 2},
    "a key that is None": {None: 2},
    "a key with a lone surrogate": {"\udfff": 1},
}

TOO_DEEP: dict[str, Any] = {
    "a circle": circular(),
    "nesting beyond 128": nested(128),
    "nesting beyond any stack": nested(50_000),
}

WITH_THEIR_ERRORS = [(value, nedb.InvalidArgument) for value in REFUSED.values()] + [
    (value, nedb.LimitExceeded) for value in TOO_DEEP.values()
]


@pytest.mark.parametrize(("value", "error"), WITH_THEIR_ERRORS, ids=[*REFUSED, *TOO_DEEP])
def test_a_refused_value_changes_nothing(db: NEDB, value: Any, error: type[nedb.NEDBError]) -> None:
    before = db.put("c", "id", {"n": 1})
    state = (db.seq, db.head, len(db.log))
    for write in (
        lambda: db.put("c", "id", {"a": 1, "value": value}),
        lambda: db.put_many("c", {"x": {}, "y": {"value": value}}),
        lambda: db.batch([{"op": "put", "coll": "c", "id": "id", "doc": {"value": [value]}}]),
    ):
        with pytest.raises(error) as caught:
            write()
        assert isinstance(caught.value, ValueError)
    assert (db.seq, db.head, len(db.log)) == state
    assert db.get("c", "id") == before


@pytest.mark.parametrize("document", [None, [], "{}", 1, b"{}", [("a", 1)]], ids=repr)
def test_a_document_that_is_no_mapping_is_refused(db: NEDB, document: Any) -> None:
    with pytest.raises(nedb.InvalidArgument, match="a document is a dict"):
        db.put("c", "id", document)
    assert db.seq == -1


def test_a_value_that_holds_itself_too_often_ends_at_a_limit(db: NEDB) -> None:
    value: Any = ["x" * 1_000]
    for _ in range(40):
        value = [value, value]
    with pytest.raises(nedb.LimitExceeded):
        db.put("c", "id", {"value": value})
    assert db.seq == -1


def test_an_exception_of_a_mapping_is_passed_on(db: NEDB) -> None:
    class Broken(UserDict):  # type: ignore[type-arg]
        def __getitem__(self, key: Any) -> Any:
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        db.put("c", "id", {"inner": Broken(a=1)})
    assert db.seq == -1


def test_json_text_goes_in_and_out(db: NEDB) -> None:
    text = b'{"b": 1.50, "a": [1, 2e0, "\\u00e9"]}'
    expected = '{"_id":"id","_seq":%d,"a":[1,2.0,"é"],"b":1.5}'
    for seq, given in enumerate([text, bytearray(text), text.decode()]):
        assert db.put_json("c", "id", given) == (expected % seq).encode()
    assert db.get_json("c", "id") == (expected % 2).encode()
    assert db.get_json("c", "id", as_of=0) == (expected % 0).encode()
    assert db.get_json("c", "nothing") is None


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b'{"a":NaN}', b'{"a":1,"a":2}', b"\xff", 1, None, {}], ids=repr
)
def test_text_that_is_no_document_is_refused(db: NEDB, text: Any) -> None:
    with pytest.raises(nedb.InvalidArgument):
        db.put_json("c", "id", text)
    assert db.seq == -1
