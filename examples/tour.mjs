/**
 * A tour of NEDB: 3,201 films, two dozen questions, a correction, a crash.
 *
 *   node examples/tour.mjs [--films FILE] [--directory DIRECTORY]
 *
 * Loads the films of vega-datasets into a database on disk, asks what stands in tour.json, and checks
 * every answer. Ends with status 1 at the first thing that is not as it should be. The tours in Python
 * (tour.py) and Rust (rust/nedb-core/examples/tour.rs) do the same and end with the same head.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { NEDB } from "../node/index.js";

const FILE = fileURLToPath(import.meta.url);
const HERE = dirname(FILE);
const TOUR = JSON.parse(await readFile(join(HERE, "tour.json"), "utf8"));
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

async function main() {
  const { values } = parseArgs({
    options: {
      films: { type: "string", default: join(HERE, "node_modules/vega-datasets/data/movies.json") },
      directory: { type: "string" },
      "write-until-killed": { type: "boolean", default: false },
    },
  });
  if (values["write-until-killed"]) await writeUntilKilled(values.directory);
  const scratch = await mkdtemp(join(tmpdir(), "nedb-tour-"));
  try {
    const directory = values.directory ?? join(scratch, "films");
    if (existsSync(join(directory, "log.aof"))) fail(`${directory} holds a database already`);
    const head = await loadAndAsk(values.films, directory);
    await damageACopy(directory, join(scratch, "copy"));
    await killAWriter(directory);
    console.log(`\nEverything was as expected. Head before the crash test:\n${head}`);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Writes, asks, corrects, asks again; answers the head. */
async function loadAndAsk(filmsFile, directory) {
  // A clock that stands still makes the head the same on every run.
  const db = await NEDB.open(directory, { clock: TOUR.clock });
  heading("Loading");
  const known = { loaded: await loadFilms(db, filmsFile) };
  await loadDirectors(db);
  for (const [coll, field, kind] of TOUR.indexes) await db.createIndex(coll, field, kind);
  say(`${(db.seq + 1n).toLocaleString("en")} ops in log.aof`);

  const [first, second, third] = TOUR.chapters;
  await ask(db, first, known);
  known.before = db.seq;
  await correctARating(db);
  await ask(db, second, known);
  known.one_certificate = await writeCertificates(db);
  await ask(db, third, known);

  heading("Checking");
  check("a retry with the same key appends nothing", await retryAppendsNothing(db));
  check("every hash and every link holds: verify()", await db.verify());
  check("the state is what the log says: verifyDeterminism()", await db.verifyDeterminism());
  check("the head is that of this tour in every language", db.head === TOUR.head);
  const head = db.head;
  await db.close();
  const again = await NEDB.open(directory);
  check("reopened, the head is the same", again.head === head);
  await again.close();
  return head;
}

// ------------------------------------------------------------------------------------------- writing

/** Writes all films, one op each, with one sync; answers the seq of the last. */
async function loadFilms(db, filmsFile) {
  const records = JSON.parse(await readFile(filmsFile, "utf8"));
  const started = performance.now();
  await db.putMany(
    "films",
    records.map((record, n) => ({ _id: `film-${String(n).padStart(4, "0")}`, ...film(record) })),
  );
  say(`${records.length.toLocaleString("en")} films in ${seconds(started)} s`);
  return db.seq;
}

/** A record of the data set as a document with two nested ones. */
function film(record) {
  return {
    title: String(record.Title ?? "untitled"),
    released: isoDate(record["Release Date"]),
    genre: record["Major Genre"],
    rated: record["MPAA Rating"],
    director: record.Director,
    money: { budget: record["Production Budget"], worldwide: record["Worldwide Gross"] },
    ratings: {
      imdb: record["IMDB Rating"],
      votes: record["IMDB Votes"],
      tomatoes: record["Rotten Tomatoes Rating"],
    },
  };
}

/** Jun 12 1998 -> 1998-06-12. */
function isoDate(text) {
  const [month, day, year] = text.split(" ");
  // The data set has the films of before 1928 a century late.
  const yearNumber = Number(year) > 2012 ? Number(year) - 100 : Number(year);
  return `${yearNumber}-${String(MONTHS.indexOf(month) + 1).padStart(2, "0")}-${day}`;
}

/** Writes each director, and the links from the films to them, in one transaction: all or nothing. */
async function loadDirectors(db) {
  const filmsOf = new Map();
  for (const row of await db.query("FROM films WHERE director IS NOT NULL")) {
    filmsOf.set(row.director, [...(filmsOf.get(row.director) ?? []), row._id]);
  }
  const started = performance.now();
  let done = 0;
  for (const [name, films] of filmsOf) {
    await db.transaction((tx) => {
      tx.put("directors", name, { name, films: films.length });
      for (const id of films) tx.link(`films:${id}`, "directed_by", `directors:${name}`);
    });
    progress(++done, filmsOf.size, "directors");
  }
  say(`${filmsOf.size} directors and their links in ${seconds(started)} s`);
}

/** Puts a rating right, and says why. */
async function correctARating(db) {
  const { film: id, report, ratings, list } = TOUR.correction;
  const reported = await db.put("reports", "namesake", report);
  const corrected = await db.get("films", id);
  Object.assign(corrected.ratings, ratings);
  const stored = await db.put("films", id, corrected, {
    causedBy: [reported._seq],
    evidence: "correction",
    confidence: 0.9,
  });
  await db.put("lists", "to_watch", list, { causedBy: [stored._seq], evidence: "inference" });
}

