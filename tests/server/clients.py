"""The two clients, so that a test can be written once for both."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, Callable

from nedb.client import AsyncNedbClient, NedbClient, Op


class Awaiting:
    """An asynchronous client, or what one gives, whose calls are awaited here: the cases know no difference."""

    def __init__(self, inner: Any, loop: asyncio.AbstractEventLoop) -> None:
        """Keeps what is called and the loop that runs it."""
        self._inner, self._loop = inner, loop

    def __getattr__(self, name: str) -> Any:
        """Calls a method, and awaits what it answers."""
        found = getattr(self._inner, name)
        if not callable(found):
            return self._answer(found)
        return lambda *args, **options: self._answer(found(*args, **options))

    def __enter__(self) -> Any:
        """Begins a block."""
        return self._answer(self._inner.__aenter__())

    def __exit__(self, *exception: Any) -> None:
        """Ends it."""
        self._answer(self._inner.__aexit__(*exception))

    def __iter__(self) -> Any:
        """Reads what is iterated asynchronously."""
        iterator = self._inner.__aiter__()
        while True:
            try:
                yield self._answer(iterator.__anext__())
            except StopAsyncIteration:
                return

    def __getitem__(self, key: Any) -> Any:
        """Reads an op of a log."""
        return self._answer(self._inner[key])

    def _answer(self, found: Any) -> Any:
        """Awaits what can be awaited."""
        if inspect.isawaitable(found):
            async def whole() -> Any:
                return await found
            found = self._loop.run_until_complete(whole())
        plain = found is None or isinstance(found, (bool, int, float, str, bytes, list, tuple, dict, Op))
        return found if plain else Awaiting(found, self._loop)


def asynchronous(*arguments: Any, **options: Any) -> Any:
    """Makes the client whose calls are awaited."""
    return Awaiting(AsyncNedbClient(*arguments, **options), asyncio.new_event_loop())


#: How to make a client, by its kind.
KINDS: dict[str, Callable[..., Any]] = {"blocking": NedbClient, "asynchronous": asynchronous}
