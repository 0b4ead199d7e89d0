"""What is asked of a server, and when it is asked again: all but the sending.

In: a :class:`Call`, answers, failures. Out: requests, results, exceptions, how long to wait.

Invariants:
* A call is sent again only where that cannot write twice: it reads, it has an idempotency key, or the server
  surely did nothing.
* A write whose outcome is not known is ``CommitUnknown``, and anything else says what happened.
"""

from __future__ import annotations

import json
import random
import secrets
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Generic, Optional, TypeVar, Union
from urllib.parse import urlencode

from nedb import CommitUnknown, InvalidArgument, NEDBError

from .errors import ServerError, TimedOut, Unavailable, of_answer
from .text import text_of

__all__ = ["Answer", "Attempts", "Call", "Failure", "Retries", "same"]

T = TypeVar("T")

#: Bytes of a request: none, all of them, or a function that begins them anew.
Content = Union[None, bytes, Callable[[], Iterable[bytes]]]

#: The first wait before a call is repeated, and the longest.
DELAY_FIRST_S, DELAY_MAX_S = 0.05, 2.0
#: The longest wait that a server may ask for.
RETRY_AFTER_MAX_S = 30.0
#: Statuses with which a server, or a proxy before it, says that it may be asked again.
AGAIN = frozenset({429, 502, 503, 504})
#: Codes of such answers that more waiting does not help.
NOT_AGAIN = frozenset({"KEY_REQUIRED", "WRONG_KEY", "PLAIN_DATABASE"})
#: Codes that say that the call was not begun.
NOT_BEGUN = frozenset({"NOT_READY", "TOO_MANY_REQUESTS"})
#: A body of which it is said how long it was where no answer came: it may have been too long.
LONG_BODY_BYTES = 1 << 20
#: The code of an answer that a proxy made.
PROXY = "UNAVAILABLE"


@dataclass(frozen=True)
class Answer:
    """What a server answered; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def value(self) -> Any:
        """Return the value of the body."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise ServerError("what answers is no nedbd: the body is no JSON", None, self.status) from None


@dataclass
class Call(Generic[T]):
    """A request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[Answer], T]
    #: Members of the query string; those that are None are left out.
    query: dict[str, Any] = field(default_factory=dict)
    #: Members of the body, each as JSON text; None where there is no body.
    members: Optional[dict[str, str]] = None
    #: The body of a file.
    content: Content = None
    #: It may be sent twice: it reads, or does the same again.
    repeatable: bool = False
    #: It takes an idempotency key: with one it may be sent twice.
    keyed: bool = False
    #: Tells whether the whole body can be sent: what was taken of an iterable is gone.
    is_whole: Callable[[], bool] = lambda: True
    writes: bool = False
    #: The query, for the place of an error in it.
    nql: Optional[str] = None
    headers: dict[str, str] = field(default_factory=dict)
    #: How much longer than others it may take.
    extra_s: float = 0.0

    def give_key(self) -> None:
        """Make an idempotency key where it takes one and has none."""
        place: dict[str, Any] = self.query if self.members is None else self.members
        if not self.keyed:
            return
        if place.get("idem") is None:
            key = secrets.token_urlsafe(16)
            place["idem"] = key if self.members is None else text_of(key)
        self.repeatable = True

    def target(self) -> str:
        """Return the path with its query string."""
        given = {name: _query_text(name, value) for name, value in self.query.items() if value is not None}
        try:
            return f"{self.path}?{urlencode(given)}" if given else self.path
        except UnicodeEncodeError:
            raise InvalidArgument("a text holds a lone surrogate, which is no character") from None

    def body(self) -> Content:
        """Return the bytes that are sent."""
        if self.members is None:
            return self.content
        return ("{" + ",".join(f'"{name}":{text}' for name, text in self.members.items()) + "}").encode()


def _query_text(name: str, value: Any) -> str:
    """Write a value for the query string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise InvalidArgument(f"{name} cannot be of type {type(value).__name__}")


def same(value: T) -> T:
    """Return the value."""
    return value


