"""SQLite with JSON documents, as someone would use it in place of a document database.

Dicts go in and dicts come out, as on the other sides: ``json.dumps`` and ``json.loads`` are part of
the work. Autocommit, in memory, the library's defaults; Python's cache of statements is on.
"""

from __future__ import annotations

import json
import sqlite3

from workload import AGE, LIMIT, SCORE_HIGH, SCORE_LOW, STATUS, Words

#: The columns are the document and its id; the index expressions must be spelled as in the queries.
QUERIES = {
    "scan": (
        "SELECT id, doc FROM docs WHERE json_extract(doc, '$.age') = ? "
        "AND json_extract(doc, '$.status') = ?"
    ),
    "eq": "SELECT id, doc FROM docs WHERE json_extract(doc, '$.age') = ? LIMIT ?",
    "range": (
        "SELECT id, doc FROM docs WHERE json_extract(doc, '$.score') >= ? "
        "AND json_extract(doc, '$.score') < ? ORDER BY json_extract(doc, '$.score') LIMIT ?"
    ),
    "search": (
        "SELECT docs.id, docs.doc FROM words JOIN docs ON docs.rowid = words.rowid "
        "WHERE words MATCH ? ORDER BY words.rank LIMIT ?"
    ),
    "group": (
        "SELECT json_extract(doc, '$.status') AS status, COUNT(*), AVG(json_extract(doc, '$.age')) "
        "FROM docs GROUP BY status"
    ),
}


class Side:
    """The sqlite3 module of the standard library."""

    name = "sqlite"
    version = sqlite3.sqlite_version
    has_verify = False
    has_history = False

    def open(self):
        """Return a new database in memory."""
        db = sqlite3.connect(":memory:", isolation_level=None)
        db.execute("CREATE TABLE docs (id TEXT PRIMARY KEY, doc TEXT)")
        return db

    def fill(self, docs: list[tuple[str, dict]], indexed: bool):
        """Return a database that holds the documents."""
        db = self.open()
        self.put_all(db, docs)
        if indexed:
            db.execute("CREATE INDEX by_age ON docs (json_extract(doc, '$.age'))")
            db.execute("CREATE INDEX by_score ON docs (json_extract(doc, '$.score'))")
            db.execute("CREATE VIRTUAL TABLE words USING fts5(bio)")
            db.execute(
                "INSERT INTO words (rowid, bio) SELECT rowid, json_extract(doc, '$.bio') FROM docs"
            )
        return db

    def put_all(self, db, docs: list[tuple[str, dict]]) -> None:
        """Put each document, one statement a document: the task ``put``."""
        execute, dumps = db.execute, json.dumps
        for id_, document in docs:
            execute("INSERT OR REPLACE INTO docs VALUES (?, ?)", (id_, dumps(document)))

    def get_all(self, db, ids: list[str]) -> None:
        """Get each document: the task ``get``."""
        execute, loads = db.execute, json.loads
        for id_ in ids:
            loads(execute("SELECT doc FROM docs WHERE id = ?", (id_,)).fetchone()[0])

    def get(self, db, id_: str) -> dict | None:
        """Get one document, to be checked."""
        row = db.execute("SELECT doc FROM docs WHERE id = ?", (id_,)).fetchone()
        return None if row is None else {"_id": id_, **json.loads(row[0])}

    def prepare(self, db, task: str, words: Words, as_of: int | None = None):
        """Return a callable that runs a query task once and returns its rows as dicts."""
        assert as_of is None, "SQLite reads the present only"
        if task == "group":
            return lambda: [
                {"status": status, "count": count, "avg_age": mean}
                for status, count, mean in db.execute(QUERIES["group"])
            ]
        values = {
            "scan": (AGE, STATUS),
            "eq": (AGE, LIMIT),
            "range": (SCORE_LOW, SCORE_HIGH, LIMIT),
            "search_rare": (words.rare, LIMIT),
            "search_common": (words.common, LIMIT),
        }[task]
        sql = QUERIES["search" if task.startswith("search") else task]
        loads = json.loads
        return lambda: [
            {"_id": id_, **loads(doc)} for id_, doc in db.execute(sql, values).fetchall()
        ]
