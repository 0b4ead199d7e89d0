"""``Sequencer``: a database shared by threads, under the name that NEDB 1.x had for it.

Every ``NEDB`` is safe to use from many threads, and writes made at the same time share one sync, so
this class only passes calls on.
"""

from __future__ import annotations

import typing

from nedb._native import NEDB

__all__ = ["Sequencer"]


class Sequencer:
    """Has every attribute of the database that it was made with."""

    def __init__(self, db: NEDB, max_batch: int = 512) -> None:
        """Keep the database; ``max_batch`` is accepted and not needed."""
        self.db = db

    def __getattr__(self, name: str) -> typing.Any:
        """Pass everything else on to the database."""
        # Looked up in the instance, so that a half-made copy (pickle, copy) ends in AttributeError.
        return getattr(self.__dict__.get("db"), name)

    @property
    def committed_seq(self) -> int:
        """The seq of the last op."""
        return self.db.seq

    def close(self) -> None:
        """Wait until everything written is on disk. As in 1.x, the database stays open."""
        self.db.flush()
