"use strict";
/**
 * Runs the conformance suite through the client for Node: the same cases, the same answers, the same heads.
 *
 * In: `tests/conformance/cases/<topic>/*.json`. Out: one test for each case, and a line of counts. A case is a
 * database of its own on one server, whose clock stands at what the case says; `reopen` is a stop and a start.
 * The client's calls are sent and repeated as ever; only the answers are read with a parser that forgets nothing,
 * since plain values have one number for 1 and 1.0. Nothing is repeated here (`retryCount: 0`), so that no
 * idempotency key which the client made is part of an op: client.test.js tests those.
 */

const { test, before, after } = require("node:test");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { Arguments, allCases } = require("../node/conformance.cases.js");
const { check, checkCopy } = require("../node/conformance.expect.js");
const { NumberText, parse, stringify: plainText } = require("../node/lossless.js");
const { database, onDatabase, onServer } = require("../../node/client_calls.js");
const { Database } = require("../../node/client_database.js");
const { NedbCore } = require("../../node/index.js");
const { camelCased } = require("../../node/options.js");
const { Transport } = require("../../node/client_transport.js");
const { Nedbd } = require("./nedbd.js");

const counts = { cases: 0, runs: 0, skipped: 0, failed: 0 };
/** Verbs that the client does not have, each with its reason: their cases are skipped, and counted as that. */
const KEY = "the key is the server's, for all its databases";
const NO_PATH = {
  damage: "the files are the server's, which has them open",
  close: "a client does not close the databases of a server",
  open_report: "the server has it in its log; describe says what of it still holds",
  repair: "it is done beside the server, on the directory",
  refresh: "a server that only reads refreshes by itself, on a timer",
  encrypted: KEY,
  rewrap_key: KEY,
  verify_proof: "it has no path: the engine of the one who doubts checks a proof",
};

/** The server of all cases, and the client's transport to it. */
const suite = {
  async start(readOnly) {
    suite.readOnly = readOnly;
    const flags = ["--sweep-interval-ms", "0", ...(readOnly ? ["--read-only"] : [])];
    suite.server = await Nedbd.start(path.join(suite.root, "data"), flags, { NEDBD_TEST_CLOCK: suite.clock });
    suite.transport = new Transport(suite.server.url, { retryCount: 0 });
  },

  async restart(readOnly, meanwhile = () => {}) {
    suite.transport.close();
    const code = await suite.server.stop();
    if (code !== 0) throw new Error(`the server ended with ${code}`);
    meanwhile();
    await suite.start(readOnly);
  },

  setClock(now) {
    fs.writeFileSync(suite.clock, String(now));
  },
};

/** Writes a value as the engine spells it: JavaScript leaves one character as it is. */
const stringify = (value) => plainText(value).replaceAll("\x7f", "\\u007f");

/** Sends a call; answers its result with every number as it was written. */
async function ask(call, transport = suite.transport) {
  const answer = parse((await transport.send(call)).text);
  return call.member === undefined ? answer : answer.get(call.member);
}

const target = (args) => [args.text("coll"), args.text("id")];
const edge = (args) => [args.text("frm"), args.text("rel"), args.text("to")];
/** Answers the write options as members of a body. */
const rest = (args, ...names) => {
  const given = [...args.members].filter(([name]) => !names.includes(name) && !name.endsWith("_text"));
  return Object.fromEntries(given.map(([name, value]) => [name, stringify(value)]));
};
const fileAt = (args) =>
  ({ version: args.integer("version"), tier: args.text("tier"), as_of: args.integer("as_of") });
const at = (args) => ({ as_of: args.integer("as_of"), valid_as_of: args.text("valid_as_of") });

