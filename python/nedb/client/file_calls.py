"""Files of a database as calls: bytes to the server and back, at once or piece by piece.

Invariant: of a stream one piece is in memory at a time, and it is sent again only where it can be read again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable, Literal, Optional, Protocol, Union

from nedb import NEDB, InvalidArgument

from .call import Answer, Call
from .database_calls import ask, listed, member, seq_given, text_given, whole_log
from .server_calls import segment

__all__: list[str] = []

Tier = Optional[Literal["warm", "cold"]]
#: The status of a part that begins behind the end.
NO_SUCH_PART = 416
#: Bytes that are read of a file object at a time, and of a file of the server.
PIECE_BYTES = 1 << 20


class SupportsRead(Protocol):
    """What has a ``read`` that returns bytes."""

    def read(self, size: int = ..., /) -> bytes: ...


Data = Union[bytes, bytearray, memoryview, SupportsRead, Iterable[bytes]]


def put_file(
    at: str,
    name: str,
    data: Data,
    tier: Tier = "warm",
    client: Optional[str] = "local",
    nonce: Optional[int] = None,
    idem: Optional[str] = None,
    caused_by: Optional[Iterable[int]] = None,
    evidence: Optional[str] = None,
    confidence: Optional[float] = None,
    valid_from: Optional[str] = None,
    valid_to: Optional[str] = None,
    *,
    progress: Optional[Callable[[int], object]] = None,
) -> Call[int]:
    """Write a version of a file and return its number.

    ``data`` is bytes-like, a binary file object or an iterable of bytes; the last two are sent piece by piece.
    ``progress`` is called with the number of bytes sent so far; an exception that it raises ends the put, and
    nothing is appended. An iterable cannot be sent twice, and so is not.
    """
    causes = listed(caused_by)
    query = {"tier": tier, "client": client, "nonce": nonce, "idem": idem, "evidence": evidence,
             "caused_by": None if not causes else ",".join(map(str, causes)), "confidence": confidence,
             "valid_from": valid_from, "valid_to": valid_to}
    source = Source(data, progress)
    call: Call[int] = Call("PUT", path(at, name), lambda answer: int(answer.value()["file"]["version"]), query,
                           content=source.pieces, keyed=True, writes=True, is_whole=lambda: source.is_whole)
    call.headers["Content-Type"] = "application/octet-stream"
    if isinstance(source.data, bytes) and progress is None:
        call.content = source.data
    return whole_log(call)


def path(at: str, name: str, verb: str = "") -> str:
    """Return the path of a file, or of what is known of it."""
    return f"{at}/files/{segment(name, 'file')}{verb and '/'}{verb}"


class Source:
    """What is sent as a file."""

    def __init__(self, data: Any, progress: Optional[Callable[[int], object]]) -> None:
        """Look at what was given."""
        self.progress = progress
        self.start: Optional[int] = None
        self.is_taken = False
        if isinstance(data, (bytes, bytearray, memoryview)):
            # What the caller does with its own bytes meanwhile changes nothing.
            data = bytes(data)
        elif isinstance(data, str) or not (hasattr(data, "read") or isinstance(data, Iterable)):
            raise InvalidArgument(f"a file is bytes, a binary file object or an iterable of bytes, got {type(data).__name__}")
        elif hasattr(data, "seekable") and data.seekable():
            self.start = data.tell()
        self.data = data

    @property
    def is_whole(self) -> bool:
        """Whether all of it can be sent: the rest of an iterable would be another file."""
        return isinstance(self.data, bytes) or self.start is not None or not self.is_taken

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes from their start."""
        taken_bytes = 0
        self.is_taken = True
        for piece in self._parts():
            if not isinstance(piece, (bytes, bytearray, memoryview)):
                raise InvalidArgument(f"a file comes in pieces of bytes, got {type(piece).__name__}")
            taken_bytes += len(piece)
            if piece:
                yield bytes(piece)
            if self.progress is not None:
                self.progress(taken_bytes)

    def _parts(self) -> Iterable[Any]:
        if isinstance(self.data, bytes):
            return (self.data[start : start + PIECE_BYTES] for start in range(0, len(self.data), PIECE_BYTES))
        if not hasattr(self.data, "read"):
            return self.data  # type: ignore[no-any-return]
        if self.start is not None:
            self.data.seek(self.start)
        return iter(lambda: self.data.read(PIECE_BYTES), b"")


def place(version: Optional[int], tier: Tier, as_of: Optional[int]) -> dict[str, Any]:
    """Return which version is meant."""
    return {"version": seq_given("version", version), "tier": text_given("tier", tier), "as_of": seq_given("as_of", as_of)}


def get_file(
    at: str, name: str, version: Optional[int] = None, tier: Tier = None, *, as_of: Optional[int] = None
) -> Call[bytes]:
    """Return the bytes of a version of a file: the last, or the one with that number."""
    query = place(version, tier, as_of)
    return whole_log(Call("GET", path(at, name), lambda answer: answer.body, query, repeatable=True))


def file_root(
    at: str, name: str, version: Optional[int] = None, tier: Tier = None, *, as_of: Optional[int] = None
) -> Call[str]:
    """Return the Merkle root of a version, which its op in the log says: 64 hexadecimal digits."""
    return ask(path(at, name), "root", member("root"), **place(version, tier, as_of))


