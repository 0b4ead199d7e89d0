"""The type stubs say what the extension module has. The rest of the package is typed where it stands."""

from __future__ import annotations

import subprocess
import sys

import pytest


def test_the_stubs_match_the_module() -> None:
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy.stubtest", "nedb._native"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
