"""What is installed from the wheel: the package, the client and the server, with nothing else.

What was built before is not built again, also not from the source archive: its sources are as old as they can be,
and cargo knows a workspace wherever it lies.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from nedbd import BINARY, PATIENCE_S, ROOT

SCRIPTS = "Scripts" if os.name == "nt" else "bin"
EXE = ".exe" if os.name == "nt" else ""
#: Talks to a server through the client, and to nothing that is not in the wheel.
TALK = """
import sys
from nedb.client import NedbClient
with NedbClient(sys.argv[1]) as client:
    db = client.create_database("db", exist_ok=True)
    stored = db.put("users", "u1", {"name": "Ada"})
    assert db.query("FROM users") == [stored] and db.verify()
    print(client.health()["version"])
"""


PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
#: The tools of this Python, and what was built.
TOOLS = {
    "CARGO_TARGET_DIR": str(ROOT / "target"),
    **os.environ,
    "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]),
    "PYTHONPATH": str(ROOT / "scripts"),
}


def make_wheel(source: Path, place: Path) -> Path:
    """Build the wheel with the tools of .venv: an environment of its own would fetch them first."""
    subprocess.run([*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-cache-dir", "--wheel-dir", str(place),
                    str(source)], check=True, env=TOOLS)
    [wheel] = place.glob("nedb_engine-*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has the wheel of this checkout, and nothing else."""
    place = tmp_path_factory.mktemp("shipping")
    wheel = make_wheel(ROOT, place)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")], check=True)
    subprocess.run([*PIP, "--python", str(place / "venv" / SCRIPTS / f"python{EXE}"),
                    "install", "--no-index", "--no-deps", str(wheel)], check=True)
    return place


def test_the_list_of_files_of_the_wheel_is_whole(installed: Path) -> None:
    [wheel] = installed.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        [record] = [name for name in archive.namelist() if name.endswith("/RECORD")]
        listed = [line.split(",")[0] for line in archive.read(record).decode().splitlines()]
        assert sorted(listed) == sorted(archive.namelist())
        [server] = [it for it in archive.infolist() if it.filename.endswith(f".data/scripts/nedbd{EXE}")]
        assert server.external_attr >> 16 == 0o100755


@pytest.mark.parametrize("how", ["nedbd", "python -m nedb.server"])
def test_the_server_of_the_wheel_starts_serves_and_stops(installed: Path, tmp_path: Path, how: str) -> None:
    scripts = installed / "venv" / SCRIPTS
    python = str(scripts / f"python{EXE}")
    command = [str(scripts / f"nedbd{EXE}")] if how == "nedbd" else [python, "-m", "nedb.server"]
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("NEDB", "PYTHON"))}
    server = subprocess.Popen([*command, "--port", "0", "--data", str(tmp_path / "data")],
                              stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        url = line[line.index("http://"):].split()[0]
        talk = subprocess.run([python, "-c", TALK, url], check=True, capture_output=True, text=True,
                              env=environment, cwd=tmp_path)
        assert line.startswith(f"nedbd {talk.stdout.strip()} ")
        server.send_signal(signal.SIGTERM)
        ended = server.wait(PATIENCE_S)
        # Windows has no such signal: a process is ended with it.
        assert ended == 0 or os.name == "nt"
    finally:
        if server.poll() is None:
            server.kill()
            server.wait(PATIENCE_S)
    assert (tmp_path / "data" / "db" / "log.aof").is_file()


def test_without_a_server_the_module_says_what_to_do(installed: Path, tmp_path: Path) -> None:
    code = ("import nedb.server, sys; nedb.server._places = lambda: iter(()); "
            "nedb.server.shutil.which = lambda name: None; sys.exit(nedb.server.main())")
    run = subprocess.run([str(installed / "venv" / SCRIPTS / f"python{EXE}"), "-c", code],
                         capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 1 and "pip install nedb-engine" in run.stderr


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive of this checkout, made as pip and build do."""
    place = tmp_path_factory.mktemp("archive")
    hook = "import sys, wheel_backend; wheel_backend.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", hook, str(place)], check=True, env=TOOLS, cwd=ROOT)
    [archive] = place.glob("nedb_engine-*.tar.gz")
    return archive


def test_the_source_archive_holds_the_sources_of_this_checkout(archive: Path) -> None:
    sources = [ROOT / "scripts" / "wheel_backend.py", ROOT / "Cargo.lock", *(ROOT / "python").rglob("*.py")]
    for crate in ("nedb-core", "nedb-py", "nedbd"):
        sources += (ROOT / "rust" / crate / "src").rglob("*.rs")
    root = archive.name[: -len(".tar.gz")]
    with tarfile.open(archive) as given:
        for path in sources:
            held = given.extractfile(f"{root}/{path.relative_to(ROOT).as_posix()}")
            assert held is not None and held.read() == path.read_bytes(), path
        assert {(it.mode, it.mtime) for it in given} == {(0o644, given.getmembers()[0].mtime)}


def test_the_source_archive_makes_the_wheel_of_the_checkout(installed: Path, archive: Path, tmp_path: Path) -> None:
    made = make_wheel(archive, tmp_path)
    [own] = installed.glob("*.whl")
    with zipfile.ZipFile(made) as given, zipfile.ZipFile(own) as expected:
        assert made.name == own.name and sorted(given.namelist()) == sorted(expected.namelist())
        [name] = [name for name in given.namelist() if name.endswith(f"/scripts/nedbd{EXE}")]
        server = Path(given.extract(name, tmp_path))
    server.chmod(0o755)
    said = subprocess.run([str(server), "--version"], check=True, capture_output=True, text=True)
    assert said.stdout.startswith("nedbd ")


def test_sources_without_the_server_make_no_wheel_without_it(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "wheel_backend.py").write_bytes((ROOT / "scripts" / "wheel_backend.py").read_bytes())
    run = subprocess.run([sys.executable, "-c", "import wheel_backend; wheel_backend.built_server()"],
                         capture_output=True, text=True, cwd=tmp_path / "scripts")
    assert run.returncode == 1 and "lack rust/nedbd" in run.stderr


def test_an_editable_installation_has_the_server_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import maturin
    import wheel_backend

    def build_editable(directory: str, *_: object) -> str:
        with zipfile.ZipFile(Path(directory) / "made.whl", "w") as wheel:
            wheel.writestr("made.pth", str(ROOT / "python"))
            wheel.writestr("made.dist-info/RECORD", "made.pth,,\nmade.dist-info/RECORD,,\n")
        return "made.whl"

    # maturin's own writes its extension into this checkout, where tests use it.
    monkeypatch.setattr(maturin, "build_editable", build_editable)
    monkeypatch.setattr(wheel_backend, "built_server", lambda: Path(BINARY))
    assert wheel_backend.build_editable(str(tmp_path)) == "made.whl"
    with zipfile.ZipFile(tmp_path / "made.whl") as wheel:
        name = f"made.data/scripts/{Path(BINARY).name}"
        assert set(wheel.namelist()) == {"made.pth", "made.dist-info/RECORD", name}
        assert wheel.read("made.dist-info/RECORD").decode().startswith(f"{name},sha256=")
        # Debug lines are stripped.
        assert 1e6 < len(wheel.read(name)) <= Path(BINARY).stat().st_size
