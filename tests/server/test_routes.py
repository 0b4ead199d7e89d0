"""The shapes of requests and answers: those that NEDB 1.x had, and those that were added."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote

import pytest
from nedbd import ROOT, Nedbd, eventually

INIT = {
    "indexes": [["users", "status", "eq"], ["orders", "total", "ordered"]],
    "seed": {"users": [{"id": "u1", "name": "Ada", "status": "active"}], "orders": [{"_id": "o1", "total": 3}]},
    "links": [["users:u1", "placed", "orders:o1"]],
}


def put(server: Nedbd, db: str, id: str, doc: Any, **options: Any) -> Any:
    return server.ok("POST", f"{db}/put", {"coll": "c", "id": id, "doc": doc, **options})


def rows(server: Nedbd, db: str, nql: str, params: Any = None) -> Any:
    return server.ok("POST", f"{db}/query", {"nql": nql, "params": params})["rows"]


def test_a_database_begins_with_what_init_says(server: Nedbd) -> None:
    answer = server.post("/v1/databases", {"name": "shop", "init": INIT})
    assert answer.status == 201
    made = answer.json["database"]
    assert made["rows"] == 2 and made["collections"] == {"users": 1, "orders": 1} and made["seq"] == 2
    assert server.ok("GET", "/v1/databases")["databases"] == [made]
    detail = server.ok("GET", "/v1/databases/shop")
    assert detail["indexes"] == INIT["indexes"]
    assert detail["integrity"] == {"ok": True, "verified_seq": None}
    assert [op["seq"] for op in detail["log"]] == [2, 1, 0] and detail["log"][0]["hash"] == made["head"]
    found = rows(server, "/v1/databases/shop", 'FROM users WHERE status = "active" TRAVERSE placed')
    assert [row["_id"] for row in found] == ["o1"]
    assert server.ok("GET", "/health")["databases"] == ["shop"]


def test_a_wrong_init_leaves_no_database(server: Nedbd) -> None:
    answer = server.post("/v1/databases", {"name": "shop", "init": {"seed": {"users": [{"name": "no id"}]}}})
    assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT")
    assert server.ok("GET", "/v1/databases")["databases"] == []
    assert list(server.data.iterdir()) == []


def test_a_name_is_taken_once_and_a_drop_removes_the_files(server: Nedbd, db: str) -> None:
    answer = server.post("/v1/databases", {"name": "db"})
    assert (answer.status, answer.code) == (409, "DATABASE_EXISTS")
    assert server.ok("DELETE", db) == {"dropped": True}
    assert list(server.data.iterdir()) == []
    assert server.request("DELETE", db).code == server.get(db).code == "DATABASE_NOT_FOUND"
    server.create()


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a.b", "-a", "é", "a b", "x" * 65, 5, None])
def test_a_name_that_is_no_plain_name_is_refused(server: Nedbd, name: Any) -> None:
    answer = server.post("/v1/databases", {"name": name})
    assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("name", ["..", "%2e%2e", "..%2f..", "%2e%2e%2fdata", "a%00b", "%ff"])
def test_no_path_leaves_the_data_directory(server: Nedbd, name: str) -> None:
    for method, path in [("GET", ""), ("DELETE", ""), ("POST", "/put"), ("GET", "/changes")]:
        answer = server.request(method, f"/v1/databases/{name}{path}", {} if method == "POST" else None)
        assert answer.status in (400, 404, 405), answer
    assert server.data.exists()


def test_put_answers_the_stored_document_and_where_the_log_stands(server: Nedbd, db: str) -> None:
    first = put(server, db, "a", {"n": 1}, valid_from="2024-01-01", evidence="said so", confidence=1)
    assert first["ok"] is True and first["seq"] == 0
    assert first["doc"] == {"_id": "a", "_seq": 0, "n": 1, "_valid_from": "2024-01-01", "_evidence": "said so",
                            "_confidence": 1.0}
    second = put(server, db, "b", {}, caused_by=[0], client="app", nonce=7, idem="k", ttl_s=1000)
    assert second["doc"]["_caused_by"] == [0] and "_expires_at" in second["doc"]
    put(server, db, "c", {})
    again = put(server, db, "b", {"other": True}, idem="k")
    assert (again["seq"], again["head"], again["doc"]) == (1, second["head"], second["doc"])
    traced = rows(server, db, 'FROM c WHERE _id = "b" TRACE caused_by')
    assert [row["_id"] for row in traced] == ["a"]


def test_texts_pass_through_as_they_are(server: Nedbd, db: str) -> None:
    server.ok("POST", f"{db}/put", '{"coll":"c","id":"a","doc":{"z":1.50,"big":18446744073709551615,"t":"\\u00e9"}}')
    body = server.get(f"{db}/rows/c/a").body
    assert body == '{"_id":"a","_seq":0,"big":18446744073709551615,"t":"é","z":1.5}'.encode()
    query = server.post(f"{db}/query", {"nql": "FROM c"}).body
    assert body in query


def test_get_reads_at_a_seq_and_at_a_valid_time(server: Nedbd, db: str) -> None:
    put(server, db, "a", {"n": 1}, valid_from="2024-01-01", valid_to="2024-12-31")
    put(server, db, "a", {"n": 2}, valid_from="2025-01-01")
    path = f"{db}/get?coll=c&id=a"
    assert server.ok("GET", path)["doc"]["n"] == 2
    assert server.ok("GET", f"{path}&as_of=0")["doc"]["n"] == 1
    assert server.ok("GET", f"{path}&valid_as_of=2024-06-15")["doc"]["n"] == 1
    assert server.ok("GET", f"{path}&as_of=-1") == {**server.ok("GET", path), "doc": None}
    assert server.get(f"{db}/rows/c/a?as_of=-1").code == "DOCUMENT_NOT_FOUND"
    assert server.get(f"{path}&valid_as_of=soon").code == "INVALID_ARGUMENT"
    assert server.get(f"{path}&asof=0").code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("id", ["a/b", "..", "ä ö", "a:b", "%2f", "?x=1", "#"])
def test_segments_of_the_path_are_decoded_once(server: Nedbd, db: str, id: str) -> None:
    put(server, db, id, {"n": 1})
    path = f"{db}/rows/c/{quote(id, safe='')}"
    assert server.ok("GET", path)["_id"] == id
    assert server.ok("DELETE", path)["seq"] == 1
    assert server.get(path).status == 404


def test_delete_says_its_seq_and_takes_a_precondition(server: Nedbd, db: str) -> None:
    put(server, db, "a", {})
    answer = server.request("DELETE", f"{db}/rows/c/a?if_seq=5")
    assert (answer.status, answer.code) == (412, "PRECONDITION_FAILED")
    assert server.ok("DELETE", f"{db}/rows/c/a?if_seq=0&client=x&nonce=3")["seq"] == 1
    assert server.ok("DELETE", f"{db}/rows/c/nothing")["seq"] == 2
    deleted = server.ok("POST", f"{db}/delete", {"coll": "c", "id": "a", "evidence": "twice"})
    assert deleted["ok"] and deleted["seq"] == 3
    assert server.ok("GET", f"{db}/log?limit=1")["log"][0]["evidence"] == "twice"


def test_put_many_keeps_the_order(server: Nedbd, db: str) -> None:
    answer = server.ok("POST", f"{db}/put_many", {"coll": "c", "docs": {"b": {}, "a": {"n": 1}}})
    assert [(doc["_id"], doc["_seq"]) for doc in answer["docs"]] == [("b", 0), ("a", 1)]
    answer = server.ok("POST", f"{db}/put_many", {"coll": "c", "docs": [{"_id": "c"}], "client": "x"})
    assert answer["seq"] == 2
    assert server.ok("POST", f"{db}/put_many", {"coll": "c", "docs": []})["docs"] == []
    assert server.post(f"{db}/put_many", {"coll": "c", "docs": [{}]}).code == "INVALID_ARGUMENT"


def test_a_batch_is_all_or_nothing(server: Nedbd, db: str) -> None:
    put(server, db, "a", {"n": 1})
    items = [{"op": "put", "coll": "c", "id": "a", "doc": {"n": 2}, "if_seq": 0},
             {"op": "put", "coll": "c", "id": "b", "doc": {}, "if_seq": -1},
             {"op": "link", "frm": "c:a", "rel": "to", "to": "c:b"}]
    answer = server.ok("POST", f"{db}/batch", {"items": items})
    assert answer["seq"] == 1 and [result and result["_seq"] for result in answer["results"]] == [1, 1, None]
    again = server.post(f"{db}/batch", {"items": items})
    assert (again.status, again.code) == (412, "PRECONDITION_FAILED")
    assert server.ok("GET", db)["seq"] == 1


def test_query_takes_parameters_and_says_where_it_is_wrong(server: Nedbd, db: str) -> None:
    for n in range(5):
        put(server, db, str(n), {"n": n})
    answer = server.ok("POST", f"{db}/query", {"nql": "FROM c WHERE n > $least", "params": {"least": 2}})
    assert [row["n"] for row in answer["rows"]] == [3, 4]
    assert (answer["count"], answer["seq"]) == (2, 4) and len(answer["head"]) == 64
    assert len(rows(server, db, "FROM c WHERE n IN $1", [[0, 1]])) == 2
    wrong = server.post(f"{db}/query", {"nql": "FROM c WERE n > 2"})
    assert (wrong.status, wrong.code) == (400, "NQL_ERROR")
    assert wrong.json["error"]["position"]["column"] == 8
    assert server.post(f"{db}/query", {"nql": "FROM c WHERE n = $1", "params": 5}).code == "INVALID_ARGUMENT"


def test_links_go_both_ways_and_back_in_time(server: Nedbd, db: str) -> None:
    edge = {"frm": "c:a", "rel": "to", "to": "c:b"}
    assert server.ok("POST", f"{db}/link", edge)["seq"] == 0
    assert server.ok("POST", f"{db}/unlink", edge)["seq"] == 1
    path = f"{db}/neighbors?node=c:a&rel=to"
    assert server.ok("GET", path)["nodes"] == []
    assert server.ok("GET", f"{path}&as_of=0")["nodes"] == ["c:b"]
    assert server.ok("GET", f"{db}/inbound?node=c:b&rel=to&as_of=0")["nodes"] == ["c:a"]
    assert server.get(f"{db}/neighbors?node=x&rel=to").code == "INVALID_ARGUMENT"
    assert server.post(f"{db}/link", {**edge, "ttl_s": 1}).code == "INVALID_ARGUMENT"


def test_indexes_expiry_and_upkeep(server: Nedbd, db: str) -> None:
    put(server, db, "a", {})
    assert server.ok("POST", f"{db}/index", {"coll": "c", "field": "n", "kind": "eq"}) == {"ok": True}
    assert server.post(f"{db}/index", {"coll": "c", "field": "n", "kind": "x"}).code == "INVALID_ARGUMENT"
    assert server.ok("POST", f"{db}/expire", {"coll": "c", "id": "a", "ttl_s": 0.01})["found"] is True
    assert server.ok("POST", f"{db}/expire", {"coll": "c", "id": "b", "ttl_s": 5})["found"] is False
    time.sleep(0.05)
    assert server.ok("GET", db)["rows"] == 0
    swept = server.ok("POST", f"{db}/sweep")
    assert (swept["deleted"], swept["seq"]) == (1, 2)
    assert server.ok("POST", f"{db}/checkpoint")["seq"] == 3
    assert server.ok("POST", f"{db}/checkpoint", {"note": "here"})["seq"] == 4
    assert server.ok("POST", f"{db}/flush")["durable_seq"] == 4
    verified = server.ok("GET", f"{db}/verify?determinism=true")
    assert verified["ok"] is True and verified["deterministic"] is True and verified["seq"] == 4
    assert server.ok("GET", db)["integrity"] == {"ok": True, "verified_seq": 4}


def test_the_log_is_read_backwards_in_pages(server: Nedbd, db: str) -> None:
    for n in range(5):
        put(server, db, str(n), {})
    page = server.ok("GET", f"{db}/log?limit=2")
    assert [op["seq"] for op in page["log"]] == [4, 3] and page["head"] == page["log"][0]["hash"]
    page = server.ok("GET", f"{db}/log?before_seq=3")
    assert [op["seq"] for op in page["log"]] == [2, 1, 0]
    assert server.ok("GET", f"{db}/log?before_seq=0")["log"] == []
    assert server.ok("GET", f"{db}/log?before_seq=-9223372036854775808")["log"] == []


def test_a_backup_is_a_database_with_the_head_that_it_reports(server: Nedbd, db: str) -> None:
    put(server, db, "a", {})
    made = server.ok("POST", f"{db}/backup", {"to": "first"})
    assert (made["seq"], made["path"]) == (0, "db/first") and made["head"] == server.ok("GET", db)["head"]
    log = server.data / ".backups" / "db" / "first" / "log.aof"
    assert json.loads(log.read_text())["hash"] == made["head"] and made["log_bytes"] == log.stat().st_size
    assert server.post(f"{db}/backup", {"to": "first"}).code == "INVALID_ARGUMENT"
    assert server.post(f"{db}/backup", {"to": "../../x"}).code == "INVALID_ARGUMENT"
    assert server.ok("POST", f"{db}/backup")["seq"] == 0
    assert server.ok("GET", "/v1/databases")["databases"][0]["name"] == "db"


@pytest.mark.parametrize("body", [
    "", "[]", "5", "{", '{"coll":"c","id":"a"}', '{"coll":"c","id":"a","doc":{},"nonc":1}',
    '{"coll":"c","id":"a","doc":5}', '{"coll":"c","id":5,"doc":{}}', '{"coll":"c","id":"a","doc":{"n":NaN}}',
    '{"coll":"c","id":"a","id":"b","doc":{}}', '{"coll":"c","id":"a","doc":{"a":1,"a":2}}',
    '{"coll":"c","id":"a","doc":{}} x', b'{"coll":"c","id":"\xff","doc":{}}', '{"coll":"","id":"a","doc":{}}',
    '{"coll":"c","id":"a","doc":{},"nonce":1.5}', '{"coll":"c","id":"a","doc":{"_id":"b"}}',
])
def test_a_wrong_body_is_a_400_and_writes_nothing(server: Nedbd, db: str, body: Any) -> None:
    answer = server.post(f"{db}/put", body)
    assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT")
    assert server.ok("GET", db)["seq"] == -1


def test_errors_have_the_status_of_their_code(server: Nedbd, db: str) -> None:
    put(server, db, "a", {}, client="x", nonce=5, idem="k")
    for options, status, code in [({"client": "x", "nonce": 5}, 409, "REPLAY_ERROR"),
                                  ({"idem": "k"}, 409, "IDEMPOTENCY_CONFLICT"),
                                  ({"if_seq": 7}, 412, "PRECONDITION_FAILED"),
                                  ({"evidence": "x" * 70_000}, 413, "LIMIT_EXCEEDED")]:
        answer = server.post(f"{db}/put", {"coll": "c", "id": "b", "doc": {}, **options})
        assert (answer.status, answer.code) == (status, code)
    assert server.get("/nowhere").code == "ROUTE_NOT_FOUND"
    assert (server.get(f"{db}/put").status, server.get(f"{db}/put").code) == (405, "METHOD_NOT_ALLOWED")
    assert server.get("/v1/databases/nope").status == 404


def test_the_document_of_the_paths_names_each(server: Nedbd, db: str) -> None:
    document = server.ok("GET", "/openapi.json")
    assert document["openapi"].startswith("3.")
    paths = document["paths"]
    for path, methods in [("/health", {"get"}), ("/metrics", {"get"}), ("/v1/databases", {"get", "post"}),
                          ("/v1/databases/{name}", {"get", "delete"}),
                          ("/v1/databases/{name}/rows/{coll}/{id}", {"get", "delete"}),
                          ("/v1/databases/{name}/files/{file}", {"get", "put"}),
                          ("/v1/databases/{name}/changes", {"get"})]:
        assert set(paths[path]) == methods
    assert set(document["components"]["schemas"]["PutBody"]["required"]) == {"coll", "id", "doc"}
    page = (ROOT / "docs" / "nedbd.md").read_text(encoding="utf-8")
    assert [path for path in paths if f"`{path}`" not in page] == []
    # What is described is there: no path of the document is unknown to the server.
    for path, methods in paths.items():
        for method in methods:
            if method != "delete":
                answer = server.request(method.upper(), path.replace("{name}", "db").replace("{", "").replace("}", ""),
                                        {} if method == "post" else None)
                assert answer.status < 500 and answer.status != 405, path
                assert answer.status != 404 or answer.code in ("DOCUMENT_NOT_FOUND", "NOT_FOUND"), path


def test_metrics_count_what_happened(server: Nedbd, db: str) -> None:
    for n in range(3):
        put(server, db, str(n), {"secret": "do not show"})
    text = server.get("/metrics").body.decode()
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    route = "/v1/databases/{name}/put"
    assert lines[f'nedbd_requests_total{{method="POST",route="{route}",status="200"}}'] == "3"
    assert lines[f'nedbd_request_seconds_count{{route="{route}"}}'] == "3"
    assert lines['nedbd_database_seq{database="db"}'] == "2"
    assert lines['nedbd_commit_ops_total{database="db"}'] == "3"
    assert int(lines['nedbd_commit_bytes_total{database="db"}']) == (server.data / "db" / "log.aof").stat().st_size
    assert lines['nedbd_database_durable_seq{database="db"}'] == "2"
    assert lines['nedbd_commit_batch_ops_count{database="db"}'] == lines['nedbd_sync_seconds_count{database="db"}'] == "3"
    assert lines['nedbd_commit_batch_ops_bucket{database="db",le="1"}'] == "3"
    assert 0 < float(lines['nedbd_sync_seconds_sum{database="db"}']) < 60
    assert lines['nedbd_sync_seconds_bucket{database="db",le="+Inf"}'] == "3"
    server.get(f"{db}/rows/c/0")
    later = server.get("/metrics").body.decode()
    hits = int(later.split('nedbd_cache_hits_total{database="db"} ')[1].split()[0])
    assert hits > int(lines['nedbd_cache_hits_total{database="db"}'])
    assert "secret" not in text
    # Connections of tests before this one end when the server comes to it.
    eventually(lambda: b"\nnedbd_connections 1\n" in server.get("/metrics").body)
