"""The client whose calls are awaited: httpx, which ``nedb-engine[client]`` installs."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Optional, TypeVar, Union, overload

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
from .transaction import AsyncTransaction

if TYPE_CHECKING:
    import httpx
    from typing_extensions import Concatenate, ParamSpec, Self

    P = ParamSpec("P")

__all__ = ["AsyncDatabase", "AsyncFileReader", "AsyncNedbClient", "AsyncOpLog"]

T = TypeVar("T")

#: How many connections there are to a server; what is asked beyond waits here. httpx looks at each of them for every
#: request, so that more are slower.
CONNECTION_COUNT_MAX = 16


class Connections:
    """The connections to one server: kept, and shared by all who await."""

    def __init__(self, place: Place) -> None:
        """Open none yet. Errors: ``ImportError`` where httpx is not installed."""
        try:
            import httpx
        except ImportError as error:
            raise ImportError("AsyncNedbClient needs httpx: pip install 'nedb-engine[client]'") from error
        self._httpx = httpx
        self._place = place
        scheme, host = ("https", "http")[not place.is_tls], place.host
        self._root = f"{scheme}://{f'[{host}]' if ':' in host else host}:{place.port}{place.prefix}"
        # As the blocking client: no proxies and no passwords out of the environment.
        # Each is kept: by itself httpx keeps twenty, and makes the others anew for every request.
        limits = httpx.Limits(max_connections=CONNECTION_COUNT_MAX, max_keepalive_connections=CONNECTION_COUNT_MAX)
        self._client = httpx.AsyncClient(headers=dict(place.headers), trust_env=False, timeout=None, limits=limits,
                                         verify=place.tls() if place.is_tls else False)
        self._places: Optional[asyncio.Semaphore] = None

    async def send(self, call: Call[Any]) -> Answer:
        """Send a request and await its answer. Errors: ``Failure``."""
        httpx, place = self._httpx, self._place
        timeout = httpx.Timeout(place.timeout_s + call.extra_s, connect=place.connect_timeout_s)
        body, headers = call.body(), dict(call.headers)
        if call.members is not None:
            headers["Content-Type"] = "application/json"
        content = body if body is None or isinstance(body, bytes) else _pieces(body())
        target = self._root + call.target()
        if self._client.is_closed:
            raise DatabaseClosed("the client was closed")
        if self._places is None:
            # In the loop that it is for.
            self._places = asyncio.Semaphore(CONNECTION_COUNT_MAX)
        try:
            # Who waits, waits here: httpx looks at all who wait whenever one is done.
            async with self._places:
                response = await self._client.request(
                    call.method, target, content=content, headers=headers, timeout=timeout)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Failure(error, was_sent=False) from error
        except httpx.TransportError as error:
            raise Failure(error, was_sent=True, timed_out=isinstance(error, httpx.TimeoutException)) from error
        names = {name.lower(): text for name, text in response.headers.items()}
        return Answer(response.status_code, names, response.content)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def _pieces(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces of a file, which are read on another thread."""
    following = iter(pieces)
    while (piece := await asyncio.to_thread(next, following, None)) is not None:
        yield piece


