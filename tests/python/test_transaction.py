"""db.transaction() and db.batch()."""

from __future__ import annotations

import nedb
import pytest
from nedb import NEDB


def test_a_transaction_is_one_op(db: NEDB) -> None:
    with db.transaction(client="app", idem="k") as tx:
        tx.put("c", "a", {"n": 1}, evidence="seen", confidence=0.5)
        tx.put("c", "b", {"n": 2}, if_seq=-1, ttl_s=60)
        tx.link("c:a", "knows", "c:b")
        tx.delete("c", "z")
        assert tx.results is None and db.seq == -1
    assert db.seq == 0 and db.log[0].op == "tx" and db.log[0].client == "app"
    assert tx.results == [db.get("c", "a"), db.get("c", "b"), None, None]
    row = db.get("c", "a")
    assert row is not None and (row["_evidence"], row["_confidence"]) == ("seen", 0.5)
    assert db.neighbors("c:a", "knows") == ["c:b"]


def test_an_exception_writes_nothing(db: NEDB) -> None:
    with pytest.raises(KeyError), db.transaction() as tx:
        tx.put("c", "a", {})
        raise KeyError("x")
    assert (db.seq, tx.results) == (-1, None)


def test_a_document_is_taken_as_it_is_at_the_call(db: NEDB) -> None:
    document = {"n": 1}
    with db.transaction() as tx:
        tx.put("c", "a", document)
        document["n"] = 2
    row = db.get("c", "a")
    assert row is not None and row["n"] == 1


def test_a_refused_item_refuses_the_whole(db: NEDB) -> None:
    db.put("c", "a", {})
    with pytest.raises(nedb.PreconditionFailed), db.transaction() as tx:
        tx.put("c", "b", {})
        tx.put("c", "a", {}, if_seq=-1)
    with pytest.raises(nedb.InvalidArgument), db.transaction() as tx:
        tx.put("c", "b", {})
        tx.put("c", "b", {})
    with pytest.raises(nedb.InvalidArgument), db.transaction() as tx:
        tx.put("c", "b", {"bad": {1, 2}})
    with pytest.raises(nedb.InvalidArgument), db.transaction() as tx:
        tx.put("c", "b", [])  # type: ignore[arg-type]
    assert db.seq == 0 and db.get("c", "b") is None


def test_nothing_can_be_added_after_the_end(db: NEDB) -> None:
    with db.transaction() as tx:
        tx.put("c", "a", {})
    with pytest.raises(nedb.InvalidArgument, match="ended"):
        tx.put("c", "b", {})
    with pytest.raises(nedb.InvalidArgument, match="ended"), tx:
        pass
    assert db.seq == 0


def test_an_empty_transaction_writes_nothing(db: NEDB) -> None:
    with db.transaction() as tx:
        pass
    assert (db.seq, tx.results) == (-1, [])


def test_the_same_idempotency_key_gives_the_same_results(db: NEDB) -> None:
    results = []
    for n in (1, 2):
        with db.transaction(idem="k") as tx:
            tx.put("c", "a", {"n": n})
        results.append(tx.results)
    assert db.seq == 0 and results[0] == results[1]


def test_a_batch_is_a_list_of_items(db: NEDB) -> None:
    db.put("c", "old", {})
    results = db.batch(
        [
            {"op": "put", "coll": "c", "id": "a", "doc": {"n": 1}, "if_seq": -1},
            {"op": "delete", "coll": "c", "id": "old"},
            {"op": "link", "frm": "c:a", "rel": "r", "to": "c:b"},
        ]
    )
    assert results == [{"_id": "a", "_seq": 1, "n": 1}, None, None]
    with pytest.raises(nedb.InvalidArgument):
        db.batch([{"op": "unknown"}])
    assert db.seq == 1
