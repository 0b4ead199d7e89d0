"use strict";
/**
 * A database of a server, with the methods of NEDB: plain values in and out, and promises.
 *
 * In: plain values (json.js says which), and with each call an AbortSignal if wanted. Out: promises.
 *
 * Invariant: arguments are taken when a method is called; changing them afterwards changes nothing.
 */

const { database, onDatabase: calls } = require("./client_calls.js");
const { Source, parts, putQuery } = require("./client_files.js");
const { invalid } = require("./errors.js");
const { stringify, refuseHidden } = require("./json.js");
const { FILE_AT, PUT_FILE, READ, WRITE, camelCased, renamed } = require("./options.js");
const { Query } = require("./query.js");
const { batchText, transacted } = require("./transaction.js");

/** Ops that are asked for at a time, and how long an answer waits for the next one. */
const PAGE_COUNT = 1_000;
const WAIT_MS = 15_000;
/** The options of a copy. */
const BACKUP = { skipDamagedFiles: "skip_damaged_files" };

/** Takes the signal out of what a call is told. */
function split(options) {
  const { signal, ...rest } = options ?? {};
  return [rest, signal];
}

/** Writes options as members of a body. */
function members(options, names) {
  const found = Object.entries(renamed(options, names) ?? {});
  return Object.fromEntries(found.map(([name, value]) => [name, stringify(value)]));
}

/** Writes options as members of a query string; a date as its text. */
function query(options, names) {
  const found = Object.entries(renamed(options, names) ?? {});
  return Object.fromEntries(found.map(([name, value]) => [name, value instanceof Date ? dateText(value) : value]));
}

function dateText(date) {
  refuseHidden(date, "");
  return date.toISOString();
}

/** A database of a server. */
class Database {
  #transport;
  #at;

  /** Made by `client.db(name)`. */
  constructor(transport, name) {
    this.#transport = transport;
    this.#at = database(name);
    Object.defineProperty(this, "name", { value: name, enumerable: true });
  }

