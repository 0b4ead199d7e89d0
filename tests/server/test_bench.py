"""The pages of the benches: that they say what was measured, and when a bound is missed."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import pytest
from nedbd import ROOT

BENCH = ROOT / "bench"


def modules_of_the_benches(*names: str) -> list[Any]:
    """Import them, and take their names back: another module of the tests is called compare too."""
    before = set(sys.modules)
    sys.path.insert(0, str(BENCH))
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(BENCH))
        for name in set(sys.modules) - before:
            if str(BENCH) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


compare, disk, serve, report, disk_report, serve_report = modules_of_the_benches(
    "compare", "disk", "serve", "report", "disk_report", "serve_report")


def answered(rate: float, p99_ms: float = 1.0) -> dict[str, float]:
    """What wrk says of a load."""
    return {"rate": rate, "p50_ms": 0.5, "p99_ms": p99_ms}


def measured(**changed: Any) -> dict[str, Any]:
    """What a run of three rounds finds that reaches every bound, just."""
    each = {
        "get": answered(40_000), "query": answered(20_000), "put": answered(8_000), "floor": 1_000.0,
        "get_beside": answered(9_000, 4.9), "put_beside": answered(7_000), **changed,
    }
    about = {"cores": 2, "system": "Linux x86_64", "versions": {}, "pythons": {}, "nedbd": "nedbd 2", "wrk": "wrk 4"}
    return {
        "machine": about, "documents": 20_000, "seconds": 5, "line_bytes": 430, "rounds": [each, each, each],
        "connections": {"read": 16, "put": 64, "beside": 4}, "start_ms": [49.0, 10.0, 49.9],
    }


def missed(results: dict[str, Any]) -> list[str]:
    """The rows of the page that say that a bound is missed."""
    lines = serve_report.markdown(results).splitlines()
    return [line.split("|")[1].strip() for line in lines if "**no**" in line]


@pytest.mark.parametrize(("module", "figures", "page"), [
    (report, "results.json", "RESULTS.md"), (disk_report, "disk.json", "DISK.md"),
    (serve_report, "server.json", "SERVER.md"),
])
def test_the_pages_that_are_kept_say_what_was_measured(module: Any, figures: str, page: str) -> None:
    made = module.markdown(json.loads((BENCH / figures).read_text("utf-8")))
    assert made == (BENCH / page).read_text("utf-8")


def test_what_is_just_reached_is_reached_and_every_figure_is_on_the_page() -> None:
    assert missed(measured()) == []
    page = serve_report.markdown(measured())
    for said in ("3 rounds of 5 s each", "2 cores, Linux x86_64; nedbd 2, wrk 4", "20,000 documents",
                 "| get, 16 connections | 40k/s | 0.50 ms | 1.00 ms | ≥ 40k/s | yes |",
                 "| query by an index, LIMIT 10, 16 connections | 20k/s |", "| durable put, 64 connections | 8k/s |",
                 "The puts are 8.0× the floor of their rounds: 430 bytes appended to a plain file and synced, 1k/s.",
                 "| get, 4 connections | 9k/s | 0.50 ms | 4.90 ms | 99 % within 5 ms | yes |",
                 "3 starts | 49.0 ms | < 50 ms | yes |"):
        assert said in page, page


@pytest.mark.parametrize(("changed", "row"), [
    ({"get": answered(39_999)}, "get, 16 connections"),
    ({"query": answered(19_999)}, "query by an index, LIMIT 10, 16 connections"),
    ({"put": answered(7_990)}, "durable put, 64 connections"),
    ({"floor": 1_001.0}, "durable put, 64 connections"),
    ({"get_beside": answered(9_000, 5.0)}, "get, 4 connections"),
])
def test_a_bound_that_is_missed_is_said_in_its_row(changed: dict[str, Any], row: str) -> None:
    assert missed(measured(**changed)) == [row]


def test_a_start_that_takes_too_long_is_said() -> None:
    assert missed({**measured(), "start_ms": [50.0, 50.0, 1.0]}) == ["start to first answer, no database, 3 starts"]


def test_a_figure_is_the_median_of_its_rounds_and_a_ratio_that_of_the_ratios() -> None:
    results = measured()
    slow = {**results["rounds"][0], "get": answered(1.0, 99.0), "put": answered(1.0)}
    assert missed({**results, "rounds": [slow, *results["rounds"][1:]]}) == []
    # 10, 9 and 1 times the floor of their round; the median put is 2 times the median floor.
    rounds = [{**slow, "get": answered(40_000), "put": answered(rate), "floor": floor}
              for rate, floor in ((1_000, 100), (900, 100), (500, 500))]
    assert "The puts are 9.0× the floor" in serve_report.markdown({**results, "rounds": rounds})


def test_what_other_machines_took_is_said_where_it_is_known() -> None:
    shares = [measured(stolen_share=share)["rounds"][0] for share in (0.01, 0.04, 0.3)]
    page = serve_report.markdown({**measured(), "rounds": shares})
    assert "other machines on the same host took 4% (median of the rounds; 30% at most)" in page
    assert "other machines" not in serve_report.markdown(measured(stolen_share=None))
    # Of 100 ticks 40 were idle or waiting for the disk, and 15 of the rest were somebody else's.
    ended = [30, 0, 10, 35, 5, 3, 2, 15]
    assert serve._stolen_share([0] * 8, ended) == 0.25 and serve._stolen_share([], []) is None


@pytest.mark.parametrize("bench", [compare, disk, serve])
def test_a_smoke_run_is_one_round_and_writes_only_where_it_is_told_to(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parse: Callable[[list[str]], Any] = bench.parse_arguments
    whole, quick = parse([]), parse(["--quick"])
    assert whole.rounds > 1 and not whole.quick and quick.rounds == 1
    assert parse(["--rounds", "3"]).rounds == 3
    assert not compare.write_results(quick, {}, "page", ("a.json", "A.md"))
    told = parse(["--quick", "--out", str(tmp_path / "new")])
    assert compare.write_results(told, {"n": 1}, "page", ("a.json", "A.md"))
    assert {path.name: path.read_text() for path in told.out.iterdir()} == {"a.json": '{\n "n": 1\n}\n', "A.md": "page"}
    with pytest.raises(SystemExit):
        parse(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert str(bench.__doc__).partition("\n")[0] in said and "a smoke run" in said