def file_proof(
    at: str,
    name: str,
    chunk_index: int,
    version: Optional[int] = None,
    tier: Tier = None,
    *,
    as_of: Optional[int] = None,
) -> Call[tuple[str, list[tuple[str, Literal["L", "R"]]], str]]:
    """Prove that a chunk is part of a version: leaf, path of (hash, side), root."""
    def read(answer: Answer) -> tuple[str, list[tuple[str, Literal["L", "R"]]], str]:
        proof = answer.value()["proof"]
        return proof["leaf"], [(digest, side) for digest, side in proof["path"]], proof["root"]

    return ask(path(at, name), "proof", read, chunk=seq_given("chunk_index", chunk_index), **place(version, tier, as_of))


def compression_stats(at: str, tier: Tier = "warm") -> Call[dict[str, Any]]:
    """Return what the files of a tier cost."""
    return ask(at, "compression_stats", member("stats"), tier=text_given("tier", tier))


def files(at: str, as_of: Optional[int] = None) -> Call[list[str]]:
    """Return the names of the files, in order of their first version."""
    return ask(at, "files", member("files"), as_of=seq_given("as_of", as_of))


def file_versions(at: str, name: str, as_of: Optional[int] = None) -> Call[list[dict[str, Any]]]:
    """Return the versions of a file, oldest first: version, tier, size, root and seq of each."""
    return ask(path(at, name), "versions", member("versions"), as_of=seq_given("as_of", as_of))


def compact_blobs(at: str) -> Call[dict[str, Any]]:
    """Give back the room of chunks that no op refers to, while reads and writes go on."""
    return whole_log(Call("POST", f"{at}/compact_blobs", member("report"), repeatable=True))


def opening(
    at: str, name: str, version: Optional[int], tier: Tier, as_of: Optional[int], in_part: bool = True
) -> Call[Answer]:
    """Read the first piece of a version; an empty file has no part, and is read whole."""
    call = Call("GET", path(at, name), _whole, place(version, tier, as_of), repeatable=True)
    if in_part:
        call.headers["Range"] = f"bytes=0-{PIECE_BYTES - 1}"
    return call


def _whole(answer: Answer) -> Answer:
    return answer


class FilePlace:
    """Where a reader of a version stands, and the piece that it has."""

    def __init__(self, at: str, name: str, first: Answer) -> None:
        """Begin with the first piece, which says which version it is."""
        self.at, self.name = at, name
        self.version = int(first.headers["nedb-file-version"])
        self.tier = first.headers["nedb-file-tier"]
        total = first.headers.get("content-range", f"/{len(first.body)}")
        self.size = int(total.rpartition("/")[2])
        self.offset, self.start, self.piece = 0, 0, first.body
        self.is_closed = False

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set where the next byte is read."""
        self.check_open()
        origins: Mapping[int, int] = {os.SEEK_SET: 0, os.SEEK_CUR: self.offset, os.SEEK_END: self.size}
        if whence not in origins or origins[whence] + offset < 0:
            raise InvalidArgument(f"there is no place {offset} from {whence}")
        self.offset = origins[whence] + offset
        return self.offset

    def check_open(self) -> None:
        """Refuse a reader that was closed."""
        if self.is_closed:
            raise ValueError("the file was closed")

    def end_of(self, size: Optional[int]) -> int:
        """Return where a read of so many bytes ends."""
        self.check_open()
        wanted = self.size - self.offset if size is None or size < 0 else size
        return max(min(self.offset + wanted, self.size), self.offset)

    def missing(self) -> Optional[Call[Answer]]:
        """Return the call for the piece at the offset; None when it is there."""
        if self.start <= self.offset < self.start + len(self.piece):
            return None
        query = {"version": self.version, "tier": self.tier}
        call = Call("GET", path(self.at, self.name), _whole, query, repeatable=True)
        call.headers["Range"] = f"bytes={self.offset}-{min(self.offset + PIECE_BYTES, self.size) - 1}"
        return call

    def came(self, answer: Answer) -> None:
        """Take the piece at the offset."""
        self.start, self.piece = self.offset, answer.body

    def take(self, end: int) -> bytes:
        """Return what the piece has from the offset on, up to an end."""
        begin = self.offset - self.start
        taken = self.piece[begin : begin + end - self.offset]
        self.offset += len(taken)
        return taken


class PlacedReader:
    """What a reader of a version does without asking the server."""

    def __init__(self, place: FilePlace) -> None:
        """Begin where the place stands."""
        self._place = place

    def seek(self, offset: int, whence: int = 0) -> int:
        """Set where the next byte is read: from the start (0), from here (1) or from the end (2)."""
        return self._place.seek(offset, whence)

    def tell(self) -> int:
        """Return where the next byte is read."""
        return self.seek(0, 1)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return False."""
        return False

    def close(self) -> None:
        """Let go of what the reader holds. Closing it again does nothing."""
        self._place.is_closed, self._place.piece = True, b""

    @property
    def closed(self) -> bool:
        """True once it was closed."""
        return self._place.is_closed

    @property
    def name(self) -> str:
        """The name of the file."""
        return self._place.name

    @property
    def size(self) -> int:
        """The length of the file, in bytes."""
        return self._place.size

    @property
    def version(self) -> int:
        """The number of the version."""
        return self._place.version
