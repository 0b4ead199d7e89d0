"""The engine, as Python sees it. Documents are JSON: dicts with str keys.

Every error is a subclass of NEDBError. A refused write appends nothing and changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Protocol, final, overload

from typing_extensions import Self, disjoint_base

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
    "StorageError",
    "TimedOut",
    "Transaction",
    "WrongKey",
    "__version__",
    "rewrap_key",
]

__version__: str

def rewrap_key(
    path: str | os.PathLike[str], old_tmk: bytes | bytearray, new_tmk: bytes | bytearray
) -> None:
    """Wrap the data key of the database in ``path`` with another key.

    Nobody may have it open for writing. From then on only the new key, of at least 16 bytes, opens it;
    nothing else changes, whatever its size. Who kept an old ``key.enc`` and has its key can still read it.
    """

class _SupportsRead(Protocol):
    """What has a ``read`` that returns bytes."""

    def read(self, size: int = ..., /) -> bytes: ...

class NEDBError(Exception):
    """Every error of NEDB. ``code`` names it, the same in every language."""

    code: str

class InvalidArgument(NEDBError, ValueError):
    """An argument is not of the form the call asks for. Nothing was appended."""

class LimitExceeded(NEDBError, ValueError):
    """An argument or a result is larger than a bound of the engine. Nothing was appended."""

class NQLError(NEDBError, SyntaxError):
    """A query does not parse, or a parameter it names is missing.

    ``lineno`` and ``offset`` count from 1, ``position`` counts characters from 0, ``text`` is the line.
    """

    position: int | None

class ReplayError(NEDBError):
    """A nonce is not above the last one seen from this client. Nothing was appended."""

class IdempotencyConflict(NEDBError):
    """An idempotency key was already used for another kind of op or another target."""

class PreconditionFailed(NEDBError):
    """An ``if_seq`` did not hold. Nothing was appended."""

class DatabaseLocked(NEDBError):
    """Another process or another handle holds the directory for writing."""

class DatabaseClosed(NEDBError):
    """The handle was closed."""

class ReadOnly(NEDBError):
    """A write was asked of a handle opened for reading, or of a damaged database."""

class IntegrityError(NEDBError):
    """The log does not fit its hash chain, or a text read is not the one that was asked for."""

class CommitUnknown(NEDBError):
    """A write or a sync failed: the op may or may not be there after reopening. Retry with ``idem``."""

class StorageError(NEDBError, OSError):
    """The operating system refused to read, open or create a file; ``errno`` says why."""

class KeyRequired(NEDBError):
    """The database is encrypted and no key was given."""

class WrongKey(NEDBError):
    """The key that was given is not that of the database."""

class PlainDatabase(NEDBError):
    """The database is not encrypted, and it was said that it must be."""

class NotFound(NEDBError, KeyError):
    """There is no file, no version of it or no chunk of that name or number."""

class Cancelled(NEDBError):
    """The call was ended by whoever asked for it. Nothing was changed."""

class TimedOut(NEDBError, TimeoutError):
    """The call took longer than it was given, and was ended. Nothing was changed."""

@final
class FileReader:
    """A version of a file as a binary file object: it reads a few chunks at a time, from any place.

    It goes on reading the same version whatever is written meanwhile. As a context manager it closes itself.
    """

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, all that is left when it is negative; ``b""`` at the end."""

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill a writable bytes-like object; return how many bytes that are, 0 at the end."""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Set where the next byte is read: from the start (0), from here (1) or from the end (2)."""

    def tell(self) -> int:
        """Return where the next byte is read."""

    def readable(self) -> bool:
        """Return True."""

    def seekable(self) -> bool:
        """Return True."""

    def writable(self) -> bool:
        """Return False."""

    def flush(self) -> None:
        """Do nothing: there is nothing to write."""

    def close(self) -> None:
        """Let go of what the reader holds. Closing it again does nothing."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...
    @property
    def closed(self) -> bool:
        """True once it was closed."""

    @property
    def name(self) -> str:
        """The name of the file."""

    @property
    def size(self) -> int:
        """The length of the file, in bytes."""

    @property
    def version(self) -> int:
        """The number of the version."""

@disjoint_base
class NEDB:
    """A database: in memory, or one directory on disk. Safe to use from many threads.

    As a context manager it closes itself.
    """

    def __new__(
        cls,
        path: str | os.PathLike[str] | None = None,
        tmk: bytes | bytearray | None = None,
        *,
        read_only: bool = False,
        clock: float | Callable[[], float] | None = None,
        cache_bytes: int | None = None,
        durability: str | int | None = None,
        checkpoint_every_ops: int | None = None,
        encrypt_existing: bool | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Self:
        """Open the database in the directory ``path``, or a new one in memory.

        ``read_only`` opens beside the process that writes. ``clock`` is None (the machine's), seconds
        since 1970 that stand still, or a callable that returns them. ``cache_bytes`` bounds the texts
        kept in memory. ``durability`` says when a write is acknowledged: "always" (it is on the disk, the
        default), "never" (the operating system has it), or the milliseconds between two syncs.
        ``checkpoint_every_ops`` saves the views beside the writes after so many ops, so that opening reads
        only what came after; without it, ``checkpoint()`` does, and closing after many ops.

        ``tmk`` is the key that encrypts what is on the disk, at least 16 bytes for a new database; the
        environment's ``NEDB_TMK`` (hexadecimal) and ``NEDB_TMK_FILE`` say it where it is not given. A plain
        database is encrypted in place, with ``progress`` called with the bytes of the log and of files done
        and in all, or refused with ``PlainDatabase`` when ``encrypt_existing`` is False (``NEDB_ENCRYPT_EXISTING=0``). In
        memory a key has no effect.
        """

    def put(
        self,
        coll: str,
        id: str,
        doc: Mapping[str, Any],
        client: str | None = "local",
        nonce: int | None = None,
        idem: str | None = None,
        ttl_s: float | None = None,
        caused_by: Iterable[int] | None = None,
        evidence: str | None = None,
        confidence: float | None = None,
        valid_from: str | None = None,
        valid_to: str | None = None,
        *,
        if_seq: int | None = None,
    ) -> dict[str, Any]:
        """Insert or replace a document; return it as stored, with ``_id`` and ``_seq``.

        ``nonce`` must exceed the client's last one. A repeated ``idem`` appends nothing and returns the
        first result. ``caused_by`` lists seqs of earlier ops, ``confidence`` lies in [0, 1], the valid
        times are ISO 8601. ``if_seq`` is the seq the document must have now; -1: it must not exist.
        """

    def put_json(
        self,
        coll: str,
        id: str,
        doc: bytes | bytearray | str,
        client: str | None = "local",
        nonce: int | None = None,
        idem: str | None = None,
        ttl_s: float | None = None,
        caused_by: Iterable[int] | None = None,
        evidence: str | None = None,
        confidence: float | None = None,
        valid_from: str | None = None,
        valid_to: str | None = None,
        *,
        if_seq: int | None = None,
    ) -> bytes:
        """Do what ``put`` does, from JSON text to JSON text."""

    def put_many(
        self,
        coll: str,
        docs: Mapping[str, Mapping[str, Any]] | Iterable[Mapping[str, Any]],
        client: str | None = "local",
        ttl_s: float | None = None,
        caused_by: Iterable[int] | None = None,
        evidence: str | None = None,
        confidence: float | None = None,
        valid_from: str | None = None,
        valid_to: str | None = None,
    ) -> list[dict[str, Any]]:
        """Write many documents, one op each, with a sync for each thousand; return them as stored.

        ``docs`` maps ids to documents, or lists documents that carry ``_id``. All are checked before the
        first is written; after a crash a prefix may stand.
        """

    def delete(
        self,
        coll: str,
        id: str,
        client: str | None = "local",
        nonce: int | None = None,
        idem: str | None = None,
        *,
        caused_by: Iterable[int] | None = None,
        evidence: str | None = None,
        confidence: float | None = None,
        if_seq: int | None = None,
    ) -> int:
        """Delete a document; return the seq of the op, which is written also when nothing was there."""

    def get(
        self,
        coll: str,
        id: str,
        as_of: int | None = None,
        valid_as_of: str | None = None,
    ) -> dict[str, Any] | None:
        """Return a document, or None; ``as_of`` reads at a seq, ``valid_as_of`` at a date."""

    def get_json(
        self,
        coll: str,
        id: str,
        as_of: int | None = None,
        valid_as_of: str | None = None,
    ) -> bytes | None:
        """Return a document as JSON text, or None."""

    def query(
        self, nql: str, params: Sequence[Any] | Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Run an NQL query; ``params`` is a sequence for $1, $2, ... or a mapping for $name."""

    def q(self, coll: str) -> Query:
        """Start a query that is composed by calls and run by ``run()``."""

    def link(
        self,
        frm: str,
        rel: str,
        to: str,
        client: str | None = "local",
        nonce: int | None = None,
        idem: str | None = None,
        *,
        caused_by: Iterable[int] | None = None,
        evidence: str | None = None,
        confidence: float | None = None,
    ) -> int:
        """Add an edge between two nodes "coll:id"; return the seq of the op."""

    def unlink(
        self,
        frm: str,
        rel: str,
        to: str,
        client: str | None = "local",
        nonce: int | None = None,
        idem: str | None = None,
        *,
        caused_by: Iterable[int] | None = None,
        evidence: str | None = None,
        confidence: float | None = None,
    ) -> int:
        """Remove an edge; return the seq of the op."""

    def neighbors(self, node: str, rel: str, as_of: int | None = None) -> list[str]:
        """Return the nodes that a node links to, in the order linked."""

    def inbound(self, node: str, rel: str, as_of: int | None = None) -> list[str]:
        """Return the nodes that link to a node, in the order linked."""

    def create_index(
        self, coll: str, field: str, kind: Literal["eq", "ordered", "search"] = "eq"
    ) -> None:
        """Make an index on a field or dotted path.

        An ``eq`` or ``ordered`` index never changes a result; ``search`` indexes say which fields
        ``SEARCH`` looks in.
        """

    def indexes(self) -> list[tuple[str, str, str]]:
        """Return the indexes as (collection, field, kind)."""

    def collections(self) -> list[str]:
        """Return the collections that hold a document, in order of creation."""

    def expire(self, coll: str, id: str, ttl_s: float, client: str | None = "local") -> bool:
        """Write a document again with a time to live; False when there is none."""

    def sweep(self) -> int:
        """Delete the documents that have expired; return how many."""

    def batch(
        self,
        items: Iterable[Mapping[str, Any]],
        client: str | None = "local",
        nonce: int | None = None,
        idem: str | None = None,
    ) -> list[dict[str, Any] | None]:
        """Write items as one op, all or nothing; return the stored document of each put, else None.

        An item is ``{"op": "put", "coll", "id", "doc"}``, with ``if_seq``, ``ttl_s`` and provenance if
        wanted, ``{"op": "delete", "coll", "id"}``, or ``{"op": "link" or "unlink", "frm", "rel", "to"}``.
        """

    def transaction(
        self, client: str | None = "local", nonce: int | None = None, idem: str | None = None
    ) -> Transaction:
        """Start a transaction: one op at a clean exit of its block, nothing after an exception."""

    def checkpoint(self, note: str | None = None) -> str:
        """Save the views in a file, so that opening reads only what comes after, and write an op that
        seals the file. Return the head, which is that op's hash. In memory it is a mark in the log.
        """

    def put_file(
        self,
        name: str,
        data: bytes | bytearray | memoryview | _SupportsRead | Iterable[bytes],
        tier: Literal["warm", "cold"] | None = "warm",
        client: str | None = "local",
        nonce: int | None = None,
        idem: str | None = None,
        caused_by: Iterable[int] | None = None,
        evidence: str | None = None,
        confidence: float | None = None,
        valid_from: str | None = None,
        valid_to: str | None = None,
        *,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """Write a version of a file and return its number.

        ``data`` is bytes-like, a binary file object or an iterable of bytes; the last two are taken in piece
        by piece. ``tier`` is "warm" (quick) or "cold" (as small as possible). ``progress`` is called with
        the number of bytes taken in so far; an exception that it raises ends the put, and nothing is
        appended. The bytes are on the disk before the op is.
        """

    def get_file(
        self,
        name: str,
        version: int | None = None,
        tier: Literal["warm", "cold"] | None = None,
        *,
        as_of: int | None = None,
    ) -> bytes:
        """Return the bytes of a version of a file: the last, or the one with that number.

        -1 is the last one, -2 the one before. ``tier`` tells apart what NEDB 1.x numbered for each tier.
        Every chunk is checked against the root that the log says; one that is damaged or missing is an
        ``IntegrityError`` that names it, a version that there is not a ``NotFound``.
        """

    def open_file(
        self,
        name: str,
        version: int | None = None,
        tier: Literal["warm", "cold"] | None = None,
        *,
        as_of: int | None = None,
    ) -> FileReader:
        """Open a version of a file as a binary file object, which reads a few chunks at a time."""

    def file_root(
        self,
        name: str,
        version: int | None = None,
        tier: Literal["warm", "cold"] | None = None,
        *,
        as_of: int | None = None,
    ) -> str:
        """Return the Merkle root of a version, which its op in the log says: 64 hexadecimal digits."""

    def file_proof(
        self,
        name: str,
        chunk_index: int,
        version: int | None = None,
        tier: Literal["warm", "cold"] | None = None,
        *,
        as_of: int | None = None,
    ) -> tuple[str, list[tuple[str, Literal["L", "R"]]], str]:
        """Prove that a chunk is part of a version: leaf, path of (hash, side), root."""

    @staticmethod
    def verify_proof(leaf: str, proof: Sequence[tuple[str, str]], root: str) -> bool:
        """Tell whether a proof leads from its leaf to its root; needs no database."""

    def compression_stats(self, tier: Literal["warm", "cold"] | None = "warm") -> dict[str, Any]:
        """Return what the files of a tier cost.

        ``tier``, ``unique_chunks``, ``dedup_hits``, ``logical_bytes``, ``stored_bytes`` and ``ratio``.
        """

    def files(self, as_of: int | None = None) -> list[str]:
        """Return the names of the files, in order of their first version."""

    def file_versions(self, name: str, as_of: int | None = None) -> list[dict[str, Any]]:
        """Return the versions of a file, oldest first: version, tier, size, root and seq of each.

        ``size`` is None for a file of NEDB 1.x.
        """

    def verify_files(
        self, *, progress: Callable[[int, int], object] | None = None
    ) -> dict[str, Any]:
        """Read the bytes of every version of every file, and say which chunks cannot be read, and why.

        ``verify`` looks at the log alone. Returns ``ok``, ``version_count``, ``chunk_count``,
        ``logical_bytes``, ``damage`` (the first 1,000: ``name``, ``version``, ``tier``, ``seq``, ``chunk``,
        which is None for the list of chunks, ``reason``), ``damage_count``, and what no op refers to:
        ``unreferenced_chunk_count``, ``unreferenced_frame_count``, ``unreferenced_bytes``. ``progress`` is
        called with the bytes done and in all; an exception that it raises ends the check.
        """

    def compact_blobs(self) -> dict[str, Any]:
        """Give back the room of chunks that no op refers to, while reads and writes go on.

        A crash, or a put that failed, leaves such. Returns ``kept_chunk_count``, ``removed_chunk_count``,
        ``rewritten_pack_count``, ``before_bytes`` and ``after_bytes``. What is damaged is kept with whatever may
        belong to it, and named in ``damage`` as in ``verify_files``, with ``damage_count``.
        """

    def verify(self) -> bool:
        """Read the log again and check every hash, link and payload, and what is derived from it.

        A checkpoint file must have the hash that its op says, and views that came from one that no op seals must
        be those that the log says. The bytes of files are ``verify_files``'s.
        """

    def backup(
        self, path: str | os.PathLike[str], *, skip_damaged_files: bool = False
    ) -> dict[str, Any]:
        """Copy the database as it is now into a new directory, while reads and writes go on.

        Every hash and link, and every chunk of a file, is checked on the way; the copy opens with the head that
        is reported. Returns ``seq``, ``head`` and ``log_bytes``. A directory that is not empty is an
        ``InvalidArgument``, a damaged log an ``IntegrityError``, and so is a damaged chunk, which is named; with
        ``skip_damaged_files`` it is left out, and ``damage`` and ``damage_count`` say so as in
        ``verify_files``.
        """

    def repair(self) -> dict[str, Any]:
        """Make a damaged database writable again.

        It is damaged where opening found so, or a read or ``verify()`` since, which ``open_report()`` names.
        Keeps the damaged log beside as ``log.aof.damaged-<seq>``, cuts the log before the first op that
        does not hold, and appends an op that says so. Where the seqs alone are wrong, as 1.x left them, the
        ops are kept with new ones. What is derived is put right without an op: checkpoint files that do not
        hold are removed, and views that are not those of the log are made anew. Returns ``damage`` (None when
        the log was right, and nothing was done to it), ``cut_bytes``, ``carried_op_count`` (ops with new seqs),
        ``damaged_file`` and ``removed_checkpoints``.
        """

    def rewrap_key(self, old_tmk: bytes | bytearray, new_tmk: bytes | bytearray) -> None:
        """Wrap the data key with another key: from then on only the new one opens the database.

        After a ``StorageError`` one of the two opens it, and it may be called again.
        """

    def verify_report(self) -> dict[str, Any]:
        """Do what ``verify`` does, and say what is wrong and where.

        ``damage`` is of the log; ``derived_damage`` (``file``, ``seq``, ``reason``) of a checkpoint file or of views
        that came from one, while the log may be right.
        """

    def verify_determinism(self) -> bool:
        """Replay the log into fresh views and compare them with those in use."""

    def open_report(self) -> dict[str, Any]:
        """Return what the opening of this handle found: ``op_count``, ``checkpoint_seq`` (the last op of
        the checkpoint that was loaded, or None), ``cut_bytes``, ``cut_file``, ``damage``, ``warnings``;
        and ``derived_damage``, where ``verify()`` has found since that the views are not those of the log.
        """

    def flush(self) -> None:
        """Wait until everything acknowledged is on the disk, also after a write that failed.

        ``CommitUnknown`` where a sync of it has failed.
        """

    def close(self) -> None:
        """Flush and close the database. Closing it again does nothing.

        The files are closed at once, those of readers of files too. A handle that has met damage saves no
        checkpoint.
        """

    def refresh(self) -> int:
        """Read what the writing process has synced since; for ``read_only``. Return the seq.

        Follows indexes, compacted packs and a repair of what was not read yet. ``IntegrityError`` where the log
        does not go on from what was read, or is damaged after it, and ``KeyRequired`` where it was encrypted
        since: open it again; what was read can be read still.
        """

    @property
    def seq(self) -> int:
        """The seq of the last op; -1 when there is none."""

    @property
    def durable_seq(self) -> int:
        """The seq of the last op that is known to be on the disk; in memory, of the last op."""

    @property
    def head(self) -> str:
        """The hash of the last op, which commits to the whole log: 64 hexadecimal digits."""

    @property
    def log(self) -> OpLog:
        """The ops, as a sequence that reads them when they are asked for."""

    @property
    def read_only(self) -> bool:
        """True when this handle cannot write."""

    @property
    def encrypted(self) -> bool:
        """True when what is on the disk is encrypted."""

    @property
    def path(self) -> str | None:
        """The directory, or None in memory."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...

@final
class Op:
    """One accepted mutation, as the log holds it. Equal ops have equal lines."""

    @property
    def seq(self) -> int:
        """Position in the log, from 0."""

    @property
    def client(self) -> str:
        """Who wrote it."""

    @property
    def nonce(self) -> int | float:
        """The client's number for it; never a float in ops that this version wrote."""

    @property
    def op(self) -> str:
        """Its kind: put, delete, link, unlink, put_file, checkpoint, repair or tx."""

    @property
    def payload(self) -> dict[str, Any]:
        """What it says; the members depend on the kind."""

    @property
    def ts(self) -> float:
        """When it was written, in seconds since 1970."""

    @property
    def idem(self) -> str | None:
        """Its idempotency key, or None."""

    @property
    def prev_hash(self) -> str:
        """The hash of the op before it; 64 zeros for the first."""

    @property
    def hash(self) -> str:
        """Its own hash."""

    @property
    def caused_by(self) -> list[int] | None:
        """The seqs that caused it, or None."""

    @property
    def evidence(self) -> str | None:
        """Why it was written, or None."""

    @property
    def confidence(self) -> float | None:
        """How sure the writer was, from 0 to 1, or None."""

    @property
    def valid_from(self) -> str | None:
        """From when its fact is true, or None."""

    @property
    def valid_to(self) -> str | None:
        """Until when its fact is true, or None."""

    def to_dict(self) -> dict[str, Any]:
        """Return every member of the line as a new dict."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class OpLog(Sequence[Op]):
    """The ops of a database, from 0 to ``db.seq``; it grows as ops are written."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, key: int, /) -> Op: ...
    @overload
    def __getitem__(self, key: slice, /) -> list[Op]: ...
    def __iter__(self) -> Iterator[Op]: ...
    def __reversed__(self) -> Iterator[Op]: ...
    def __contains__(self, key: object, /) -> bool: ...
    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """Return the position of an equal op; ValueError when there is none."""

    def count(self, value: Any) -> int:
        """Return 1 when there is an equal op, else 0."""

@final
class Query:
    """A query that is being composed. Each call changes it and returns it."""

    def where(self, field: str, op: str, value: Any = None) -> Query:
        """Keep the rows for which ``field op value`` holds; several calls are joined by AND.

        Operators: = != < <= > >= LIKE CONTAINS IN (a list) BETWEEN (low, high), each of the words also
        with NOT before it, and IS NULL and IS NOT NULL, which take no value.
        """

    def as_of(self, seq: int) -> Query:
        """Read at a seq."""

    def valid_as_of(self, date: str) -> Query:
        """Read what was true at a date."""

    def search(self, text: str, *fields: str) -> Query:
        """Keep the rows whose text matches, in the given fields or in the indexed ones."""

    def order_by(self, field: str, desc: bool | str = False) -> Query:
        """Sort by a field; a further call adds a further key. ``desc`` is a bool, "ASC" or "DESC"."""

    def traverse(self, rel: str) -> Query:
        """Go on to the documents that the rows link to."""

    def trace(self, reverse: bool = False) -> Query:
        """Go on to the versions that caused the rows or, reversed, that the rows caused."""

    def group_by(self, field: str) -> Query:
        """Make one row for each value of a field; a further call adds a further key."""

    def count(self) -> Query:
        """Count the rows of each group, as ``count``."""

    def sum(self, field: str) -> Query:
        """Add up a field, as ``sum_field``."""

    def avg(self, field: str) -> Query:
        """Take the mean of a field, as ``avg_field``."""

    def min(self, field: str) -> Query:
        """Take the least of a field, as ``min_field``."""

    def max(self, field: str) -> Query:
        """Take the largest of a field, as ``max_field``."""

    def having(self, field: str, op: str, value: Any = None) -> Query:
        """Keep the groups for which ``field op value`` holds."""

    def offset(self, n: int) -> Query:
        """Leave out the first rows."""

    def limit(self, n: int) -> Query:
        """Give so many rows at the most."""

    def nql(self) -> str:
        """Return the text, in which $1, $2, ... stand for ``params``."""

    @property
    def params(self) -> list[Any]:
        """The values of $1, $2, ..."""

    def run(self) -> list[dict[str, Any]]:
        """Run the query; return the rows."""

@final
class Transaction:
    """Writes that become one op at the clean end of a ``with`` block, or none."""

    def put(
        self,
        coll: str,
        id: str,
        doc: Mapping[str, Any],
        *,
        if_seq: int | None = None,
        ttl_s: float | None = None,
        caused_by: Sequence[int] | None = None,
        evidence: str | None = None,
        confidence: float | None = None,
        valid_from: str | None = None,
        valid_to: str | None = None,
    ) -> None:
        """Add the insertion or replacement of a document.

        ``if_seq`` is the seq of the version that must be there before the transaction; -1: none.
        """

    def delete(self, coll: str, id: str, *, if_seq: int | None = None) -> None:
        """Add the deletion of a document."""

    def link(self, frm: str, rel: str, to: str) -> None:
        """Add the making of an edge."""

    def unlink(self, frm: str, rel: str, to: str) -> None:
        """Add the removal of an edge."""

    @property
    def results(self) -> list[dict[str, Any] | None] | None:
        """One result for each item once written: the stored document of a put, None for the rest."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        _exception: BaseException | None,
        _traceback: TracebackType | None,
        /,
    ) -> None: ...
