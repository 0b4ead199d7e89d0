"""JSON text from values of Python and back, as the embedded database reads and writes it.

Invariant: what JSON cannot say is an ``InvalidArgument``, never rounded, replaced or left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Union

from nedb import InvalidArgument, LimitExceeded

__all__ = ["checked_text", "text_of"]


def text_of(value: Any) -> str:
    """Write a value as compact JSON text."""
    try:
        # Python would write a name that is no text as one.
        _check_names(value)
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_plain)
        text.encode()
    except RecursionError:
        raise LimitExceeded("a value is nested too deeply, or holds itself") from None
    except UnicodeEncodeError:
        raise InvalidArgument("a text holds a lone surrogate, which is no character") from None
    except ValueError as error:
        raise InvalidArgument(f"a value that is no JSON: {error}") from None
    # The one character that Python leaves as it is and NEDB does not.
    return text.replace("\x7f", "\\u007f")


def checked_text(given: Union[str, bytes, bytearray]) -> str:
    """Return JSON text as it is once it is seen to be the text of one value, and can go into a body."""
    if not isinstance(given, (str, bytes, bytearray)):
        raise InvalidArgument(f"JSON text is a str or bytes, got {type(given).__name__}")
    try:
        text = given if isinstance(given, str) else given.decode()
        text.encode()
        json.loads(text)
    except RecursionError:
        raise LimitExceeded("a document is nested too deeply") from None
    except ValueError as error:
        raise InvalidArgument(f"the document is no JSON: {error}") from None
    return text


def _plain(value: Any) -> Any:
    """Return a mapping as a dict; nothing else has a spelling."""
    if isinstance(value, Mapping):
        return dict(value)
    raise InvalidArgument(f"a value of type {type(value).__name__} cannot be stored as JSON")


def _check_names(value: Any) -> None:
    """Refuse a mapping with a name that is no str, at any depth."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            if not isinstance(name, str):
                raise InvalidArgument(f"a name is a str, got {type(name).__name__}")
            if isinstance(member, (Mapping, list, tuple)):
                _check_names(member)
    elif isinstance(value, (list, tuple)):
        for item in value:
            if isinstance(item, (Mapping, list, tuple)):
                _check_names(item)
