"""NEDB: an embedded document database on a hash-chained log.

>>> from nedb import NEDB
>>> db = NEDB()
>>> db.put("users", "alice", {"name": "Alice", "age": 31})["_seq"]
0
>>> [row["name"] for row in db.query("FROM users WHERE age > 30")]
['Alice']

Everything here is made by the extension module ``nedb._native``, which holds the engine.
"""

from nedb._native import (
    NEDB,
    Cancelled,
    CommitUnknown,
    DatabaseClosed,
    DatabaseLocked,
    FileReader,
    IdempotencyConflict,
    IntegrityError,
    InvalidArgument,
    KeyRequired,
    LimitExceeded,
    NEDBError,
    NotFound,
    NQLError,
    Op,
    OpLog,
    PlainDatabase,
    PreconditionFailed,
    Query,
    ReadOnly,
    ReplayError,
    StorageError,
    TimedOut,
    Transaction,
    WrongKey,
    __version__,
    rewrap_key,
)
from nedb.concurrent import Sequencer

__all__ = [
    "NEDB",
    "Cancelled",
    "CommitUnknown",
    "DatabaseClosed",
    "DatabaseLocked",
    "FileReader",
    "IdempotencyConflict",
    "IntegrityError",
    "InvalidArgument",
    "KeyRequired",
    "LimitExceeded",
    "NEDBError",
    "NQLError",
    "NotFound",
    "Op",
    "OpLog",
    "PlainDatabase",
    "PreconditionFailed",
    "Query",
    "ReadOnly",
    "ReplayError",
    "Sequencer",
    "StorageError",
    "TimedOut",
    "Transaction",
    "WrongKey",
    "__version__",
    "rewrap_key",
]
