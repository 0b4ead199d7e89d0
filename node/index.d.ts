/// <reference lib="esnext.disposable" />
/**
 * Types of nedb-engine.
 *
 * `NEDB` is for programs: plain values and promises. `NedbCore` is the engine as it is: JSON texts,
 * answered at once, on the thread that calls. `NedbError` is what both throw.
 */

/** What a program does with an error: stable strings, the same in every language. */
export type ErrorCode =
  | "INVALID_ARGUMENT"
  | "LIMIT_EXCEEDED"
  | "NQL_ERROR"
  | "REPLAY_ERROR"
  | "IDEMPOTENCY_CONFLICT"
  | "PRECONDITION_FAILED"
  | "DATABASE_LOCKED"
  | "DATABASE_CLOSED"
  | "READ_ONLY"
  | "INTEGRITY_ERROR"
  | "COMMIT_UNKNOWN"
  | "STORAGE_ERROR"
  | "KEY_REQUIRED"
  | "WRONG_KEY"
  | "PLAIN_DATABASE"
  | "NOT_FOUND"
  | "CANCELLED"
  | "TIMED_OUT";

/** A place in a query text. */
export interface QueryPosition {
  /** In bytes of UTF-8, from 0. */
  offset: number;
  /** From 1. */
  line: number;
  /** In characters, from 1. */
  column: number;
}

/** An error of NEDB. */
export class NedbError<Code extends string = ErrorCode> extends Error {
  constructor(message: string, code: Code, position?: QueryPosition);
  readonly name: "NedbError";
  readonly code: Code;
  /** For NQL_ERROR: where. */
  readonly position?: QueryPosition;
}

/** A seq is given as a number or a BigInt, and answered as a BigInt. */
export type Seq = number | bigint;

/** A value as it is read: an integer beyond 2^53 - 1 is a BigInt. */
export type Value = null | boolean | number | bigint | string | Value[] | { [name: string]: Value };

/** The members that NEDB adds to a document. */
export interface Stored {
  _id: string;
  /** The seq that wrote this version. */
  _seq: number;
  _caused_by?: number[];
  _evidence?: string;
  _confidence?: number;
  _valid_from?: string;
  _valid_to?: string;
  /** In seconds since 1970. */
  _expires_at?: number;
}

/** A document when its type is not told. */
export interface Document {
  [name: string]: any;
}

/** What a write of one document may say beside the document. */
export interface ItemOptions {
  /** Fails with PRECONDITION_FAILED unless the document's version is this one; -1: is not there. */
  ifSeq?: Seq;
  /** Seconds to live. */
  ttlS?: number;
  /** Seqs of the ops that caused this one. */
  causedBy?: Seq[];
  evidence?: string;
  /** From 0 to 1. */
  confidence?: number;
  /** ISO 8601; a Date is taken as its instant. */
  validFrom?: string | Date;
  /** ISO 8601; a bare date includes its whole day. */
  validTo?: string | Date;
}

/** What a write may say beside its content. */
export interface WriteOptions extends ItemOptions {
  /** "local" when absent. */
  client?: string;
  /** Above the client's last, else REPLAY_ERROR. */
  nonce?: Seq;
  /** The same key again answers the first write's result and appends nothing. */
  idem?: string;
}

/** Where in time a read looks. */
export interface ReadOptions {
  /** The last seq that counts. */
  asOf?: Seq;
  /** ISO 8601. */
  validAsOf?: string | Date;
}

