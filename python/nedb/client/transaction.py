"""Writes that are collected until they are sent as one op.

Invariants:
* Each document is written as text at its call, so later changes to it do not count.
* Nothing is sent before the clean end of the block, and nothing is taken after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Optional

from nedb import InvalidArgument

from .call import Call
from .database_calls import batch_of_texts
from .text import text_of

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AsyncTransaction", "Transaction"]

Results = list[Optional[dict[str, Any]]]


class Items:
    """What a transaction collects."""

    def __init__(self, at: str, client: Optional[str], nonce: Optional[int], idem: Optional[str]) -> None:
        """Begin without items; the arguments are those of the op."""
        self._arguments = (at, client, nonce, idem)
        self._items: Optional[list[str]] = []
        self._results: Optional[Results] = None

    def put(
        self,
        coll: str,
        id: str,
        doc: Mapping[str, Any],
        *,
        if_seq: Optional[int] = None,
        ttl_s: Optional[float] = None,
        caused_by: Optional[Sequence[int]] = None,
        evidence: Optional[str] = None,
        confidence: Optional[float] = None,
        valid_from: Optional[str] = None,
        valid_to: Optional[str] = None,
    ) -> None:
        """Add the insertion or replacement of a document.

        ``if_seq`` is the seq of the version that must be there before the transaction; -1: none.
        """
        causes = None if caused_by is None else list(caused_by)
        self._add(op="put", coll=coll, id=id, doc=doc, if_seq=if_seq, ttl_s=ttl_s, caused_by=causes,
                  evidence=evidence, confidence=confidence, valid_from=valid_from, valid_to=valid_to)

    def delete(self, coll: str, id: str, *, if_seq: Optional[int] = None) -> None:
        """Add the deletion of a document."""
        self._add(op="delete", coll=coll, id=id, if_seq=if_seq)

    def link(self, frm: str, rel: str, to: str) -> None:
        """Add the making of an edge."""
        self._add(op="link", frm=frm, rel=rel, to=to)

    def unlink(self, frm: str, rel: str, to: str) -> None:
        """Add the removal of an edge."""
        self._add(op="unlink", frm=frm, rel=rel, to=to)

    @property
    def results(self) -> Optional[Results]:
        """One result for each item once written: the stored document of a put, None for the rest."""
        return self._results

    def _add(self, **given: Any) -> None:
        """Write an item as text; what is None is left out."""
        if self._items is None:
            raise InvalidArgument("the transaction has ended")
        self._items.append(text_of({name: value for name, value in given.items() if value is not None}))

    def _end(self, failed: bool) -> Optional[Call[Results]]:
        """Take no more items; return the call that writes them, None when there is nothing to write."""
        items, self._items = self._items, None
        if failed or items is None:
            return None
        if not items:
            self._results = []
            return None
        at, client, nonce, idem = self._arguments
        return batch_of_texts(at, items, client, nonce, idem)


class Transaction(Items):
    """Writes that become one op at the clean end of a ``with`` block, or none."""

    def __init__(self, run: Callable[[Call[Results]], Results], at: str, *arguments: Any) -> None:
        """Begin without items."""
        super().__init__(at, *arguments)
        self._run = run

    def __enter__(self) -> Self:
        """Begin the block."""
        return self

    def __exit__(self, exception_type: Optional[type[BaseException]], /, *_: object) -> None:
        """Write what was collected, unless the block failed."""
        call = self._end(exception_type is not None)
        if call is not None:
            self._results = self._run(call)


class AsyncTransaction(Items):
    """Writes that become one op at the clean end of an ``async with`` block, or none."""

    def __init__(self, run: Callable[[Call[Results]], Awaitable[Results]], at: str, *arguments: Any) -> None:
        """Begin without items."""
        super().__init__(at, *arguments)
        self._run = run

    async def __aenter__(self) -> Self:
        """Begin the block."""
        return self

    async def __aexit__(self, exception_type: Optional[type[BaseException]], /, *_: object) -> None:
        """Write what was collected, unless the block failed."""
        call = self._end(exception_type is not None)
        if call is not None:
            self._results = await self._run(call)