def _awaited(
    build: Callable[Concatenate[str, P], Call[T]],
) -> Callable[Concatenate[AsyncDatabase, P], Awaitable[T]]:
    """Make a method that makes a call and is awaited for its result."""

    @functools.wraps(build)
    def method(self: AsyncDatabase, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        # Built now: what the caller changes before it awaits is not part of it.
        return self._run(build(self._at, *args, **kwargs))

    return method


class AsyncDatabase:
    """A database of a server, with the methods of ``nedb.NEDB``, each to be awaited."""

    def __init__(self, client: AsyncNedbClient, name: str) -> None:
        """Name it; nothing is asked yet."""
        self._client = client
        self._at = server_calls.database(name)
        self.name = name

    async def _run(self, call: Call[T]) -> T:
        """Ask the server."""
        return await self._client._run(call)

    put = _awaited(calls.put)
    put_json = _awaited(calls.put_json)
    put_many = _awaited(calls.put_many)
    delete = _awaited(calls.delete)
    get = _awaited(calls.get)
    get_json = _awaited(calls.get_json)
    query = _awaited(calls.query)
    link = _awaited(calls.link)
    unlink = _awaited(calls.unlink)
    neighbors = _awaited(calls.neighbors)
    inbound = _awaited(calls.inbound)
    create_index = _awaited(calls.create_index)
    indexes = _awaited(calls.indexes)
    collections = _awaited(calls.collections)
    describe = _awaited(calls.describe)
    expire = _awaited(calls.expire)
    sweep = _awaited(calls.sweep)
    batch = _awaited(calls.batch)
    checkpoint = _awaited(calls.checkpoint)
    verify = _awaited(calls.verify)
    verify_report = _awaited(calls.verify_report)
    verify_determinism = _awaited(calls.verify_determinism)
    verify_files = _awaited(calls.verify_files)
    backup = _awaited(calls.backup)
    flush = _awaited(calls.flush)
    put_file = _awaited(file_calls.put_file)
    get_file = _awaited(file_calls.get_file)
    file_root = _awaited(file_calls.file_root)
    file_proof = _awaited(file_calls.file_proof)
    compression_stats = _awaited(file_calls.compression_stats)
    files = _awaited(file_calls.files)
    file_versions = _awaited(file_calls.file_versions)
    compact_blobs = _awaited(file_calls.compact_blobs)
    verify_proof = staticmethod(nedb.NEDB.verify_proof)

    async def open_file(
        self, name: str, version: Optional[int] = None, tier: Tier = None, *, as_of: Optional[int] = None
    ) -> AsyncFileReader:
        """Open a version of a file, which reads a part at a time."""
        try:
            first = await self._run(file_calls.opening(self._at, name, version, tier, as_of))
        except ServerError as error:
            if error.status != file_calls.NO_SUCH_PART:
                raise
            first = await self._run(file_calls.opening(self._at, name, version, tier, as_of, in_part=False))
        return AsyncFileReader(self, FilePlace(self._at, name, first))

    def q(self, coll: str) -> Query[Awaitable[list[dict[str, Any]]]]:
        """Start a query that is composed by calls; ``await`` its ``run()``."""
        return Query(coll, self.query)

    def transaction(
        self, client: Optional[str] = "local", nonce: Optional[int] = None, idem: Optional[str] = None
    ) -> AsyncTransaction:
        """Start a transaction: one op at a clean exit of its ``async with``, nothing after an exception."""
        return AsyncTransaction(self._run, self._at, client, nonce, idem)

    async def changes(self, after_seq: int = -1, *, follow: bool = True) -> AsyncIterator[Op]:
        """Yield every op after a seq, in order, none twice; then wait for those to come.

        Resume with the seq of the last op that you have. Without ``follow`` it ends with the last op there is.
        Where another log takes the place of the one that is read it raises PreconditionFailed.
        """
        wait_ms = WAIT_MS if follow else 0
        after_hash: Optional[str] = None
        while True:
            page = await self._run(calls.ops(self._at, after_seq, PAGE_COUNT, wait_ms, after_hash))
            if not page and not follow:
                return
            for op in page:
                yield op
                after_seq, after_hash = op.seq, op.hash

    @property
    def log(self) -> AsyncOpLog:
        """The ops: ``async for op in db.log``, ``await db.log[5]``, ``await db.log[-10:]``."""
        return AsyncOpLog(self)

    @property
    def seq(self) -> Awaitable[int]:
        """The seq of the last op; -1 when there is none."""
        return self._run(calls.seq(self._at))

    @property
    def durable_seq(self) -> Awaitable[int]:
        """The seq of the last op, once that is on the disk."""
        return self._run(calls.durable_seq(self._at))

    @property
    def head(self) -> Awaitable[str]:
        """The hash of the last op, which commits to the whole log: 64 hexadecimal digits."""
        return self._run(calls.head(self._at))

    @property
    def read_only(self) -> Awaitable[bool]:
        """True when the server cannot write it."""
        return self._run(calls.read_only(self._at))

    def __repr__(self) -> str:
        """Show the name."""
        return f"<AsyncDatabase {self.name}>"


class AsyncFileReader(PlacedReader):
    """A version of a file: it reads a part at a time, from any place.

    It goes on reading the same version whatever is written meanwhile.
    """

    def __init__(self, database: AsyncDatabase, place: FilePlace) -> None:
        """Begin with the first part."""
        super().__init__(place)
        self._database = database

    async def read(self, size: Optional[int] = -1) -> bytes:
        """Return up to ``size`` bytes, all that is left when it is negative; ``b""`` at the end."""
        end = self._place.end_of(size)
        pieces: list[bytes] = []
        while self._place.offset < end:
            call = self._place.missing()
            if call is not None:
                self._place.came(await self._database._run(call))
            pieces.append(self._place.take(end))
        return b"".join(pieces)

    async def readinto(self, buffer: Union[bytearray, memoryview]) -> int:
        """Fill a writable bytes-like object; return how many bytes that are, 0 at the end."""
        with memoryview(buffer).cast("B") as view:
            data = await self.read(len(view))
            view[: len(data)] = data
        return len(data)

    async def __aenter__(self) -> Self:
        """Begin a block."""
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Close."""
        self.close()


class AsyncOpLog(AsyncIterable[Op]):
    """The ops of a database, from 0 to its seq; it grows as ops are written."""

    def __init__(self, database: AsyncDatabase) -> None:
        """Name the database."""
        self._database = database

    @overload
    def __getitem__(self, key: int, /) -> Awaitable[Op]: ...
    @overload
    def __getitem__(self, key: slice, /) -> Awaitable[list[Op]]: ...
    def __getitem__(self, key: Union[int, slice], /) -> Awaitable[Any]:
        """Read the op at a seq, or those of a slice."""
        return self._read(key)

    async def _read(self, key: Union[int, slice]) -> Union[Op, list[Op]]:
        """Read the ops that a key means."""
        seqs = wanted(key, await self._database.seq + 1)
        ops: dict[int, Op] = {}
        first, last = (min(seqs), max(seqs)) if seqs else (0, -1)
        while first <= last:
            count = min(last - first + 1, PAGE_COUNT)
            page = await self._database._run(calls.ops(self._database._at, first - 1, count))
            ops.update((op.seq, op) for op in page)
            first += len(page)
        return [ops[seq] for seq in seqs] if isinstance(key, slice) else ops[seqs[0]]

    def __aiter__(self) -> AsyncIterator[Op]:
        """Yield the ops in order."""
        return self._database.changes(follow=False)


class AsyncNedbClient:
    """A server of databases. Belongs to one event loop; as an ``async with`` block it closes itself."""

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

    async def _run(self, call: Call[T]) -> T:
        """Send a call, as often as it takes, and read its answer."""
        attempts = self._retries.attempts(call)
        while True:
            try:
                answer = await self._connections.send(call)
            except Failure as failure:
                delay: Optional[float] = attempts.failed(failure)
            else:
                delay = attempts.answered(answer)
                if delay is None:
                    return call.read(answer)
            await asyncio.sleep(delay or 0.0)

    def db(self, name: str) -> AsyncDatabase:
        """Return a database; whether there is one is seen by its first call."""
        return AsyncDatabase(self, name)

    async def health(self) -> dict[str, Any]:
        """Return what the server says of itself; it asks for no token."""
        return await self._run(server_calls.health())

    async def databases(self) -> list[dict[str, Any]]:
        """Return the databases: name, seq, head, rows, collections; or the state of one that is not open."""
        return await self._run(server_calls.databases())

    async def create_database(
        self, name: str, init: Optional[Mapping[str, Any]] = None, *, exist_ok: bool = False
    ) -> AsyncDatabase:
        """Make a database, with all that ``init`` says (``indexes``, ``seed``, ``links``) or not at all.

        With ``exist_ok`` one that is there already stays as it is.
        """
        try:
            await self._run(server_calls.create_database(name, init))
        except DatabaseExists:
            if not exist_ok:
                raise
        return self.db(name)

    async def drop_database(self, name: str, *, force: bool = False) -> None:
        """Remove a database and its files.

        One that the server could not open is refused with the reason, unless ``force`` is true.
        """
        await self._run(server_calls.drop_database(name, force))

    async def close(self) -> None:
        """Close the connections. Closing again does nothing."""
        await self._connections.close()

    async def __aenter__(self) -> Self:
        """Begin a block."""
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Close."""
        await self.close()