/** How a database is opened. */
export interface OpenOptions {
  /** Opens beside a writer and reads what it has synced. */
  readOnly?: boolean;
  /** For tests: a clock that stands still at these seconds since 1970. */
  clock?: number;
  /** Memory for texts that were read. */
  cacheBytes?: number;
  /**
   * When a write is acknowledged: "always" (it is on the disk, the default), "never" (the operating
   * system has it), or the milliseconds between two syncs.
   */
  durability?: "always" | "never" | number;
  /**
   * Saves the views beside the writes after so many ops, so that opening reads only what came after.
   * Without it, `checkpoint()` does, and closing after many ops.
   */
  checkpointEveryOps?: number;
  /**
   * The key that encrypts what is on the disk, at least 16 bytes for a new database. Where it is not given,
   * the environment's `NEDB_TMK` (hexadecimal) or `NEDB_TMK_FILE` says it. In memory it has no effect.
   */
  tmk?: Uint8Array;
  /** False refuses a plain database with `PLAIN_DATABASE` instead of encrypting it in place. */
  encryptExisting?: boolean;
  /**
   * Told, while a plain database is encrypted in place, the bytes of the log and of files done and in all; what it
   * throws ends the opening, and the database stays plain.
   */
  progress?: ((doneBytes: number, allBytes: number) => void) | null;
}

export type IndexKind = "eq" | "ordered" | "search";

/** One op of the log. */
export interface Op {
  seq: number;
  client: string;
  nonce: Value;
  op: string;
  payload: { [name: string]: any };
  /** In seconds since 1970. */
  ts: number;
  idem: string | null;
  prev_hash: string;
  hash: string;
  caused_by?: number[];
  evidence?: string;
  confidence?: number;
  valid_from?: string;
  valid_to?: string;
}

/** A place of the log that does not fit. */
export interface Damage {
  seq: number;
  offsetBytes: number;
  reason: string;
}

/** How strongly a file is compressed: quickly, or as much as possible. */
export type Tier = "warm" | "cold";

/** Bytes of a file, or text, which is written as UTF-8. */
export type FileBytes = string | Uint8Array | ArrayBuffer | ArrayBufferView;

/** What `putFile` is told. */
export interface PutFileOptions {
  tier?: Tier | null;
  client?: string | null;
  nonce?: number | bigint | null;
  idem?: string | null;
  causedBy?: (number | bigint)[] | null;
  evidence?: string | null;
  confidence?: number | null;
  validFrom?: string | null;
  validTo?: string | null;
  /** Told how many bytes were taken in so far; what it throws ends the put. */
  progress?: ((takenBytes: number) => void | Promise<void>) | null;
}

/** Which version of a file; the last one when nothing is said. */
export interface FileAt {
  /** Its number; -1 is the last, -2 the one before. */
  version?: number | null;
  /** Tells apart what NEDB 1.x numbered for each tier. */
  tier?: Tier | null;
  asOf?: Seq;
}

/** What the log says of a version of a file. */
export interface FileInfo {
  version: number;
  tier: Tier;
  /** In bytes; null for a file of NEDB 1.x. */
  size: number | null;
  /** The Merkle root over its chunks, 64 hexadecimal digits. */
  root: string;
  /** The seq of its op. */
  seq: number;
}

/** That a chunk is part of a version of a file. */
export interface FileProof {
  leaf: string;
  path: [hash: string, side: "L" | "R"][];
  root: string;
}

/** A `Readable` of node:stream, as far as types can say so without those of Node. */
export interface FileStream extends AsyncIterable<Uint8Array> {
  pipe<T>(destination: T, options?: { end?: boolean }): T;
  on(event: string, listener: (...args: any[]) => void): this;
  once(event: string, listener: (...args: any[]) => void): this;
  destroy(error?: Error): this;
}

/** What the files of a tier cost. */
export interface CompressionStats {
  tier: Tier;
  uniqueChunks: number;
  dedupHits: number;
  logicalBytes: number;
  storedBytes: number;
  ratio: number;
}

/** A chunk of a version of a file that cannot be read. */
export interface FileDamage {
  name: string;
  version: number;
  tier: Tier;
  /** The seq of the op that put the version. */
  seq: number;
  /** Counted from 0; null for the list of chunks, without which none is found. */
  chunk: number | null;
  reason: string;
}

