"""What ``serve.py`` measured, as a page.

In: what goes into server.json. Out: Markdown.
"""

from __future__ import annotations

from statistics import median

from table import rate

INTRODUCTION = """# Results of the server

Written by `python bench/serve.py`; see [README](README.md#the-server) for what is measured and how. A figure is
the median of {count} rounds of {seconds} s each, a ratio the median of the rounds' ratios. Client and server share
the machine: {cores} cores, {system}; {nedbd}, {wrk}. {documents:,} documents of 110 bytes, plain HTTP on
connections that are kept.
"""
#: The least of each rate, and the most of each time in milliseconds.
GET_MIN, QUERY_MIN, PUT_TIMES_MIN, BESIDE_P99_MS_MAX, START_MS_MAX = 40e3, 20e3, 8, 5, 50


def markdown(results: dict) -> str:
    """Write the page."""
    introduction = {**results, **results["machine"], "count": len(results["rounds"])}
    parts = [INTRODUCTION.format(**introduction), _stolen(results), _requests(results), _beside(results), _start(results)]
    return "\n".join(part for part in parts if part)


def _stolen(results: dict) -> str:
    shares = [each.get("stolen_share") for each in results["rounds"]]
    if None in shares:
        return ""
    middle, most = median(shares), max(shares)
    return (
        f"Of the time that the processors were wanted for, other machines on the same host took {middle:.0%} "
        f"(median of the rounds; {most:.0%} at most).\n"
    )


def _of(results: dict, work: str, member: str) -> float:
    return median(each[work][member] for each in results["rounds"])


def _reached(bound: str, is_reached: bool) -> str:
    return f"| {bound} | {'yes' if is_reached else '**no**'} |"


def _row(results: dict, title: str, work: str, tail: str) -> str:
    middle, last = (_of(results, work, member) for member in ("p50_ms", "p99_ms"))
    return f"| {title} | {rate(1 / _of(results, work, 'rate'))} | {middle:.2f} ms | {last:.2f} ms {tail}"


def _requests(results: dict) -> str:
    connections = results["connections"]
    get, query = (_of(results, work, "rate") for work in ("get", "query"))
    times = median(each["put"]["rate"] / each["floor"] for each in results["rounds"])
    floor = median(each["floor"] for each in results["rounds"])
    read, put = connections["read"], connections["put"]
    return "\n".join(
        [
            "## Requests",
            "",
            "| work | rate | half within | 99 % within | bound | reached |",
            "|---|---|---|---|---|---|",
            _row(results, f"get, {read} connections", "get", _reached(f"≥ {rate(1 / GET_MIN)}", get >= GET_MIN)),
            _row(
                results,
                f"query by an index, LIMIT 10, {read} connections",
                "query",
                _reached(f"≥ {rate(1 / QUERY_MIN)}", query >= QUERY_MIN),
            ),
            _row(
                results,
                f"durable put, {put} connections",
                "put",
                _reached(f"≥ {PUT_TIMES_MIN}× the floor", times >= PUT_TIMES_MIN),
            ),
            "",
            f"The puts are {times:.1f}× the floor of their rounds: {results['line_bytes']} bytes appended to a plain "
            f"file and synced, {rate(1 / floor)}.",
            "",
        ]
    )


def _beside(results: dict) -> str:
    connections = results["connections"]
    last = _of(results, "get_beside", "p99_ms")
    tail = _reached(f"99 % within {BESIDE_P99_MS_MAX} ms", last < BESIDE_P99_MS_MAX)
    return "\n".join(
        [
            "## Reads beside writes",
            "",
            "| work | rate | half within | 99 % within | bound | reached |",
            "|---|---|---|---|---|---|",
            _row(results, f"get, {connections['beside']} connections", "get_beside", tail),
            _row(results, f"durable put meanwhile, {connections['put']} connections", "put_beside", "|  |  |"),
            "",
        ]
    )


def _start(results: dict) -> str:
    starts = results["start_ms"]
    middle = median(starts)
    return "\n".join(
        [
            "## Start",
            "",
            "| work | figure | bound | reached |",
            "|---|---|---|---|",
            f"| start to first answer, no database, {len(starts)} starts | {middle:.1f} ms "
            + _reached(f"< {START_MS_MAX} ms", middle < START_MS_MAX),
            "",
        ]
    )
