"use strict";
/**
 * NEDB: the database with plain values in and out, and promises.
 *
 * In: plain values (json.js says which). Out: promises of the caller's own values. Rejections are
 * NedbErrors.
 *
 * Invariants:
 * * What may block runs on the libuv pool: the event loop turns while a write waits for its sync. A
 *   database in memory that does nothing else has nothing to wait for: a document is read and written
 *   at once then, which takes a tenth of the time of a task. The promise is the same.
 * * Writes of one handle take effect in the order in which they were called (writes.js). A read sees
 *   every write whose promise was fulfilled before the read was called.
 * * Arguments are taken when a method is called: changing them afterwards changes nothing.
 */

const { fileURLToPath } = require("node:url");
const { NedbCore, NedbTasks } = require("./native.js");
const { bytesOf, isStream } = require("./bytes.js");
const { invalid, rethrown } = require("./errors.js");
const { readable, take } = require("./files.js");
const { stringify, parse, refuseHidden } = require("./json.js");
const { Listener } = require("./progress.js");
const {
  FILE_AT, PUT_FILE, READ, WRITE, camelCased, fromText, keyText, openText, optionsText, renamed,
} = require("./options.js");
const { Query } = require("./query.js");
const { batchText, transacted } = require("./transaction.js");
const { Writes } = require("./writes.js");

/** Ops that `log` reads with one task. */
const LOG_CHUNK_COUNT = 256;
/** What `open` hands to the constructor: only this module has it. */
const OPENED = Symbol("opened");

/** Waits for a task; its error is made again here, with the lines that awaited it. */
async function task(promise) {
  try {
    return await promise;
  } catch (error) {
    throw rethrown(error);
  }
}

/** A database of NEDB. */
class NEDB {
  #core;
  #tasks;
  #writes;
  #inMemory;
  /** Tasks under way that read much. */
  #slowCount = 0;

  /** Makes an empty database in memory; `NEDB.open` opens one of a directory. */
  constructor(options, opened) {
    if (typeof options === "string") throw invalid("await NEDB.open(path) opens a directory");
    if (options === OPENED) {
      this.#tasks = opened;
      this.#core = opened.core();
    } else {
      this.#core = new NedbCore(openText(options));
      this.#tasks = NedbTasks.of(this.#core);
    }
    this.#inMemory = this.#core.path() === null;
    this.#writes = new Writes(this.#tasks);
  }

  /** Opens the database of a directory, or makes it. */
  static async open(path, options) {
    const directory = path instanceof URL ? fileURLToPath(path) : path;
    const listener = new Listener(options?.progress);
    const opened = task(NedbTasks.open(directory, openText(options), listener.tell));
    return new NEDB(OPENED, await listener.heard(opened));
  }

  // Documents

