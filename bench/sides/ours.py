"""This engine, through its Python binding."""

from __future__ import annotations

import nedb

from sides.nql import COLLECTION, NqlSide

#: How many documents one call of ``put_many`` writes when history is made.
BATCH_COUNT = 1_000


class Side(NqlSide):
    """NEDB 2."""

    name = "ours"
    version = getattr(nedb, "__version__", "")
    has_verify = True
    has_history = True

    def __init__(self) -> None:
        if not hasattr(nedb.NEDB, "put_many"):
            raise SystemExit("this interpreter's nedb is not this engine: build the wheel and install it")

    def open(self):
        return nedb.NEDB()

    def overwrite(self, db, docs: list[tuple[str, dict]]) -> None:
        """Put documents in batches: how a long history comes to be, not a task."""
        for start in range(0, len(docs), BATCH_COUNT):
            batch = docs[start : start + BATCH_COUNT]
            db.put_many(COLLECTION, [{"_id": id_, **document} for id_, document in batch])
