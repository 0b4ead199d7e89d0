#!/usr/bin/env python3
"""Writes what the fuzz targets of rust/fuzz begin with: real logs, packs, documents, queries and calls.

In: the fixtures, the cases of the conformance suite, and the wheel, which makes what no fixture holds. Out: one
folder for each target, below the folder that is given.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, Iterator

import nedb

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "conformance"))
from compare import load, text_of  # noqa: E402

#: Longer ones only slow the fuzzer down.
SEED_BYTES_MAX = 40_000
BETWEEN_TEXTS = "\x1f"
#: Where a checkpoint's views begin, after its magic, version and checksum.
CHECKPOINT_PREFIX_BYTES = 20


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the verb and the arguments of every step of every case."""
    for _, case in load():
        for step in case["steps"]:
            yield step["do"], step.get("args", {})


def json_of(args: dict[str, Any], name: str) -> str:
    """Returns an argument that is JSON as its text."""
    given = args.get(f"{name}_text")
    return given if isinstance(given, str) else text_of(args.get(name))


def call_of(verb: str, args: dict[str, Any]) -> bytes | None:
    """Returns a step as the target ``call`` takes it; None for one that it does not know."""
    options = ["client", "idem", "valid_from", "valid_to", "evidence"]
    shapes = {
        "put_many": (0, ["coll"], ["docs"], []), "batch": (1, [], ["items"], ["client", "idem"]),
        "put": (2, [], ["doc"], options), "query": (3, ["nql"], ["params"], []),
        "link": (4, ["frm", "rel", "to"], [], []), "get": (5, ["coll", "id", "valid_as_of"], [], []),
        "create_index": (6, ["coll", "field", "kind"], [], []), "put_file": (7, ["name", "text"], [], []),
        "neighbors": (9, ["node", "rel"], [], []),
    }
    if verb not in shapes:
        return None
    number, plain, documents, rest = shapes[verb]
    texts = [str(args.get(name, "")) for name in plain] + [json_of(args, name) for name in documents]
    texts += [str(args[name]) for name in rest if name in args]
    return bytes([number]) + BETWEEN_TEXTS.join(texts).encode("utf-8", "surrogatepass")


def made() -> Iterator[tuple[str, bytes]]:
    """Yields what a new database with everything in it leaves on the disk."""
    with tempfile.TemporaryDirectory() as folder:
        with nedb.NEDB(folder, checkpoint_every_ops=1_000_000) as db:
            for field, kind in [("n", "ordered"), ("t", "search"), ("n", "eq")]:
                db.create_index("c", field, kind)
            db.put("c", "first", {"n": 1, "t": "x y"}, client="app", idem="key", ttl_s=1e9, valid_from="2024-01-01")
            for number in range(8):
                db.put("c", str(number % 3), {"n": number, "t": f"x {number}"}, caused_by=[number])
            db.delete("c", "2")
            db.link("c:0", "r", "c:1")
            db.put_file("f", b"few words " * 1_000)
        for path in sorted(Path(folder).rglob("*")):
            if path.name.startswith("checkpoint."):
                yield "open_checkpoint_bytes", path.read_bytes()[CHECKPOINT_PREFIX_BYTES:]
            elif path.suffix == ".pack":
                yield "open_pack_bytes", path.read_bytes()


def seeds() -> Iterator[tuple[str, bytes]]:
    """Yields every seed with the target that it is for."""
    fixtures = ROOT / "tests/fixtures"
    for path in sorted(fixtures.rglob("log.aof")):
        log, key = path.read_bytes(), path.parent / "key.enc"
        yield "open_log_bytes", log
        yield "encrypted_bytes", (key.read_bytes() if key.exists() else b"") + b"\0" + log
    for path in sorted(fixtures.rglob("*.pack")):
        yield "open_pack_bytes", path.read_bytes()
    for path in sorted(fixtures.rglob("meta.json")):
        yield "open_settings_bytes", path.read_bytes()
    yield "open_manifest_bytes", b"NEDBman1" + bytes(36)
    yield from made()
    for verb, args in steps():
        if isinstance(args.get("nql"), str):
            yield "nql", args["nql"].encode()
        if "doc" in args or isinstance(args.get("doc_text"), str):
            yield "canonicalize", json_of(args, "doc").encode("utf-8", "surrogatepass")
        call = call_of(verb, args)
        if call is not None:
            yield "call", call


def main() -> int:
    """Writes the seeds, and says how many there are for each target."""
    root, counts = Path(sys.argv[1]), dict[str, int]()
    for target, data in seeds():
        if len(data) <= SEED_BYTES_MAX:
            (root / target).mkdir(parents=True, exist_ok=True)
            counts[target] = counts.get(target, 0) + 1
            (root / target / f"seed-{counts[target]}").write_bytes(data)
    for target, count in sorted(counts.items()):
        print(f"{count:5} {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
