"""The databases that are compared, each behind the same few calls."""

from __future__ import annotations

import importlib

#: The module of each side; every one has a class ``Side``.
NAMES = ("ours", "sqlite", "nedb1")


def make(name: str):
    """Import one side, and no other: two of them are both called ``nedb``."""
    return importlib.import_module(f"sides.{name}").Side()