/** Verb → its call, and how what it answers is compared: as one text unless it says rows. */
const VERBS = {
  put: (db, args) => onDatabase.put(db, ...target(args), args.json("doc"), rest(args, "coll", "id", "doc")),
  put_many: (db, args) => onDatabase.putMany(db, args.text("coll"), args.json("docs"), rest(args, "coll", "docs")),
  delete: (db, args) => onDatabase.delete(db, ...target(args), rest(args, "coll", "id")),
  get: (db, args) => onDatabase.get(db, ...target(args), at(args)),
  query: (db, args) => onDatabase.query(db, args.text("nql"), args.json("params")),
  link: (db, args) => onDatabase.link(db, ...edge(args), rest(args, "frm", "rel", "to")),
  unlink: (db, args) => onDatabase.unlink(db, ...edge(args), rest(args, "frm", "rel", "to")),
  neighbors: (db, args) => onDatabase.neighbors(db, args.text("node"), args.text("rel"), args.integer("as_of")),
  inbound: (db, args) => onDatabase.inbound(db, args.text("node"), args.text("rel"), args.integer("as_of")),
  create_index: (db, args) => onDatabase.createIndex(db, args.text("coll"), args.text("field"), args.text("kind")),
  indexes: (db) => onDatabase.indexes(db),
  collections: (db) => onDatabase.collections(db),
  expire: (db, args) =>
    onDatabase.expire(db, ...target(args), stringify(args.members.get("ttl_s")), rest(args, "coll", "id", "ttl_s")),
  sweep: (db) => onDatabase.sweep(db),
  batch: (db, args) => onDatabase.batch(db, args.json("items"), rest(args, "items")),
  checkpoint: (db, args) => onDatabase.checkpoint(db, args.text("note")),
  verify: (db) => onDatabase.verify(db),
  verify_report: (db) => onDatabase.verifyReport(db),
  verify_files: (db) => onDatabase.verifyFiles(db),
  verify_determinism: (db) => onDatabase.verifyDeterminism(db),
  read_only: (db) => onDatabase.readOnly(db),
  seq: (db) => onDatabase.seq(db),
  durable_seq: (db) => onDatabase.flush(db),
  head: (db) => onDatabase.head(db),
  flush: (db) => onDatabase.flush(db),
  file_root: (db, args) => onDatabase.fileRoot(db, args.text("name"), fileAt(args)),
  file_proof: (db, args) => onDatabase.fileProof(db, args.text("name"), args.integer("chunk_index"), fileAt(args)),
  files: (db, args) => onDatabase.files(db, args.integer("as_of")),
  file_versions: (db, args) => onDatabase.fileVersions(db, args.text("name"), args.integer("as_of")),
  compression_stats: (db, args) => onDatabase.compressionStats(db, args.text("tier")),
  compact_blobs: (db) => onDatabase.compactBlobs(db),
};
const ROWS = new Set(["put_many", "query", "batch"]);
/** Answers that the client makes of the server's. */
const MADE = {
  collections: (value) => [...value.keys()],
  create_index: () => null,
  flush: () => null,
};

/** Answers arguments as plain values, whole numbers as BigInts. */
function plain(value) {
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, member]) => [name, plain(member)]));
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof NumberText)) return value;
  return /^-?\d+$/.test(value.text) ? BigInt(value.text) : Number(value.text);
}

/** A database under test. */
class Host {
  constructor(name) {
    this.name = name;
    this.path = database(name);
  }

  /** Answers the database as a caller has it: files are bytes there and options, with no number to lose. */
  get database() {
    return new Database(suite.transport, this.name);
  }

  /** Returns seq and head as one text. */
  async state() {
    return `${(await ask(onDatabase.seq(this.path))).text} ${await ask(onDatabase.head(this.path))}`;
  }

  /** Runs a step and checks its answer, and, after an error, that nothing changed. */
  async run(verb, args, expect) {
    const before = await this.state();
    let outcome;
    try {
      outcome = await this.perform(verb, args);
    } catch (error) {
      if (error.name !== "NedbError") throw error;
      outcome = { error };
    }
    check(expect, outcome);
    if (outcome.error !== undefined && (await this.state()) !== before) {
      throw new Error(`a refused call changed ${before} to ${await this.state()}`);
    }
  }

  /** Does what a step says. */
  async perform(verb, args) {
    const own = this[verb];
    if (own !== undefined) return own.call(this, args);
    if (!(verb in VERBS)) throw new Error(`the suite knows no verb ${verb}`);
    const value = await ask(VERBS[verb](this.path, args));
    if (ROWS.has(verb)) return { rows: value.map(stringify) };
    return { text: stringify(verb in MADE ? MADE[verb](value) : value) };
  }

  /** Writes a file: as bytes, and what is long piece by piece. */
  async put_file(args) {
    const { name, text, ...options } = plain(args.members);
    const data = Buffer.from(text);
    const pieces = data.length < 1000 ? data : new Blob([data]).stream();
    return { text: stringify(await this.database.putFile(name, pieces, camelCased(options))) };
  }

  /** Reads a file both ways. */
  async get_file(args) {
    const { name, text: _, ...version } = plain(args.members);
    const whole = Buffer.from(await this.database.getFile(name, camelCased(version)));
    const parts = [];
    for await (const part of this.database.fileStream(name, camelCased(version))) parts.push(part);
    if (!Buffer.concat(parts).equals(whole)) throw new Error("getFile and fileStream differ");
    return { text: stringify(whole.toString("utf8")) };
  }

  async file_equals(args) {
    return { text: stringify((await this.get_file(args)).text === stringify(args.text("text"))) };
  }

  async op(args) {
    const [seq, last] = [args.integer("seq"), BigInt((await ask(onDatabase.seq(this.path))).text)];
    if (seq < 0n || seq > last) return { text: "null" };
    return { text: stringify((await ask(onDatabase.ops(this.path, seq - 1n, 1)))[0]) };
  }

  /** Has the server copy the database, opens the copy, and holds it against what was reported. */
  async backup(args) {
    const report = await ask(onDatabase.backup(this.path, undefined, rest(args)));
    const folder = path.join(suite.root, "data", ".backups", report.get("path"));
    const copy = NedbCore.open(folder, '{"read_only":true}');
    const indexes = plainText(await ask(onDatabase.indexes(this.path)));
    checkCopy(copy, report.get("seq").text, report.get("head"), indexes);
    return { text: stringify(report) };
  }