  /** Asks the server; answers the result. */
  #ask(call, signal) {
    return this.#transport.value(call, signal);
  }

  // Documents

  /** Stores a document; answers it as stored, with `_id` and `_seq`. */
  async put(coll, id, doc, options) {
    const [rest, signal] = split(options);
    return this.#ask(calls.put(this.#at, coll, id, stringify(doc), members(rest, WRITE)), signal);
  }

  /** Stores many documents of one collection: an object id → document, or an array with `_id`s. */
  async putMany(coll, docs, options) {
    const [rest, signal] = split(options);
    if (docs === null || typeof docs !== "object") throw invalid("putMany takes documents");
    refuseHidden(docs, "");
    return this.#ask(calls.putMany(this.#at, coll, stringify(docs), members(rest, WRITE)), signal);
  }

  /** Deletes a document; answers the seq of the op. */
  async delete(coll, id, options) {
    const [rest, signal] = split(options);
    return BigInt(await this.#ask(calls.delete(this.#at, coll, id, members(rest, WRITE)), signal));
  }

  /** Reads a document; null when there is none. */
  async get(coll, id, options) {
    const [rest, signal] = split(options);
    return this.#ask(calls.get(this.#at, coll, id, query(rest, READ)), signal);
  }

  /** Lets a document expire after some seconds; false when it is not there. */
  async expire(coll, id, ttlS, options) {
    const [rest, signal] = split(options);
    return this.#ask(calls.expire(this.#at, coll, id, stringify(ttlS), members(rest, WRITE)), signal);
  }

  /** Deletes what has expired; answers how many. */
  async sweep(options) {
    return this.#ask(calls.sweep(this.#at), options?.signal);
  }

  // Queries and indexes

  /** Runs an NQL query; parameters are an array for `$1`… or an object for `$name`. */
  async query(nql, params, options) {
    const text = params === undefined || params === null ? undefined : stringify(params);
    return this.#ask(calls.query(this.#at, nql, text), options?.signal);
  }

  /** Starts a query of a collection that is put together by calls. */
  q(coll) {
    return new Query(coll, (nql, params) => this.query(nql, params));
  }

  /** Makes an index: "eq", "ordered" or "search". */
  async createIndex(coll, field, kind, options) {
    await this.#ask(calls.createIndex(this.#at, coll, field, kind), options?.signal);
  }

  /** Answers the indexes as [collection, field, kind]. */
  async indexes(options) {
    return this.#ask(calls.indexes(this.#at), options?.signal);
  }

  /** Answers the collections that hold a document. */
  async collections(options) {
    return Object.keys(await this.#ask(calls.collections(this.#at), options?.signal));
  }

  /** Answers what the server says of the database: rows, collections, indexes, integrity, newest ops. */
  async describe(options) {
    return this.#ask(calls.describe(this.#at), options?.signal);
  }

  // Relations

  /** Adds a relation between two nodes `coll:id`; answers the seq of the op. */
  async link(frm, rel, to, options) {
    const [rest, signal] = split(options);
    return BigInt(await this.#ask(calls.link(this.#at, frm, rel, to, members(rest, WRITE)), signal));
  }

  /** Ends a relation; answers the seq of the op. */
  async unlink(frm, rel, to, options) {
    const [rest, signal] = split(options);
    return BigInt(await this.#ask(calls.unlink(this.#at, frm, rel, to, members(rest, WRITE)), signal));
  }

  /** Answers the nodes that a relation leads to. */
  async neighbors(node, rel, options) {
    const [rest, signal] = split(options);
    return this.#ask(calls.neighbors(this.#at, node, rel, asOf(rest)), signal);
  }

  /** Answers the nodes from which a relation leads here. */
  async inbound(node, rel, options) {
    const [rest, signal] = split(options);
    return this.#ask(calls.inbound(this.#at, node, rel, asOf(rest)), signal);
  }

  // Transactions

  /** Writes items as one op, all or nothing; answers the stored documents, null for the rest. */
  async batch(items, options) {
    return this.#batchText(batchText(items), options);
  }

  /**
   * Calls `work` with a transaction and commits what it collected as one op, when `work` is done;
   * answers what `work` answered. When `work` throws, nothing is written.
   */
  async transaction(work, options) {
    return transacted(work, (items) => this.#batchText(items, options));
  }

  async #batchText(items, options) {
    const [rest, signal] = split(options);
    return this.#ask(calls.batch(this.#at, items, members(rest, WRITE)), signal);
  }

  // Files

  /**
   * Writes a version of a file; answers its number. `data` is text, bytes, a Blob, or a stream or another
   * iterable of bytes, which is taken in piece by piece; `progress` is told the bytes taken in so far.
   */
  async putFile(name, data, options) {
    const [{ progress, ...rest }, signal] = split(options);
    const given = putQuery(query(rest, PUT_FILE));
    const source = new Source(data, progress);
    try {
      return (await this.#ask(calls.putFile(this.#at, name, given, source), signal)).version;
    } finally {
      source.end();
    }
  }

  /** Reads a version of a file: the last one, or `version`, `tier` and `asOf` say which. */
  async getFile(name, options) {
    const [rest, signal] = split(options);
    return (await this.#transport.send(calls.getFile(this.#at, name, query(rest, FILE_AT)), signal)).bytes;
  }

  /** Reads a version of a file as a ReadableStream, a part in memory at a time. */
  fileStream(name, options) {
    const [rest, signal] = split(options);
    const call = (at, range) => calls.filePart(this.#at, name, at, range);
    return parts((at, range) => this.#transport.send(call(at, range), signal), query(rest, FILE_AT));
  }

  /** Answers the Merkle root of a version of a file, as its op in the log says. */
  async fileRoot(name, options) {
    const [rest, signal] = split(options);
    return this.#ask(calls.fileRoot(this.#at, name, query(rest, FILE_AT)), signal);
  }

  /** Proves that a chunk is part of a version of a file: `{leaf, path, root}`. */
  async fileProof(name, chunkIndex, options) {
    const [rest, signal] = split(options);
    return this.#ask(calls.fileProof(this.#at, name, chunkIndex, query(rest, FILE_AT)), signal);
  }

  /** Answers the names of the files, in order of their first version. */
  async files(options) {
    const [rest, signal] = split(options);
    return this.#ask(calls.files(this.#at, asOf(rest)), signal);
  }

  /** Answers the versions of a file, oldest first: `version`, `tier`, `size`, `root`, `seq`. */
  async fileVersions(name, options) {
    const [rest, signal] = split(options);
    return this.#ask(calls.fileVersions(this.#at, name, asOf(rest)), signal);
  }

  /** Answers what the files of a tier cost. */
  async compressionStats(tier, options) {
    return camelCased(await this.#ask(calls.compressionStats(this.#at, tier), options?.signal));
  }

  /** Gives back the room of chunks that no op refers to, while reads and writes go on. */
  async compactBlobs(options) {
    return camelCased(await this.#ask(calls.compactBlobs(this.#at), options?.signal));
  }

  // The log

  /** Reads one op; null beyond the last. */
  async op(seq, options) {
    if (BigInt(seq) < 0n || BigInt(seq) > (await this.seq)) return null;
    const [op = null] = await this.#ask(calls.ops(this.#at, BigInt(seq) - 1n, 1), options?.signal);
    return op;
  }

  /** Reads the ops in order, from `from` (0) to `to` (the last one when it is reached), included. */
  async *log({ from = 0, to, signal } = {}) {
    const last = to === undefined ? undefined : BigInt(to);
    if (BigInt(from) > (await this.seq)) return;
    for await (const op of this.changes(BigInt(from) - 1n, { follow: false, signal })) {
      if (last !== undefined && BigInt(op.seq) > last) return;
      yield op;
    }
  }

  /**
   * Reads every op after a seq, in order, none twice; then waits for those to come. Resume with the seq of
   * the last op that you have. With `follow: false` it ends with the last op there is. Where another log takes
   * the place of the one that is read it throws `PRECONDITION_FAILED`.
   */
  async *changes(afterSeq = -1, { follow = true, signal } = {}) {
    let next = afterSeq;
    let hash;
    for (;;) {
      const call = calls.ops(this.#at, next, PAGE_COUNT, follow ? WAIT_MS : undefined, hash);
      const page = await this.#ask(call, signal);
      if (page.length === 0 && !follow) return;
      for (const op of page) {
        yield op;
        next = op.seq;
        hash = op.hash;
      }
    }
  }

  /** Saves the views, so that opening is quick, and appends an op that seals the file; answers its seq. */
  async checkpoint(note, options) {
    return BigInt(await this.#ask(calls.checkpoint(this.#at, note), options?.signal));
  }

  /** Reads the log again and says whether every hash and link fits. */
  async verify(options) {
    return this.#ask(calls.verify(this.#at), options?.signal);
  }

  /** Reads the log again and says what was found. */
  async verifyReport(options) {
    return camelCased(await this.#ask(calls.verifyReport(this.#at), options?.signal));
  }

  /** Reads the bytes of every version of every file and says which chunks cannot be read, and why. */
  async verifyFiles(options) {
    return camelCased(await this.#ask(calls.verifyFiles(this.#at), options?.signal));
  }

  /** Folds the log into fresh views and says whether they equal those in use. */
  async verifyDeterminism(options) {
    return this.#ask(calls.verifyDeterminism(this.#at), options?.signal);
  }

  /**
   * Copies the database as it is now, on the server: `to` names the copy, without it the time does. With
   * `skipDamagedFiles` chunks of files that are damaged are left out and reported, where otherwise there is no backup.
   */
  async backup(to, options) {
    const [rest, signal] = split(options);
    const call = calls.backup(this.#at, to, members(rest, BACKUP));
    const { path, seq, head, logBytes, damage, damageCount } = camelCased(await this.#ask(call, signal));
    return { path, seq, head, logBytes, damage, damageCount };
  }

  /** Waits until what is written is on the server's disk. */
  async flush(options) {
    await this.#ask(calls.flush(this.#at), options?.signal);
  }

  /** The seq of the last op; -1n when there is none. */
  get seq() {
    return this.#ask(calls.seq(this.#at)).then(BigInt);
  }

  /** The seq of the last op, once that is on the disk. */
  get durableSeq() {
    return this.#ask(calls.flush(this.#at)).then(BigInt);
  }

  /** The hash after the last op. */
  get head() {
    return this.#ask(calls.head(this.#at));
  }

  /** Whether the server cannot write it. */
  get readOnly() {
    return this.#ask(calls.readOnly(this.#at));
  }
}

/** Takes `asOf` out of options that hold nothing else. */
function asOf(options) {
  return renamed(options, { asOf: READ.asOf })?.as_of;
}

module.exports = { Database };
