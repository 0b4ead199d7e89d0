"""What both NEDBs have in common: the queries, and the names of the calls."""

from __future__ import annotations

from workload import AGE, LIMIT, SCORE_HIGH, SCORE_LOW, STATUS, Words

COLLECTION = "docs"


def queries(words: Words, as_of: int | None = None) -> dict[str, str]:
    """Spell each query task in NQL, in the order of clauses that 1.2.2 wants."""
    start = f"FROM {COLLECTION}" + ("" if as_of is None else f" AS OF {as_of}")
    return {
        "scan": f'{start} WHERE age = {AGE} AND status = "{STATUS}"',
        "eq": f"{start} WHERE age = {AGE} LIMIT {LIMIT}",
        "range": (
            f"{start} WHERE score >= {SCORE_LOW} AND score < {SCORE_HIGH} "
            f"ORDER BY score LIMIT {LIMIT}"
        ),
        "search_rare": f'{start} SEARCH "{words.rare}" LIMIT {LIMIT}',
        "search_common": f'{start} SEARCH "{words.common}" LIMIT {LIMIT}',
        "group": f"{start} GROUP BY status AVG age",
    }


class NqlSide:
    """A NEDB of either generation; ``open`` is what differs."""

    def open(self):
        """Return a new database in memory."""
        raise NotImplementedError

    def fill(self, docs: list[tuple[str, dict]], indexed: bool):
        """Return a database that holds the documents."""
        db = self.open()
        if indexed:
            for field, kind in (("age", "eq"), ("score", "ordered"), ("bio", "search")):
                db.create_index(COLLECTION, field, kind)
        self.put_all(db, docs)
        return db

    def put_all(self, db, docs: list[tuple[str, dict]]) -> None:
        """Put each document, one call a document: the task ``put``."""
        put = db.put
        for id_, document in docs:
            put(COLLECTION, id_, document)

    def get_all(self, db, ids: list[str]) -> None:
        """Get each document: the task ``get``."""
        get = db.get
        for id_ in ids:
            get(COLLECTION, id_)

    def get(self, db, id_: str) -> dict | None:
        """Get one document, to be checked."""
        return db.get(COLLECTION, id_)

    def verify(self, db) -> bool:
        """Check the whole log."""
        return db.verify()

    def prepare(self, db, task: str, words: Words, as_of: int | None = None):
        """Return a callable that runs a query task once and returns its rows as dicts."""
        text = queries(words, as_of)[task]
        query = db.query
        return lambda: query(text)
