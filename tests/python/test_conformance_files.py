"""Keeps the case files in form: their members, and heads that the engine had no part in."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

SUITE = pathlib.Path(__file__).parent.parent / "conformance"


@pytest.mark.parametrize("script", ["lint_cases.py", "make_heads.py"])
def test_the_case_files_pass(script):
    """The script finds no fault and no head that differs."""
    run = subprocess.run([sys.executable, str(SUITE / script)], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
