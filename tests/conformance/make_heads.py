#!/usr/bin/env python3
"""Computes the head of every write-only case with a standard library and no NEDB.

In: the case files below ``cases/``. Out: for each case with a ``head``, whether it is the one that
the design gives; with ``--write`` the heads are put into the files. It shares nothing with the engine:
an op's body is built here from docs/format.md and docs/semantics.md, so that a head in a case is a
check and not an echo.

Usage: make_heads.py [--write]
"""

import hashlib
import json
import pathlib
import re
import sys

CASES = pathlib.Path(__file__).parent / "cases"
# Only the arguments of a call set these; in a given document they are dropped.
SET_BY_ARGUMENTS = ("_seq", "_score", "_caused_by", "_evidence", "_confidence",
                    "_valid_from", "_valid_to", "_expires_at")
PROVENANCE = ("caused_by", "evidence", "confidence", "valid_from", "valid_to")
# A file that is not longer is never cut.
CHUNK_BYTES_MIN = 4096
ZERO_HASH = "0" * 64


class Chain:
    """The ops of one case: what each holds and the hash after the last."""

    def __init__(self, clock):
        """Starts an empty log whose clock stands at ``clock`` seconds."""
        self.now = float(clock)
        self.seq = -1
        self.head = ZERO_HASH
        self.nonces = {}
        self.idempotent = set()
        self.documents = {}
        self.files = {}

    def append(self, kind, payload, args, provenance=None):
        """Chains one op over the last: body without the two hashes, canonical, BLAKE2b-256."""
        idem = args.get("idem")
        if idem is not None and idem in self.idempotent:
            return
        client = args.get("client", "local")
        nonce = args.get("nonce") or self.nonces.get(client, 0) + 1
        self.nonces[client] = max(nonce, self.nonces.get(client, 0))
        self.idempotent.add(idem)
        self.seq += 1
        body = {"seq": self.seq, "client": client, "nonce": nonce, "op": kind,
                "payload": payload, "ts": self.now, "idem": idem, **(provenance or {})}
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        self.head = hashlib.blake2b((self.head + text).encode(), digest_size=32).hexdigest()

    def put(self, args):
        """Chains a put."""
        payload, provenance = self.put_payload(args)
        self.append("put", payload, args, provenance)

    def put_payload(self, args):
        """Builds the payload and the provenance of a put."""
        given = json.loads(args["doc_text"]) if "doc_text" in args else args["doc"]
        document = {k: v for k, v in given.items() if k not in SET_BY_ARGUMENTS}
        document["_id"] = args["id"]
        provenance = provenance_of(args)
        document.update({f"_{name}": value for name, value in provenance.items()})
        if args.get("ttl_s") is not None:
            document["_expires_at"] = self.now + args["ttl_s"]
        self.documents[args["coll"], args["id"]] = document
        return {**target(args), "doc": document}, provenance

    def expire(self, args):
        """Chains the put of the same document with another end of life."""
        document = dict(self.documents[args["coll"], args["id"]])
        document["_expires_at"] = self.now + args["ttl_s"]
        self.documents[args["coll"], args["id"]] = document
        self.append("put", {**target(args), "doc": document}, args)

    def batch(self, args):
        """Chains a transaction: one op with all items."""
        items = []
        for item in args["items"]:
            if item["op"] == "put":
                payload, provenance = self.put_payload(item)
            elif item["op"] == "delete":
                payload, provenance = target(item), {}
            else:
                payload, provenance = edge(item), {}
            items.append({"op": item["op"], "payload": payload, **provenance})
        self.append("tx", {"items": items}, args)

    def put_many(self, args):
        """Chains a put for every document, in order."""
        docs = args["docs"]
        pairs = docs.items() if isinstance(docs, dict) else [(doc["_id"], doc) for doc in docs]
        for document_id, doc in pairs:
            self.put({"coll": args["coll"], "id": document_id, "doc": doc})

    def put_file(self, args):
        """Chains a version of a file that is one chunk, or, when it is empty, none."""
        data = args["text"].encode()
        if len(data) > CHUNK_BYTES_MIN:
            raise ValueError("a case with a head puts files of one chunk only")
        manifest = b"NEDBman1" + (leaf(data) + len(data).to_bytes(4, "little") if data else b"")
        version = self.files.get(args["name"], 0)
        payload = {"name": args["name"], "tier": args.get("tier", "warm"), "version": version, "tree": 1,
                   "root": (leaf(data) if data else digest(b"")).hex(), "size": len(data),
                   "manifest": leaf(manifest).hex()}
        seq = self.seq
        self.append("put_file", payload, args, provenance_of(args))
        self.files[args["name"]] = version + self.seq - seq

    def run(self, step):
        """Chains what a step appends; a refused call appends nothing."""
        args = step.get("args", {})
        if "error" in step.get("expect", {}):
            return
        verb = step["do"]
        if verb in ("put", "put_many", "batch", "expire", "put_file"):
            getattr(self, verb)(args)
        elif verb == "delete":
            self.append(verb, target(args), args)
        elif verb in ("link", "unlink"):
            self.append(verb, edge(args), args)
        elif verb == "set_clock":
            self.now = float(args["now"])
        elif verb in ("sweep", "checkpoint"):
            raise ValueError(f"a case with a head may not {verb}")


def digest(data):
    """Hashes bytes."""
    return hashlib.blake2b(data, digest_size=32).digest()


def leaf(data):
    """Hashes a chunk, or a list of chunks, as a leaf of RFC 6962."""
    return digest(b"\0" + data)


def provenance_of(args):
    """Returns the optional fields of an op that are set; an empty caused_by is absent."""
    found = {name: args[name] for name in PROVENANCE if args.get(name) not in (None, [])}
    if "confidence" in found:
        found["confidence"] = float(found["confidence"])
    return found


def target(args):
    """Returns the members of a payload that name a document."""
    return {"key": f"{args['coll']}:{args['id']}", "coll": args["coll"], "id": args["id"]}


def edge(args):
    """Returns the payload of a link."""
    return {"frm": args["frm"], "rel": args["rel"], "to": args["to"]}


def head_of(case):
    """Computes the head after the last step of a case."""
    chain = Chain(case.get("clock", 1000.5))
    for step in case["steps"]:
        chain.run(step)
    return chain.head


def fix_file(path, write):
    """Compares the heads of one file; returns the names of the cases that differ."""
    text = path.read_text(encoding="utf-8")
    wrong = []
    for case in json.loads(text):
        if "head" not in case:
            continue
        head = head_of(case)
        if case["head"] != head:
            wrong.append(case["name"])
            pattern = r'("name": "%s".*?"head": ")[0-9a-f]*"' % re.escape(case["name"])
            text = re.sub(pattern, r'\g<1>%s"' % head, text, count=1, flags=re.DOTALL)
    if write and wrong:
        path.write_text(text, encoding="utf-8")
    return wrong


def main():
    """Checks every file; with --write corrects it."""
    write = "--write" in sys.argv[1:]
    wrong = {path.name: fix_file(path, write) for path in sorted(CASES.rglob("*.json"))}
    wrong = {name: cases for name, cases in wrong.items() if cases}
    for name, cases in wrong.items():
        print(f"{name}: {', '.join(cases)}")
    print(f"{sum(map(len, wrong.values()))} heads {'written' if write else 'differ'}")
    return 0 if write or not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