  /** Stores a document; answers it as stored, with `_id` and `_seq`. */
  async put(coll, id, doc, options) {
    const text = stringify(doc);
    const rest = optionsText(options, WRITE);
    if (this.#atOnce) return parse(this.#core.put(coll, id, text, rest));
    const plain = rest === undefined && typeof coll === "string" && typeof id === "string";
    const stored = plain
      ? task(this.#writes.addPut(coll, id, text))
      : this.#write(() => this.#tasks.put(coll, id, text, rest));
    return parse(await stored);
  }

  /** Stores many documents of one collection: an object id → document, or an array with `_id`s. */
  async putMany(coll, docs, options) {
    const [ids, texts] = splitDocuments(docs);
    const rest = optionsText(options, WRITE);
    const stored = await this.#write(() => this.#tasks.putMany(coll, ids, texts, rest));
    return stored.map(parse);
  }

  /** Deletes a document; answers the seq of the op. */
  async delete(coll, id, options) {
    const rest = optionsText(options, WRITE);
    if (this.#atOnce) return this.#core.delete(coll, id, rest);
    return this.#write(() => this.#tasks.delete(coll, id, rest));
  }

  /** Reads a document; null when there is none. */
  async get(coll, id, options) {
    const rest = optionsText(options, READ);
    if (this.#atOnce) {
      return fromText(rest === undefined ? this.#core.get(coll, id) : this.#core.getAt(coll, id, rest));
    }
    return fromText(await task(this.#tasks.get(coll, id, rest)));
  }

  /** Lets a document expire after some seconds; false when it is not there. */
  async expire(coll, id, ttlS, options) {
    const rest = optionsText(options, WRITE);
    return this.#write(() => this.#tasks.expire(coll, id, ttlS, rest));
  }

  /** Deletes what has expired; answers how many. */
  async sweep() {
    return this.#write(() => this.#tasks.sweep());
  }

  // Queries and indexes

  /** Runs an NQL query; parameters are an array for `$1`… or an object for `$name`. */
  async query(nql, params) {
    const text = params === undefined || params === null ? undefined : stringify(params);
    const rows = await this.#slow(this.#tasks.query(nql, text));
    return rows.map(parse);
  }

  /** Starts a query of a collection that is put together by calls. */
  q(coll) {
    return new Query(coll, (nql, params) => this.query(nql, params));
  }

  /** Makes an index: "eq", "ordered" or "search". */
  async createIndex(coll, field, kind) {
    return this.#write(() => this.#tasks.createIndex(coll, field, kind));
  }

  /** Answers the indexes as [collection, field, kind]. */
  async indexes() {
    return parse(await task(this.#tasks.indexes()));
  }

  /** Answers the collections that hold a document. */
  async collections() {
    return task(this.#tasks.collections());
  }

  // Relations

  /** Adds a relation between two nodes `coll:id`; answers the seq of the op. */
  async link(frm, rel, to, options) {
    const rest = optionsText(options, WRITE);
    if (this.#atOnce) return this.#core.link(frm, rel, to, rest);
    return this.#write(() => this.#tasks.link(frm, rel, to, rest));
  }

  /** Ends a relation; answers the seq of the op. */
  async unlink(frm, rel, to, options) {
    const rest = optionsText(options, WRITE);
    if (this.#atOnce) return this.#core.unlink(frm, rel, to, rest);
    return this.#write(() => this.#tasks.unlink(frm, rel, to, rest));
  }

  /** Answers the nodes that a relation leads to. */
  async neighbors(node, rel, options) {
    return task(this.#tasks.neighbors(node, rel, asOf(options)));
  }

  /** Answers the nodes from which a relation leads here. */
  async inbound(node, rel, options) {
    return task(this.#tasks.inbound(node, rel, asOf(options)));
  }

  // Transactions

  /** Writes items as one op, all or nothing; answers the stored documents, null for the rest. */
  async batch(items, options) {
    return this.#batchText(batchText(items), options);
  }

  /**
   * Calls `work` with a transaction and commits what it collected as one op, when `work` is done;
   * answers what `work` answered. When `work` throws, nothing is written. `tx.results` holds what
   * `batch` would have answered.
   */
  async transaction(work, options) {
    return transacted(work, (items) => this.#batchText(items, options));
  }

  async #batchText(items, options) {
    const rest = optionsText(options, WRITE);
    const results = await this.#write(() => this.#tasks.batch(items, rest));
    return results.map(parse);
  }

  // Files

  /**
   * Writes a version of a file; answers its number. `data` is text, bytes, or a stream or another
   * iterable of bytes, which is taken in piece by piece; `progress` is told the bytes taken in so far.
   */
  async putFile(name, data, options) {
    const { tier, progress, ...rest } = renamed(options, PUT_FILE) ?? {};
    const text = Object.keys(rest).length === 0 ? undefined : stringify(rest);
    const bytes = bytesOf(data);
    if (bytes !== undefined && progress === undefined) {
      // It waits for its turn, and what the caller does with its own bytes meanwhile changes nothing.
      const own = Buffer.from(bytes);
      return this.#write(() => this.#tasks.putFile(name, own, tier, text));
    }
    const pieces = bytes === undefined ? data : [bytes];
    if (!isStream(pieces)) throw invalid(`a file is text, bytes or a stream, not ${typeof data}`);
    const writer = await task(this.#tasks.fileWriter(name, tier, text));
    await task(take(pieces, writer, progress));
    return this.#write(() => writer.finish());
  }

  /** Reads a version of a file: the last one, or `version`, `tier` and `asOf` say which. */
  async getFile(name, options) {
    return this.#slow(this.#tasks.getFile(name, optionsText(options, FILE_AT)));
  }

  /** Reads a version of a file as a stream, a few chunks in memory at a time. */
  fileStream(name, options) {
    const text = optionsText(options, FILE_AT);
    return readable(() => task(this.#tasks.openFile(name, text)));
  }

  /** Answers the Merkle root of a version of a file, as its op in the log says. */
  async fileRoot(name, options) {
    return task(this.#tasks.fileRoot(name, optionsText(options, FILE_AT)));
  }

  /** Proves that a chunk is part of a version of a file: `{leaf, path, root}`. */
  async fileProof(name, chunkIndex, options) {
    return parse(await task(this.#tasks.fileProof(name, chunkIndex, optionsText(options, FILE_AT))));
  }

  /** Says whether a proof leads from its leaf to its root; needs no database. */
  static verifyProof(proof) {
    return NedbCore.verifyProof(stringify(proof));
  }

  /** Answers the names of the files, in order of their first version. */
  async files(options) {
    return task(this.#tasks.files(asOf(options)));
  }

  /** Answers the versions of a file, oldest first: `version`, `tier`, `size`, `root`, `seq`. */
  async fileVersions(name, options) {
    return parse(await task(this.#tasks.fileVersions(name, asOf(options))));
  }

  /** Answers what the files of a tier cost. */
  async compressionStats(tier) {
    return camelCased(parse(await this.#slow(this.#tasks.compressionStats(tier ?? undefined))));
  }

  /**
   * Reads the bytes of every version of every file and says which chunks cannot be read; `progress` is told
   * the bytes done and in all, and what it throws ends the check.
   */
  async verifyFiles(options) {
    const listener = new Listener(renamed(options, { progress: "progress" })?.progress);
    const report = this.#slow(this.#tasks.verifyFiles(listener.tell));
    return camelCased(parse(await listener.heard(report)));
  }

  /** Gives back the room of chunks that no op refers to, while reads and writes go on. */
  async compactBlobs() {
    return camelCased(parse(await this.#slow(this.#tasks.compactBlobs())));
  }

  // The log

  /** Reads one op; null beyond the last. */
  async op(seq) {
    const [text = null] = await task(this.#tasks.ops(seq, 1));
    return fromText(text);
  }

  /** Reads the ops in order, from `from` (0) to `to` (the last one when it is reached), included. */
  async *log({ from = 0, to } = {}) {
    let next = BigInt(from);
    const last = to === undefined ? undefined : BigInt(to);
    for (;;) {
      let count = LOG_CHUNK_COUNT;
      if (last !== undefined && last - next < BigInt(count)) count = Number(last - next) + 1;
      const texts = count < 1 ? [] : await task(this.#tasks.ops(next, count));
      for (const text of texts) yield parse(text);
      if (texts.length < LOG_CHUNK_COUNT) return;
      next += BigInt(texts.length);
    }
  }

  /**
   * Saves the views, so that opening is quick, and appends an op that seals the file; answers its seq. In
   * memory it is a mark in the log.
   */
  async checkpoint(note) {
    return this.#write(() => this.#tasks.checkpoint(note));
  }

  /** Reads the log again and says whether every hash and link fits; files are `verifyFiles`'s. */
  async verify() {
    return this.#slow(this.#tasks.verify());
  }

  /** Reads the log again and says what was found. */
  async verifyReport() {
    return camelCased(parse(await this.#slow(this.#tasks.verifyReport())));
  }

  /**
   * Copies the database as it is now into a new directory, checked on the way. With `skipDamagedFiles` chunks
   * of files that are damaged are left out and reported, where otherwise there is no backup.
   */
  async backup(path, options) {
    const { skip = false } = renamed(options, { skipDamagedFiles: "skip" }) ?? {};
    return camelCased(parse(await this.#slow(this.#tasks.backup(path, skip))));
  }

  /** Makes a damaged database writable again and says what was done; its log is kept beside. */
  async repair() {
    return camelCased(parse(await this.#slow(this.#tasks.repair())));
  }

  /** Folds the log into fresh views and says whether they equal those in use. */
  async verifyDeterminism() {
    return this.#slow(this.#tasks.verifyDeterminism());
  }

  // The handle

  /** The seq of the last op that is known to be on the disk; in memory, of the last op. */
  get durableSeq() {
    return this.#core.durableSeq();
  }

  /** The seq of the last op; -1n when there is none. */
  get seq() {
    return this.#core.seq();
  }

  /** The hash after the last op. */
  get head() {
    return this.#core.head();
  }

  /** Whether the handle was opened for reading. */
  get readOnly() {
    return this.#core.readOnly();
  }

  /** Whether what is on the disk is encrypted. */
  get encrypted() {
    return this.#core.encrypted();
  }

  /** The directory; null in memory. */
  get path() {
    return this.#core.path();
  }

  /** What opening found. */
  get openReport() {
    return camelCased(parse(this.#core.openReport()));
  }

  /** Wraps the data key with another key: from then on only the new one opens the database. */
  async rewrapKey(oldTmk, newTmk) {
    return this.#write(() => this.#tasks.rewrapKey(keyText(oldTmk), keyText(newTmk)));
  }

  /** Waits for the writes that were called, and until they are on disk. */
  async flush() {
    return this.#write(() => this.#tasks.flush());
  }

  /** Reads what a writer has synced since, on a handle opened for reading; answers the seq. */
  async refresh() {
    return task(this.#tasks.refresh());
  }

  /** Waits for the writes that were called and lets the directory go; again does nothing. */
  async close() {
    return this.#write(() => this.#tasks.close());
  }

  /**
   * Whether a document may be read or written at once: in memory, with no write waiting that came
   * before, and with nothing under way that holds the engine's locks for long.
   */
  get #atOnce() {
    return this.#inMemory && this.#writes.idle && this.#slowCount === 0;
  }

  /** Waits for a task that reads much. */
  async #slow(promise) {
    this.#slowCount += 1;
    try {
      return await task(promise);
    } finally {
      this.#slowCount -= 1;
    }
  }

  /** Gives a write its place in the order. */
  #write(run) {
    return task(this.#writes.add(run));
  }
}

// Node 18 before 18.18 has no such symbol.
if (Symbol.asyncDispose !== undefined) {
  NEDB.prototype[Symbol.asyncDispose] = function close() {
    return this.close();
  };
}

/** Takes ids and document texts out of what `putMany` is given. */
function splitDocuments(docs) {
  if (docs === null || typeof docs !== "object") throw invalid("putMany takes documents");
  refuseHidden(docs, "");
  if (!Array.isArray(docs)) return [Object.keys(docs), Object.values(docs).map(stringify)];
  const ids = docs.map((doc) => {
    if (typeof doc?._id !== "string") throw invalid("a document of the array has no _id");
    return doc._id;
  });
  return [ids, docs.map(stringify)];
}

/** Takes `asOf` out of the options of `neighbors` and `inbound`. */
function asOf(options) {
  const text = optionsText(options, { asOf: READ.asOf });
  return text === undefined ? undefined : options.asOf;
}

/** Wraps the data key of the database in a directory, which nobody has open for writing, with another. */
async function rewrapKey(path, oldTmk, newTmk) {
  const directory = path instanceof URL ? fileURLToPath(path) : path;
  return task(NedbTasks.rewrapKeyOf(directory, keyText(oldTmk), keyText(newTmk)));
}

module.exports = { NEDB, rewrapKey };
