"""The client whose calls wait: ``http.client`` of the standard library, one kept connection for each thread."""

from __future__ import annotations

import functools
import http.client
import os
import select
import socket
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union, overload

import nedb
from nedb import DatabaseClosed

from . import database_calls as calls
from . import file_calls
from . import server_calls
from .call import Answer, Call, Failure, Retries
from .errors import DatabaseExists, ServerError
from .file_calls import FilePlace, PlacedReader, Tier
from .log import PAGE_COUNT, WAIT_MS, Op, wanted
from .query import Query
from .server_calls import Place, place_of
from .transaction import Transaction

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec, Self

    P = ParamSpec("P")

__all__ = ["Database", "FileReader", "NedbClient", "OpLog"]

T = TypeVar("T")

#: In Python 3.9 these are two.
TIMEOUTS = (TimeoutError, socket.timeout)


class Connections:
    """The connections to one server: one for each thread that calls."""

    def __init__(self, place: Place) -> None:
        """Open none yet."""
        self._place = place
        self._context = place.tls() if place.is_tls else None
        self._own = threading.local()
        self._all: weakref.WeakSet[http.client.HTTPConnection] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = False

    def send(self, call: Call[Any]) -> Answer:
        """Send a request and wait for its answer. Errors: ``Failure``."""
        connection = self._connected()
        was_sent = False
        try:
            self._request(connection, call)
            was_sent = True
            response = connection.getresponse()
            body = response.read()
        except BaseException as error:
            # Half an answer, or none: what comes next on it would be taken for another's.
            self._drop(connection)
            if isinstance(error, (OSError, http.client.HTTPException)):
                raise Failure(error, was_sent, isinstance(error, TIMEOUTS)) from error
            raise
        if response.will_close:
            self._drop(connection)
        headers = {name.lower(): text for name, text in response.getheaders()}
        return Answer(response.status, headers, body)

    def _request(self, connection: http.client.HTTPConnection, call: Call[Any]) -> None:
        """Send a request."""
        body = call.body()
        headers = {**self._place.headers, **call.headers}
        if body is not None and call.members is not None:
            headers["Content-Type"] = "application/json"
        connection.sock.settimeout(self._place.timeout_s + call.extra_s)
        target = self._place.prefix + call.target()
        if body is None or isinstance(body, bytes):
            connection.request(call.method, target, body, headers)
            return
        headers["Transfer-Encoding"] = "chunked"
        try:
            connection.request(call.method, target, body(), headers, encode_chunked=True)
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses a file says so before it has it all.
            pass

    def _connected(self) -> http.client.HTTPConnection:
        """Return the connection of this thread, open. Errors: ``Failure``."""
        if self._closed:
            raise DatabaseClosed("the client was closed")
        connection: Optional[http.client.HTTPConnection] = getattr(self._own, "connection", None)
        if connection is not None and connection.sock is not None:
            # Over a fork two processes would read each other's answers.
            if self._own.process == os.getpid() and not _is_ended(connection):
                return connection
            self._drop(connection)
        return self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        """Open a connection for this thread."""
        place = self._place
        if self._context is None:
            connection = http.client.HTTPConnection(place.host, place.port, timeout=place.connect_timeout_s)
        else:
            connection = http.client.HTTPSConnection(
                place.host, place.port, timeout=place.connect_timeout_s, context=self._context)
        # Only this function connects.
        connection.auto_open = 0
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise Failure(error, was_sent=False) from error
        self._own.connection, self._own.process = connection, os.getpid()
        with self._lock:
            self._all.add(connection)
        return connection

    def _drop(self, connection: http.client.HTTPConnection) -> None:
        """Close a connection."""
        connection.close()
        self._own.connection = None

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            self._closed = True
            for connection in list(self._all):
                connection.close()