/** What checking the bytes of all files found. */
export interface VerifyFilesReport {
  ok: boolean;
  versionCount: number;
  /** Different chunks, lists of chunks included. */
  chunkCount: number;
  /** The length of all versions together. */
  logicalBytes: number;
  /** The first 1,000 of what cannot be read. */
  damage: FileDamage[];
  damageCount: number;
  /** What no op refers to. */
  unreferencedChunkCount: number;
  unreferencedFrameCount: number;
  unreferencedBytes: number;
}

/** What a compaction did. */
export interface CompactReport {
  keptChunkCount: number;
  removedChunkCount: number;
  rewrittenPackCount: number;
  beforeBytes: number;
  afterBytes: number;
  /** What is missing or was found damaged, the first 1,000: what stands beside it was kept. */
  damage: FileDamage[];
  damageCount: number;
}

/** A checkpoint file that is not what the log says, or views that came from one: the log is another matter. */
export interface DerivedDamage {
  /** The name of the file. */
  file: string;
  /** The last op that it says it covers. */
  seq: number;
  reason: string;
}

export interface VerifyReport {
  ok: boolean;
  opCount: number;
  head: string;
  /** What is wrong with the log. */
  damage: Damage | null;
  /** What is wrong with what was derived from it, which loses nothing: `repair()` puts it right. */
  derivedDamage: DerivedDamage | null;
  warnings: string[];
}

export interface BackupReport {
  /** The seq of the last op in the copy; -1 for an empty database. */
  seq: number;
  head: string;
  logBytes: number;
  /** What of files was left out, the first 1,000; nothing without `skipDamagedFiles`. */
  damage: FileDamage[];
  damageCount: number;
}

export interface RepairReport {
  /** What was wrong with the log; null when it was right, and nothing was done to it. */
  damage: Damage | null;
  /** Bytes that were taken off the log. */
  cutBytes: number;
  /** Ops from the damage on that were kept, with new seqs, since the chain proves them. */
  carriedOpCount: number;
  /** Where the damaged log is kept, whole. */
  damagedFile: string | null;
  /** Checkpoint files that were removed, by name: they did not hold, or went beyond what was kept of the log. */
  removedCheckpoints: string[];
}

export interface OpenReport {
  opCount: number;
  /** The last op of the checkpoint that was loaded; null when the whole log was read. */
  checkpointSeq: number | null;
  /** Bytes of a crash tail that were cut and kept in `cutFile`. */
  cutBytes: number;
  cutFile: string | null;
  damage: Damage | null;
  /** What `verify()` has found to be wrong with the views that were loaded, while the log is right. */
  derivedDamage: DerivedDamage | null;
  warnings: string[];
}

/** An item of `batch`. */
export type BatchItem =
  | ({ op: "put"; coll: string; id: string; doc: object } & ItemOptions)
  | { op: "delete"; coll: string; id: string; ifSeq?: Seq }
  | { op: "link" | "unlink"; frm: string; rel: string; to: string };

/** Collects what a transaction writes. */
export interface Transaction {
  put(coll: string, id: string, doc: object, options?: ItemOptions): this;
  delete(coll: string, id: string, options?: { ifSeq?: Seq }): this;
  link(frm: string, rel: string, to: string): this;
  unlink(frm: string, rel: string, to: string): this;
  /** How many items there are. */
  readonly size: number;
  /** After the commit: the stored document of each put, null for the rest. */
  readonly results: ((Document & Stored) | null)[] | undefined;
}

export type Operator =
  | "="
  | "=="
  | "!="
  | "<>"
  | "<"
  | "<="
  | ">"
  | ">="
  | "in"
  | "not in"
  | "like"
  | "not like"
  | "contains"
  | "not contains"
  | "between"
  | "not between";

