"""Checks a log of NEDB with Python's standard library and nothing else.

    python examples/verify_log.py DIRECTORY

This is the whole of what a stranger needs to check a database; docs/format.md says why it is enough.
"""

import hashlib
import json
import sys
from pathlib import Path

ALWAYS = ("seq", "client", "nonce", "op", "payload", "ts", "idem")
WHEN_SET = ("caused_by", "evidence", "confidence", "valid_from", "valid_to")


def verify_log(path):
    """Return the head of a log; raise ValueError at the first op that does not fit."""
    head = "0" * 64
    with open(path, encoding="utf-8", newline="\n") as log:
        for seq, line in enumerate(log):
            op = json.loads(line)
            body = {name: op[name] for name in ALWAYS}
            body.update((name, op[name]) for name in WHEN_SET if op.get(name) is not None)
            text = json.dumps(body, sort_keys=True, separators=(",", ":"))
            digest = hashlib.blake2b((head + text).encode("ascii"), digest_size=32).hexdigest()
            if op["seq"] != seq or op["prev_hash"] != head or op["hash"] != digest:
                raise ValueError(f"op {seq} does not fit the chain")
            head = digest
    return head


if __name__ == "__main__":
    try:
        print(verify_log(Path(sys.argv[1]) / "log.aof"))
    except (ValueError, KeyError) as error:
        sys.exit(f"not a log that holds: {error}")
