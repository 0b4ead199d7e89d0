"""The tasks as rows of the table, and what each of them is to reach."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Target:
    """One bound: on our own figure, or on how many times ours is faster than another side."""

    kind: str  #: "seconds_max", "rate_min", "times_min" or "times_max_of"
    value: float
    other: str = ""  #: the side, or for "times_max_of" the task of ours
    sqlite_s: float = 0.0  #: what SQLite took on the machine on which a "seconds_max" was set

    def text(self) -> str:
        """Say the bound in a few words."""
        if self.kind == "seconds_max":
            return f"≤ {duration(self.value)} (there {self.sqlite_s / self.value:.2g}× SQLite)"
        if self.kind == "rate_min":
            return f"≥ {rate(1 / self.value)}"
        if self.kind == "times_max_of":
            return f"≤ {self.value:g}× {self.other.partition('/')[0]}"
        return f"≥ {self.value:g}× {TITLES[self.other]}"

    def is_reached(self, ours_s: float, ratio: float | None) -> bool | None:
        """Tell whether it is reached; None where the other side was not there."""
        if self.kind == "seconds_max":
            return ours_s <= self.value
        if self.kind == "rate_min":
            return 1 / ours_s >= self.value
        if ratio is None:
            return None
        return ratio >= self.value if self.kind == "times_min" else ratio <= self.value


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    task: str
    title: str
    is_rate: bool = False
    targets: tuple[Target, ...] = ()
    sides: tuple[str, ...] = field(default=("ours", "sqlite", "nedb1"))


TITLES = {"ours": "ours", "sqlite": "SQLite", "nedb1": "1.2.2"}
QUERIES = {
    "scan": 'WHERE age = 77 AND status = "off", no index',
    "eq": "eq index, LIMIT 10",
    "range": "range + ORDER BY + LIMIT 10, ordered index",
    "search_rare": "SEARCH a word of 1 %, LIMIT 10, ranked",
    "search_common": "SEARCH a word of 7 %, LIMIT 10, ranked",
    "group": "GROUP BY status AVG age",
}
#: Our bound, and what SQLite took where it was set.
_BOUNDS = {
    "scan": (5e-3, 33e-3),
    "eq": (20e-6, 115e-6),
    "range": (20e-6, 110e-6),
    "search_rare": (40e-6, 153e-6),
    "search_common": (40e-6, 153e-6),
    "group": (10e-3, 102e-3),
}


def _times(sqlite: float, nedb1: float) -> tuple[Target, ...]:
    return (Target("times_min", nedb1, "nedb1"), Target("times_min", sqlite, "sqlite"))


MAIN_ROWS = (
    Row("put", "Python put", True, _times(4, 10)),
    Row("get", "Python get, random", True, _times(6, 1.5)),
    *(
        Row(task, title, targets=(Target("seconds_max", bound_s, sqlite_s=sqlite_s),))
        for (task, title), (bound_s, sqlite_s) in zip(QUERIES.items(), _BOUNDS.values())
    ),
    Row("verify", "verify", True, (Target("rate_min", 1e6),), ("ours", "nedb1")),
)
#: The same collection, overwritten once: now, and half way.
HISTORY_ROWS = tuple(
    row
    for task, title in QUERIES.items()
    for row in (
        Row(f"head/{task}", f"{title}: HEAD", sides=("ours", "nedb1")),
        Row(
            f"asof/{task}",
            f"{title}: AS OF half way",
            targets=(Target("times_max_of", 2, f"head/{task}"),),
            sides=("ours", "nedb1"),
        ),
    )
)
#: A small collection, fresh, and after its documents were overwritten very often.
CHURN_ROWS = tuple(
    row
    for task, title in QUERIES.items()
    for row in (
        Row(f"fresh/{task}", f"{title}: fresh", sides=("ours",)),
        Row(
            f"churned/{task}",
            f"{title}: overwritten",
            targets=(Target("times_max_of", 2, f"fresh/{task}"),),
            sides=("ours",),
        ),
    )
)


def duration(seconds: float) -> str:
    """Spell a duration with three digits."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1 or unit == "µs":
            break
    return f"{_three_digits(seconds * factor)} {unit}"


def rate(seconds: float) -> str:
    """Spell what one op took as ops a second."""
    per_second = 1 / seconds
    if per_second >= 1e6:
        return f"{_three_digits(per_second / 1e6)}M/s"
    return f"{_three_digits(per_second / 1e3)}k/s"


def _three_digits(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    text = f"{value:.2f}" if value < 10 else f"{value:.1f}"
    return text.rstrip("0").rstrip(".")
