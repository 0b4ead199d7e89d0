"""A tour of NEDB: 3,201 films, two dozen questions, a correction, a crash.

    python examples/tour.py [--films FILE] [--directory DIRECTORY]

Loads the films of vega-datasets into a database on disk, asks what stands in tour.json, and checks
every answer. Ends with status 1 at the first thing that is not as it should be. The tours in Node
(tour.mjs) and Rust (rust/nedb-core/examples/tour.rs) do the same and end with the same head.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nedb import NEDB, DatabaseLocked, ReadOnly

from verify_log import verify_log

HERE = Path(__file__).resolve().parent
FILMS = HERE / "node_modules/vega-datasets/data/movies.json"
TOUR = json.loads((HERE / "tour.json").read_text(encoding="utf-8"))
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def main() -> None:
    parser = argparse.ArgumentParser(description="A tour of NEDB.")
    parser.add_argument("--films", type=Path, default=FILMS)
    parser.add_argument("--directory", type=Path, help="keep the database here")
    parser.add_argument("--write-until-killed", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write_until_killed:
        write_until_killed(arguments.directory)
    with tempfile.TemporaryDirectory(prefix="nedb-tour-") as scratch:
        directory = arguments.directory or Path(scratch) / "films"
        if (directory / "log.aof").exists():
            sys.exit(f"{directory} holds a database already")
        head = load_and_ask(arguments.films, directory)
        damage_a_copy(directory, Path(scratch) / "copy")
        kill_a_writer(directory)
    print(f"\nEverything was as expected. Head before the crash test:\n{head}")


def load_and_ask(films_file: Path, directory: Path) -> str:
    """Write, ask, correct, ask again; return the head."""
    # A clock that stands still makes the head the same on every run.
    with NEDB(directory, clock=TOUR["clock"]) as db:
        heading("Loading")
        known = {"loaded": load_films(db, films_file)}
        load_directors(db)
        for coll, field, kind in TOUR["indexes"]:
            db.create_index(coll, field, kind)
        say(f"{db.seq + 1:,} ops in {directory.name}/log.aof")

        first, second, third = TOUR["chapters"]
        ask(db, first, known)
        known["before"] = db.seq
        correct_a_rating(db)
        ask(db, second, known)
        known["one_certificate"] = write_certificates(db)
        ask(db, third, known)

        heading("Checking")
        check("a retry with the same key appends nothing", retry_appends_nothing(db))
        check("every hash and every link holds: verify()", db.verify())
        check("the state is what the log says: verify_determinism()", db.verify_determinism())
        check("the head is that of this tour in every language", db.head == TOUR["head"])
        head = db.head
    check("a verifier of 20 lines without NEDB finds the same head", verify_log(directory / "log.aof") == head)
    with NEDB(directory) as db:
        check("reopened, the head is the same", db.head == head)
    return head


# ------------------------------------------------------------------------------------------ writing


def load_films(db: NEDB, films_file: Path) -> int:
    """Write all films, one op each, with one sync; return the seq of the last."""
    records = json.loads(films_file.read_text(encoding="utf-8"))
    started = time.perf_counter()
    db.put_many("films", {f"film-{n:04}": film(record) for n, record in enumerate(records)})
    say(f"{len(records):,} films in {time.perf_counter() - started:.2f} s")
    return db.seq


def film(record: dict) -> dict:
    """A record of the data set as a document with two nested ones."""
    return {
        "title": str(record["Title"] or "untitled"),
        "released": iso_date(record["Release Date"]),
        "genre": record["Major Genre"],
        "rated": record["MPAA Rating"],
        "director": record["Director"],
        "money": {"budget": record["Production Budget"], "worldwide": record["Worldwide Gross"]},
        "ratings": {
            "imdb": record["IMDB Rating"],
            "votes": record["IMDB Votes"],
            "tomatoes": record["Rotten Tomatoes Rating"],
        },
    }


def iso_date(text: str) -> str:
    """Jun 12 1998 -> 1998-06-12."""
    month, day, year = text.split()
    # The data set has the films of before 1928 a century late.
    year_number = int(year) - 100 if int(year) > 2012 else int(year)
    return f"{year_number}-{MONTHS.index(month) + 1:02}-{day}"


def load_directors(db: NEDB) -> None:
    """Write each director, and the links from the films to them, in one transaction: all or nothing."""
    films_of: dict[str, list[str]] = {}
    for row in db.query("FROM films WHERE director IS NOT NULL"):
        films_of.setdefault(row["director"], []).append(row["_id"])
    started = time.perf_counter()
    for done, (name, films) in enumerate(films_of.items()):
        with db.transaction() as tx:
            tx.put("directors", name, {"name": name, "films": len(films)})
            for film_id in films:
                tx.link(f"films:{film_id}", "directed_by", f"directors:{name}")
        progress(done + 1, len(films_of), "directors")
    say(f"{len(films_of)} directors and their links in {time.perf_counter() - started:.2f} s")


def correct_a_rating(db: NEDB) -> None:
    """Put a rating right, and say why."""
    correction = TOUR["correction"]
    report = db.put("reports", "namesake", correction["report"])
    corrected = db.get("films", correction["film"])
    corrected["ratings"].update(correction["ratings"])
    corrected = db.put(
        "films",
        correction["film"],
        corrected,
        caused_by=[report["_seq"]],
        evidence="correction",
        confidence=0.9,
    )
    db.put("lists", "to_watch", correction["list"], caused_by=[corrected["_seq"]], evidence="inference")


def write_certificates(db: NEDB) -> int:
    """Write what was true when; return the seq between the two facts."""
    first, second = TOUR["certificates"]
    one = db.put("certificates", first["film"], first, valid_from=first["from"], valid_to=first["to"])
    db.put("certificates", second["film"], second, valid_from=second["from"])
    return one["_seq"]


def retry_appends_nothing(db: NEDB) -> bool:
    """A write that is repeated with its key answers what the first one did."""
    first = db.put("reports", "once", {"text": "sent twice, kept once"}, idem="report-1")
    seq = db.seq
    again = db.put("reports", "once", {"text": "sent twice, kept once"}, idem="report-1")
    return again == first and db.seq == seq


# ------------------------------------------------------------------------------------------- asking


def ask(db: NEDB, chapter: dict, known: dict) -> None:
    """Ask the questions of a chapter; `known` are the seqs that they may name as parameters."""
    heading(chapter["title"])
    for question in chapter["questions"]:
        rows = db.query(question["nql"], {**known, **question.get("params", {})})
        answer = [[at_path(row, path) for path in question["show"]] for row in rows]
        print(f"\n  {question['ask']}\n    {question['nql']}")
        if "params" in question:
            print(f"    with {json.dumps(question['params'])}")
        for values in answer or [["nothing"]]:
            print("      " + " · ".join(shown(value) for value in values))
        if answer != question["expect"]:
            fail(f"expected {json.dumps(question['expect'])}")


def at_path(row: dict, path: str) -> object:
    """The value at a dotted path; a member with dots in its name goes first."""
    if path in row:
        return row[path]
    value: object = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# ----------------------------------------------------------------------------------------- damaging


def damage_a_copy(directory: Path, copy: Path) -> None:
    """Change one rating in a copy of the log, as somebody might who wants to hide it."""
    heading("Damaging a copy")
    shutil.copytree(directory, copy)
    log = copy / "log.aof"
    text = log.read_bytes()
    log.write_bytes(text.replace(b'"imdb":5.7,"tomatoes":96,', b'"imdb":9.7,"tomatoes":96,', 1))
    with NEDB(copy) as db:
        report = db.verify_report()
        check("verify() is false", not db.verify())
        say(f"op {report['damage']['seq']}: {report['damage']['reason']}")
        check("what stands before the damage is readable", db.get("films", "film-0000") is not None)
        check("nothing can be written", raises(ReadOnly, lambda: db.put("films", "x", {})))


# ------------------------------------------------------------------------------------------ killing


def write_until_killed(directory: Path) -> None:
    """What the child does: write, and say what was acknowledged."""
    with NEDB(directory) as db:
        while True:
            stored = db.put("notes", f"note-{db.seq + 1}", {"text": "written before the crash"})
            print(stored["_seq"], db.head, flush=True)


def kill_a_writer(directory: Path) -> None:
    """Kill a process while it writes; everything it was told is written must be there."""
    heading("Killing a writer")
    command = [sys.executable, __file__, "--write-until-killed", "--directory", str(directory)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    acknowledged = [child.stdout.readline().split() for _ in range(100)]
    check("a second writer is refused", raises(DatabaseLocked, lambda: NEDB(directory)))
    child.kill()
    # What it said in its last moments counts too; a line that was cut short does not.
    acknowledged += [line.split() for line in child.stdout.read().split("\n")[:-1]]
    child.wait()
    seq, head = int(acknowledged[-1][0]), acknowledged[-1][1]
    say(f"killed after {len(acknowledged)} acknowledged notes")
    with NEDB(directory) as db:
        check("every acknowledged note is there", db.get("notes", f"note-{seq}") is not None)
        check("the head after the last of them is the same", db.log[seq].hash == head)
        check("at most the one op in flight came after it", db.seq - seq <= 1)
        check("verify()", db.verify())


# ----------------------------------------------------------------------------------------- speaking


def heading(text: str) -> None:
    print(f"\n{text}\n{'=' * len(text)}")


def say(text: str) -> None:
    print(f"  {text}")


def check(what: str, holds: bool) -> None:
    say(f"{'ok' if holds else 'NOT SO'}: {what}")
    if not holds:
        fail(what)


def fail(text: str) -> None:
    sys.exit(f"The tour ends here: {text}")


def raises(expected: type[Exception], act: object) -> bool:
    try:
        act()
    except expected:
        return True
    return False


def progress(done: int, total: int, what: str) -> None:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        return
    filled = 30 * done // total
    end = "\r" + " " * 60 + "\r" if done == total else ""
    bar = "#" * filled + "." * (30 - filled)
    print(f"\r  [{bar}] {done}/{total} {what}{end}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
