"""Keys that do not fit: nothing is put under one that does not open what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest
from nedbd import Nedbd, eventually

Start = Callable[..., Nedbd]
RIGHT, WRONG = "0123456789abcdef" * 4, "fedcba9876543210" * 4


def files_of(data: Path) -> list[Path]:
    return sorted(path.relative_to(data) for path in data.rglob("*") if path.name != "LOCK")


@pytest.mark.parametrize(("variables", "code"), [({"NEDB_TMK": WRONG}, "WRONG_KEY"), ({}, "KEY_REQUIRED")])
def test_a_server_whose_key_does_not_open_a_database_makes_none(
        start: Start, variables: dict[str, str], code: str) -> None:
    server = start(NEDB_TMK=RIGHT)
    server.create("secret", seed={"c": [{"id": "a"}]})
    assert server.stop() == 0
    before = files_of(server.data)
    again = start(**variables)
    again.wait_until_ready()
    assert again.get("/v1/databases/secret").code == code
    refused = again.post("/v1/databases", {"name": "new"})
    assert (refused.status, refused.code) == (503, code)
    assert '"secret"' in refused.json["error"]["message"] and WRONG not in refused.body.decode()
    assert files_of(server.data) == before and "no database is made" in again.log.read_text()
    assert again.stop() == 0
    right = start(NEDB_TMK=RIGHT)
    right.wait_until_ready()
    assert right.ok("GET", "/v1/databases/secret")["rows"] == 1
    right.create("new")


def test_a_key_that_opens_no_encrypted_database_encrypts_no_plain_one(start: Start) -> None:
    server = start()
    server.create("a-plain", seed={"c": [{"id": "a"}]})
    assert server.stop() == 0
    server = start("--encrypt-existing", "false", NEDB_TMK=RIGHT)
    server.wait_until_ready()
    server.create("secret")
    assert server.stop() == 0
    wrong = start(NEDB_TMK=WRONG)
    wrong.wait_until_ready()
    refused = wrong.get("/v1/databases/a-plain")
    assert (refused.status, refused.code) == (503, "PLAIN_DATABASE") and "secret" in refused.json["error"]["message"]
    assert not (server.data / "a-plain" / "key.enc").exists()
    assert wrong.stop() == 0
    right = start(NEDB_TMK=RIGHT)
    right.wait_until_ready()
    assert right.ok("GET", "/v1/databases/a-plain")["rows"] == 1
    eventually(lambda: (server.data / "a-plain" / "key.enc").exists())


def test_force_drops_nothing_that_another_server_writes_to(start: Start) -> None:
    first = start(NEDB_TMK=RIGHT)
    first.wait_until_ready()
    db = first.create("secret", seed={"c": [{"id": "a"}]})
    second = start()
    second.wait_until_ready()
    # Whether it has the key or not, and whatever opening it said.
    assert second.get(db).code == "KEY_REQUIRED"
    refused = second.request("DELETE", f"{db}?force=true")
    assert (refused.status, refused.code) == (423, "DATABASE_LOCKED")
    assert first.ok("POST", f"{db}/put", {"coll": "c", "id": "b", "doc": {}})["seq"] == 1
    assert first.stop() == 0
    assert second.ok("DELETE", f"{db}?force=true") == {"dropped": True}
    # Nothing speaks against another key any more.
    second.create("new")
