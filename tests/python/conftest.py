"""What the tests of the Python binding share.

What holds in every language is a case of tests/conformance; here stands what only Python has.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from nedb import NEDB

NOW_SECONDS = 1_700_000_000.0


@pytest.fixture
def db() -> Iterator[NEDB]:
    """A new database in memory whose clock stands still."""
    with NEDB(clock=NOW_SECONDS) as database:
        yield database


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where a durable database may be made."""
    return tmp_path / "data"