def _is_ended(connection: http.client.HTTPConnection) -> bool:
    """Tell whether the server has closed a connection that nothing is asked on."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(connection.sock, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([connection.sock], [], [], 0)[0])


def _blocking(
    build: Callable[Concatenate[str, P], Call[T]],
) -> Callable[Concatenate[Database, P], T]:
    """Make a method that makes a call and waits for its result."""

    @functools.wraps(build)
    def method(self: Database, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(build(self._at, *args, **kwargs))

    return method


class Database:
    """A database of a server, with the methods of ``nedb.NEDB``. Safe to use from many threads."""

    def __init__(self, client: NedbClient, name: str) -> None:
        """Name it; nothing is asked yet."""
        self._client = client
        self._at = server_calls.database(name)
        self.name = name

    def _run(self, call: Call[T]) -> T:
        """Ask the server."""
        return self._client._run(call)

    put = _blocking(calls.put)
    put_json = _blocking(calls.put_json)
    put_many = _blocking(calls.put_many)
    delete = _blocking(calls.delete)
    get = _blocking(calls.get)
    get_json = _blocking(calls.get_json)
    query = _blocking(calls.query)
    link = _blocking(calls.link)
    unlink = _blocking(calls.unlink)
    neighbors = _blocking(calls.neighbors)
    inbound = _blocking(calls.inbound)
    create_index = _blocking(calls.create_index)
    indexes = _blocking(calls.indexes)
    collections = _blocking(calls.collections)
    describe = _blocking(calls.describe)
    expire = _blocking(calls.expire)
    sweep = _blocking(calls.sweep)
    batch = _blocking(calls.batch)
    checkpoint = _blocking(calls.checkpoint)
    verify = _blocking(calls.verify)
    verify_report = _blocking(calls.verify_report)
    verify_determinism = _blocking(calls.verify_determinism)
    verify_files = _blocking(calls.verify_files)
    backup = _blocking(calls.backup)
    flush = _blocking(calls.flush)
    put_file = _blocking(file_calls.put_file)
    get_file = _blocking(file_calls.get_file)
    file_root = _blocking(file_calls.file_root)
    file_proof = _blocking(file_calls.file_proof)
    compression_stats = _blocking(file_calls.compression_stats)
    files = _blocking(file_calls.files)
    file_versions = _blocking(file_calls.file_versions)
    compact_blobs = _blocking(file_calls.compact_blobs)
    verify_proof = staticmethod(nedb.NEDB.verify_proof)

    def open_file(
        self, name: str, version: Optional[int] = None, tier: Tier = None, *, as_of: Optional[int] = None
    ) -> FileReader:
        """Open a version of a file as a binary file object, which reads a part at a time."""
        try:
            first = self._run(file_calls.opening(self._at, name, version, tier, as_of))
        except ServerError as error:
            if error.status != file_calls.NO_SUCH_PART:
                raise
            first = self._run(file_calls.opening(self._at, name, version, tier, as_of, in_part=False))
        return FileReader(self, FilePlace(self._at, name, first))

    def q(self, coll: str) -> Query[list[dict[str, Any]]]:
        """Start a query that is composed by calls and run by ``run()``."""
        return Query(coll, self.query)

    def transaction(
        self, client: Optional[str] = "local", nonce: Optional[int] = None, idem: Optional[str] = None
    ) -> Transaction:
        """Start a transaction: one op at a clean exit of its block, nothing after an exception."""
        return Transaction(self._run, self._at, client, nonce, idem)

    def changes(self, after_seq: int = -1, *, follow: bool = True) -> Iterator[Op]:
        """Yield every op after a seq, in order, none twice; then wait for those to come.

        Resume with the seq of the last op that you have. Without ``follow`` it ends with the last op there is.
        Where another log takes the place of the one that is read it raises PreconditionFailed.
        """
        wait_ms = WAIT_MS if follow else 0
        after_hash: Optional[str] = None
        while True:
            page = self._run(calls.ops(self._at, after_seq, PAGE_COUNT, wait_ms, after_hash))
            if not page and not follow:
                return
            for op in page:
                yield op
                after_seq, after_hash = op.seq, op.hash

    @property
    def log(self) -> OpLog:
        """The ops, as a sequence that reads them when they are asked for."""
        return OpLog(self)

    @property
    def seq(self) -> int:
        """The seq of the last op; -1 when there is none."""
        return self._run(calls.seq(self._at))

    @property
    def durable_seq(self) -> int:
        """The seq of the last op, once that is on the disk."""
        return self._run(calls.durable_seq(self._at))

    @property
    def head(self) -> str:
        """The hash of the last op, which commits to the whole log: 64 hexadecimal digits."""
        return self._run(calls.head(self._at))

    @property
    def read_only(self) -> bool:
        """True when the server cannot write it."""
        return self._run(calls.read_only(self._at))

    def __repr__(self) -> str:
        """Show the name."""
        return f"<Database {self.name}>"


class FileReader(PlacedReader):
    """A version of a file as a binary file object: it reads a part at a time, from any place.

    It goes on reading the same version whatever is written meanwhile.
    """

    def __init__(self, database: Database, place: FilePlace) -> None:
        """Begin with the first part."""
        super().__init__(place)
        self._database = database

    def read(self, size: Optional[int] = -1) -> bytes:
        """Return up to ``size`` bytes, all that is left when it is negative; ``b""`` at the end."""
        end = self._place.end_of(size)
        pieces: list[bytes] = []
        while self._place.offset < end:
            call = self._place.missing()
            if call is not None:
                self._place.came(self._database._run(call))
            pieces.append(self._place.take(end))
        return b"".join(pieces)

    def readinto(self, buffer: Union[bytearray, memoryview]) -> int:
        """Fill a writable bytes-like object; return how many bytes that are, 0 at the end."""
        with memoryview(buffer).cast("B") as view:
            data = self.read(len(view))
            view[: len(data)] = data
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is nothing to write."""

    def __enter__(self) -> Self:
        """Begin a block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close."""
        self.close()


