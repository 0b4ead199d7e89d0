"use strict";
/**
 * Runs the conformance suite from Node, on NedbCore, which takes and gives JSON texts.
 *
 * In: `tests/conformance/cases/<topic>/*.json`. Out: one test for each case, and a line of counts.
 * The format of a case is described in `tests/conformance/README.md`.
 */

const { test, after } = require("node:test");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { NedbCore } = require("../../node/index.js");
const { stringify } = require("./lossless.js");
const { Arguments, allCases } = require("./conformance.cases.js");
const { check, checkCopy } = require("./conformance.expect.js");

const NEEDS_DISK = new Set(["reopen", "open_again", "rewrap_key", "damage"]);
/** The clock of this host cannot move: such a case runs in a directory and is reopened. */
const MOVES_CLOCK = "set_clock";
const counts = { cases: 0, memory: 0, disk: 0, skipped: 0, failed: 0 };

const nothing = () => ({ text: "null" });
const one = (value) => ({ text: value === null ? "null" : value });
const json = (value) => ({ text: stringify(value) });
const target = (args) => [args.text("coll"), args.text("id")];
const edge = (args) => [args.text("frm"), args.text("rel"), args.text("to")];

/** Returns which version of a file a step means, as JSON text. */
const fileAt = (args) => {
  const at = [...args.members].filter(([name]) => ["version", "tier", "as_of"].includes(name));
  return at.length === 0 ? undefined : stringify(new Map(at));
};
const fileText = (db, args) => db.getFile(args.text("name"), fileAt(args)).toString("utf8");

/** Verb → how it is called and what it answers. */
const VERBS = {
  put: (db, args) => one(db.put(...target(args), args.json("doc"), args.options())),
  put_many: (db, args) => ({ rows: db.putMany(args.text("coll"), args.json("docs")) }),
  delete: (db, args) => json(db.delete(...target(args), args.options())),
  get: (db, args) =>
    one(args.options() === undefined ? db.get(...target(args)) : db.getAt(...target(args), args.options())),
  query: (db, args) => ({ rows: db.query(args.text("nql"), args.json("params")) }),
  link: (db, args) => json(db.link(...edge(args), args.options())),
  unlink: (db, args) => json(db.unlink(...edge(args), args.options())),
  neighbors: (db, args) => json(db.neighbors(args.text("node"), args.text("rel"), args.integer("as_of"))),
  inbound: (db, args) => json(db.inbound(args.text("node"), args.text("rel"), args.integer("as_of"))),
  create_index: (db, args) =>
    nothing(db.createIndex(args.text("coll"), args.text("field"), args.text("kind"))),
  indexes: (db) => one(db.indexes()),
  collections: (db) => json(db.collections()),
  expire: (db, args) => json(db.expire(...target(args), args.number("ttl_s"))),
  sweep: (db) => json(db.sweep()),
  batch: (db, args) => ({ rows: db.batch(args.json("items"), args.options()) }),
  put_file: (db, args) =>
    json(db.putFile(args.text("name"), Buffer.from(args.text("text")), args.text("tier"), args.options())),
  get_file: (db, args) => json(fileText(db, args)),
  file_equals: (db, args) => json(fileText(db, args) === args.text("text")),
  file_root: (db, args) => json(db.fileRoot(args.text("name"), fileAt(args))),
  file_proof: (db, args) =>
    one(db.fileProof(args.text("name"), args.integer("chunk_index"), fileAt(args))),
  verify_proof: (_, args) => json(NedbCore.verifyProof(stringify(args.members))),
  files: (db, args) => json(db.files(args.integer("as_of"))),
  file_versions: (db, args) => one(db.fileVersions(args.text("name"), args.integer("as_of"))),
  compression_stats: (db, args) => one(db.compressionStats(args.text("tier"))),
  compact_blobs: (db) => one(db.compactBlobs()),
  verify_files: (db) => one(db.verifyFiles()),
  checkpoint: (db, args) => json(db.checkpoint(args.text("note"))),
  repair: (db) => one(db.repair()),
  verify: (db) => json(db.verify()),
  verify_report: (db) => one(db.verifyReport()),
  verify_determinism: (db) => json(db.verifyDeterminism()),
  open_report: (db) => one(db.openReport()),
  read_only: (db) => json(db.readOnly()),
  seq: (db) => json(db.seq()),
  durable_seq: (db) => json(db.durableSeq()),
  head: (db) => json(db.head()),
  encrypted: (db) => json(db.encrypted()),
  op: (db, args) => one(db.op(args.integer("seq"))),
  refresh: (db) => json(db.refresh()),
  flush: (db) => nothing(db.flush()),
};

