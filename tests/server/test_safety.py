"""Tokens, origins, bounds, and clients that are slow, silent or hostile."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

import pytest
from nedbd import BINARY, PATIENCE_S, Nedbd, eventually, read_all

Start = Callable[..., Nedbd]
BROWSER = {"Origin": "https://app.example"}


def test_every_path_but_health_asks_for_the_token(start: Start) -> None:
    server = start(token="s3cret-token")
    server.create("shop")
    paths = list(server.ok("GET", "/openapi.json")["paths"])
    assert len(paths) > 20
    for headers in [{"Authorization": ""}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret-token"},
                    {"Authorization": "Bearer s3cret-toke"}]:
        for path in [*paths, "/openapi.json", "/nowhere", "/v1/databases/nope", "//health", "/health/"]:
            answer = server.get(path.replace("{name}", "shop"), headers=headers)
            if path != "/health":
                assert (answer.status, answer.code) == (401, "UNAUTHORIZED"), path
                assert answer.headers["www-authenticate"] == "Bearer"
    assert server.request("DELETE", "/v1/databases/shop", headers={"Authorization": ""}).status == 401
    health = server.get("/health", headers={"Authorization": ""})
    assert health.status == 200 and "databases" not in health.json and b"shop" not in health.body
    assert server.ok("GET", "/v1/databases")["databases"][0]["name"] == "shop"
    assert server.stop() == 0
    assert "s3cret" not in server.log.read_text() + server.line


def test_others_are_not_let_in_without_a_token(start: Start, tmp_path) -> None:
    run = subprocess.run([BINARY, "--host", "0.0.0.0", "--port", "0", "--data", str(tmp_path / "x")],
                         capture_output=True, text=True, timeout=PATIENCE_S)
    assert run.returncode == 1 and "NEDBD_TOKEN" in run.stderr and not (tmp_path / "x").exists()
    assert start("--host", "0.0.0.0", token="t").ok("GET", "/v1/databases")
    assert start("--host", "0.0.0.0", "--insecure", NEDBD_DATA=str(tmp_path / "y")).ok("GET", "/v1/databases")


def test_wrong_usage_is_said_in_one_line(tmp_path) -> None:
    for flags in [["--prot", "1"], ["--port", "x"], ["--cors-origins", "https://app.example/"], ["--config", str(tmp_path / "none.toml")]]:
        run = subprocess.run([BINARY, *flags], capture_output=True, text=True, timeout=PATIENCE_S)
        assert run.returncode == 2 and run.stderr.startswith("nedbd: ") and run.stderr.count("\n") == 1
    assert "--read-only" in subprocess.run([BINARY, "--help"], capture_output=True, text=True).stdout
    assert subprocess.run([BINARY, "--version"], capture_output=True, text=True).stdout.startswith("nedbd 2.")


@pytest.mark.parametrize("line", ["tmk = SECRET", 'token = "SECRET', "token SECRET", "SECRET = 1", 'token = ["SECRET"]',
                                  "token = 5", 'tmk = "SECRETx"', 'token_file = "SECRET"', 'port = "SECRET"'])
def test_a_settings_file_that_is_wrong_shows_its_place_and_no_secret(tmp_path, line: str) -> None:
    secret, file = "c8c9d0e1f2a3b4c5c8c9d0e1f2a3b4c5", tmp_path / "nedbd.toml"
    file.write_text(f"# settings\n{line}\n".replace("SECRET", secret))
    run = subprocess.run([BINARY, "--config", str(file)], capture_output=True, text=True, timeout=PATIENCE_S)
    assert run.returncode == 2 and f"{file}: line 2, column" in run.stderr and run.stderr.count("\n") == 1
    assert secret[:6] not in run.stdout + run.stderr


def test_what_is_given_in_the_wrong_place_is_not_shown(tmp_path) -> None:
    secret = "c8c9d0e1f2a3b4c5c8c9d0e1f2a3b4c5"
    for flags, variables in [(["--insecure", secret], {}), ([f"--insecure={secret}"], {}), (["--token-file", secret], {}),
                             ([], {"NEDBD_TOKEN_FILE": secret}), ([], {"NEDB_TMK": f"{secret}x"}),
                             ([], {"NEDBD_TOKEN": f"{secret} "}), (["--token", secret], {})]:
        run = subprocess.run([BINARY, *flags], capture_output=True, text=True, timeout=PATIENCE_S, env=variables)
        assert run.returncode == 2 and secret[:6] not in run.stdout + run.stderr, run.stderr
    # A token that is no text was left out before, and the server ran without one.
    run = subprocess.run([BINARY, "--port", "0", "--data", str(tmp_path / "data")], capture_output=True,
                         timeout=PATIENCE_S, env={b"NEDBD_TOKEN": b"s3cret\xff"})
    assert run.returncode == 2 and run.stderr == b"nedbd: NEDBD_TOKEN is no Unicode text\n"


def test_a_page_of_another_origin_may_do_nothing(server: Nedbd, db: str) -> None:
    for headers in [BROWSER, {"Origin": "null"}, {"Host": "evil.example"}]:
        answer = server.post("/v1/databases", {"name": "x"}, headers=headers)
        assert (answer.status, answer.code) == (403, "ORIGIN_REFUSED")
    preflight = server.request("OPTIONS", f"{db}/put", headers={**BROWSER, "Access-Control-Request-Method": "POST"})
    assert preflight.status == 403 and "access-control-allow-origin" not in preflight.headers
    assert server.ok("GET", "/v1/databases")["databases"][0]["name"] == "db"
    own = {"Origin": f"http://{server.host}:{server.port}"}
    assert server.get(db, headers=own).status == 200


def test_a_page_of_a_named_origin_may(start: Start) -> None:
    server = start("--cors-origins", "https://app.example,https://b.example", token="t")
    db = server.create()
    preflight = server.request("OPTIONS", f"{db}/put", headers={
        **BROWSER, "Access-Control-Request-Method": "POST", "Authorization": "",
        "Access-Control-Request-Headers": "authorization,content-type"})
    assert preflight.status == 200 and preflight.headers["access-control-allow-origin"] == "https://app.example"
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    assert server.get(db, headers=BROWSER).headers["access-control-allow-origin"] == "https://app.example"
    assert server.get(db, headers={**BROWSER, "Authorization": ""}).status == 401
    assert server.get(db, headers={"Origin": "https://c.example"}).status == 403


def test_the_token_is_asked_before_the_origin(start: Start) -> None:
    server = start(token="t")
    db = server.create()
    nobody, preflight = {"Authorization": ""}, {**BROWSER, "Access-Control-Request-Method": "POST"}
    for path in (db, f"{db}/put", "/nowhere", "/metrics"):
        assert server.get(path, headers={**BROWSER, **nobody}).code == "UNAUTHORIZED"
        assert server.get(path, headers=BROWSER).code == "ORIGIN_REFUSED"
        for headers, code in [({}, "METHOD_NOT_ALLOWED"), (preflight, "ORIGIN_REFUSED")]:
            unknown = server.request("OPTIONS", path, headers={**headers, **nobody})
            assert (unknown.status, unknown.code) == (401, "UNAUTHORIZED")
            assert "access-control-allow-origin" not in unknown.headers
            known = server.request("OPTIONS", path, headers=headers)
            assert known.code == ("ROUTE_NOT_FOUND" if (path, code) == ("/nowhere", "METHOD_NOT_ALLOWED") else code)
    assert server.get("/health", headers={**BROWSER, **nobody}).code == "ORIGIN_REFUSED"


def test_only_the_questions_of_named_pages_are_answered_without_a_token(start: Start) -> None:
    server = start("--cors-origins", "https://app.example", token="t")
    db = server.create()
    nobody, asks = {"Authorization": ""}, {"Access-Control-Request-Method": "POST"}
    for path in (f"{db}/put", "/nowhere"):
        assert server.request("OPTIONS", path, headers={**BROWSER, **asks, **nobody}).status == 200
        for headers in [{"Origin": "https://b.example", **asks}, asks, {"Origin": "null", **asks}, BROWSER, {}]:
            refused = server.request("OPTIONS", path, headers={**headers, **nobody})
            assert (refused.status, refused.code) == (401, "UNAUTHORIZED"), headers
        assert server.request("OPTIONS", path, headers={"Origin": "https://b.example", **asks}).code == "ORIGIN_REFUSED"
    # The page can read why it was refused; one that is not named cannot.
    refused = server.get(db, headers={**BROWSER, **nobody})
    assert refused.code == "UNAUTHORIZED" and refused.headers["access-control-allow-origin"] == "https://app.example"
    refused = server.get(db, headers={"Origin": "https://b.example", **nobody})
    assert refused.code == "UNAUTHORIZED" and "access-control-allow-origin" not in refused.headers
    anyone = start("--cors-origins", "*", token="t", NEDBD_DATA=str(server.data.parent / "other"))
    assert anyone.request("OPTIONS", "/health", headers={"Origin": "https://b.example", **asks, **nobody}).status == 200
    assert anyone.request("OPTIONS", "/v1/databases", headers=nobody).code == "UNAUTHORIZED"


def test_a_body_that_is_too_long_is_a_413(start: Start) -> None:
    server = start("--body-bytes-max", "1000", "--request-timeout-ms", "1000")
    db = server.create()
    fits = json.dumps({"coll": "c", "id": "a", "doc": {"t": ""}})
    fits = fits.replace('""', '"' + "x" * (1000 - len(fits)) + '"')
    assert len(fits) == 1000 and server.post(f"{db}/put", fits).status == 200
    # It is thrown away, so that the answer arrives and the connection can be used again.
    connection = server.connect()
    for length in (1, 900):
        answer = server.post(f"{db}/put", fits + " " * length, connection=connection)
        assert (answer.status, answer.code) == (413, "LIMIT_EXCEEDED") and "connection" not in answer.headers
    assert server.get("/health", connection=connection).status == 200
    # Not without end, and not where the client asks first.
    for extra, headers in [(b" " * 3000, b""), (b"", b"Expect: 100-continue\r\n")]:
        with server.socket() as client:
            head = f"POST {db}/put HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n".encode()
            client.sendall(head + headers + b"\r\n" + extra)
            answered = read_all(client)
            assert answered.startswith(b"HTTP/1.1 413 ") and b"connection: close" in answered
    # One that does not say how long it is is counted as it comes.
    with server.socket() as client:
        client.sendall(f"POST {db}/put HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        client.sendall(b"258\r\n" + b" " * 600 + b"\r\n")
        client.sendall(b"258\r\n" + b" " * 600 + b"\r\n")
        assert read_all(client).startswith(b"HTTP/1.1 413 ")
    assert server.ok("GET", db)["seq"] == 0


def test_a_head_that_is_too_long_is_refused(start: Start) -> None:
    server = start("--header-bytes-max", "8192")
    assert server.get("/health", headers={"X": "y" * 4000}).status == 200
    assert server.get("/health", headers={"X": "y" * 9000}).status == 431
    assert server.get("/health", headers={f"X{n}": "y" for n in range(200)}).status == 431


def test_an_answer_has_a_bound_of_rows(start: Start) -> None:
    server = start("--rows-count-max", "3")
    db = server.create(seed={"c": [{"id": str(n)} for n in range(4)]})
    answer = server.post(f"{db}/query", {"nql": "FROM c"})
    assert (answer.status, answer.code) == (413, "LIMIT_EXCEEDED") and "LIMIT" in answer.json["error"]["message"]
    assert server.ok("POST", f"{db}/query", {"nql": "FROM c LIMIT 3"})["count"] == 3


def test_lists_of_nodes_and_of_files_have_a_bound_of_rows_and_are_read_in_parts(start: Start) -> None:
    server = start("--rows-count-max", "3")
    db = server.create(links=[["c:a", "to", f"c:{n}"] for n in range(5)] + [[f"c:{n}", "from", "c:a"] for n in range(5)])
    for n in range(5):
        server.ok("PUT", f"{db}/files/{n}", b"x")
        server.ok("PUT", f"{db}/files/0", str(n).encode())
    nodes = [f"c:{n}" for n in range(5)]
    for path, member, all_of in [("neighbors?node=c:a&rel=to&", "nodes", nodes), ("inbound?node=c:a&rel=from&", "nodes", nodes),
                                 ("files?", "files", [str(n) for n in range(5)]), ("files/0/versions?", "versions", None)]:
        for asked in ("", "limit=4", "limit=9&offset=1"):
            answer = server.get(f"{db}/{path}{asked}")
            assert (answer.status, answer.code) == (413, "LIMIT_EXCEEDED"), path
            assert all(word in answer.json["error"]["message"] for word in ("3", "limit", "offset", "rows_count_max"))
        seq = server.ok("GET", f"{db}/{path}limit=0")["seq"]
        parts = [server.ok("GET", f"{db}/{path}limit=3&offset={offset}&as_of={seq}") for offset in (0, 3, 6)]
        assert [part["count"] for part in parts[:1]] == [3] and parts[2]["count"] == 0
        found = parts[0][member] + parts[1][member]
        if member == "versions":
            assert [it["version"] for it in found] == [0, 1, 2, 3, 4, 5]
        else:
            assert found == all_of
            assert server.ok("GET", f"{db}/{path}offset=2")[member] == all_of[2:]
        assert server.get(f"{db}/{path}limit=-1").code == "INVALID_ARGUMENT"


def test_a_body_that_does_not_come_is_a_408(start: Start) -> None:
    server = start("--request-timeout-ms", "200")
    db = server.create()
    with server.socket() as client:
        client.sendall(f"POST {db}/put HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{{".encode())
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 408 ") and b"REQUEST_TIMEOUT" in answer
    assert server.ok("GET", db)["seq"] == -1


def test_silent_clients_are_let_go_and_cost_no_thread(start: Start) -> None:
    server = start("--idle-timeout-ms", "400", "--connections-count-max", "100")
    threads = lambda: len(list((server_proc / "task").iterdir()))  # noqa: E731
    from pathlib import Path
    server_proc = Path(f"/proc/{server.process.pid}")
    before = threads() if server_proc.exists() else 0
    silent = [server.socket() for _ in range(40)]
    half = [server.socket() for _ in range(40)]
    for client in half:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: ")
    assert server.get("/health").status == 200
    if server_proc.exists():
        assert threads() <= before + 2
    for client in silent + half:
        read_all(client)
        client.close()
    # An idle connection that was used is let go, too.
    with server.socket() as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_all(client).count(b"HTTP/1.1 200") == 1


def test_a_client_that_takes_nothing_is_let_go(start: Start) -> None:
    server = start("--idle-timeout-ms", "400")
    db = server.create(seed={"c": [{"id": str(n), "t": "x" * 100_000} for n in range(200)]})
    with server.socket() as client:
        body = b'{"nql":"FROM c"}'
        head = f"POST {db}/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        eventually(lambda: b"nedbd_connections 1" in server.get("/metrics").body)


def test_a_request_whose_client_leaves_is_counted(start: Start) -> None:
    server = start("--log-level", "1")
    db = server.create()
    with server.socket() as client:
        client.sendall(f"GET {db}/changes?wait_ms=14000 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        eventually(lambda: b"nedbd_connections 2" in server.get("/metrics").body)
        # What is sent on another connection may come first.
        time.sleep(0.1)
    route = "/v1/databases/{name}/changes"
    left = f'nedbd_requests_total{{method="GET",route="{route}",status="499"}} 1\n'
    eventually(lambda: left.encode() in server.get("/metrics").body)
    assert f'nedbd_request_seconds_count{{route="{route}"}} 1\n'.encode() in server.get("/metrics").body
    assert "status=499" in server.log.read_text()
    assert server.get("/health").status == 200


def busy(server: Nedbd, db: str, count: int) -> list:
    """Opens connections that owe an answer for some seconds."""
    held = []
    for _ in range(count):
        held.append(client := server.socket())
        token = "" if server.token is None else f"Authorization: Bearer {server.token}\r\n"
        head = f"GET {db}/changes HTTP/1.1\r\nHost: localhost\r\n{token}Accept: text/event-stream\r\n\r\n"
        client.sendall(head.encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
    return held


def metric(server: Nedbd, name: str) -> float:
    """Reads one number of the metrics."""
    lines = server.get("/metrics").body.decode().splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[-1])


def test_there_are_as_many_connections_as_there_may_be(start: Start) -> None:
    server = start("--connections-count-max", "4")
    db = server.create()
    held = busy(server, db, 4)
    for _ in range(20):
        answer = server.get(db)
        assert (answer.status, answer.code) == (429, "TOO_MANY_REQUESTS") and answer.headers["retry-after"] == "1"
        assert answer.headers["connection"] == "close"
    for client in held:
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)
    held.pop().close()
    eventually(lambda: server.get(db).status == 200)


def test_health_is_answered_when_all_connections_are_busy(start: Start) -> None:
    server = start("--connections-count-max", "4", token="t")
    db = server.create()
    other = server.connect()
    assert server.get(db, connection=other).status == 200
    held = busy(server, db, 4)
    # Those who say nothing in a place for health do not keep it either.
    silent = [server.socket() for _ in range(30)]
    for _ in range(20):
        answer = server.get("/health", headers={"Authorization": ""})
        assert answer.status == 200 and answer.headers["connection"] == "close"
        assert server.get(db).status == 429
    for client in held + silent:
        client.close()


def test_silent_connections_give_way_to_those_that_ask(start: Start) -> None:
    server = start("--connections-count-max", "64", token="t")
    db = server.create()
    used = server.connect()
    assert server.get(db, connection=used).status == 200
    silent = [server.socket() for _ in range(100)]
    for client in silent[::2]:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: local")
    begun = time.monotonic()
    for n in range(20):
        assert server.get("/health", headers={"Authorization": ""}).status == 200
        assert server.ok("POST", f"{db}/put", {"coll": "c", "id": str(n), "doc": {}})["seq"] == n
    assert time.monotonic() - begun < 5
    # One that was used goes after those that never asked.
    assert server.get(db, connection=used).status == 200
    assert metric(server, "nedbd_connections_given_up_total") >= 37
    for client in silent:
        client.close()


def test_an_answer_on_its_way_is_not_broken_off_for_others(start: Start) -> None:
    server = start("--connections-count-max", "2")
    db = server.create(seed={"c": [{"id": str(n), "t": "x" * 100_000} for n in range(200)]})
    body = b'{"nql":"FROM c"}'
    with server.socket() as client:
        head = f"POST {db}/query HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        first = client.recv(1000)
        for _ in range(10):
            server.socket().close()
            assert server.get("/health").status == 200
        assert len(first + read_all(client)) > 20_000_000


def test_one_address_does_not_have_all_connections(start: Start) -> None:
    import http.client

    server = start("--connections-count-max", "8", "--peer-connections-count-max", "3")
    db = server.create()
    held = busy(server, db, 3)
    assert server.get(db).status == 429 and server.get("/health").status == 200
    other = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE_S, source_address=("127.0.0.2", 0))
    assert server.get(db, connection=other).status == 200
    held.pop().close()
    eventually(lambda: server.get(db).status == 200)
    for flags in [("--peer-connections-count-max", "0"), ()]:
        free = start("--connections-count-max", "4", *flags, NEDBD_DATA=str(server.data.parent / f"free{len(flags)}"))
        assert len(busy(free, free.create(), 4)) == 4


@pytest.mark.parametrize("hosts", ["", "Host: localhost\r\nHost: evil.example\r\n", "Host: localhost\r\nHost: localhost\r\n",
                                   "Host: localhost:7070.evil\r\n", "Host: [::1].evil\r\n", "Host: localhost:99999\r\n",
                                   "Host: a b\r\n", "Host: user@localhost\r\n"])
def test_a_request_has_one_host_and_all_of_it_is_one(start: Start, hosts: str) -> None:
    for token in (None, "t"):
        server = start(token=token)
        with server.socket() as client:
            client.sendall(f"GET /v1/databases HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode())
            answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 400 ") and b"INVALID_ARGUMENT" in answer, answer
        assert server.stop() == 0


def test_a_host_of_this_machine_is_answered(server: Nedbd) -> None:
    for line in ["GET /v1/databases HTTP/1.1\r\nHost: LOCALHOST", f"GET /v1/databases HTTP/1.1\r\nHost: 127.0.0.1:{server.port}",
                 "GET /v1/databases HTTP/1.1\r\nHost: [::1]:1", "GET /v1/databases HTTP/1.1\r\nHost: localhost:",
                 "GET http://localhost/v1/databases HTTP/1.1\r\nHost: localhost", "GET /v1/databases HTTP/1.0\r\nX: y"]:
        with server.socket() as client:
            client.sendall(f"{line}\r\nConnection: close\r\n\r\n".encode())
            assert read_all(client).split(b"\r\n")[0].split()[1] == b"200", line
    for line in ["GET http://evil.example/v1/databases HTTP/1.1\r\nHost: localhost"]:
        with server.socket() as client:
            client.sendall(f"{line}\r\nConnection: close\r\n\r\n".encode())
            assert read_all(client).startswith(b"HTTP/1.1 400 ")


def test_a_path_and_a_query_are_text(server: Nedbd, db: str) -> None:
    for path in [f"{db}/rows/c/%ff", f"{db}/get?coll=c&id=%ff", f"{db}/get?coll=c&id=%c3%28", "/v1/databases/%ff",
                 f"{db}/neighbors?node=c:%80&rel=x", f"{db}/files/%ed%a0%80", "/health?x=%ff", "/nowhere%ff"]:
        answer = server.get(path)
        assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT"), path
    assert server.get(f"{db}/get?coll=c&id=%C3%A9").json["doc"] is None


def test_what_a_database_begins_with_is_bounded_and_quickly_there(server: Nedbd) -> None:
    for init in [{"indexes": [["c", f"f{n}", "eq"] for n in range(20_000)]}, {"links": [["c:a", "to", "c:b"]] * 100_001},
                 {"seed": {"c": [{"_id": str(n)} for n in range(100_001)]}}]:
        answer = server.post("/v1/databases", {"name": "large", "init": init})
        assert (answer.status, answer.code) == (413, "LIMIT_EXCEEDED")
        assert list(server.data.iterdir()) == []
    begun = time.monotonic()
    server.create("many", indexes=[["c", f"f{n}", "eq"] for n in range(1_000)])
    # One sync for all: one for each took nine seconds.
    assert time.monotonic() - begun < 3
    assert len(server.ok("GET", "/v1/databases/many")["indexes"]) == 1_000
    answer = server.post("/v1/databases/many/index", {"coll": "d", "field": "f", "kind": "eq"})
    assert (answer.status, answer.code) == (413, "LIMIT_EXCEEDED")


def test_a_body_that_nobody_asked_for_does_not_end_the_connection(start: Start) -> None:
    server = start(token="t")
    db = server.create()
    connection = server.connect()
    for method, path, token, status in [("POST", f"{db}/sweep", "t", 200), ("GET", "/health", "", 200),
                                        ("POST", f"{db}/put", "wrong", 401), ("POST", "/nowhere", "t", 404),
                                        ("DELETE", f"{db}/rows/c/a", "t", 200), ("POST", f"{db}/flush", "t", 200)] * 5:
        answer = server.request(method, path, {"n": "x" * 10_000}, {"Authorization": f"Bearer {token}"}, connection)
        assert answer.status == status and "connection" not in answer.headers
    assert b"nedbd_connections_total 2" in server.get("/metrics", connection=connection).body


@pytest.mark.parametrize("path", ["/nowhere", "/health", "/v1/databases/none/put"])
def test_an_unread_body_is_never_the_next_request(start: Start, path: str) -> None:
    server = start(token="t")
    smuggled = b"DELETE /v1/databases/db HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer t\r\n\r\n"
    server.create()
    for token in ["", "Authorization: Bearer t\r\n"]:
        with server.socket() as client:
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{token}Content-Length: {len(smuggled)}\r\n\r\n"
            client.sendall(head.encode())
            time.sleep(0.05)
            try:
                client.sendall(smuggled)
                client.shutdown(1)
            except OSError:
                pass
            assert read_all(client).count(b"HTTP/1.1 ") <= 1
    assert server.ok("GET", "/v1/databases")["databases"][0]["name"] == "db"


@pytest.mark.parametrize("head", [
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"GET /health HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00" * 100,
    b"GET  /health HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
])
def test_what_is_no_http_harms_nobody(server: Nedbd, head: bytes) -> None:
    with server.socket() as client:
        client.sendall(head)
        client.shutdown(1)
        assert read_all(client).count(b"HTTP/1.1 200") <= 1
    assert server.get("/health").status == 200


def test_writers_share_syncs(start: Start) -> None:
    server = start()
    db = server.create()
    writer_count, put_count = 32, 10

    def write(writer: int) -> None:
        connection = server.connect()
        for n in range(put_count):
            body = {"coll": "c", "id": f"{writer}-{n}", "doc": {}}
            assert server.post(f"{db}/put", body, connection=connection).status == 200
        connection.close()

    with ThreadPoolExecutor(writer_count) as pool:
        list(pool.map(write, range(writer_count)))
    lines = dict(line.rsplit(" ", 1) for line in server.get("/metrics").body.decode().splitlines())
    assert int(lines['nedbd_commit_ops_total{database="db"}']) == writer_count * put_count
    assert int(lines['nedbd_commit_batches_total{database="db"}']) < writer_count * put_count
    assert server.ok("GET", f"{db}/verify?determinism=true")["deterministic"] is True