class OpLog(Sequence[Op]):
    """The ops of a database, from 0 to its seq; it grows as ops are written."""

    def __init__(self, database: Database) -> None:
        """Name the database."""
        self._database = database

    def __len__(self) -> int:
        """Return how many ops there are."""
        return self._database.seq + 1

    @overload
    def __getitem__(self, key: int, /) -> Op: ...
    @overload
    def __getitem__(self, key: slice, /) -> list[Op]: ...
    def __getitem__(self, key: Union[int, slice], /) -> Union[Op, list[Op]]:
        """Return the op at a seq, or those of a slice."""
        seqs = wanted(key, len(self))
        ops = self._read(min(seqs), max(seqs)) if seqs else {}
        return [ops[seq] for seq in seqs] if isinstance(key, slice) else ops[seqs[0]]

    def _read(self, first: int, last: int) -> dict[int, Op]:
        """Read the ops of a range."""
        ops: dict[int, Op] = {}
        while first <= last:
            count = min(last - first + 1, PAGE_COUNT)
            page = self._database._run(calls.ops(self._database._at, first - 1, count))
            ops.update((op.seq, op) for op in page)
            first += len(page)
        return ops

    def __iter__(self) -> Iterator[Op]:
        """Yield the ops in order."""
        return self._database.changes(follow=False)


class NedbClient:
    """A server of databases. Safe to use from many threads; as a context manager it closes itself."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:7070",
        token: Optional[str] = None,
        *,
        timeout_s: float = 60.0,
        connect_timeout_s: float = 5.0,
        retry_count: int = 6,
        tls_ca_file: Optional[str] = None,
        tls_verify: bool = True,
    ) -> None:
        """Say where the server is; nothing is asked yet.

        ``timeout_s`` is how long an answer may keep silent. ``retry_count`` is how often a call is repeated,
        after waits that double from 50 ms to 2 s, where the connection fails or the server says that it may be
        asked again. A write is repeated under its idempotency key, which the client makes where none is given:
        it is part of the op, as any other. With 0 nothing is repeated and no key is made. ``tls_ca_file`` names
        the certificates that are trusted in place of the system's.
        """
        place = place_of(url, token, timeout_s, connect_timeout_s, tls_ca_file, tls_verify)
        self._connections = Connections(place)
        self._retries = Retries(retry_count)

    def _run(self, call: Call[T]) -> T:
        """Send a call, as often as it takes, and read its answer."""
        attempts = self._retries.attempts(call)
        while True:
            try:
                answer = self._connections.send(call)
            except Failure as failure:
                delay: Optional[float] = attempts.failed(failure)
            else:
                delay = attempts.answered(answer)
                if delay is None:
                    return call.read(answer)
            time.sleep(delay or 0.0)

    def db(self, name: str) -> Database:
        """Return a database; whether there is one is seen by its first call."""
        return Database(self, name)

    def health(self) -> dict[str, Any]:
        """Return what the server says of itself; it asks for no token."""
        return self._run(server_calls.health())

    def databases(self) -> list[dict[str, Any]]:
        """Return the databases: name, seq, head, rows, collections; or the state of one that is not open."""
        return self._run(server_calls.databases())

    def create_database(
        self, name: str, init: Optional[Mapping[str, Any]] = None, *, exist_ok: bool = False
    ) -> Database:
        """Make a database, with all that ``init`` says (``indexes``, ``seed``, ``links``) or not at all.

        With ``exist_ok`` one that is there already stays as it is.
        """
        try:
            self._run(server_calls.create_database(name, init))
        except DatabaseExists:
            if not exist_ok:
                raise
        return self.db(name)

    def drop_database(self, name: str, *, force: bool = False) -> None:
        """Remove a database and its files.

        One that the server could not open is refused with the reason, unless ``force`` is true.
        """
        self._run(server_calls.drop_database(name, force))

    def close(self) -> None:
        """Close the connections. Closing again does nothing."""
        self._connections.close()

    def __enter__(self) -> Self:
        """Begin a block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close."""
        self.close()
