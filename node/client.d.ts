/// <reference lib="esnext.disposable" />
/**
 * Types of nedb-engine/client: nedbd, the server, spoken to with the methods of NEDB.
 */

import type {
  BackupReport, BatchItem, CompactReport, CompressionStats, Document, FileAt, FileBytes, FileInfo, FileProof, IndexKind,
  Op, PutFileOptions, Query, ReadOptions, Seq, Stored, Tier, Transaction, VerifyFilesReport, VerifyReport,
  WriteOptions,
} from "./index.js";
import { NedbError } from "./index.js";

export { NedbError };

/** What only a server refuses, or what came between. */
export type ServerErrorCode =
  | "UNAUTHORIZED"
  | "ORIGIN_REFUSED"
  | "ROUTE_NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "DATABASE_NOT_FOUND"
  | "DATABASE_EXISTS"
  | "NOT_READY"
  | "REQUEST_TIMEOUT"
  | "TOO_MANY_REQUESTS"
  | "INTERNAL_ERROR"
  /** The server was not reached, or the connection broke; nothing was written. */
  | "UNAVAILABLE";

/** An error that only a server has, or the way to it. */
export class ServerError extends NedbError<ServerErrorCode> {
  /** The status of the answer, if there was one. */
  readonly status?: number;
}

/** Every call takes a signal that ends it: a write that was sent may be there or not. */
export interface CallOptions {
  /** Rejects the call with the signal's reason. */
  signal?: AbortSignalLike;
}

/** An `AbortSignal`, as far as types can say so without those of Node or a browser. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason: any;
  addEventListener(type: "abort", listener: () => void, options?: any): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

export interface ClientOptions {
  /** What the server asks for. */
  token?: string;
  /** How long an answer may take; 60,000 when absent. */
  timeoutMs?: number;
  /**
   * How often a call is repeated where the connection fails or the server says that it may be asked again; 6
   * when absent. A write is repeated under its idempotency key, which the client makes where none is given.
   * With 0 nothing is repeated and no key is made.
   */
  retryCount?: number;
  /**
   * What sends requests, as the global `fetch` does: for other certificates, proxies, tests. When absent that is the
   * browser's; in Node it is node:http, since Node's own gives up on an answer that does not begin in 300 s.
   */
  fetch?: (url: string, request: any) => Promise<any>;
}

/** What a database begins with. */
export interface Init {
  indexes?: [coll: string, field: string, kind: IndexKind][];
  /** Documents with `_id`s by collection. */
  seed?: { [coll: string]: object[] };
  links?: [frm: string, rel: string, to: string][];
}

/** What the server says of a database. */
export interface DatabaseSummary {
  name: string;
  /** Absent where the database is open. */
  state?: "opening" | "failed";
  seq?: number;
  head?: string;
  rows?: number;
  /** How many documents each collection has. */
  collections?: { [coll: string]: number };
}

export interface DatabaseDescription extends Required<Omit<DatabaseSummary, "state">> {
  indexes: [coll: string, field: string, kind: IndexKind][];
  integrity: { ok: boolean; verified_seq: number | null };
  read_only: boolean;
  /** The newest ops, the last first; null where they cannot be read. */
  log: Op[] | null;
}

/** A copy that the server made. */
export interface RemoteBackupReport extends BackupReport {
  /** Below the server's directory of backups. */
  path: string;
}

/** A `Blob`, or a `File` of a page, as far as types can say so without those of Node or a browser. */
export interface BlobLike {
  readonly size: number;
  slice(start?: number, end?: number): BlobLike;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** A `ReadableStream`, as far as types can say so without those of Node or a browser. */
export interface ByteStream extends AsyncIterable<Uint8Array> {
  readonly locked: boolean;
  getReader(): any;
  cancel(reason?: any): Promise<void>;
  pipeTo(destination: any, options?: any): Promise<void>;
  pipeThrough(transform: any, options?: any): any;
}

/**
 * A database of a server, with the methods of NEDB.
 *
 * Calls that are not awaited are sent side by side, and take effect in any order. Every promise may be
 * rejected with a NedbError.
 */
export class Database {
  private constructor();
  readonly name: string;

  put<T extends object = Document>(
    coll: string, id: string, doc: T, options?: WriteOptions & CallOptions,
  ): Promise<T & Stored>;
  /** It takes no idempotency key, so that it is repeated only where the server surely did nothing. */
  putMany<T extends object = Document>(
    coll: string, docs: { [id: string]: T } | (T & { _id: string })[], options?: WriteOptions & CallOptions,
  ): Promise<(T & Stored)[]>;
  delete(coll: string, id: string, options?: WriteOptions & CallOptions): Promise<bigint>;
  get<T = Document>(coll: string, id: string, options?: ReadOptions & CallOptions): Promise<(T & Stored) | null>;
  expire(coll: string, id: string, ttlS: number, options?: WriteOptions & CallOptions): Promise<boolean>;
  sweep(options?: CallOptions): Promise<number>;

