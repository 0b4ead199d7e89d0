"""Keys in Python: how they are given, what the environment says, progress."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import nedb
from nedb import NEDB

KEY = bytes(range(32))
OTHER = b"another key, at least 16 bytes"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NEDB_TMK", "NEDB_TMK_FILE", "NEDB_ENCRYPT_EXISTING"):
        monkeypatch.delenv(name, raising=False)


def made(path: Path, **options: Any) -> None:
    with NEDB(path, **options) as db:
        db.put("c", "a", {"n": 1})


def test_a_key_is_the_second_argument_as_in_1_x(tmp_path: Path) -> None:
    with NEDB(tmp_path, KEY) as db:
        db.put("c", "a", {"text": "nobody reads this"})
        assert db.encrypted
    assert b"nobody" not in (tmp_path / "log.aof").read_bytes()
    with NEDB(tmp_path, tmk=bytearray(KEY)) as db:
        assert db.get("c", "a")["text"] == "nobody reads this"
    with pytest.raises(nedb.KeyRequired):
        NEDB(tmp_path)
    with pytest.raises(nedb.WrongKey):
        NEDB(tmp_path, OTHER)


@pytest.mark.parametrize("wrong", ["00ff", 7, [1, 2]])
def test_a_key_that_is_no_bytes_is_refused(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(nedb.InvalidArgument, match="a key is bytes"):
        NEDB(tmp_path / "new", tmk=wrong)
    with pytest.raises(nedb.InvalidArgument, match="a key is bytes"):
        nedb.rewrap_key(tmp_path, KEY, wrong)
    assert not (tmp_path / "new").exists()


def test_the_argument_comes_before_the_variable_and_that_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_bytes(OTHER + b"\n")
    made(tmp_path / "key_of_file", tmk=OTHER)
    made(tmp_path / "key_of_variable", tmk=KEY)
    monkeypatch.setenv("NEDB_TMK_FILE", str(file))
    made(tmp_path / "key_of_file")
    monkeypatch.setenv("NEDB_TMK", KEY.hex())
    made(tmp_path / "key_of_variable")
    with pytest.raises(nedb.WrongKey):
        NEDB(tmp_path / "key_of_file")
    made(tmp_path / "key_of_file", tmk=OTHER)
    assert not NEDB().encrypted, "in memory a key has no effect"


def test_a_variable_that_is_no_key_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEDB_TMK", "not hex")
    with pytest.raises(nedb.InvalidArgument, match="NEDB_TMK: the key is not valid hex"):
        NEDB(tmp_path / "new")
    monkeypatch.delenv("NEDB_TMK")
    monkeypatch.setenv("NEDB_TMK_FILE", str(tmp_path / "missing"))
    with pytest.raises(nedb.StorageError, match="NEDB_TMK_FILE"):
        NEDB(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_plain_database_is_encrypted_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path)
    monkeypatch.setenv("NEDB_ENCRYPT_EXISTING", "0")
    with pytest.raises(nedb.PlainDatabase):
        NEDB(tmp_path, KEY)
    told: list[tuple[int, int]] = []
    with NEDB(tmp_path, KEY, encrypt_existing=True, progress=lambda *it: told.append(it)) as db:
        assert db.encrypted and db.seq == 1
        assert any("encrypted in place" in warning for warning in db.open_report()["warnings"])
    assert told and told[-1][0] == told[-1][1] > 0


def test_what_a_progress_raises_ends_the_opening_and_the_database_stays_plain(tmp_path: Path) -> None:
    made(tmp_path)
    before = (tmp_path / "log.aof").read_bytes()
    told: list[int] = []

    def failing(done: int, in_all: int) -> None:
        told.append(done)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        NEDB(tmp_path, KEY, progress=failing)
    assert len(told) == 1 and (tmp_path / "log.aof").read_bytes() == before
    assert not (tmp_path / "key.enc").exists() and not list(tmp_path.rglob("*.sealing"))
    with pytest.raises(nedb.InvalidArgument):
        NEDB(tmp_path, KEY, progress=7)  # type: ignore[arg-type]
    with NEDB(tmp_path) as db:
        assert not db.encrypted and db.verify()
    with NEDB(tmp_path, KEY) as db:
        assert db.encrypted and db.verify()


def test_the_key_of_a_database_can_be_changed_open_or_closed(tmp_path: Path) -> None:
    with NEDB(tmp_path, KEY) as db:
        with pytest.raises(nedb.DatabaseLocked):
            nedb.rewrap_key(tmp_path, KEY, OTHER)
        db.rewrap_key(old_tmk=KEY, new_tmk=OTHER)
    with pytest.raises(nedb.WrongKey):
        NEDB(tmp_path, KEY)
    nedb.rewrap_key(tmp_path, OTHER, KEY)
    made(tmp_path, tmk=KEY)


def test_a_fork_does_not_write_and_so_seals_nothing(tmp_path: Path) -> None:
    os = pytest.importorskip("os")
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork here")
    with NEDB(tmp_path, KEY) as db:
        db.put("c", "a", {})
        child = os.fork()
        if child == 0:
            try:
                db.put("c", "b", {})
            except nedb.DatabaseLocked:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        db.put("c", "c", {})
        assert db.verify()
