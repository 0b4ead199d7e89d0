"""What Python has of its own around files: what may be given, and the reader as a file object."""

from __future__ import annotations

import io
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import tracemalloc
import zipfile

import nedb
import pytest
from nedb import NEDB


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "db"


DATA = b"".join(b"%d, " % n for n in range(60_000))


@pytest.mark.parametrize(
    "given",
    [
        DATA,
        bytearray(DATA),
        memoryview(DATA),
        io.BytesIO(DATA),
        [DATA[:7], bytearray(DATA[7:]), b""],
        (piece for piece in (DATA[:99_999], memoryview(DATA)[99_999:])),
    ],
    ids=lambda given: type(given).__name__,
)
def test_bytes_come_from_whatever_holds_them(given: object) -> None:
    with NEDB() as db:
        assert db.put_file("a", given) == 0  # type: ignore[arg-type]
        assert db.get_file("a") == DATA


@pytest.mark.parametrize("given", ["text", 7, None, io.StringIO("text"), ["text"], [7]])
def test_what_is_no_bytes_is_refused_and_appends_nothing(given: object) -> None:
    with NEDB() as db:
        with pytest.raises(nedb.InvalidArgument):
            db.put_file("a", given)  # type: ignore[arg-type]
        assert db.seq == -1


def test_an_exception_of_the_file_or_of_the_callback_ends_the_put() -> None:
    def failing() -> object:
        yield b"some"
        raise ZeroDivisionError

    with NEDB() as db:
        with pytest.raises(ZeroDivisionError):
            db.put_file("a", failing())  # type: ignore[arg-type]
        with pytest.raises(ZeroDivisionError):
            db.put_file("a", b"some", progress=lambda count: count // 0)
        assert db.seq == -1 and db.files() == []


def test_progress_is_told_the_bytes_taken_in() -> None:
    told: list[int] = []
    with NEDB() as db:
        db.put_file("a", io.BytesIO(bytes(3_000_000)), progress=told.append)
    assert told == sorted(told) and told[-1] == 3_000_000 and len(told) == 3


def test_the_bytes_of_files_are_checked_and_what_is_damaged_is_named(directory: pathlib.Path) -> None:
    with NEDB(directory) as db:
        db.put_file("good", DATA)
        db.put_file("bad", random.Random(1).randbytes(9_000))
    pack = directory / "blobs" / "000001.pack"
    pack.write_bytes(pack.read_bytes()[:-3_000] + bytes(3_000))
    with NEDB(directory) as db:
        told: list[tuple[int, int]] = []
        report = db.verify_files(progress=lambda *it: told.append(it))
        assert db.verify() and not report["ok"] and report["version_count"] == 2
        assert {it["name"] for it in report["damage"]} == {"bad"} and report["damage_count"] >= 1
        assert len(told) > 1 and told[-1][0] == told[-1][1] > 100_000
        with pytest.raises(ZeroDivisionError):
            db.verify_files(progress=lambda done, in_all: done // 0)
        with pytest.raises(nedb.InvalidArgument):
            db.verify_files(progress=7)  # type: ignore[arg-type]
        assert db.verify_files()["damage"] == report["damage"]


#: Puts and gets a long file in a process of its own; prints by how much its memory has grown, in bytes.
LONG = """
import io, re, shutil, sys, pathlib
from nedb import NEDB
folder, size = sys.argv[1], int(sys.argv[2])
status = pathlib.Path("/proc/self/status")
def memory(name):
    return 1024 * int(re.search(name + r":\\s+(\\d+)", status.read_text())[1])
def grown_by(work):
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    work()
    return memory("VmHWM") - before
class Long(io.RawIOBase):
    at = 0
    def readable(self):
        return True
    def readinto(self, buffer):
        count = min(len(buffer), size - self.at)
        line = b"%d the quick brown fox jumps over the lazy dog " % self.at
        buffer[:count] = (line * (count // len(line) + 1))[:count]
        self.at += count
        return count
class Sink:
    count = 0
    def write(self, data):
        self.count += len(data)
sink, told = Sink(), []
with NEDB(folder) as db:
    db.put_file("first", b"what is needed once")
    db.get_file("first")
    put = grown_by(lambda: db.put_file("long", Long(), progress=told.append))
    get = grown_by(lambda: shutil.copyfileobj(db.open_file("long"), sink))
print(put, get, told[-1], sink.count)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_a_long_file_passes_through_64_mib_of_memory_in_and_out(directory: pathlib.Path) -> None:
    size = int(os.environ.get("NEDB_LARGE_FILE_BYTES", 160 << 20))
    command = [sys.executable, "-c", LONG, str(directory), str(size)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    put, get, told, count = map(int, run.stdout.split())
    assert (told, count) == (size, size)
    assert put < 64 << 20 and get < 64 << 20, (put, get)


def test_a_reader_is_a_binary_file_object() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("inside.txt", DATA)
    with NEDB() as db:
        db.put_file("a.zip", archive.getvalue(), tier="cold")
        with db.open_file("a.zip") as reader, zipfile.ZipFile(reader) as found:  # type: ignore[arg-type]
            assert found.read("inside.txt") == DATA
        assert reader.closed
        with pytest.raises(ValueError, match="closed"):
            reader.read()
        db.put_file("a", DATA)
        reader = db.open_file("a")
        buffered = io.BufferedReader(reader)  # type: ignore[arg-type]
        assert buffered.read(10) == DATA[:10]
        assert (reader.name, reader.size, reader.version) == ("a", len(DATA), 0)
        assert reader.seek(-4, io.SEEK_END) == len(DATA) - 4 and reader.read() == DATA[-4:]
        assert reader.read() == b"" and reader.tell() == len(DATA)
        assert (reader.readable(), reader.seekable(), reader.writable()) == (True, True, False)
        with pytest.raises(ValueError, match="negative"):
            reader.seek(-1)
        with pytest.raises(OSError, match="negative"):
            reader.seek(-len(DATA) - 1, io.SEEK_END)
        with tempfile.TemporaryFile() as copy:
            reader.seek(0)
            shutil.copyfileobj(reader, copy)
            copy.seek(0)
            assert copy.read() == DATA


def test_a_large_file_is_never_whole_in_the_memory_of_python(directory: pathlib.Path) -> None:
    class Zeros(io.RawIOBase):
        left = 64 << 20

        def read(self, size: int = -1) -> bytes:
            piece = bytes(min(size, self.left))
            self.left -= len(piece)
            return piece

    with NEDB(directory) as db:
        tracemalloc.start()
        db.put_file("zeros", Zeros())
        with db.open_file("zeros") as reader:
            total = sum(len(piece) for piece in iter(lambda: reader.read(1 << 20), b""))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total == 64 << 20 and peak < 8 << 20


def test_threads_read_and_write_files_at_the_same_time(directory: pathlib.Path) -> None:
    with NEDB(directory) as db:
        db.put_file("shared", DATA)

        def work(number: int) -> None:
            for round_number in range(5):
                own = DATA + b"%d %d" % (number, round_number)
                db.put_file(f"own {number}", own)
                assert db.get_file(f"own {number}") == own and db.get_file("shared") == DATA

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert db.seq == 20 and db.compact_blobs()["removed_chunk_count"] == 0
        assert db.verify() and db.verify_determinism()


def test_an_unknown_file_is_a_key_error_as_in_1_x() -> None:
    with NEDB() as db:
        with pytest.raises(KeyError) as caught:
            db.get_file("nobody")
        assert isinstance(caught.value, nedb.NotFound)
        assert str(caught.value).startswith("there is no file")


def test_the_calls_of_1_x_answer_as_they_did() -> None:
    with NEDB() as db:
        first = db.put_file("notes.txt", b"one")
        second = db.put_file("notes.txt", b"two", tier="cold")
        assert db.get_file("notes.txt", first) == b"one"
        assert db.get_file("notes.txt", second, "cold") == b"two"
        assert db.get_file("notes.txt", -1) == b"two"
        leaf, path, root = db.file_proof("notes.txt", 0, first)
        assert root == db.file_root("notes.txt", first) and db.verify_proof(leaf, path, root)
        assert set(db.compression_stats("warm")) == {
            "tier", "unique_chunks", "dedup_hits", "logical_bytes", "stored_bytes", "ratio",
        }
