"""What ``disk.py`` measured, as a page and a picture.

In: what goes into disk.json. Out: Markdown, an SVG.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

from table import TITLES, duration, rate

INTRODUCTION = """# Results on a disk

Written by `python bench/disk.py`; see [README](README.md) for what is measured and how. A figure is the
median of {rounds} rounds, a ratio the median of the rounds' ratios. The floor is {line_bytes} bytes
appended to a plain file and synced, in the same round.

{machine}.
"""


def markdown(results: dict) -> str:
    """Write the page."""
    parts = [
        INTRODUCTION.format(**{**results, "machine": _machine(results["machine"])}),
        _durable(results),
        _bulk(results),
        _rust(results["rust"]),
        _opening(results["growth"][-1]),
        _growth(results["growth"]),
        _entries(results["entries"]),
    ]
    return "\n".join(parts)


def _machine(about: dict) -> str:
    versions = ", ".join(
        f"NEDB {version}" if name != "sqlite" else f"SQLite {version}"
        for name, version in about["versions"].items()
    )
    pythons = ", ".join(sorted(set(about["pythons"].values())))
    return f"{about['cores']} cores, {about['system']}, Python {pythons}; {versions}"


def of_floor(found: dict, name: str, floor: str) -> float:
    """Return how many times as fast as the floor something was: the median of the rounds."""
    return median(low / mine for low, mine in zip(found[floor], found[name]))


def _yes_or_no(is_reached: bool) -> str:
    return "yes" if is_reached else "**no**"


def _durable(results: dict) -> str:
    threads = results["threads"]
    lines = [
        "## Durable puts from Python",
        "",
        "| work | side | rate | its floor | × the floor | bound | reached |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, part, bound in (
        ("one thread", results["durable"], 0.9),
        (f"{threads} threads", results["together"], 5.0),
    ):
        for name in (name for name in TITLES if name in part):
            times = of_floor(part, name, f"{name} floor")
            floor = rate(median(part[f"{name} floor"]))
            tail = "|  |  |"
            if name == "ours":
                tail = f"| ≥ {bound:g}× | {_yes_or_no(times >= bound)} |"
            lines.append(
                f"| {title} | {TITLES[name]} | {rate(median(part[name]))} | {floor} | {times:.2f}× {tail}"
            )
    share = of_floor(results["together"], "ours", "ours floor") / threads
    lines += ["", f"{threads} threads reach {share:.0%} of {threads} times the floor.", ""]
    return "\n".join(lines)


def _bulk(results: dict) -> str:
    part = results["bulk"]
    lines = [
        "## Bulk load from Python, a thousand at a time, each batch synced",
        "",
        "The floor is the same bytes, appended and synced a thousand lines at a time.",
        "",
        "| side | rate | × the floor | bound | reached |",
        "|---|---|---|---|---|",
    ]
    for name in (name for name in TITLES if name in part):
        each = median(part[name])
        tail = f"| ≥ 130k/s | {_yes_or_no(1 / each >= 130e3)} |" if name == "ours" else "|  |  |"
        lines.append(f"| {TITLES[name]} | {rate(each)} | {of_floor(part, name, 'floor'):.2f}× {tail}")
    lines += [f"| floor | {rate(median(part['floor']))} | 1× |  |  |", ""]
    return "\n".join(lines)


def _rust(rust: dict) -> str:
    lines = ["## From Rust", "", "| work | figure | bound | reached |", "|---|---|---|---|"]
    for row in (row for example in rust.values() for row in example["rows"]):
        bound, is_reached = row.get("bound", ""), row.get("reached")
        reached = "" if is_reached is None else _yes_or_no(is_reached)
        lines.append(f"| {row['work']} | {row['figure']} | {bound} | {reached} |")
    return "\n".join([*lines, ""])


def _opened(part: dict) -> float:
    return median(one["seconds"] for one in part["opens"])


def _bytes_an_op(part: dict, count: int) -> float:
    return median(one["resident_bytes"] for one in part["opens"]) / count


def _opening(largest: dict) -> str:
    count = largest["count"]
    plain, saved = largest["plain"], largest["checkpointed"]
    each = _bytes_an_op(plain, count)
    loaded = _bytes_an_op(saved, count)
    return "\n".join(
        [
            f"## Opening {count:,} documents",
            "",
            f"The log has {plain['log_bytes'] / count:.0f} bytes an op, the checkpoint "
            f"{saved['checkpoint_bytes'] / count:.1f}.",
            "",
            "| what | figure | bound | reached |",
            "|---|---|---|---|",
            f"| open, no checkpoint | {duration(_opened(plain))} | ≤ 3 s | "
            f"{_yes_or_no(_opened(plain) <= 3)} |",
            f"| open, with checkpoint | {duration(_opened(saved))} | ≤ 300 ms | "
            f"{_yes_or_no(_opened(saved) <= 0.3)} |",
            f"| memory after it, no checkpoint | {each:.0f} bytes an op | ≤ 150 | "
            f"{_yes_or_no(each <= 150)} |",
            f"| memory after it, with checkpoint | {loaded:.0f} bytes an op | ≤ 150 | "
            f"{_yes_or_no(loaded <= 150)} |",
            "",
        ]
    )


def _growth(growth: list[dict]) -> str:
    lines = [
        "## How cost grows",
        "",
        "Documents of 110 bytes on a disk; two indexes where a query wants one. Loading is `put_many` of "
        "1,000, not synced. A get is of a random document, with the system's page cache warm and ours cold.",
        "",
        "| documents | put | put, two indexes | get | eq query | range query | open | with checkpoint "
        "| memory an op | open in 1.2.2 | its memory |",
        "|" + "---|" * 11,
    ]
    for part in growth:
        count, reads = part["count"], part["reads"]
        cells = [
            f"{count:,}",
            duration(part["plain"]["seconds"]),
            duration(part["indexed"]["seconds"]),
            *(duration(reads[name]) for name in ("get", "eq", "range")),
            duration(_opened(part["plain"])),
            duration(_opened(part["checkpointed"])),
            f"{_bytes_an_op(part['plain'], count):.0f} B",
        ]
        old = part.get("nedb1")
        cells += [duration(_opened(old)), f"{_bytes_an_op(old, count):.0f} B"] if old else ["–", "–"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _entries(entries: dict) -> str:
    kinds = ", ".join(f"{name} {added:.0f}" for name, added in entries["bytes"].items())
    return f"An index adds, for each of {entries['count']:,} documents, in bytes: {kinds}.\n"


def plot(results: dict, path: Path) -> bool:
    """Draw how cost grows; False where matplotlib is not installed."""
    try:
        import matplotlib

        matplotlib.use("svg")
        import matplotlib.pyplot as pyplot
    except ImportError:
        return False
    growth = results["growth"]
    counts = [part["count"] for part in growth]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 4))
    for name, title in (("get", "get"), ("eq", "eq query"), ("range", "range query")):
        left.plot(counts, [part["reads"][name] * 1e6 for part in growth], marker="o", label=title)
    left.plot(counts, [part["plain"]["seconds"] * 1e6 for part in growth], marker="o", label="put")
    left.set_ylabel("µs an op")
    for name, title in (("plain", "open"), ("checkpointed", "open with checkpoint")):
        right.plot(counts, [_opened(part[name]) for part in growth], marker="o", label=title)
    right.set_ylabel("s")
    right.set_yscale("log")
    left.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlabel("documents")
        axes.legend()
    figure.tight_layout()
    # No date and fixed ids, so that the same figures give the same file.
    matplotlib.rcParams["svg.hashsalt"] = "nedb"
    figure.savefig(path, metadata={"Date": None})
    return True
