"""NEDB 1.2.2, as PyPI has it."""

from __future__ import annotations

from importlib.metadata import version

import nedb

from sides.nql import NqlSide


class Side(NqlSide):
    """nedb-engine==1.2.2."""

    name = "nedb1"
    version = version("nedb-engine")
    has_verify = True
    has_history = True

    def __init__(self) -> None:
        if self.version != "1.2.2":
            raise SystemExit(f"--nedb-1x has nedb-engine {self.version}; install nedb-engine==1.2.2")

    def open(self):
        return nedb.NEDB()

    def overwrite(self, db, docs: list[tuple[str, dict]]) -> None:
        """Put documents over those that are there."""
        self.put_all(db, docs)
