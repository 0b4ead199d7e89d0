"""What was measured, as a page and a picture.

In: what ``compare.py`` puts into results.json. Out: Markdown, an SVG.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

from table import CHURN_ROWS, HISTORY_ROWS, MAIN_ROWS, TITLES, Row, duration, rate

INTRODUCTION = """# Results

Written by `python bench/compare.py`; see [README](README.md) for what is measured and how. A figure is
the median of {rounds} rounds, a ratio the median of the rounds' ratios: how many times longer the other
side took. Rates are of one thread. *Reached* is told for the documents of 110 bytes on which the bounds
stand; the larger ones stand beside them.

{machine}. {note}
"""


def markdown(results: dict) -> str:
    """Write the page."""
    parts = [_introduction(results)]
    for size in results["sizes"]:
        parts.append(_size(size))
    if results["churn"]:
        parts.append(_churn(results["churn"]))
    return "\n".join(parts)


def _introduction(results: dict) -> str:
    facts = {"machine": _machine(results["machine"]), "note": results["note"]}
    return INTRODUCTION.format(rounds=results["rounds"], **facts).replace(". \n", ".\n")


def misses(results: dict) -> int:
    """Count the bounds that are missed where they stand."""
    tables = [(size["tasks"], (*MAIN_ROWS, *HISTORY_ROWS)) for size in results["sizes"][:1]]
    if results["churn"]:
        tables.append((results["churn"]["tasks"], CHURN_ROWS))
    return sum(_reached(row, tasks) is False for tasks, rows in tables for row in rows)


def _machine(machine: dict) -> str:
    versions = machine["versions"]
    sides = [f"{TITLES[name]} {version}".replace("1.2.2 1.2.2", "NEDB 1.2.2") for name, version in
             versions.items()]
    pythons = sorted(set(machine["pythons"].values()))
    return f"{machine['cores']} cores, {machine['system']}, Python {', '.join(pythons)}; " + ", ".join(
        sides
    ).replace("ours", "NEDB")


def _size(size: dict) -> str:
    shares = ", ".join(f"{name} {share:.2%}" for name, share in size["selectivities"].items())
    lines = [
        f"## Documents of {size['mean_bytes']:.0f} bytes, {size['count']:,} of them",
        "",
        f"Selectivities: {shares}.",
        "",
        *_table(MAIN_ROWS, size),
        "",
        "The same documents, indexed, each overwritten once: now, and AS OF the seq half way.",
        "",
        *_table(HISTORY_ROWS, size),
    ]
    lines += ["", *_wrong(size)] if size["wrong"] else []
    return "\n".join([*lines, ""])


def _churn(churn: dict) -> str:
    lines = [
        f"## {churn['count']:,} indexed documents, overwritten {churn['overwrite_count']:,} times in all",
        "",
        *_table(CHURN_ROWS, churn),
    ]
    return "\n".join([*lines, ""])


def _table(rows: tuple[Row, ...], part: dict) -> list[str]:
    sides = [side for side in TITLES if any(side in part["tasks"][row.task] for row in rows)]
    others = [side for side in sides if side != "ours"]
    heads = ["work", *(TITLES[side] for side in sides), *(f"× {TITLES[side]}" for side in others)]
    heads += ["bound", "reached"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        cells = [row.title]
        cells += [_figure(row, part, side) for side in sides]
        cells += [_ratio(part["tasks"], row.task, side) for side in others]
        cells += [_bound(row, part["tasks"]), _yes_or_no(_reached(row, part["tasks"]))]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _figure(row: Row, part: dict, side: str) -> str:
    rounds = part["tasks"][row.task].get(side)
    if not rounds:
        return "–"
    text = (rate if row.is_rate else duration)(median(rounds))
    return f"{text} (wrong)" if f"{side} {row.task}" in part["wrong"] else text


def _ratio(tasks: dict, task: str, other: str) -> str:
    found = ratio(tasks, (task, other), (task, "ours"))
    return "–" if found is None else f"{found:.3g}×"


def ratio(tasks: dict, left: tuple[str, str], right: tuple[str, str]) -> float | None:
    """Return the median of the rounds' ratios of two figures, each a task and a side."""
    lefts, rights = (tasks.get(task, {}).get(side) for task, side in (left, right))
    if not lefts or not rights:
        return None
    return median(one / other for one, other in zip(lefts, rights))


def _bound(row: Row, tasks: dict) -> str:
    texts = []
    for target in row.targets:
        text = target.text()
        if target.kind == "times_max_of":
            found = ratio(tasks, (row.task, "ours"), (target.other, "ours"))
            text += f" (is {found:.2f}×)"
        texts.append(text)
    return ", ".join(texts)


def _reached(row: Row, tasks: dict) -> bool | None:
    """Tell whether a row reaches all its bounds; None where there are none or sides are missing."""
    ours_s = median(tasks[row.task]["ours"])
    verdicts = []
    for target in row.targets:
        pair = ((row.task, target.other), (row.task, "ours"))
        if target.kind == "times_max_of":
            pair = ((row.task, "ours"), (target.other, "ours"))
        verdicts.append(target.is_reached(ours_s, ratio(tasks, *pair)))
    if not verdicts or None in verdicts:
        return False if False in verdicts else None
    return all(verdicts)


def _yes_or_no(verdict: bool | None) -> str:
    return {None: "", True: "yes", False: "**no**"}[verdict]


def _wrong(part: dict) -> list[str]:
    lines = ["Wrong answers, timed all the same:", ""]
    for name, fault in part["wrong"].items():
        side, task = name.split(" ", 1)
        lines.append(f"- {TITLES[side]}, {task}: {fault}.")
    return lines


def plot(results: dict, path: Path) -> bool:
    """Draw how many times longer the others take; False where matplotlib is not installed."""
    try:
        import matplotlib

        matplotlib.use("svg")
        import matplotlib.pyplot as pyplot
    except ImportError:
        return False
    tasks = results["sizes"][0]["tasks"]
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    rows = list(reversed(MAIN_ROWS))
    for offset, side in ((0.2, "sqlite"), (-0.2, "nedb1")):
        found = [ratio(tasks, (row.task, side), (row.task, "ours")) for row in rows]
        places = [place + offset for place in range(len(rows))]
        bars = axes.barh(places, [value or float("nan") for value in found], 0.38, label=TITLES[side])
        axes.bar_label(bars, [f"{value:.3g}×" if value else "" for value in found], fontsize=7)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [row.title for row in rows], fontsize=8)
    axes.set_xlabel("times longer than NEDB")
    axes.legend()
    figure.tight_layout()
    # No date and fixed ids, so that the same figures give the same file.
    matplotlib.rcParams["svg.hashsalt"] = "nedb"
    figure.savefig(path, metadata={"Date": None})
    return True
