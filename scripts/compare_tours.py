"""Runs the tours in Python, Node and Rust and compares the heads they end with.

    python scripts/compare_tours.py [--node NODE] [--cargo CARGO]

Each tour checks its own answers against examples/tour.json; that all three end with one head shows that
the same writes are the same bytes from every language.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--node", default="node")
    parser.add_argument("--cargo", default="cargo")
    arguments = parser.parse_args()
    rust = [arguments.cargo, "run", "--quiet", "--package", "nedb-core", "--example", "tour"]
    tours = {
        "Python": [sys.executable, "examples/tour.py"],
        "Node": [arguments.node, "examples/tour.mjs"],
        "Rust": rust,
    }
    environment = {**os.environ, "PYTHONUTF8": "1"}
    heads = {}
    for language, command in tours.items():
        run = subprocess.run(
            command, cwd=ROOT, text=True, encoding="utf-8", capture_output=True, env=environment
        )
        answered = len(re.findall(r"^    (?:EXPLAIN |)FROM ", run.stdout, flags=re.MULTILINE))
        if run.returncode != 0:
            sys.exit(f"{run.stdout}\n{run.stderr}\ntours: the tour from {language} failed")
        heads[language] = run.stdout.split()[-1]
        print(f"{language:7} {answered} questions answered, head {heads[language]}")
    if len(set(heads.values())) != 1:
        sys.exit("tours: the heads differ")
    print(f"tours: {len(heads)} passed, one head")


if __name__ == "__main__":
    main()
