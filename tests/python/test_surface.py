"""Compares ``surface.toml`` and ``errors.toml`` with what Python sees of NEDB, both ways."""

from __future__ import annotations

import builtins
import pathlib

import nedb
import nedb.client
import pytest

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.9 and 3.10
    import tomli as tomllib

SUITE = pathlib.Path(__file__).parent.parent / "conformance"


def load(name):
    """Reads one of the suite's tables."""
    return tomllib.loads((SUITE / name).read_text(encoding="utf-8"))


def test_every_verb_is_there_and_none_is_extra():
    """The public names of NEDB are those of the table."""
    listed = sorted(name for verb in load("surface.toml")["verb"] for name in verb["python"])
    assert listed == sorted(name for name in dir(nedb.NEDB) if not name.startswith("_"))


@pytest.mark.parametrize("cls", [nedb.client.Database, nedb.client.AsyncDatabase])
def test_every_verb_of_a_client_is_there_and_none_is_extra(cls):
    """The public names of a database of a server are those of the table."""
    table = load("surface.toml")
    listed = [name for verb in table["verb"] for name in verb["python_client"]]
    # The name is set in the constructor.
    own = [name for name in table["client_only"]["python"] if name != "name"]
    assert sorted(listed + own) == sorted(name for name in dir(cls) if not name.startswith("_"))


@pytest.mark.parametrize("column", ["python", "python_client"])
def test_a_verb_that_is_missing_says_why(column):
    """Only a verb without a name in Python has a reason for it."""
    for verb in load("surface.toml")["verb"]:
        assert bool(verb[column]) != bool(verb.get("missing", {}).get(column)), verb["name"]


def test_every_error_has_its_class_its_code_and_its_bases():
    """The classes below NEDBError are those of the table."""
    errors = load("errors.toml")["error"]
    for error in errors:
        cls = getattr(nedb, error["python"])
        bases = [getattr(builtins, name) for name in error["python_bases"]]
        assert cls.__mro__[1] is nedb.NEDBError or nedb.NEDBError in cls.__bases__
        assert cls.code == error["code"]
        assert [base for base in cls.__bases__ if base is not nedb.NEDBError] == bases
    classes = {
        name for name, value in vars(nedb).items()
        if isinstance(value, type) and issubclass(value, nedb.NEDBError)
    }
    assert classes - {"NEDBError"} == {error["python"] for error in errors}
