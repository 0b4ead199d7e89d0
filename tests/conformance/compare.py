"""What the conformance runners in Python share: reading cases and comparing answers.

In: ``tests/conformance/cases/<topic>/*.json``, answers. Out: a :class:`Mismatch` where they differ.

Python's ``json`` keeps integers and doubles apart and spells both as NEDB does, so a document may be
read and written again without changing its canonical text.
"""

from __future__ import annotations

import json
import os
import pathlib

CASES = pathlib.Path(__file__).parent / "cases"
ONLY = os.environ.get("NEDB_CONFORMANCE_ONLY", "")
KINDS = {type(None): "null", bool: "boolean", int: "number", float: "number",
         str: "string", list: "array", dict: "object"}


class Mismatch(AssertionError):
    """An answer that is not the expected one."""

    def __init__(self, expected, got):
        """Says both."""
        super().__init__(f"\n    expected {expected!r}\n    got      {got!r}")


def written_out(value):
    """Writes ``{"$repeat": [[text, count], ...]}`` out as the joined text."""
    if isinstance(value, dict) and "$repeat" in value:
        return "".join(text * count for text, count in value["$repeat"])
    return value


def text_of(value):
    """Writes a value as compact JSON text with its members in their order."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("\x7f", "\\u007f")


def plain(value):
    """Returns an answer with tuples as lists, as JSON has no tuples."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def equal(wanted, got):
    """Tells whether a value is the wanted one; ``$any`` and ``$has`` stand for many."""
    if isinstance(wanted, dict) and "$any" in wanted:
        return KINDS[type(got)] == wanted["$any"]
    if isinstance(wanted, dict) and "$has" in wanted:
        members = wanted["$has"]
        return isinstance(got, dict) and all(k in got and equal(members[k], got[k]) for k in members)
    # True == 1 and 1 == 1.0 in Python, but not in the suite.
    if type(wanted) is not type(got):
        return False
    if isinstance(wanted, dict):
        return wanted.keys() == got.keys() and all(equal(wanted[k], got[k]) for k in wanted)
    if isinstance(wanted, list):
        return len(wanted) == len(got) and all(map(equal, wanted, got))
    return repr(wanted) == repr(got) if isinstance(wanted, float) else wanted == got


def check_answer(form, answer):
    """Checks an answer against the one form that a step names."""
    (kind, wanted), = form.items()
    answer = plain(answer)
    if kind == "ids":
        answer = [row["_id"] for row in answer]
    elif kind == "result_text":
        answer = text_of(answer)
    elif kind == "rows_text":
        answer = [text_of(row) for row in answer]
    elif kind == "count":
        answer = len(answer)
    elif kind not in ("result", "rows"):
        raise ValueError(f"the case expects an unknown form: {kind}")
    if not equal(wanted, answer):
        raise Mismatch(wanted, answer)


def check_copy(copy, report, db):
    """Checks a copy that was opened against what was reported of it, and against what it was made of."""
    if (copy.seq, copy.head) != (report["seq"], report["head"]):
        raise Mismatch(report, {"seq": copy.seq, "head": copy.head})
    assert copy.verify() and copy.indexes() == db.indexes(), "the copy is not the database"


def load():
    """Yields every case that was asked for, with the name of its file."""
    for path in sorted(CASES.rglob("*.json")):
        name = path.relative_to(CASES).as_posix()
        for case in json.loads(path.read_text(encoding="utf-8")):
            if ONLY in name or ONLY in case["name"]:
                yield f"{name}: {case['name']}", case
