#!/usr/bin/env python3
"""Checks that every case has the form that README.md describes.

In: the case files. Out: a line for every fault, then a count of cases by topic. Exits 1 on a fault.
"""

import collections
import json
import pathlib
import re
import sys

CASES = pathlib.Path(__file__).parent / "cases"
CASE_MEMBERS = {"name", "why", "clock", "durable", "steps", "head", "skip", "tmk"}
LANGUAGES = {"rust", "python", "node", "http"}
FORMS = {"result", "rows", "ids", "result_text", "rows_text", "count", "error"}
WRITE = {"client", "nonce", "idem"}
PUT = WRITE | {"ttl_s", "caused_by", "evidence", "confidence", "valid_from", "valid_to", "if_seq"}
FILE_AT = {"version", "tier", "as_of"}
ARGUMENTS = {
    "put": {"coll", "id", "doc", "doc_text"} | PUT, "put_many": {"coll", "docs", "docs_text"},
    "delete": {"coll", "id", "if_seq"} | WRITE, "get": {"coll", "id", "as_of", "valid_as_of"},
    "query": {"nql", "params", "params_text"},
    "link": {"frm", "rel", "to"} | WRITE, "unlink": {"frm", "rel", "to"} | WRITE,
    "neighbors": {"node", "rel", "as_of"}, "inbound": {"node", "rel", "as_of"},
    "create_index": {"coll", "field", "kind"}, "indexes": set(), "collections": set(),
    "expire": {"coll", "id", "ttl_s"}, "sweep": set(), "batch": {"items", "items_text"} | WRITE,
    "put_file": {"name", "text", "tier"} | PUT - {"ttl_s", "if_seq"}, "get_file": {"name"} | FILE_AT,
    "file_equals": {"name", "text"} | FILE_AT, "file_root": {"name"} | FILE_AT,
    "file_proof": {"name", "chunk_index"} | FILE_AT, "verify_proof": {"leaf", "path", "root"},
    "files": {"as_of"}, "file_versions": {"name", "as_of"}, "compression_stats": {"tier"},
    "compact_blobs": set(), "verify_files": set(), "backup": {"skip_damaged_files"}, "repair": set(),
    "checkpoint": {"note"}, "verify": set(), "verify_determinism": set(), "verify_report": set(),
    "open_report": set(), "read_only": set(),
    "seq": set(), "durable_seq": set(), "head": set(), "encrypted": set(), "op": {"seq"}, "refresh": set(), "flush": set(), "close": set(),
    "reopen": {"read_only", "without_checkpoints", "tmk", "encrypt_existing", "encrypts"},
    "rewrap_key": {"old_tmk", "new_tmk"}, "open_again": set(),
    "damage": {"file", "find", "put", "text"}, "set_clock": {"now"},
    "expect_state": {"seq", "head"},
}


def codes():
    """Returns the error codes of errors.toml, found without a TOML parser (Python 3.9 has none)."""
    text = (CASES.parent / "errors.toml").read_text(encoding="utf-8")
    return set(re.findall(r'^code = "(\w+)"', text, flags=re.MULTILINE))


def no_duplicates(pairs):
    """Builds an object, refusing one that names a member twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError(f"a member is named twice in {[key for key, _ in pairs]}")
    return members


def step_faults(step, known_codes):
    """Yields what is wrong with a step."""
    verb, args, expect = step.get("do"), step.get("args", {}), step.get("expect")
    if set(step) - {"do", "args", "expect"}:
        yield f"unknown members {set(step) - {'do', 'args', 'expect'}}"
    if verb not in ARGUMENTS:
        yield f"unknown verb {verb}"
    elif set(args) - ARGUMENTS[verb]:
        yield f"{verb} knows no {set(args) - ARGUMENTS[verb]}"
    if expect is None:
        return
    if len(FORMS & set(expect)) != 1 or set(expect) - FORMS - {"message_contains", "position"}:
        yield f"expects no known form: {expect}"
    if "error" in expect and expect["error"] not in known_codes:
        yield f"unknown code {expect['error']}"
    if "error" not in expect and len(expect) != 1:
        yield "message_contains and position stand beside error only"


def case_faults(case, known_codes):
    """Yields what is wrong with a case."""
    if set(case) - CASE_MEMBERS or not {"name", "why", "steps"} <= set(case):
        yield f"members are {sorted(case)}"
    if not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", case["name"]):
        yield "the name is no sentence in lower case with underscores"
    if not case["why"].endswith("."):
        yield "the why is no sentence"
    for language, reason in case.get("skip", {}).items():
        if language not in LANGUAGES or not reason:
            yield f"skip {language} needs a known language and a reason"
    if not any("expect" in s or s["do"] == "expect_state" for s in case["steps"]) and "head" not in case:
        yield "it expects nothing"
    for number, step in enumerate(case["steps"]):
        for fault in step_faults(step, known_codes):
            yield f"step {number}: {fault}"


def main():
    """Checks every file."""
    known_codes, seen, topics, faults = codes(), set(), collections.Counter(), 0
    for path in sorted(CASES.rglob("*.json")):
        text = path.read_text(encoding="utf-8")
        for case in json.loads(text, object_pairs_hook=no_duplicates):
            found = list(case_faults(case, known_codes))
            if case["name"] in seen:
                found.append("the name is taken")
            seen.add(case["name"])
            topics[path.parent.name] += 1
            faults += len(found)
            for fault in found:
                print(f"{path.relative_to(CASES)}: {case['name']}: {fault}")
    for topic, count in sorted(topics.items()):
        print(f"{count:4} {topic}")
    print(f"{sum(topics.values()):4} cases, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