  set_clock(args) {
    suite.setClock(args.number("now"));
    return { text: "null" };
  }

  async expect_state(args) {
    const [seq, head] = (await this.state()).split(" ");
    const wrong =
      (args.integer("seq") ?? BigInt(seq)) !== BigInt(seq) || (args.text("head") ?? head) !== head;
    if (wrong) throw new Error(`expected ${stringify(args.members)}; got seq ${seq}, head ${head}`);
    return { text: "null" };
  }

  async reopen(args) {
    const before = await this.state();
    await suite.restart(args.members.get("read_only") === true, () => {
      if (args.members.get("without_checkpoints") !== true) return;
      const folder = path.join(suite.root, "data", this.name);
      for (const name of fs.readdirSync(folder)) {
        if (name.startsWith("checkpoint.")) fs.rmSync(path.join(folder, name));
      }
    });
    if ((await this.state()) !== before) throw new Error("reopening changed seq or head");
    return { text: "null" };
  }

  async open_again() {
    const second = await Nedbd.start(path.join(suite.root, "data"));
    try {
      return { text: stringify(await ask(onDatabase.describe(this.path), new Transport(second.url, { retryCount: 0 }))) };
    } finally {
      await second.stop("SIGKILL");
    }
  }

  /** Checks what must hold after every case. */
  async checkEnd(head) {
    const [seq, got] = (await this.state()).split(" ");
    if (head !== undefined && head !== got) throw new Error(`head is ${got}, expected ${head}`);
    if ((await ask(onDatabase.verify(this.path))) !== true) throw new Error("verify is false");
    if ((await ask(onDatabase.verifyDeterminism(this.path))) !== true) throw new Error("verify_determinism is false");
    const ops = await ask(onDatabase.ops(this.path, -1, 10_000));
    const wrong = ops.length !== Number(seq) + 1 || ops.some((op, index) => Number(op.get("seq").text) !== index);
    if (wrong) throw new Error("the feed has a gap or a repeat");
  }
}

/** Says why a case cannot run over HTTP; undefined when it can. */
function whySkipped(conformanceCase) {
  const steps = conformanceCase.get("steps");
  const keyed = conformanceCase.has("tmk") || steps.some((step) => step.get("args")?.has("tmk"));
  const missing = steps.map((step) => step.get("do")).find((verb) => verb in NO_PATH);
  return conformanceCase.get("skip")?.get("http") ?? (keyed ? KEY : NO_PATH[missing]);
}

/** Runs a case in a database of its own. */
async function runCase(conformanceCase, name) {
  // The case before failed where it had the server only read.
  if (suite.readOnly) await suite.restart(false);
  suite.setClock(Number(conformanceCase.get("clock")?.text ?? "1000.5"));
  await ask(onServer.createDatabase(name));
  const host = new Host(name);
  for (const [number, step] of conformanceCase.get("steps").entries()) {
    try {
      await host.run(step.get("do"), new Arguments(step.get("args")), step.get("expect"));
    } catch (error) {
      error.message = `step ${number} (${step.get("do")}): ${error.message}`;
      throw error;
    }
  }
  await host.checkEnd(conformanceCase.get("head"));
  if (suite.readOnly) await suite.restart(false);
  await ask(onServer.dropDatabase(name));
}

before(async () => {
  suite.root = fs.mkdtempSync(path.join(os.tmpdir(), "nedbd-conformance-"));
  suite.clock = path.join(suite.root, "clock");
  suite.setClock(1000.5);
  await suite.start(false);
});

for (const { title, conformanceCase } of allCases()) {
  const skip = whySkipped(conformanceCase);
  counts.cases += 1;
  if (skip !== undefined) counts.skipped += 1;
  const name = `case-${counts.cases}`;
  test(title, { skip: skip ?? false }, async () => {
    counts.failed += 1;
    await runCase(conformanceCase, name);
    counts.failed -= 1;
    counts.runs += 1;
  });
}

test("a number keeps its spelling on the way to the server and back", async () => {
  await ask(onServer.createDatabase("spelling"));
  const stored = await ask(onDatabase.put(database("spelling"), "c", "a", '{"n":1.0,"m":12345678901234567890}', {}));
  if (!(stored.get("n") instanceof NumberText) || stringify(stored.get("n")) !== "1.0") throw new Error(stringify(stored));
  if (stringify(stored.get("m")) !== "12345678901234567890") throw new Error(stringify(stored));
});

after(async () => {
  suite.transport.close();
  await suite.server.stop();
  fs.rmSync(suite.root, { recursive: true, force: true });
  const { cases, runs, skipped, failed } = counts;
  console.log(`conformance (http, node client): ${cases} cases, ${runs} runs on disk, ${skipped} skipped, ${failed} failed`);
  if (cases === 0) throw new Error("no case was found");
});