/** A query put together by calls; values become parameters, never text. */
export interface Query<Row = Document> {
  /** All conditions must hold; a field may be a dotted path. */
  where(equal: { [field: string]: unknown }): this;
  where(field: string, value: unknown): this;
  where(field: string, operator: Operator, value: unknown): this;
  asOf(seq: Seq): this;
  validAsOf(date: string | Date): this;
  /** Looks in the fields given, or wherever there is a search index. */
  search(text: string, ...fields: string[]): this;
  orderBy(field: string, direction?: "asc" | "desc" | "ASC" | "DESC"): this;
  traverse(relation: string): this;
  trace(options?: { reverse?: boolean }): this;
  groupBy(...fields: string[]): this;
  count(): this;
  sum(field: string): this;
  avg(field: string): this;
  min(field: string): this;
  max(field: string): this;
  having(equal: { [field: string]: unknown }): this;
  having(field: string, value: unknown): this;
  having(field: string, operator: Operator, value: unknown): this;
  offset(count: number): this;
  limit(count: number): this;
  readonly nql: string;
  readonly params: unknown[];
  run(): Promise<Row[]>;
}

/**
 * A database with plain values and promises.
 *
 * Nothing here blocks the event loop. Writes of one handle take effect in the order in which they were
 * called, awaited or not; a read sees the writes whose promises were fulfilled before. Every promise
 * may be rejected with a NedbError.
 */
export class NEDB {
  /** Makes an empty database in memory. */
  constructor(options?: OpenOptions);
  /** Opens the database of a directory, or makes it. */
  static open(path: string | { readonly href: string }, options?: OpenOptions): Promise<NEDB>;

  /** Stores a document in full; answers it as stored. */
  put<T extends object = Document>(
    coll: string,
    id: string,
    doc: T,
    options?: WriteOptions,
  ): Promise<T & Stored>;
  /** Stores many documents, with a sync for each thousand: an object id → document, or an array with `_id`s. */
  putMany<T extends object = Document>(
    coll: string,
    docs: { [id: string]: T } | (T & { _id: string })[],
    options?: WriteOptions,
  ): Promise<(T & Stored)[]>;
  delete(coll: string, id: string, options?: WriteOptions): Promise<bigint>;
  get<T = Document>(coll: string, id: string, options?: ReadOptions): Promise<(T & Stored) | null>;
  /** False when the document is not there. */
  expire(coll: string, id: string, ttlS: number, options?: WriteOptions): Promise<boolean>;
  /** Deletes what has expired; answers how many. */
  sweep(): Promise<number>;

  /** Runs an NQL query; `$1` is the first of an array, `$name` a member of an object. */
  query<Row = Document>(nql: string, params?: unknown[] | { [name: string]: unknown }): Promise<Row[]>;
  /** Starts a query that is put together by calls. */
  q<Row = Document>(coll: string): Query<Row>;
  createIndex(coll: string, field: string, kind: IndexKind): Promise<void>;
  indexes(): Promise<[collection: string, field: string, kind: IndexKind][]>;
  collections(): Promise<string[]>;

  /** Nodes are written `coll:id`. */
  link(frm: string, rel: string, to: string, options?: WriteOptions): Promise<bigint>;
  unlink(frm: string, rel: string, to: string, options?: WriteOptions): Promise<bigint>;
  neighbors(node: string, rel: string, options?: { asOf?: Seq }): Promise<string[]>;
  inbound(node: string, rel: string, options?: { asOf?: Seq }): Promise<string[]>;

  /** Writes items as one op, all or nothing; null for what is no put. */
  batch(items: BatchItem[], options?: WriteOptions): Promise<((Document & Stored) | null)[]>;
  /** Commits as one op what `work` collects; writes nothing when `work` throws. */
  transaction<T>(work: (tx: Transaction) => T | Promise<T>, options?: WriteOptions): Promise<T>;

