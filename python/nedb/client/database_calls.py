"""The verbs of a database as calls: what is asked, and how the answer is read.

In: the path of a database and the arguments of the embedded ``NEDB``. Out: a :class:`Call` for each.

Each verb stands here once, with its arguments and what is said of it; the blocking and the asynchronous client
take both from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable, Literal, Optional, TypeVar, Union

from nedb import InvalidArgument

from .call import Answer, Call
from .log import Op
from .text import checked_text, text_of

__all__: list[str] = []

T = TypeVar("T")
Document = dict[str, Any]

#: How much longer than others a call may take that reads or copies the whole log.
WHOLE_LOG_S = 3600.0


def member(name: str) -> Callable[[Answer], Any]:
    """Return a function that reads one member of an answer."""
    return lambda answer: answer.value()[name]


def nothing(_answer: Answer) -> None:
    """Read an answer that says only that it was done."""


def members(**given: Any) -> dict[str, str]:
    """Write arguments as the members of a body; those that are None are left out."""
    return {name: text_of(value) for name, value in given.items() if value is not None}


def listed(causes: Optional[Iterable[int]]) -> Optional[list[int]]:
    """Return the causes as a list."""
    if causes is None:
        return None
    try:
        return list(causes)
    except TypeError:
        raise InvalidArgument(f"caused_by lists seqs, got {type(causes).__name__}") from None


def write(at: str, verb: str, read: Callable[[Answer], T], body: dict[str, str], keyed: bool = True) -> Call[T]:
    """Make the call of a write."""
    return Call("POST", f"{at}/{verb}", read, members=body, keyed=keyed, writes=True)


def ask(at: str, verb: str, read: Callable[[Answer], T], **query: Any) -> Call[T]:
    """Make the call of a read."""
    return Call("GET", f"{at}/{verb}" if verb else at, read, query=query, repeatable=True)


def whole_log(call: Call[T]) -> Call[T]:
    """Let a call take ``WHOLE_LOG_S`` longer."""
    call.extra_s = WHOLE_LOG_S
    return call


def seq_given(name: str, seq: Optional[int]) -> Optional[int]:
    """Refuse what is no seq."""
    if seq is not None and (isinstance(seq, bool) or not isinstance(seq, int)):
        raise InvalidArgument(f"{name} is an int, got {type(seq).__name__}")
    return seq


def text_given(name: str, text: Optional[str]) -> Optional[str]:
    """Refuse what is no text."""
    if text is not None and not isinstance(text, str):
        raise InvalidArgument(f"{name} is a str, got {type(text).__name__}")
    return text


def put(
    at: str,
    coll: str,
    id: str,
    doc: Mapping[str, Any],
    client: Optional[str] = "local",
    nonce: Optional[int] = None,
    idem: Optional[str] = None,
    ttl_s: Optional[float] = None,
    caused_by: Optional[Iterable[int]] = None,
    evidence: Optional[str] = None,
    confidence: Optional[float] = None,
    valid_from: Optional[str] = None,
    valid_to: Optional[str] = None,
    *,
    if_seq: Optional[int] = None,
) -> Call[Document]:
    """Insert or replace a document; return it as stored, with ``_id`` and ``_seq``."""
    if not isinstance(doc, Mapping):
        raise InvalidArgument(f"a document is a dict, got {type(doc).__name__}")
    body = members(coll=coll, id=id, doc=doc, client=client, nonce=nonce, idem=idem, ttl_s=ttl_s,
                   caused_by=listed(caused_by), evidence=evidence, confidence=confidence,
                   valid_from=valid_from, valid_to=valid_to, if_seq=if_seq)
    return write(at, "put", member("doc"), body)


def put_json(
    at: str,
    coll: str,
    id: str,
    doc: Union[bytes, bytearray, str],
    client: Optional[str] = "local",
    nonce: Optional[int] = None,
    idem: Optional[str] = None,
    ttl_s: Optional[float] = None,
    caused_by: Optional[Iterable[int]] = None,
    evidence: Optional[str] = None,
    confidence: Optional[float] = None,
    valid_from: Optional[str] = None,
    valid_to: Optional[str] = None,
    *,
    if_seq: Optional[int] = None,
) -> Call[bytes]:
    """Do what ``put`` does, from JSON text to JSON text."""
    body = members(coll=coll, id=id, client=client, nonce=nonce, idem=idem, ttl_s=ttl_s,
                   caused_by=listed(caused_by), evidence=evidence, confidence=confidence,
                   valid_from=valid_from, valid_to=valid_to, if_seq=if_seq)
    body["doc"] = checked_text(doc)
    return write(at, "put", lambda answer: text_of(answer.value()["doc"]).encode(), body)


def put_many(
    at: str,
    coll: str,
    docs: Union[Mapping[str, Mapping[str, Any]], Iterable[Mapping[str, Any]]],
    client: Optional[str] = "local",
    ttl_s: Optional[float] = None,
    caused_by: Optional[Iterable[int]] = None,
    evidence: Optional[str] = None,
    confidence: Optional[float] = None,
    valid_from: Optional[str] = None,
    valid_to: Optional[str] = None,
) -> Call[list[Document]]:
    """Write many documents, one op each, with a sync for each thousand; return them as stored.

    It takes no idempotency key, so that it is repeated only where the server surely did nothing.
    """
    if isinstance(docs, (str, bytes)) or not isinstance(docs, Iterable):
        raise InvalidArgument(f"docs is a dict or a list, got {type(docs).__name__}")
    body = members(coll=coll, docs=docs if isinstance(docs, Mapping) else list(docs), client=client,
                   ttl_s=ttl_s, caused_by=listed(caused_by), evidence=evidence, confidence=confidence,
                   valid_from=valid_from, valid_to=valid_to)
    return write(at, "put_many", member("docs"), body, keyed=False)


def delete(
    at: str,
    coll: str,
    id: str,
    client: Optional[str] = "local",
    nonce: Optional[int] = None,
    idem: Optional[str] = None,
    *,
    caused_by: Optional[Iterable[int]] = None,
    evidence: Optional[str] = None,
    confidence: Optional[float] = None,
    if_seq: Optional[int] = None,
) -> Call[int]:
    """Delete a document; return the seq of the op, which is written also when nothing was there."""
    body = members(coll=coll, id=id, client=client, nonce=nonce, idem=idem, caused_by=listed(caused_by),
                   evidence=evidence, confidence=confidence, if_seq=if_seq)
    return write(at, "delete", member("seq"), body)


def get(
    at: str, coll: str, id: str, as_of: Optional[int] = None, valid_as_of: Optional[str] = None
) -> Call[Optional[Document]]:
    """Return a document, or None; ``as_of`` reads at a seq, ``valid_as_of`` at a date."""
    return _get(at, member("doc"), coll, id, as_of, valid_as_of)


def get_json(
    at: str, coll: str, id: str, as_of: Optional[int] = None, valid_as_of: Optional[str] = None
) -> Call[Optional[bytes]]:
    """Return a document as JSON text, or None."""
    def read(answer: Answer) -> Optional[bytes]:
        document = answer.value()["doc"]
        return None if document is None else text_of(document).encode()

    return _get(at, read, coll, id, as_of, valid_as_of)


def _get(
    at: str, read: Callable[[Answer], T], coll: str, id: str, as_of: Optional[int], valid_as_of: Optional[str]
) -> Call[T]:
    """Ask for a document."""
    return ask(at, "get", read, coll=text_given("coll", coll), id=text_given("id", id),
               as_of=seq_given("as_of", as_of), valid_as_of=text_given("valid_as_of", valid_as_of))


def query(
    at: str, nql: str, params: Union[Sequence[Any], Mapping[str, Any], None] = None
) -> Call[list[Document]]:
    """Run an NQL query; ``params`` is a sequence for $1, $2, ... or a mapping for $name."""
    if not isinstance(nql, str):
        raise InvalidArgument(f"a query is a str, got {type(nql).__name__}")
    if params is not None and (isinstance(params, (str, bytes)) or not isinstance(params, (Sequence, Mapping))):
        raise InvalidArgument(f"params is a list or a dict, got {type(params).__name__}")
    if isinstance(params, Sequence):
        params = list(params)
    body = members(nql=nql, params=params)
    return Call("POST", f"{at}/query", member("rows"), members=body, repeatable=True, nql=nql)


def link(
    at: str,
    frm: str,
    rel: str,
    to: str,
    client: Optional[str] = "local",
    nonce: Optional[int] = None,
    idem: Optional[str] = None,
    *,
    caused_by: Optional[Iterable[int]] = None,
    evidence: Optional[str] = None,
    confidence: Optional[float] = None,
) -> Call[int]:
    """Add an edge between two nodes "coll:id"; return the seq of the op."""
    body = members(frm=frm, rel=rel, to=to, client=client, nonce=nonce, idem=idem,
                   caused_by=listed(caused_by), evidence=evidence, confidence=confidence)
    return write(at, "link", member("seq"), body)


def unlink(
    at: str,
    frm: str,
    rel: str,
    to: str,
    client: Optional[str] = "local",
    nonce: Optional[int] = None,
    idem: Optional[str] = None,
    *,
    caused_by: Optional[Iterable[int]] = None,
    evidence: Optional[str] = None,
    confidence: Optional[float] = None,
) -> Call[int]:
    """Remove an edge; return the seq of the op."""
    body = members(frm=frm, rel=rel, to=to, client=client, nonce=nonce, idem=idem,
                   caused_by=listed(caused_by), evidence=evidence, confidence=confidence)
    return write(at, "unlink", member("seq"), body)


def neighbors(at: str, node: str, rel: str, as_of: Optional[int] = None) -> Call[list[str]]:
    """Return the nodes that a node links to, in the order linked."""
    return ask(at, "neighbors", member("nodes"), node=text_given("node", node), rel=text_given("rel", rel),
               as_of=seq_given("as_of", as_of))


def inbound(at: str, node: str, rel: str, as_of: Optional[int] = None) -> Call[list[str]]:
    """Return the nodes that link to a node, in the order linked."""
    return ask(at, "inbound", member("nodes"), node=text_given("node", node), rel=text_given("rel", rel),
               as_of=seq_given("as_of", as_of))


def create_index(
    at: str, coll: str, field: str, kind: Literal["eq", "ordered", "search"] = "eq"
) -> Call[None]:
    """Make an index on a field or dotted path."""
    call = write(at, "index", nothing, members(coll=coll, field=field, kind=kind), keyed=False)
    # Making it again changes nothing.
    call.repeatable = True
    return call


def indexes(at: str) -> Call[list[tuple[str, str, str]]]:
    """Return the indexes as (collection, field, kind)."""
    return ask(at, "", lambda answer: [(coll, field, kind) for coll, field, kind in answer.value()["indexes"]])


def collections(at: str) -> Call[list[str]]:
    """Return the collections that hold a document, in order of creation."""
    return ask(at, "", lambda answer: list(answer.value()["collections"]))


def describe(at: str) -> Call[dict[str, Any]]:
    """Return what the server says of the database: seq, head, rows, collections, indexes, integrity, newest ops."""
    return ask(at, "", Answer.value)


def expire(
    at: str, coll: str, id: str, ttl_s: float, client: Optional[str] = "local"
) -> Call[bool]:
    """Write a document again with a time to live; False when there is none."""
    return write(at, "expire", member("found"), members(coll=coll, id=id, ttl_s=ttl_s, client=client))


def sweep(at: str) -> Call[int]:
    """Delete the documents that have expired; return how many."""
    return Call("POST", f"{at}/sweep", member("deleted"), writes=True)


def batch(
    at: str,
    items: Iterable[Mapping[str, Any]],
    client: Optional[str] = "local",
    nonce: Optional[int] = None,
    idem: Optional[str] = None,
) -> Call[list[Optional[Document]]]:
    """Write items as one op, all or nothing; return the stored document of each put, else None.

    An item is ``{"op": "put", "coll", "id", "doc"}``, with ``if_seq``, ``ttl_s`` and provenance if wanted,
    ``{"op": "delete", "coll", "id"}``, or ``{"op": "link" or "unlink", "frm", "rel", "to"}``.
    """
    if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, Iterable):
        raise InvalidArgument(f"items is a list, got {type(items).__name__}")
    texts = [text_of(item) for item in items]
    return batch_of_texts(at, texts, client, nonce, idem)


def batch_of_texts(
    at: str, items: list[str], client: Optional[str], nonce: Optional[int], idem: Optional[str]
) -> Call[list[Optional[Document]]]:
    """Write items that are JSON texts already."""
    body = members(client=client, nonce=nonce, idem=idem)
    body["items"] = f"[{','.join(items)}]"
    return write(at, "batch", member("results"), body)


def checkpoint(at: str, note: Optional[str] = None) -> Call[str]:
    """Save the views in a file, and write an op that seals the file; return the head, which is that op's hash."""
    return whole_log(write(at, "checkpoint", member("head"), members(note=note), keyed=False))


