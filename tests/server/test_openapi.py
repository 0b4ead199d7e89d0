"""The document of the paths: that it says of every answer what it looks like, and says it right."""

from __future__ import annotations

from typing import Any

import pytest
from nedbd import Nedbd

METHODS = ("get", "put", "post", "delete")
#: Answers that are no JSON, and a document, which may be any object.
WITHOUT_SHAPE = {("get", "/metrics"), ("get", "/v1/databases/{name}/files/{file}"),
                 ("get", "/v1/databases/{name}/rows/{coll}/{id}")}


def operations(document: Any) -> Any:
    return [(method, path, operation) for path, item in document["paths"].items()
            for method, operation in item.items() if method in METHODS]


def test_every_path_says_what_it_answers_and_how_it_refuses(server: Nedbd) -> None:
    document = server.ok("GET", "/openapi.json")
    assert len(operations(document)) > 30
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            if status == "304" or (int(status) < 400 and (method, path) in WITHOUT_SHAPE):
                continue
            schema = response["content"]["application/json"]["schema"]
            name = schema["$ref"].rsplit("/", 1)[1]
            assert name in document["components"]["schemas"], (path, status)
            assert (name == "ErrorBody") == (int(status) >= 400 and (path, status) != ("/health", "503")), (path, status)
        assert {"400", "401", "404", "413", "500", "503"} <= set(operation["responses"]), path


def objections(schema: Any, value: Any, schemas: Any, at: str) -> list[str]:
    """What of a value a schema does not say; a subset of JSON Schema, in which no member goes without a word."""
    if "$ref" in schema:
        return objections(schemas[schema["$ref"].rsplit("/", 1)[1]], value, schemas, at)
    if "oneOf" in schema:
        found = [objections(one, value, schemas, at) for one in schema["oneOf"]]
        return [] if [] in found else [problem for problems in found for problem in problems]
    types = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
             "null": type(None)}
    allowed = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    # To Python True is an integer too.
    fits = [name for name in allowed if isinstance(value, types[name]) and (name == "boolean") == isinstance(value, bool)]
    if not fits:
        return [f"{at} is {value!r} and not {allowed}"]
    if isinstance(value, list) and "items" in schema:
        return [problem for item in value for problem in objections(schema["items"], item, schemas, f"{at}[]")]
    if not isinstance(value, dict) or ("properties" not in schema and "additionalProperties" not in schema):
        return []
    members, others = schema.get("properties", {}), schema.get("additionalProperties")
    problems = [f"{at}.{name} is missing" for name in schema.get("required", []) if name not in value]
    for name, member in value.items():
        if name not in members and not isinstance(others, dict):
            problems.append(f"{at}.{name} is not in the document")
        else:
            problems += objections(members.get(name, others), member, schemas, f"{at}.{name}")
    return problems


@pytest.mark.parametrize("token", [None, "t"])
def test_answers_are_what_the_document_says(start: Any, token: str | None) -> None:
    server = start(token=token)
    document = server.ok("GET", "/openapi.json")
    server.create("db", indexes=[["c", "n", "eq"]], seed={"c": [{"id": "x", "n": 1}]})
    asked = set()

    def ask(method: str, path: str, body: Any = None, at: str = "/v1/databases/{name}") -> None:
        answer = server.request(method.upper(), at.replace("{name}", "db") + path, body)
        described = at + path.split("?")[0].replace("/f/", "/{file}/").replace("/files/f", "/files/{file}").replace(
            "/rows/c/a", "/rows/{coll}/{id}")
        asked.add((method, described))
        if (method, described) in WITHOUT_SHAPE:
            return
        response = document["paths"][described][method]["responses"][str(answer.status)]
        schema = response["content"]["application/json"]["schema"]
        assert objections(schema, answer.json, document["components"]["schemas"], described) == []

    put, edge = {"coll": "c", "id": "a", "doc": {"n": 1}}, {"frm": "c:a", "rel": "r", "to": "c:x"}
    ask("get", "/health", at="")
    ask("get", "/health?ready=x", at="")
    ask("get", "/metrics", at="")
    ask("get", "/v1/databases", at="")
    for name in ("other", "other", ""):
        ask("post", "/v1/databases", {"name": name}, at="")
    for path, body in [("put", put), ("put", {**put, "if_seq": 99}), ("put", {}), ("link", edge), ("unlink", edge), ("link", edge),
                       ("put_many", {"coll": "c", "docs": {"b": {}}}), ("index", {"coll": "c", "field": "m", "kind": "eq"}),
                       ("batch", {"items": [{"op": "put", **put}, {"op": "link", **edge}]}),
                       ("query", {"nql": "FROM c"}), ("query", {"nql": "FROM c WERE"}), ("checkpoint", {"note": "n"}),
                       ("expire", {"coll": "c", "id": "a", "ttl_s": 9}), ("sweep", None), ("flush", None), ("backup", None),
                       ("delete", {"coll": "c", "id": "b"})]:
        ask("post", f"/{path}", body)
    ask("put", "/files/f", b"bytes")
    ask("post", "/compact_blobs")
    for path in ("", "/get?coll=c&id=a", "/get?coll=c&id=nothing", "/rows/c/a", "/neighbors?node=c:a&rel=r",
                 "/inbound?node=c:x&rel=r", "/changes", "/log", "/verify", "/verify?determinism=true", "/files", "/files/f",
                 "/files/f/versions", "/files/f/root", "/files/f/proof?chunk=0", "/files/f/proof?chunk=9",
                 "/compression_stats"):
        ask("get", path)
    for path in ("/rows/c/a", "", ""):
        ask("delete", path)
    assert asked == {(method, path) for method, path, _ in operations(document)}
