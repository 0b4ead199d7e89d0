"""db.q(): queries composed by calls."""

from __future__ import annotations

from typing import Any

import nedb
import pytest
from nedb import NEDB


@pytest.fixture
def shop(db: NEDB) -> NEDB:
    """Four orders, two of them linked."""
    for n, (status, total) in enumerate([("paid", 10), ("open", 20), ("paid", 30), ("void", 5.5)]):
        db.put("orders", f"o{n}", {"status": status, "total": total, "who": {"name": f"n{n}"}})
    db.link("orders:o0", "next", "orders:o2")
    return db


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["_id"] for row in rows]


def test_the_call_of_the_documentation(shop: NEDB) -> None:
    rows = (
        shop.q("orders")
        .where("status", "=", "paid")
        .where("total", ">=", 5)
        .order_by("total", "DESC")
        .limit(10)
        .run()
    )
    assert ids(rows) == ["o2", "o0"]


@pytest.mark.parametrize(
    ("field", "op", "value", "found"),
    [
        ("total", "!=", 10, ["o1", "o2", "o3"]),
        ("total", "between", (10, 20), ["o0", "o1"]),
        ("total", "not between", [10, 20], ["o2", "o3"]),
        ("status", "in", ["open", "void"], ["o1", "o3"]),
        ("status", "NOT IN", ("open", "void"), ["o0", "o2"]),
        ("status", "like", "%d", ["o0", "o2", "o3"]),
        ("status", "contains", "oi", ["o3"]),
        ("who.name", "=", "n2", ["o2"]),
        ("missing", "is null", None, ["o0", "o1", "o2", "o3"]),
        ("status", "IS NOT NULL", None, ["o0", "o1", "o2", "o3"]),
        ("status", "=", 'paid" OR 1 = 1 OR "', []),
    ],
)
def test_conditions(shop: NEDB, field: str, op: str, value: Any, found: list[str]) -> None:
    assert ids(shop.q("orders").where(field, op, value).run()) == found


def test_the_text_and_its_parameters(shop: NEDB) -> None:
    query = (
        shop.q("orders")
        .as_of(3)
        .valid_as_of("2024-01-01")
        .where("who.name", "<", "z")
        .where("total", "in", [1, 2])
        .order_by("total", True)
        .order_by("status")
        .offset(1)
        .limit(2)
    )
    assert query.nql() == (
        "FROM `orders` AS OF 3 VALID AS OF $1 WHERE `who`.`name` < $2 AND `total` IN $3 "
        "ORDER BY `total` DESC, `status` LIMIT 2 OFFSET 1"
    )
    assert query.params == ["2024-01-01", "z", [1, 2]]
    assert repr(query) == f"<Query {query.nql()}>"
    assert query.run() == shop.query(query.nql(), query.params)


def test_names_may_be_anything(db: NEDB) -> None:
    for name in ["from", "not", "true", "a b", "x`y", "é", "1", "order by"]:
        db.put(name, "id", {name: {"in": 1}})
        rows = db.q(name).where(f"{name}.in", "=", 1).order_by(name).run()
        assert ids(rows) == ["id"], name


def test_groups(shop: NEDB) -> None:
    rows = shop.q("orders").group_by("status").count().sum("total").having("count", ">", 1).run()
    assert rows == [{"status": "paid", "count": 2, "sum_total": 40}]
    (row,) = shop.q("orders").avg("total").min("total").max("total").run()
    assert (row["min_total"], row["max_total"], row["avg_total"]) == (5.5, 30, 16.375)


def test_graphs_and_causes(shop: NEDB) -> None:
    assert ids(shop.q("orders").where("_id", "=", "o0").traverse("next").run()) == ["o2"]
    shop.put("notes", "n", {}, caused_by=[0])
    assert ids(shop.q("notes").trace().run()) == ["o0"]
    assert ids(shop.q("orders").where("_id", "=", "o0").trace(reverse=True).run()) == ["n"]


def test_search_in_all_or_in_named_fields(shop: NEDB) -> None:
    assert ids(shop.q("orders").search("void").run()) == ["o3"]
    assert ids(shop.q("orders").search("void", "who.name").run()) == []


def test_a_query_is_changed_by_its_calls(shop: NEDB) -> None:
    query = shop.q("orders")
    query.where("status", "=", "paid")
    query.limit(1)
    assert ids(query.run()) == ["o0"] == ids(query.run())


def test_wrong_calls_are_refused(shop: NEDB) -> None:
    for call in (
        lambda: shop.q("orders").where("total", "= 1 OR 1 =", 1),
        lambda: shop.q("orders").where("total", "between", 5),
        lambda: shop.q("orders").where("total", "=", {1}),
        lambda: shop.q("orders").order_by("total", "down"),
        lambda: shop.q("orders").limit("1"),  # type: ignore[arg-type]
        lambda: shop.q(None),  # type: ignore[arg-type]
    ):
        with pytest.raises(nedb.InvalidArgument):
            call()
    with pytest.raises(nedb.NQLError):
        shop.q("orders").limit(-1).run()