def verify(at: str) -> Call[bool]:
    """Read the log again and check every hash and link."""
    return whole_log(ask(at, "verify", member("ok")))


def verify_report(at: str) -> Call[dict[str, Any]]:
    """Do what ``verify`` does, and say what is wrong and where."""
    return whole_log(ask(at, "verify", member("report")))


def verify_determinism(at: str) -> Call[bool]:
    """Replay the log into fresh views and compare them with those in use."""
    return whole_log(ask(at, "verify", member("deterministic"), determinism=True))


def verify_files(at: str) -> Call[dict[str, Any]]:
    """Read the bytes of every version of every file, and say which chunks cannot be read, and why."""
    return whole_log(ask(at, "verify", member("files"), files=True))


def backup(at: str, to: Optional[str] = None, *, skip_damaged_files: bool = False) -> Call[dict[str, Any]]:
    """Copy the database as it is now, on the server, while reads and writes go on.

    ``to`` names the copy; without it the time does. Returns ``path`` below the server's directory of backups,
    ``seq``, ``head`` and ``log_bytes``. A damaged chunk of a file is an ``IntegrityError`` that names it; with
    ``skip_damaged_files`` it is left out, and ``damage`` and ``damage_count`` say so as in ``verify_files``.
    """
    def read(answer: Answer) -> dict[str, Any]:
        value = answer.value()
        return {name: value[name] for name in ("path", "seq", "head", "log_bytes", "damage", "damage_count")}

    return whole_log(write(at, "backup", read, members(to=to, skip_damaged_files=skip_damaged_files), keyed=False))