  op(seq: Seq): Promise<Op | null>;
  /** The ops from `from` to `to`, both included. */
  log(range?: { from?: Seq; to?: Seq }): AsyncGenerator<Op, void, undefined>;
  /**
   * Saves the views in a file, so that opening reads only what comes after, and appends an op that seals
   * the file; answers the op's seq. In memory it is a mark in the log.
   */
  checkpoint(note?: string): Promise<bigint>;
  /** Says whether every hash and link of the log fits. The bytes of files are `verifyFiles`'s matter. */
  verify(): Promise<boolean>;
  verifyReport(): Promise<VerifyReport>;
  /** Copies the database as it is now into a new directory, while reads and writes go on. */
  backup(path: string, options?: { skipDamagedFiles?: boolean }): Promise<BackupReport>;
  /**
   * Writes a version of a file; answers its number. A stream, or another iterable of bytes, is taken in
   * piece by piece. The bytes are on the disk before the op is.
   */
  putFile(
    name: string,
    data: FileBytes | AsyncIterable<FileBytes> | Iterable<FileBytes>,
    options?: PutFileOptions,
  ): Promise<number>;
  /** Reads a version of a file; answers a Buffer. */
  getFile(name: string, options?: FileAt): Promise<Uint8Array>;
  /** Reads a version of a file as a stream, a few chunks in memory at a time. */
  fileStream(name: string, options?: FileAt): FileStream;
  /** Answers the Merkle root of a version, as its op in the log says. */
  fileRoot(name: string, options?: FileAt): Promise<string>;
  /** Proves that a chunk is part of a version. */
  fileProof(name: string, chunkIndex: number, options?: FileAt): Promise<FileProof>;
  /** Says whether a proof leads from its leaf to its root; needs no database. */
  static verifyProof(proof: FileProof): boolean;
  /** Answers the names of the files, in order of their first version. */
  files(options?: { asOf?: Seq }): Promise<string[]>;
  /** Answers the versions of a file, oldest first. */
  fileVersions(name: string, options?: { asOf?: Seq }): Promise<FileInfo[]>;
  /** Answers what the files of a tier ("warm") cost. */
  compressionStats(tier?: Tier): Promise<CompressionStats>;
  /**
   * Reads the bytes of every version of every file and says which chunks cannot be read, and why. `progress`
   * is told the bytes done and in all; what it throws ends the check.
   */
  verifyFiles(options?: {
    progress?: ((doneBytes: number, allBytes: number) => void) | null;
  }): Promise<VerifyFilesReport>;
  /** Gives back the room of chunks that no op refers to, while reads and writes go on. */
  compactBlobs(): Promise<CompactReport>;
  /**
   * Wraps the data key with another key: from then on only the new one opens the database. After a
   * `STORAGE_ERROR` one of the two opens it, and it may be called again.
   */
  rewrapKey(oldTmk: Uint8Array, newTmk: Uint8Array): Promise<void>;
  /**
   * Makes a damaged database writable again, also where a read or `verify()` has met the damage; keeps the damaged
   * log beside. Cuts the log before the first op that does not hold; where the seqs alone are wrong, as 1.x left
   * them, keeps the ops with new ones. An op of the log says what was done.
   */
  repair(): Promise<RepairReport>;
  verifyDeterminism(): Promise<boolean>;

  /** The seq of the last op; -1n when there is none. */
  readonly seq: bigint;
  /** The seq of the last op that is known to be on the disk; in memory, of the last op. */
  readonly durableSeq: bigint;
  /** The hash after the last op, 64 hex digits. */
  readonly head: string;
  readonly readOnly: boolean;
  /** Whether what is on the disk is encrypted. */
  readonly encrypted: boolean;
  /** The directory; null in memory. */
  readonly path: string | null;
  readonly openReport: OpenReport;
  /** Waits until everything acknowledged is on the disk, also after a write that failed. */
  flush(): Promise<void>;
  /**
   * On a handle opened for reading: reads what a writer has synced since, its indexes, compacted packs and a repair
   * of what was not read yet included. Rejects with `INTEGRITY_ERROR` where the log does not go on from what was read
   * or is damaged after it, and with `KEY_REQUIRED` where it was encrypted since: what was read can be read still.
   */
  refresh(): Promise<bigint>;
  /**
   * Waits for what is being written, and closes the files at once, those of readers of files too. A handle that
   * has met damage saves no checkpoint.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Wraps the data key of the database in a directory, which nobody has open for writing, with another: from
 * then on only the new one opens it.
 */
export function rewrapKey(path: string | { readonly href: string }, oldTmk: Uint8Array, newTmk: Uint8Array): Promise<void>;

/** The engine as it is: JSON texts, answered at once, on the thread that calls. Options are JSON texts
 * too, with the names of the engine: `{"ttl_s": 60, "caused_by": [3]}`. */
export class NedbCore {
  /** Makes an empty database in memory. */
  constructor(optionsJson?: string);
  /** Opens the database of a directory, or makes it. */
  static open(path: string, optionsJson?: string): NedbCore;

