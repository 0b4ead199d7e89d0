"""Clients of nedbd, the server, with the methods of the embedded database.

>>> from nedb.client import NedbClient
>>> with NedbClient("http://127.0.0.1:7070", token="my-secret") as client:  # doctest: +SKIP
...     shop = client.create_database("shop", exist_ok=True)
...     shop.put("users", "u1", {"name": "Ada"})
...     shop.query("FROM users WHERE name = $1", ["Ada"])

``NedbClient`` needs nothing but Python; ``AsyncNedbClient``, the same to be awaited, needs httpx, which
``pip install nedb-engine[client]`` brings. ``import nedb`` loads neither.

| module | what it owns |
|---|---|
| ``blocking``, ``asynchronous`` | the two clients: how bytes are sent, and nothing else |
| ``database_calls``, ``server_calls`` | each verb: what is asked, how the answer is read |
| ``file_calls`` | the same for files |
| ``call`` | when a call is repeated, and what a failure means |
| ``errors``, ``text`` | exceptions; JSON text |
| ``query``, ``transaction``, ``log`` | what is composed by calls; ops |
"""

from .asynchronous import AsyncDatabase, AsyncFileReader, AsyncNedbClient, AsyncOpLog
from .blocking import Database, FileReader, NedbClient, OpLog
from .errors import DatabaseExists, DatabaseNotFound, ServerError, TimedOut, Unauthorized, Unavailable
from .log import Op
from .query import Query
from .transaction import AsyncTransaction, Transaction

__all__ = [
    "AsyncDatabase",
    "AsyncFileReader",
    "AsyncNedbClient",
    "AsyncOpLog",
    "AsyncTransaction",
    "Database",
    "DatabaseExists",
    "DatabaseNotFound",
    "FileReader",
    "NedbClient",
    "Op",
    "OpLog",
    "Query",
    "ServerError",
    "TimedOut",
    "Transaction",
    "Unauthorized",
    "Unavailable",
]
