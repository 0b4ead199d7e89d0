"""``python -m nedb.server``: starts nedbd, the server that the wheel brought, with the arguments that were given."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

__all__ = ["find", "main"]

NAME = "nedbd.exe" if os.name == "nt" else "nedbd"


def _places() -> Iterator[Path]:
    """Yield where the binary may be: with the scripts of this Python, of its user, and of a checkout."""
    yield Path(sysconfig.get_path("scripts")) / NAME
    user = f"{os.name}_user"
    if user in sysconfig.get_scheme_names():
        yield Path(sysconfig.get_path("scripts", user)) / NAME
    yield Path(__file__).resolve().parents[2] / "target" / "release" / NAME


def find() -> Optional[str]:
    """Return the path of nedbd; None when it is not there."""
    own = next((place for place in _places() if place.is_file()), None)
    return shutil.which("nedbd") if own is None else str(own)


def main() -> int:
    """Become the server; where a process cannot, start it and return what it ends with."""
    found = find()
    if found is None:
        sys.stderr.write("nedbd is not installed: pip install nedb-engine, or, in a checkout, make nedbd\n")
        return 1
    arguments = [found, *sys.argv[1:]]
    if os.name != "nt":
        os.execv(found, arguments)
    server = subprocess.Popen(arguments)
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:
            # The server has it too, and stops.
            continue


if __name__ == "__main__":
    sys.exit(main())