  query<Row = Document>(
    nql: string, params?: unknown[] | { [name: string]: unknown } | null, options?: CallOptions,
  ): Promise<Row[]>;
  q<Row = Document>(coll: string): Query<Row>;
  createIndex(coll: string, field: string, kind: IndexKind, options?: CallOptions): Promise<void>;
  indexes(options?: CallOptions): Promise<[collection: string, field: string, kind: IndexKind][]>;
  collections(options?: CallOptions): Promise<string[]>;
  /** What the server says of the database. */
  describe(options?: CallOptions): Promise<DatabaseDescription>;

  link(frm: string, rel: string, to: string, options?: WriteOptions & CallOptions): Promise<bigint>;
  unlink(frm: string, rel: string, to: string, options?: WriteOptions & CallOptions): Promise<bigint>;
  neighbors(node: string, rel: string, options?: { asOf?: Seq } & CallOptions): Promise<string[]>;
  inbound(node: string, rel: string, options?: { asOf?: Seq } & CallOptions): Promise<string[]>;

  batch(items: BatchItem[], options?: WriteOptions & CallOptions): Promise<((Document & Stored) | null)[]>;
  transaction<T>(work: (tx: Transaction) => T | Promise<T>, options?: WriteOptions & CallOptions): Promise<T>;

  /**
   * Writes a version of a file; answers its number. A stream, or another iterable of bytes, is sent piece by
   * piece, and only once; bytes and a Blob are sent again where that is needed. The bytes are on the server's
   * disk before the op is. A page gives bytes or a Blob, without `progress`: browsers send streams over HTTP/2 alone.
   */
  putFile(
    name: string,
    data: FileBytes | BlobLike | { getReader(): any } | AsyncIterable<FileBytes> | Iterable<FileBytes>,
    options?: PutFileOptions & CallOptions,
  ): Promise<number>;
  getFile(name: string, options?: FileAt & CallOptions): Promise<Uint8Array>;
  /**
   * Reads a version of a file as a `ReadableStream` (`Readable.fromWeb` makes a stream of Node of it), 1 MiB in
   * memory at a time, and all of one version, whatever is written meanwhile.
   */
  fileStream(name: string, options?: FileAt & CallOptions): ByteStream;
  fileRoot(name: string, options?: FileAt & CallOptions): Promise<string>;
  /** `NEDB.verifyProof` of nedb-engine checks it. */
  fileProof(name: string, chunkIndex: number, options?: FileAt & CallOptions): Promise<FileProof>;
  files(options?: { asOf?: Seq } & CallOptions): Promise<string[]>;
  fileVersions(name: string, options?: { asOf?: Seq } & CallOptions): Promise<FileInfo[]>;
  compressionStats(tier?: Tier | null, options?: CallOptions): Promise<CompressionStats>;
  compactBlobs(options?: CallOptions): Promise<CompactReport>;

  op(seq: Seq, options?: CallOptions): Promise<Op | null>;
  log(range?: { from?: Seq; to?: Seq } & CallOptions): AsyncGenerator<Op, void, undefined>;
  /**
   * Every op after a seq, in order, none twice; then those to come. Resume with the seq of the last op that
   * you have. With `follow: false` it ends with the last op there is.
   */
  changes(afterSeq?: Seq, options?: { follow?: boolean } & CallOptions): AsyncGenerator<Op, void, undefined>;
  checkpoint(note?: string | null, options?: CallOptions): Promise<bigint>;
  verify(options?: CallOptions): Promise<boolean>;
  verifyReport(options?: CallOptions): Promise<VerifyReport>;
  verifyFiles(options?: CallOptions): Promise<VerifyFilesReport>;
  verifyDeterminism(options?: CallOptions): Promise<boolean>;
  /**
   * Copies the database on the server; `to` names the copy, without it the time does. With `skipDamagedFiles` chunks
   * of files that are damaged are left out and reported, where otherwise there is no backup.
   */
  backup(to?: string | null, options?: { skipDamagedFiles?: boolean } & CallOptions): Promise<RemoteBackupReport>;
  flush(options?: CallOptions): Promise<void>;

  readonly seq: Promise<bigint>;
  /** The seq of the last op, once that is on the disk. */
  readonly durableSeq: Promise<bigint>;
  readonly head: Promise<string>;
  readonly readOnly: Promise<boolean>;
}

/** A server of databases. */
export class NedbClient {
  /** Says where the server is ("http://127.0.0.1:7070" when absent); nothing is asked yet. */
  constructor(url?: string, options?: ClientOptions);
  /** Whether there is such a database is seen by its first call. */
  db(name: string): Database;
  health(options?: CallOptions): Promise<{ ok: boolean; service: string; version: string; live: boolean; ready: boolean }>;
  databases(options?: CallOptions): Promise<DatabaseSummary[]>;
  /** With `existOk` one that is there already stays as it is. */
  createDatabase(name: string, options?: { init?: Init; existOk?: boolean } & CallOptions): Promise<Database>;
  /** One that the server could not open is refused with the reason, unless `force` is true. */
  dropDatabase(name: string, options?: { force?: boolean } & CallOptions): Promise<void>;
  /** Ends what is under way; its databases answer nothing more. */
  close(): void;
}