  put(coll: string, id: string, docJson: string, optionsJson?: string): string;
  /** An object id → document, or an array of documents that carry `_id`. */
  putMany(coll: string, docsJson: string, optionsJson?: string): string[];
  delete(coll: string, id: string, optionsJson?: string): bigint;
  get(coll: string, id: string): string | null;
  getAsOf(coll: string, id: string, seq: Seq): string | null;
  /** Options `as_of` and `valid_as_of`. */
  getAt(coll: string, id: string, optionsJson?: string): string | null;
  expire(coll: string, id: string, ttlS: number, optionsJson?: string): boolean;
  sweep(): number;

  query(nql: string, paramsJson?: string): string[];
  createIndex(coll: string, field: string, kind: IndexKind): void;
  /** JSON text of an array of [collection, field, kind]. */
  indexes(): string;
  collections(): string[];

  link(frm: string, rel: string, to: string, optionsJson?: string): bigint;
  unlink(frm: string, rel: string, to: string, optionsJson?: string): bigint;
  neighbors(node: string, rel: string, asOf?: Seq): string[];
  inbound(node: string, rel: string, asOf?: Seq): string[];

  /** One JSON text for each item: the stored document of a put, "null" for the rest. */
  batch(itemsJson: string, optionsJson?: string): string[];

  checkpoint(note?: string): bigint;
  verify(): boolean;
  verifyReport(): string;
  /** Copies the database as it is now into a new directory; answers a report as JSON text. */
  backup(path: string, skipDamagedFiles?: boolean): string;
  /** Writes a version of a file; answers its number. */
  putFile(name: string, data: Uint8Array, tier?: Tier, optionsJson?: string): number;
  /** Reads a version of a file; the options are `version`, `tier` and `as_of`. */
  getFile(name: string, optionsJson?: string): Uint8Array;
  fileRoot(name: string, optionsJson?: string): string;
  /** Answers a proof as JSON text. */
  fileProof(name: string, chunkIndex: Seq, optionsJson?: string): string;
  static verifyProof(proofJson: string): boolean;
  files(asOf?: Seq): string[];
  /** Answers the versions of a file as JSON text. */
  fileVersions(name: string, asOf?: Seq): string;
  /** Answers what the files of a tier cost, as JSON text. */
  compressionStats(tier?: Tier): string;
  /** Reads the bytes of every version of every file; answers what was found as JSON text. */
  verifyFiles(): string;
  /** Answers what was done as JSON text. */
  compactBlobs(): string;
  /** Wraps the data key with another key, both in hexadecimal. */
  rewrapKey(oldTmk: string, newTmk: string): void;
  /** Makes a damaged database writable again; answers a report as JSON text. */
  repair(): string;
  verifyDeterminism(): boolean;
  seq(): bigint;
  /** The seq of the last op that is known to be on the disk; in memory, of the last op. */
  durableSeq(): bigint;
  head(): string;
  op(seq: Seq): string | null;
  flush(): void;
  close(): void;
  refresh(): bigint;
  readOnly(): boolean;
  /** Whether what is on the disk is encrypted. */
  encrypted(): boolean;
  path(): string | null;
  openReport(): string;
}