class Failure(Exception):
    """A request that got no answer."""

    def __init__(self, reason: BaseException, was_sent: bool, timed_out: bool = False) -> None:
        """Say why, and whether the server may have begun."""
        super().__init__(str(reason) or type(reason).__name__)
        self.was_sent, self.timed_out = was_sent, timed_out
        # Who waited in vain does not want to wait as long again; a certificate is not trusted next time either.
        self.is_final = timed_out or _is_distrusted(reason)


def _is_distrusted(reason: Optional[BaseException]) -> bool:
    """Tell whether a connection failed because the server's certificate is not trusted."""
    if reason is None or isinstance(reason, ssl.SSLCertVerificationError):
        return reason is not None
    return _is_distrusted(reason.__cause__ or reason.__context__)


@dataclass(frozen=True)
class Retries:
    """How often a call is repeated."""

    count: int

    def attempts(self, call: Call[Any]) -> Attempts:
        """Prepare a call to be repeated."""
        if self.count > 0:
            call.give_key()
        return Attempts(call, _delays(self.count))


def _delays(count: int) -> Iterator[float]:
    """Yield the waits before each repetition: doubled each time, and of no two clients the same."""
    for number in range(count):
        yield min(DELAY_FIRST_S * 2**number, DELAY_MAX_S) * random.uniform(0.5, 1.0)


class Attempts:
    """One call, as often as it is tried."""

    def __init__(self, call: Call[Any], delays: Iterator[float]) -> None:
        """Begin."""
        self.call, self.delays = call, delays
        self.may_be_written = False

    def answered(self, answer: Answer) -> Optional[float]:
        """Return how long to wait before the call is repeated; None when the answer is to be read."""
        if answer.status < 400:
            return None
        error = _error_of(answer)
        begun = error["code"] not in NOT_BEGUN
        if answer.status not in AGAIN or error["code"] in NOT_AGAIN:
            raise of_answer(answer.status, error, self.call.nql)
        # A proxy does not know what the server did.
        self.may_be_written |= self.call.writes and error["code"] == PROXY
        if self.call.is_whole() and (self.call.repeatable or not begun):
            delay = next(self.delays, None)
            if delay is not None:
                return max(delay, _retry_after_s(answer))
        if self.may_be_written:
            raise _unknown(error["message"])
        raise of_answer(answer.status, error, self.call.nql)

    def failed(self, failure: Failure) -> float:
        """Return how long to wait before the call is repeated, or raise."""
        self.may_be_written |= failure.was_sent and self.call.writes
        if not failure.is_final and self.call.is_whole() and (self.call.repeatable or not failure.was_sent):
            delay = next(self.delays, None)
            if delay is not None:
                return delay
        raise self._exception(failure) from failure

    def _exception(self, failure: Failure) -> NEDBError:
        """Make the exception of a failure that stands."""
        reason = f"{failure}{_length_of(self.call)}"
        if self.may_be_written:
            return _unknown(reason)
        return TimedOut(reason) if failure.timed_out else Unavailable(reason)


def _unknown(reason: str) -> NEDBError:
    """Make the exception of a write that may be there or not."""
    return CommitUnknown(f"no answer, so it may be written or not: {reason}; a repetition is safe with an idem")


def _length_of(call: Call[Any]) -> str:
    """Say how long a long body was; nothing of a short one."""
    body = None if call.members is None else call.body()
    if not isinstance(body, bytes) or len(body) <= LONG_BODY_BYTES:
        return ""
    return f" (the body was {len(body)} bytes long, and a server takes body_bytes_max: send fewer documents at a time)"


def _error_of(answer: Answer) -> dict[str, Any]:
    """Return the object of an error, or one for an answer that a proxy made."""
    try:
        error = json.loads(answer.body)["error"]
        if isinstance(error, dict) and isinstance(error.get("code"), str):
            return error
    except (ValueError, LookupError, TypeError):
        pass
    code = PROXY if answer.status in AGAIN else "INTERNAL_ERROR"
    return {"code": code, "message": f"the answer has status {answer.status} and no error of nedbd in it"}


def _retry_after_s(answer: Answer) -> float:
    """Return how long the server asks to wait."""
    try:
        return min(max(float(answer.headers.get("retry-after", 0)), 0.0), RETRY_AFTER_MAX_S)
    except ValueError:
        return 0.0