/** A database under test, with its clock and its directory. */
class Host {
  /** Opens an empty database, in memory without a directory. */
  constructor(now, directory, tmk) {
    this.tmk = tmk;
    this.now = now;
    this.directory = directory;
    this.closed = false;
    this.readOnly = false;
    this.open();
  }

  /** Opens the directory, or a new database in memory. */
  open() {
    const options = JSON.stringify({
      clock: this.now,
      read_only: this.readOnly,
      tmk: this.tmk,
      encrypt_existing: this.encryptExisting,
    });
    this.db = this.directory === undefined ? new NedbCore(options) : NedbCore.open(this.directory, options);
    this.closed = false;
  }

  /** Returns seq and head as one text. */
  state() {
    return `seq ${this.db.seq()}, head ${this.db.head()}`;
  }

  /** Runs a step and checks its answer, and, after an error, that nothing changed. */
  run(verb, args, expect) {
    const before = this.closed ? "" : this.state();
    let outcome;
    try {
      outcome = this.perform(verb, args);
    } catch (error) {
      if (error.name !== "NedbError") throw error;
      outcome = { error };
    }
    check(expect, outcome);
    if (outcome.error !== undefined && !this.closed && this.state() !== before) {
      throw new Error(`a refused call changed ${before} to ${this.state()}`);
    }
  }

  /** Does what a step says. */
  perform(verb, args) {
    switch (verb) {
      case "reopen":
        return this.reopen(args);
      case "open_again":
        return nothing(NedbCore.open(this.directory, JSON.stringify({ clock: this.now, tmk: this.tmk })).close());
      case "rewrap_key":
        this.db.rewrapKey(args.text("old_tmk"), args.text("new_tmk"));
        this.tmk = args.text("new_tmk");
        return nothing();
      case "backup":
        return this.backup(args);
      case "damage":
        return this.damage(args);
      case MOVES_CLOCK:
        this.now = args.number("now");
        return this.reopen(new Arguments());
      case "expect_state":
        return this.expectState(args);
      case "close":
        this.closed = true;
        return nothing(this.db.close());
      default:
        if (!(verb in VERBS)) throw new Error(`the suite knows no verb ${verb}`);
        return VERBS[verb](this.db, args);
    }
  }

  /** Copies the database into a new directory, opens the copy, and holds it against what was reported. */
  backup(args) {
    const copies = fs.mkdtempSync(path.join(os.tmpdir(), "nedb-conformance-"));
    try {
      const to = path.join(copies, "copy");
      const text = this.db.backup(to, args.members.get("skip_damaged_files"));
      const copy = NedbCore.open(to, JSON.stringify({ read_only: true, tmk: this.tmk }));
      const { seq, head } = JSON.parse(text);
      checkCopy(copy, seq, head, this.db.indexes());
      return one(text);
    } finally {
      fs.rmSync(copies, { recursive: true, force: true });
    }
  }

  /** Closes the database and opens its directory again; seq and head must stay. */
  reopen(args) {
    const before = this.closed ? undefined : this.state();
    const [seq, head] = this.closed ? [] : [this.db.seq(), this.db.head()];
    this.db.close();
    this.closed = true;
    // A key that is given is the one from now on, an empty one is none.
    if (args.members.has("tmk")) this.tmk = args.text("tmk") || undefined;
    this.encryptExisting = args.members.get("encrypt_existing");
    if (args.members.get("without_checkpoints") === true) {
      for (const name of fs.readdirSync(this.directory)) {
        if (name.startsWith("checkpoint.")) fs.rmSync(path.join(this.directory, name));
      }
    }
    this.readOnly = args.members.get("read_only") === true;
    this.open();
    if (args.members.get("encrypts") === true) {
      // One op more says that the database was plain.
      const note = JSON.parse(this.db.op(seq + 1n));
      if (!this.db.encrypted() || this.db.seq() !== seq + 1n || note.prev_hash !== head) {
        throw new Error(`it was not encrypted after op ${seq}`);
      }
      return nothing();
    }
    if (before !== undefined && this.state() !== before) {
      throw new Error(`reopening changed ${before} to ${this.state()}`);
    }
    return nothing();
  }

