"""Writes docs/errors.md from tests/conformance/errors.toml, or checks that it is current.

    python scripts/make_errors_page.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "tests/conformance/errors.toml"
PAGE = ROOT / "docs/errors.md"

HEAD = """\
<!-- Written by scripts/make_errors_page.py from tests/conformance/errors.toml. Change that, not this. -->

# Errors

Every error has a code, which is the same in every language and never changes once released, and a
sentence for a person, which may. A program looks at the code.

A call that fails with any code but `COMMIT_UNKNOWN` has appended nothing and changed nothing.

| code | what it means | Python class |
|---|---|---|
"""

TAIL = """\

## How each language spells it

| language | the code is | and besides |
|---|---|---|
| Rust | `error.code()`, an `ErrorCode`; `code.as_str()` is the text above | `error.message()`, and `error.position()` for a query |
| Python | `error.code`; each has a class, below `NEDBError` | some classes are a built-in class too, in brackets above, so that `except ValueError` works; `NQLError` has `lineno`, `offset` and `text` |
| Node | `error.code` of a `NedbError` | `error.position` for a query |

## What to do

| code | the next step |
|---|---|
| `COMMIT_UNKNOWN` | Open the database again and repeat the write with the same `idem`: if it is there, nothing is appended. Reads go on working on the old handle. |
| `DATABASE_LOCKED` | The message has the pid of the writer. Open with `read_only` to read beside it. |
| `PRECONDITION_FAILED` | Read the document again, decide again, write with its new `_seq`. |
| `READ_ONLY` | If the handle was not opened read-only, the log is damaged: `verify_report()` says where. See [the format](format.md#damage). |
| `REPLAY_ERROR` | Leave the nonce out, and the next one is taken. |
"""


def page() -> str:
    """Return the page as it should be."""
    errors = tomllib.loads(SOURCE.read_text(encoding="utf-8"))["error"]
    rows = []
    for error in errors:
        bases = ", ".join(f"`{base}`" for base in error["python_bases"])
        python = f"`{error['python']}`" + (f" ({bases})" if bases else "")
        rows.append(f"| `{error['code']}` | {error['meaning']} | {python} |\n")
    return HEAD + "".join(rows) + TAIL


def main() -> None:
    if "--check" not in sys.argv[1:]:
        PAGE.write_bytes(page().encode("utf-8"))
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
        sys.exit("docs/errors.md is not what errors.toml says; run scripts/make_errors_page.py")


if __name__ == "__main__":
    main()
