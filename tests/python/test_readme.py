"""The Python of the documents runs, and the log that the format's page prints is one."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from nedb import NEDB

ROOT = Path(__file__).resolve().parents[2]
FORMAT = (ROOT / "docs/format.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def test_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "python")
    assert found
    # What needs a server runs in tests/server/test_client.py.
    for block in [it for it in found if "nedb.client" not in it]:
        exec(compile(block, "README.md", "exec"), {})


def test_the_worked_example_of_the_format_is_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks(FORMAT, "python")[0], "docs/format.md", "exec"), {})
    printed = next(block for block in blocks(FORMAT, "json") if block.count("\n") == 3)
    assert (tmp_path / "example/log.aof").read_text(encoding="utf-8") == printed
    assert json.loads((tmp_path / "example/meta.json").read_text()) == {
        "indexes": [["users", "age", "ordered"]]
    }
    assert "5017d3a0…0015" in FORMAT and json.loads(printed.splitlines()[-1])["hash"].startswith("5017d3a0")


def test_a_line_of_1x_verifies_as_the_format_says(tmp_path: Path) -> None:
    line = next(block for block in blocks(FORMAT, "json") if block.startswith('{"seq": '))
    (tmp_path / "log.aof").write_text(line, encoding="utf-8")
    with NEDB(tmp_path) as db:
        assert db.verify() and db.head == json.loads(line)["hash"]
    assert verifier()(tmp_path / "log.aof") == json.loads(line)["hash"]


def test_the_verifier_without_nedb_refuses_a_changed_op(tmp_path: Path) -> None:
    with NEDB(tmp_path) as db:
        for number in range(5):
            db.put("c", "é", {"n": number, "text": "naïve 😀 \x7f"})
        head = db.head
    log = tmp_path / "log.aof"
    assert verifier()(log) == head
    log.write_bytes(log.read_bytes().replace(b'"n":3', b'"n":4'))
    with pytest.raises(ValueError, match="op 3 does not fit"):
        verifier()(log)


def verifier():  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location("verify_log", ROOT / "examples/verify_log.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.verify_log