  /** Closes the database, changes or makes a file of its directory, and opens it again. */
  damage(args) {
    const [before, file] = [this.state(), path.join(this.directory, args.text("file"))];
    this.db.close();
    this.closed = true;
    if (args.text("text") === undefined) {
      const [data, put] = [fs.readFileSync(file), Buffer.from(args.text("put"))];
      const at = data.indexOf(args.text("find"));
      if (at < 0 || Buffer.byteLength(args.text("find")) !== put.length) {
        throw new Error(`there is nothing like ${args.text("find")} in ${file}`);
      }
      put.copy(data, at);
      fs.writeFileSync(file, data);
    } else {
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, args.text("text"));
    }
    this.open();
    if (this.state() !== before) throw new Error(`damage changed ${before} to ${this.state()}`);
    return nothing();
  }

  /** Checks seq and head against those that a step gives. */
  expectState(args) {
    const [seq, head] = [args.integer("seq"), args.text("head")];
    const wrong =
      (seq !== undefined && seq !== this.db.seq()) || (head !== undefined && head !== this.db.head());
    if (wrong) throw new Error(`expected seq ${seq}, head ${head}; got ${this.state()}`);
    return nothing();
  }

  /** Checks what must hold after every case. */
  checkEnd(head) {
    if (this.closed) return;
    if (head !== undefined && head !== this.db.head()) {
      throw new Error(`head is ${this.db.head()}, expected ${head}`);
    }
    if (!this.db.verify()) throw new Error("verify is false");
    if (!this.db.verifyDeterminism()) throw new Error("verify_determinism is false");
    if (this.directory !== undefined) {
      this.reopen(new Arguments(new Map([["read_only", this.readOnly]])));
    }
  }
}

/** Runs the steps of a case in one place, then checks what must hold after every case. */
function runCase(conformanceCase, directory) {
  const host = new Host(Number(conformanceCase.get("clock")?.text ?? "1000.5"), directory, conformanceCase.get("tmk"));
  try {
    conformanceCase.get("steps").forEach((step, number) => {
      try {
        host.run(step.get("do"), new Arguments(step.get("args")), step.get("expect"));
      } catch (error) {
        error.message = `step ${number} (${step.get("do")}): ${error.message}`;
        throw error;
      }
    });
    host.checkEnd(conformanceCase.get("head"));
  } finally {
    host.db.close();
  }
}

/** Runs a case in an empty temporary directory. */
function runOnDisk(conformanceCase) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "nedb-conformance-"));
  try {
    runCase(conformanceCase, directory);
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
  counts.disk += 1;
}

/** Runs a case in every place it asks for. */
function runEverywhere(conformanceCase) {
  const verbs = conformanceCase.get("steps").map((step) => step.get("do"));
  const needsDisk =
    conformanceCase.has("tmk") || verbs.some((verb) => NEEDS_DISK.has(verb) || verb === MOVES_CLOCK);
  if (needsDisk || conformanceCase.get("durable") === true) runOnDisk(conformanceCase);
  if (needsDisk) return;
  runCase(conformanceCase, undefined);
  counts.memory += 1;
}

for (const { title, conformanceCase } of allCases()) {
  const skip = conformanceCase.get("skip")?.get("node");
  counts.cases += 1;
  if (skip !== undefined) counts.skipped += 1;
  test(title, { skip: skip ?? false }, () => {
    counts.failed += 1;
    runEverywhere(conformanceCase);
    counts.failed -= 1;
  });
}

after(() => {
  const { cases, memory, disk, skipped, failed } = counts;
  console.log(
    `conformance (node): ${cases} cases, ${memory} runs in memory, ${disk} on disk, ` +
      `${skipped} skipped, ${failed} failed`,
  );
  if (cases === 0) throw new Error("no case was found");
});
