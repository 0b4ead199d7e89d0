"""What the benches are told on the command line, as far as they share it.

In: what the module that is run says of itself, and the command line. Out: the options.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def common(page: str | None, rounds: int) -> argparse.ArgumentParser:
    """Return a parser of what every bench takes; ``page`` is the module's text, of which help shows the first line."""
    parser = argparse.ArgumentParser(description=(page or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--out", type=Path, help="folder for the results (default: this one)")
    parser.add_argument("--quick", action="store_true", help="a smoke run; writes only with --out")
    return parser


def add_engines(parser: argparse.ArgumentParser) -> None:
    """Take the interpreters of the sides."""
    parser.add_argument("--nedb-1x", metavar="PYTHON", help="interpreter with nedb-engine==1.2.2")
    parser.add_argument(
        "--nedb", metavar="PYTHON", default=sys.executable, help="interpreter with this engine"
    )


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Take the place whose disk is measured."""
    parser.add_argument("--folder", type=Path, help="where to write: a folder on the disk to measure")
