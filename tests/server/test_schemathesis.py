"""Requests that are generated from the document of the paths: none of them finds an answer that is not in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest
from nedbd import Nedbd

#: Left out are the checks that whatever fits the document is accepted, and nothing else: a query that parses, a node
#: with a colon and a document's own `_id` are more than JSON Schema says.
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")


# Longer than two seconds, since some thousand requests are made: about fifteen.
@pytest.mark.skipif(sys.version_info < (3, 11), reason="schemathesis has no release for this Python")
def test_generated_requests_are_answered_as_the_document_says(start: Callable[..., Nedbd], tmp_path: Path) -> None:
    server = start(token="t")
    server.create("db", seed={"c": [{"id": "a", "n": 1}]})
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run",
               f"http://{server.host}:{server.port}/openapi.json", "--header", "Authorization: Bearer t",
               "--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing", "--max-examples", "10",
               "--generation-database", "none", "--seed", "1", "--no-color"]
    ended = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=300, cwd=tmp_path,
                           env={"PYTHONIOENCODING": "utf-8", **os.environ})
    assert ended.returncode == 0, ended.stdout[-10_000:] + ended.stderr[-2_000:]
    assert "Operations:" in ended.stdout and server.get("/health").status == 200
