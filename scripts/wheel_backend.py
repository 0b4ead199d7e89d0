"""The build backend: maturin, and nedbd beside what it builds.

In: the hooks that pip calls (PEP 517, PEP 660). Out: what maturin makes, with the server in it:

* a wheel, and one of an editable installation, has the program among its scripts, so that ``nedbd`` stands on the
  path after ``pip install``;
* the source archive has the crate, so that the wheel that is built from it has the program too.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Optional

import maturin
from maturin import (  # noqa: F401 - hooks that are maturin's own
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

ROOT = Path(__file__).resolve().parent.parent
#: The server's crate, as the workspace names it.
CRATE = "rust/nedbd"
#: A regular file that anybody may run.
EXECUTABLE = 0o100755 << 16


def build_wheel(
    wheel_directory: str, config_settings: Optional[dict[str, Any]] = None, metadata_directory: Optional[str] = None
) -> str:
    """Build the wheel and put the server into it; return its name."""
    name: str = maturin.build_wheel(wheel_directory, config_settings, metadata_directory)
    add_server(Path(wheel_directory) / name)
    return name


def build_editable(
    wheel_directory: str, config_settings: Optional[dict[str, Any]] = None, metadata_directory: Optional[str] = None
) -> str:
    """Build the wheel of an editable installation and put the server into it; return its name.

    The server is a copy, as the extension is: what changes in Rust is seen after the next installation.
    """
    name: str = maturin.build_editable(wheel_directory, config_settings, metadata_directory)
    add_server(Path(wheel_directory) / name)
    return name


def build_sdist(sdist_directory: str, config_settings: Optional[dict[str, Any]] = None) -> str:
    """Build the source archive and put the server's crate into it; return its name."""
    name: str = maturin.build_sdist(sdist_directory, config_settings)
    add_crate(Path(sdist_directory) / name, crate_files())
    return name


def add_server(wheel: Path) -> None:
    """Build nedbd and put it into a wheel."""
    with tempfile.TemporaryDirectory() as folder:
        add_script(wheel, stripped(built_server(), Path(folder)))


def cargo(*arguments: str) -> str:
    """Run cargo in the workspace and return what it prints."""
    run = subprocess.run([os.environ.get("CARGO", "cargo"), *arguments], cwd=ROOT, check=True,
                         stdout=subprocess.PIPE, text=True, encoding="utf-8")
    return run.stdout


def built_server() -> Path:
    """Build nedbd and return where cargo put it."""
    if not (ROOT / CRATE / "Cargo.toml").is_file():
        # What maturin alone archives would build, and lack the server without a word.
        raise RuntimeError(f"these sources lack {CRATE}; an archive that has it is made by: python -m build --sdist")
    printed = cargo("build", "--release", "--package", "nedbd", "--message-format", "json-render-diagnostics")
    messages = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
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


def crate_files() -> list[Path]:
    """Return the files of the server's crate, as cargo would package them, which is how maturin finds the others."""
    listed = cargo("package", "--list", "--allow-dirty", "--package", "nedbd").splitlines()
    # Among them are some that packaging makes.
    return [path for path in (ROOT / CRATE / name for name in listed) if path.is_file()]


def add_crate(archive: Path, files: list[Path]) -> None:
    """Put the server's crate into a source archive, and into the workspace that this describes."""
    made = archive.with_suffix(".new")
    with tarfile.open(archive) as given, made.open("wb") as raw, \
            gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed, \
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as taken:
        members = given.getmembers()
        root = members[0].name.split("/")[0]
        for it in members:
            content = given.extractfile(it)
            data = content.read() if content is not None else b""
            put(taken, it, with_crate(data.decode()).encode() if it.name == f"{root}/Cargo.toml" else data)
        for path in files:
            put(taken, sibling(members[0], f"{root}/{path.relative_to(ROOT).as_posix()}"), path.read_bytes())
    made.replace(archive)


def with_crate(manifest: str) -> str:
    """Name the server's crate among the members of a workspace, of which maturin leaves those that it builds."""
    named, count = re.subn(r"^members = \[(.*)\]", rf'members = [\1, "{CRATE}"]', manifest, flags=re.MULTILINE)
    if count != 1:
        raise RuntimeError("the Cargo.toml that maturin archived lists its members otherwise than expected")
    return named


def sibling(of: tarfile.TarInfo, name: str) -> tarfile.TarInfo:
    """Describe a further file of an archive, of the same age and rights as another."""
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = of.mode, of.mtime
    return info


def put(archive: tarfile.TarFile, info: tarfile.TarInfo, data: bytes) -> None:
    """Append a file to an archive."""
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))
