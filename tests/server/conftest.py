"""Fixtures: a server for a test, with a data directory of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from nedbd import Nedbd


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Nedbd]]:
    """Starts servers on one data directory; what still runs at the end is ended."""
    started: list[Nedbd] = []

    def start(*flags: str, **options: Any) -> Nedbd:
        started.append(Nedbd(tmp_path / "data", *flags, **options))
        return started[-1]

    yield start
    for server in started:
        server.__exit__()


@pytest.fixture
def server(start: Callable[..., Nedbd]) -> Nedbd:
    """A server with an empty data directory."""
    return start()


@pytest.fixture
def db(server: Nedbd) -> str:
    """The path of an empty database of that server."""
    return server.create()
