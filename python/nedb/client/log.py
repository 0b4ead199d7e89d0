"""Ops of a log, as the server hands them out, and how many are asked for at a time."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import Any, Optional, Union

__all__ = ["PAGE_COUNT", "WAIT_MS", "Op", "wanted"]

#: Ops in one answer.
PAGE_COUNT = 1_000
#: How long an answer waits for the next op.
WAIT_MS = 15_000

#: The members that an op may lack.
OPTIONAL = ("caused_by", "evidence", "confidence", "valid_from", "valid_to")


@dataclass(frozen=True)
class Op:
    """One accepted mutation, as the log holds it. Its members are those of ``nedb.Op``."""

    seq: int
    client: str
    nonce: Union[int, float]
    op: str
    payload: dict[str, Any]
    ts: float
    idem: Optional[str]
    prev_hash: str
    hash: str
    caused_by: Optional[list[int]] = None
    evidence: Optional[str] = None
    confidence: Optional[float] = None
    valid_from: Optional[str] = None
    valid_to: Optional[str] = None
    _line: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @staticmethod
    def of(line: dict[str, Any]) -> Op:
        """Make an op of the members of its line."""
        optional = {name: line.get(name) for name in OPTIONAL}
        return Op(line["seq"], line["client"], line["nonce"], line["op"], line["payload"], line["ts"],
                  line.get("idem"), line["prev_hash"], line["hash"], **optional, _line=line)

    def to_dict(self) -> dict[str, Any]:
        """Return every member of the line as a new dict."""
        return dict(self._line)

    def __hash__(self) -> int:
        """Hash what names it."""
        return hash(self.hash)


def wanted(key: Union[int, slice], count: int) -> range:
    """Return the seqs that a key of a log with so many ops means. Errors: ``IndexError``, ``TypeError``."""
    if isinstance(key, slice):
        return range(*key.indices(count))
    place = operator.index(key)
    seq = place + count if place < 0 else place
    if not 0 <= seq < count:
        raise IndexError(f"there is no op {place}: the log has {count}")
    return range(seq, seq + 1)
