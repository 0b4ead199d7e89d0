"""What is measured: the documents, the tasks, and what each task must answer.

Everything follows from a fixed seed, so that every side gets the same documents in the same order and
every run is the same run. Nothing here imports a database.

The selectivities, of 20,000 documents (``selectivities`` counts them):

* ``age`` is uniform over 0..99, ``status`` over four words: ``age = 77 AND status = "off"`` is 0.25 %.
* ``score`` is uniform over 0.00..999.99: the range 450..550 is 10 %.
* The words of ``bio`` follow Zipf's law over 5,000 made-up words. Two of them are searched: the one
  nearest to being in 1 % of the documents, and the one nearest to 7 %.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass

SEED = 20_240_615
STATUSES = ("active", "paused", "off", "trial")
AGE, STATUS, SCORE_LOW, SCORE_HIGH = 77, "off", 450.0, 550.0
LIMIT = 10
VOCABULARY_COUNT = 5_000
#: Documents for each size in bytes: fewer large ones, since NEDB 1.2.2 keeps several copies of each.
DOCUMENT_COUNTS = {110: 20_000, 200: 20_000, 4_096: 5_000}
#: What a search word is wanted in: share of the documents.
RARE_SHARE, COMMON_SHARE = 0.01, 0.07


def vocabulary(count: int = VOCABULARY_COUNT) -> list[str]:
    """Make words of two to four syllables, none twice, the same ones in every run."""
    rng = random.Random(SEED)
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(rng.choices(syllables, k=rng.choice((2, 2, 3, 3, 4))))] = None
    return list(words)


class Generator:
    """Makes documents of one size, one after the other."""

    def __init__(self, size_bytes: int, seed: int) -> None:
        self.size_bytes = size_bytes
        self.rng = random.Random(f"{SEED} {seed} {size_bytes}")
        self.words = vocabulary()
        weights = [1.0 / (rank + 2.7) for rank in range(len(self.words))]
        total = 0.0
        self.cumulative = [total := total + weight for weight in weights]

    def document(self) -> dict:
        """Make five fields, of ``size_bytes`` as compact JSON, give or take a word."""
        rng = self.rng
        document = {
            "name": f"{rng.choice(self.words).title()} {rng.choice(self.words).title()}",
            "age": rng.randrange(100),
            "status": rng.choice(STATUSES),
            "bio": "",
            "score": rng.randrange(100_000) / 100,
        }
        left = self.size_bytes - len(json.dumps(document, separators=(",", ":")))
        document["bio"] = self._text(left)
        return document

    def _text(self, length: int) -> str:
        words = self.rng.choices(self.words, cum_weights=self.cumulative, k=max(1, length // 6))
        used, room = 0, length
        for word in words:
            if room < len(word):
                break
            room -= len(word) + 1
            used += 1
        return " ".join(words[: max(1, used)])


def documents(size_bytes: int, count: int, seed: int = 0) -> list[tuple[str, dict]]:
    """Make ``count`` documents with their ids. Another seed gives other values for the same ids."""
    generator = Generator(size_bytes, seed)
    return [(f"doc{number:06d}", generator.document()) for number in range(count)]


@dataclass(frozen=True)
class Words:
    """The two words that are searched."""

    rare: str
    common: str


def search_words(docs: list[tuple[str, dict]]) -> Words:
    """Choose the words whose shares of the documents are nearest to those wanted."""
    frequencies: Counter[str] = Counter()
    for _, document in docs:
        frequencies.update(set(document["bio"].split()))

    def nearest(share: float) -> str:
        return min(frequencies, key=lambda word: (abs(frequencies[word] - share * len(docs)), word))

    return Words(rare=nearest(RARE_SHARE), common=nearest(COMMON_SHARE))


def random_ids(docs: list[tuple[str, dict]], count: int) -> list[str]:
    """Choose ids at random, any of them more than once."""
    return random.Random(SEED).choices([id_ for id_, _ in docs], k=count)


def is_scanned(document: dict) -> bool:
    """Tell whether ``age = 77 AND status = "off"``."""
    return document["age"] == AGE and document["status"] == STATUS


def is_in_range(document: dict) -> bool:
    """Tell whether ``score`` lies in the range that is asked for."""
    return SCORE_LOW <= document["score"] < SCORE_HIGH


def selectivities(docs: list[tuple[str, dict]], words: Words) -> dict[str, float]:
    """Count what share of the documents each condition holds for."""
    conditions = {
        "scan": is_scanned,
        "eq": lambda document: document["age"] == AGE,
        "range": is_in_range,
        "search_rare": lambda document: words.rare in document["bio"].split(),
        "search_common": lambda document: words.common in document["bio"].split(),
    }
    return {
        name: sum(holds(document) for _, document in docs) / len(docs)
        for name, holds in conditions.items()
    }


class Oracle:
    """What each task must answer, worked out in plain Python."""

    def __init__(self, docs: list[tuple[str, dict]], words: Words) -> None:
        self.docs = dict(docs)
        self.words = words

    def fault(self, task: str, rows: list[dict]) -> str | None:
        """Say what is wrong with the rows that a side gave, or None.

        Where no order is asked for, any rows that qualify will do, as many as there must be.
        """
        if task == "group":
            return self._group_fault(rows)
        if task == "range":
            return self._range_fault(rows)
        qualifies = {
            "scan": is_scanned,
            "eq": lambda document: document["age"] == AGE,
            "search_rare": lambda document: self.words.rare in document["bio"].split(),
            "search_common": lambda document: self.words.common in document["bio"].split(),
        }[task]
        return self._subset_fault(rows, qualifies, None if task == "scan" else LIMIT)

    def _subset_fault(self, rows: list[dict], qualifies, limit: int | None) -> str | None:
        wanted = sum(map(qualifies, self.docs.values()))
        wanted = wanted if limit is None else min(wanted, limit)
        ids = [row["_id"] for row in rows]
        if len(ids) != wanted or len(set(ids)) != wanted:
            return f"{len(ids)} rows with {len(set(ids))} ids, not {wanted}"
        return self.content_fault(rows, qualifies)

    def content_fault(self, rows: list[dict], qualifies) -> str | None:
        """Say which row is not its document, or does not qualify."""
        for row in rows:
            given = {key: value for key, value in row.items() if not key.startswith("_")}
            if given != self.docs[row["_id"]]:
                return f"{row['_id']} is not the document of that time"
            if not qualifies(given):
                return f"{row['_id']} does not qualify"
        return None

    def _range_fault(self, rows: list[dict]) -> str | None:
        found = sorted(d["score"] for d in self.docs.values() if is_in_range(d))
        if [row["score"] for row in rows] != found[:LIMIT]:
            return "not the lowest scores, in order"
        return self.content_fault(rows, is_in_range)

    def _group_fault(self, rows: list[dict]) -> str | None:
        for status in STATUSES:
            ages = [d["age"] for d in self.docs.values() if d["status"] == status]
            found = [row for row in rows if row["status"] == status]
            if len(found) != 1 or found[0]["count"] != len(ages):
                return f"the group {status} is not one of {len(ages)}"
            if abs(found[0]["avg_age"] - sum(ages) / len(ages)) > 1e-9:
                return f"the mean of {status} is not {sum(ages) / len(ages)}"
        return None if len(rows) == len(STATUSES) else f"{len(rows)} groups"