/** Writes what was true when; answers the seq between the two facts. */
async function writeCertificates(db) {
  const [first, second] = TOUR.certificates;
  const one = await db.put("certificates", first.film, first, {
    validFrom: first.from,
    validTo: first.to,
  });
  await db.put("certificates", second.film, second, { validFrom: second.from });
  return one._seq;
}

/** A write that is repeated with its key answers what the first one did. */
async function retryAppendsNothing(db) {
  const document = { text: "sent twice, kept once" };
  const first = await db.put("reports", "once", document, { idem: "report-1" });
  const seq = db.seq;
  const again = await db.put("reports", "once", document, { idem: "report-1" });
  return isDeepStrictEqual(again, first) && db.seq === seq;
}

// -------------------------------------------------------------------------------------------- asking

/** Asks the questions of a chapter; `known` are the seqs that they may name as parameters. */
async function ask(db, chapter, known) {
  heading(chapter.title);
  for (const question of chapter.questions) {
    const rows = await db.query(question.nql, { ...known, ...question.params });
    const answer = rows.map((row) => question.show.map((path) => atPath(row, path)));
    console.log(`\n  ${question.ask}\n    ${question.nql}`);
    if (question.params) console.log(`    with ${JSON.stringify(question.params)}`);
    for (const values of answer.length > 0 ? answer : [["nothing"]]) {
      console.log(`      ${values.map(shown).join(" · ")}`);
    }
    if (!isDeepStrictEqual(answer, question.expect)) {
      fail(`expected ${JSON.stringify(question.expect)}`);
    }
  }
}

/** The value at a dotted path; a member with dots in its name goes first. */
function atPath(row, path) {
  if (path in row) return row[path];
  return path.split(".").reduce((value, name) => value?.[name] ?? null, row);
}

function shown(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

// ------------------------------------------------------------------------------------------ damaging

/** Changes one rating in a copy of the log, as somebody might who wants to hide it. */
async function damageACopy(directory, copy) {
  heading("Damaging a copy");
  await cp(directory, copy, { recursive: true });
  const log = join(copy, "log.aof");
  const text = await readFile(log, "utf8");
  await writeFile(log, text.replace('"imdb":5.7,"tomatoes":96,', '"imdb":9.7,"tomatoes":96,'));
  const db = await NEDB.open(copy);
  const { ok, damage } = await db.verifyReport();
  check("verify() is false", !ok);
  say(`op ${damage.seq}: ${damage.reason}`);
  check("what stands before the damage is readable", (await db.get("films", "film-0000")) !== null);
  check("nothing can be written", await rejects("READ_ONLY", db.put("films", "x", {})));
  await db.close();
}

// ------------------------------------------------------------------------------------------- killing

/** What the child does: write, and say what was acknowledged. */
async function writeUntilKilled(directory) {
  const db = await NEDB.open(directory);
  for (;;) {
    const text = "written before the crash";
    const stored = await db.put("notes", `note-${db.seq + 1n}`, { text });
    console.log(`${stored._seq} ${db.head}`);
  }
}

/** Kills a process while it writes; everything it was told is written must be there. */
async function killAWriter(directory) {
  heading("Killing a writer");
  const child = spawn(process.execPath, [FILE, "--write-until-killed", "--directory", directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const acknowledged = [];
  for await (const line of createInterface({ input: child.stdout })) {
    // A line that was cut short by the end does not count.
    if (/^\d+ [0-9a-f]{64}$/.test(line)) acknowledged.push(line.split(" "));
    if (acknowledged.length === 100 && !child.killed) {
      check("a second writer is refused", await rejects("DATABASE_LOCKED", NEDB.open(directory)));
      child.kill("SIGKILL");
    }
  }
  if (acknowledged.length === 0) fail("the child wrote nothing");
  const [seq, head] = acknowledged.at(-1);
  say(`killed after ${acknowledged.length} acknowledged notes`);
  const db = await NEDB.open(directory);
  check("every acknowledged note is there", (await db.get("notes", `note-${seq}`)) !== null);
  check("the head after the last of them is the same", (await db.op(BigInt(seq))).hash === head);
  // What the child says goes through a pipe, so it may have written more than was heard of it.
  check("nothing but whole notes came after it", await onlyNotesAfter(db, BigInt(seq)));
  check("verify()", await db.verify());
  await db.close();
}

async function onlyNotesAfter(db, seq) {
  for await (const op of db.log({ from: seq + 1n })) {
    if (op.op !== "put" || op.payload.coll !== "notes") return false;
  }
  return true;
}

// ------------------------------------------------------------------------------------------ speaking

function heading(text) {
  console.log(`\n${text}\n${"=".repeat(text.length)}`);
}

function say(text) {
  console.log(`  ${text}`);
}

function check(what, holds) {
  say(`${holds ? "ok" : "NOT SO"}: ${what}`);
  if (!holds) fail(what);
}

function fail(text) {
  throw new Error(`The tour ends here: ${text}`);
}

async function rejects(code, promise) {
  try {
    await promise;
    return false;
  } catch (error) {
    return error.code === code;
  }
}

function seconds(started) {
  return ((performance.now() - started) / 1000).toFixed(2);
}

/** A bar on a terminal, nothing elsewhere. */
function progress(done, total, what) {
  if (!process.stderr.isTTY) return;
  const filled = Math.floor((30 * done) / total);
  const bar = "#".repeat(filled) + ".".repeat(30 - filled);
  const end = done === total ? `\r${" ".repeat(60)}\r` : "";
  process.stderr.write(`\r  [${bar}] ${done}/${total} ${what}${end}`);
}

await main();
