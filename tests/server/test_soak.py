"""The soak, for five seconds; and that it finds what it looks for."""

from __future__ import annotations

import subprocess
import sys

from nedbd import ROOT

sys.path.insert(0, str(ROOT / "bench"))

import soak  # noqa: E402


def test_nothing_is_lost_under_load_with_kills_and_restarts() -> None:
    # Longer than two seconds, since it takes some lives of a server to end in the middle of something.
    command = [sys.executable, str(ROOT / "bench" / "soak.py"), "--seconds", "5", "--life-s", "0.8"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "\n0 violations" in ended.stdout and "kills: 0" not in ended.stdout


def test_a_lost_write_half_a_batch_and_a_leak_are_violations() -> None:
    writer = soak.Writer(0, 1)
    writer.acknowledged, writer.in_flight = {"a": 1, "b": 2, "c": 3}, {"b": 5, "c": 5}
    writer.settle({"a": 1, "b": 5, "c": 5})
    assert writer.problems == [] and writer.acknowledged == {"a": 1, "b": 5, "c": 5}
    writer.settle({"a": 1, "b": 5})
    writer.in_flight = {"a": 7, "b": 7}
    writer.settle({"a": 7, "b": 5, "x": 1})
    assert [problem.split(":")[0] for problem in writer.problems] == ["after a start", "after a start",
                                                                      "half of a batch is there"]
    writer.heads = {0: "x", 1: "y", 2: "z"}
    assert len(soak.heads_that_differ([writer], ["x", "other"])) == 2
    growths = [soak.Growth(500_000, 10, 1 << 27), soak.Growth(500, 10, 1 << 27)]
    assert soak.growths_that_are_none(growths) == ["10 ops up to 500 took 134217728 bytes of memory"]