def flush(at: str) -> Call[None]:
    """Wait until everything written is on disk."""
    return Call("POST", f"{at}/flush", nothing, repeatable=True)


def seq(at: str) -> Call[int]:
    """Return the seq of the last op; -1 when there is none."""
    return ask(at, "log", member("seq"), limit=0)


def head(at: str) -> Call[str]:
    """Return the hash of the last op, which commits to the whole log: 64 hexadecimal digits."""
    return ask(at, "log", member("head"), limit=0)


def durable_seq(at: str) -> Call[int]:
    """Return the seq of the last op once that is on the disk."""
    return Call("POST", f"{at}/flush", member("durable_seq"), repeatable=True)


def read_only(at: str) -> Call[bool]:
    """Return whether the server only reads the database."""
    return ask(at, "", member("read_only"))


def ops(
    at: str, after_seq: int, limit: int, wait_ms: int = 0, after_hash: Optional[str] = None
) -> Call[list[Op]]:
    """Return the ops that follow a seq, as many as fit in an answer; wait so long for the first.

    With the hash of the op at the seq they are refused where the log is another one.
    """
    call = ask(at, "changes", lambda answer: [Op.of(it) for it in answer.value()["changes"]],
               after_seq=seq_given("after_seq", after_seq), after_hash=after_hash, limit=limit, wait_ms=wait_ms or None)
    call.extra_s = wait_ms / 1000
    return call
