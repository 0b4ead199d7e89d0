"""What is installed from the wheel: the package, the client and the server, with nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from nedbd import PATIENCE_S, ROOT

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


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has the wheel of this checkout, and nothing else."""
    place = tmp_path_factory.mktemp("shipping")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    # Without isolation the tools are those of .venv, and what was built before is not built again.
    environment = {**os.environ, "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])}
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place), str(ROOT)],
                   check=True, env=environment)
    [wheel] = place.glob("nedb_engine-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")], check=True)
    subprocess.run([*pip, "--python", str(place / "venv" / SCRIPTS / f"python{EXE}"),
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
