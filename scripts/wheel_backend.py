"""The build backend: maturin, and nedbd beside what it builds.

In: the hooks that pip calls (PEP 517, PEP 660). Out: the wheel of maturin, with the server among its scripts, so
that ``nedbd`` stands on the path after ``pip install``.

An editable installation is left as maturin makes it, without the server: it is quick then. So is a wheel from
sources that lack ``rust/nedbd``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Optional

import maturin
from maturin import (  # noqa: F401 - hooks that are maturin's own
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

ROOT = Path(__file__).resolve().parent.parent
#: A regular file that anybody may run.
EXECUTABLE = 0o100755 << 16


def build_wheel(
    wheel_directory: str, config_settings: Optional[dict[str, Any]] = None, metadata_directory: Optional[str] = None
) -> str:
    """Build the wheel and put the server into it; return its name."""
    name: str = maturin.build_wheel(wheel_directory, config_settings, metadata_directory)
    if (ROOT / "rust" / "nedbd" / "Cargo.toml").is_file():
        with tempfile.TemporaryDirectory() as folder:
            add_script(Path(wheel_directory) / name, stripped(built_server(), Path(folder)))
    return name


def built_server() -> Path:
    """Build nedbd and return where cargo put it."""
    cargo = [os.environ.get("CARGO", "cargo"), "build", "--release", "--package", "nedbd"]
    run = subprocess.run([*cargo, "--message-format", "json-render-diagnostics"], cwd=ROOT, check=True,
                         stdout=subprocess.PIPE, text=True, encoding="utf-8")
    messages = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    built = [it["executable"] for it in messages if it.get("executable") and it["target"]["name"] == "nedbd"]
    if not built:
        raise RuntimeError("cargo built no nedbd")
    return Path(built[-1])


def stripped(program: Path, folder: Path) -> Path:
    """Return a copy without what only a debugger reads, as maturin does with the extension; Windows keeps it apart."""
    copy = Path(shutil.copy2(program, folder))
    strip = shutil.which("strip")
    if os.name != "nt" and strip is not None:
        subprocess.run([strip, "-S", str(copy)], check=True)
    return copy


def add_script(wheel: Path, script: Path) -> None:
    """Put a program among the scripts of a wheel, and into its list of files."""
    made = wheel.with_suffix(".new")
    data = script.read_bytes()
    with zipfile.ZipFile(wheel) as given, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as taken:
        record = next(it for it in given.namelist() if it.endswith(".dist-info/RECORD"))
        folder = record[: -len(".dist-info/RECORD")] + ".data/scripts"
        place = zipfile.ZipInfo(f"{folder}/{script.name}", (1980, 1, 1, 0, 0, 0))
        place.external_attr, place.compress_type = EXECUTABLE, zipfile.ZIP_DEFLATED
        for it in given.infolist():
            if it.filename != record:
                taken.writestr(it, given.read(it))
        taken.writestr(place, data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines = f"{place.filename},sha256={digest},{len(data)}\n{given.read(record).decode()}"
        taken.writestr(given.getinfo(record), lines)
    made.replace(wheel)
