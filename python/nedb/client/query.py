"""A query that is composed by calls and run by a server.

In: calls, as on ``nedb.Query``. Out: NQL and its parameters.

The text is composed by the engine's own ``Query``, on an empty database that answers nothing: what a name or an
operator becomes is decided in one place.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar

import nedb

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    P = ParamSpec("P")

__all__ = ["Query"]

Rows = TypeVar("Rows")


@functools.lru_cache(maxsize=1)
def _engine() -> nedb.NEDB:
    """Return the database that queries are composed with."""
    return nedb.NEDB()


def _chained(
    step: Callable[Concatenate[nedb.Query, P], nedb.Query],
) -> Callable[Concatenate[Query[Rows], P], Query[Rows]]:
    """Make a method that changes the query and returns it."""

    @functools.wraps(step)
    def method(self: Query[Rows], /, *args: P.args, **kwargs: P.kwargs) -> Query[Rows]:
        step(self._composed, *args, **kwargs)
        return self

    return method


class Query(Generic[Rows]):
    """A query that is being composed. Each call changes it and returns it."""

    def __init__(self, coll: str, run: Callable[[str, list[Any]], Rows]) -> None:
        """Begin with all documents of a collection."""
        self._composed = _engine().q(coll)
        self._run = run

    where = _chained(nedb.Query.where)
    as_of = _chained(nedb.Query.as_of)
    valid_as_of = _chained(nedb.Query.valid_as_of)
    search = _chained(nedb.Query.search)
    order_by = _chained(nedb.Query.order_by)
    traverse = _chained(nedb.Query.traverse)
    trace = _chained(nedb.Query.trace)
    group_by = _chained(nedb.Query.group_by)
    count = _chained(nedb.Query.count)
    sum = _chained(nedb.Query.sum)
    avg = _chained(nedb.Query.avg)
    min = _chained(nedb.Query.min)
    max = _chained(nedb.Query.max)
    having = _chained(nedb.Query.having)
    offset = _chained(nedb.Query.offset)
    limit = _chained(nedb.Query.limit)

    def nql(self) -> str:
        """Return the text, in which $1, $2, ... stand for ``params``."""
        return self._composed.nql()

    @property
    def params(self) -> list[Any]:
        """The values of $1, $2, ..."""
        return self._composed.params

    def run(self) -> Rows:
        """Run the query; return the rows, or, from an asynchronous client, what is awaited for them."""
        return self._run(self.nql(), self.params)

    def __repr__(self) -> str:
        """Show the text."""
        return f"<Query {self.nql()}>"
