"use strict";
/**
 * The verbs of a server as calls: what is asked, and which member of the answer is the result.
 *
 * In: the path of a database, names, JSON texts. Out: plain objects:
 *
 * | member | meaning |
 * |---|---|
 * | `method`, `path`, `query` | the request; members of `query` that are undefined or null are left out |
 * | `members` | the body, each member as JSON text; undefined where there is none |
 * | `content` | the body of a file: a Source of client_files.js |
 * | `headers` | further ones |
 * | `binary` | the answer is bytes |
 * | `member` | the member of the answer that is the result; undefined for the whole answer |
 * | `repeatable` | it may be sent twice: it reads, or does the same again |
 * | `keyed` | it takes an idempotency key: with one it may be sent twice |
 * | `writes` | its outcome matters when no answer comes |
 * | `extraMs` | how much longer than others it may take |
 */

const { invalid } = require("./errors.js");

const DATABASES = "/v1/databases";
/** How much longer a call may take that reads or copies the whole log. */
const WHOLE_LOG_MS = 3_600_000;

/** Writes a name as one segment of a path. */
function segment(name, what) {
  if (typeof name !== "string" || name === "") throw invalid(`the name of a ${what} is a string that is not empty`);
  // In a URL these are no names, however they are spelt.
  if (name === "." || name === "..") throw invalid(`a ${what} called ${name} has no URL`);
  return encoded(name);
}

/** Percent-encodes a text. */
function encoded(text) {
  try {
    return encodeURIComponent(text);
  } catch {
    throw invalid("a text holds a lone surrogate, which is no character");
  }
}

/** Answers the path of a database. */
const database = (name) => `${DATABASES}/${segment(name, "database")}`;

/** Answers the path of a file. */
const file = (at, name) => `${at}/files/${segment(name, "file")}`;

/** Answers path and query of a call. */
function target({ path, query = {} }) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  const text = given.map(([name, value]) => `${name}=${encoded(String(value))}`).join("&");
  return text === "" ? path : `${path}?${text}`;
}

const read = (path, member, query = {}, rest = {}) => ({ method: "GET", path, query, member, repeatable: true, ...rest });
const write = (path, member, members, rest = {}) =>
  ({ method: "POST", path, members, member, writes: true, ...rest });
const KEYED = { keyed: true };
const LONG = { extraMs: WHOLE_LOG_MS };

/** Refuses what would not reach the server as the text that it is. */
function text(name, value) {
  if (typeof value !== "string") throw invalid(`${name} is a ${value === null ? "null" : typeof value}, not a string`);
  return value;
}

/** Writes texts as members of a body. */
function texts(given) {
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, JSON.stringify(text(name, value))]));
}

/** Calls on a database; `rest` holds further members of the body as JSON texts. */
const onDatabase = {
  put: (at, coll, id, doc, rest) => write(`${at}/put`, "doc", { ...texts({ coll, id }), doc, ...rest }, KEYED),
  putMany: (at, coll, docs, rest) => write(`${at}/put_many`, "docs", { ...texts({ coll }), docs, ...rest }),
  delete: (at, coll, id, rest) => write(`${at}/delete`, "seq", { ...texts({ coll, id }), ...rest }, KEYED),
  get: (at, coll, id, query) => read(`${at}/get`, "doc", { coll: text("coll", coll), id: text("id", id), ...query }),
  expire: (at, coll, id, ttlS, rest) =>
    write(`${at}/expire`, "found", { ...texts({ coll, id }), ttl_s: ttlS, ...rest }, KEYED),
  sweep: (at) => write(`${at}/sweep`, "deleted"),
  query: (at, nql, params) =>
    write(`${at}/query`, "rows", { ...texts({ nql }), ...(params === undefined ? {} : { params }) },
      { writes: false, repeatable: true }),
  createIndex: (at, coll, field, kind) =>
    // Making it again changes nothing.
    write(`${at}/index`, undefined, texts({ coll, field, kind }), { repeatable: true }),
  describe: (at) => read(at, undefined),
  indexes: (at) => read(at, "indexes"),
  collections: (at) => read(at, "collections"),
  link: (at, frm, rel, to, rest) => write(`${at}/link`, "seq", { ...texts({ frm, rel, to }), ...rest }, KEYED),
  unlink: (at, frm, rel, to, rest) => write(`${at}/unlink`, "seq", { ...texts({ frm, rel, to }), ...rest }, KEYED),
  neighbors: (at, node, rel, asOf) =>
    read(`${at}/neighbors`, "nodes", { node: text("node", node), rel: text("rel", rel), as_of: asOf }),
  inbound: (at, node, rel, asOf) =>
    read(`${at}/inbound`, "nodes", { node: text("node", node), rel: text("rel", rel), as_of: asOf }),
  batch: (at, items, rest) => write(`${at}/batch`, "results", { items, ...rest }, KEYED),
  ops: (at, afterSeq, limit, waitMs, afterHash) =>
    read(
      `${at}/changes`,
      "changes",
      { after_seq: afterSeq, after_hash: afterHash, limit, wait_ms: waitMs },
      { extraMs: waitMs ?? 0 },
    ),
  checkpoint: (at, note) =>
    write(`${at}/checkpoint`, "seq", note === undefined || note === null ? {} : texts({ note }), LONG),
  verify: (at) => read(`${at}/verify`, "ok", {}, LONG),
  verifyReport: (at) => read(`${at}/verify`, "report", {}, LONG),
  verifyFiles: (at) => read(`${at}/verify`, "files", { files: true }, LONG),
  verifyDeterminism: (at) => read(`${at}/verify`, "deterministic", { determinism: true }, LONG),
  backup: (at, to, rest) =>
    write(`${at}/backup`, undefined, { ...(to === undefined || to === null ? {} : texts({ to })), ...rest }, LONG),
  flush: (at) => write(`${at}/flush`, "durable_seq", undefined, { writes: false, repeatable: true }),
  seq: (at) => read(`${at}/log`, "seq", { limit: 0 }),
  head: (at) => read(`${at}/log`, "head", { limit: 0 }),
  readOnly: (at) => read(at, "read_only"),
  putFile: (at, name, query, content) =>
    ({ method: "PUT", path: file(at, name), query, content, member: "file", writes: true, ...KEYED, ...LONG }),
  getFile: (at, name, query) => read(file(at, name), undefined, query, { binary: true, ...LONG }),
  filePart: (at, name, query, range) => read(file(at, name), undefined, query, { binary: true, headers: { range } }),
  fileRoot: (at, name, query) => read(`${file(at, name)}/root`, "root", query),
  fileProof: (at, name, chunk, query) => read(`${file(at, name)}/proof`, "proof", { chunk, ...query }),
  fileVersions: (at, name, asOf) => read(`${file(at, name)}/versions`, "versions", { as_of: asOf }),
  files: (at, asOf) => read(`${at}/files`, "files", { as_of: asOf }),
  compressionStats: (at, tier) => read(`${at}/compression_stats`, "stats", { tier }),
  // Doing it again gives back nothing more.
  compactBlobs: (at) => write(`${at}/compact_blobs`, "report", undefined, { repeatable: true, ...LONG }),
};

/** Calls on a server. */
const onServer = {
  health: () => read("/health", undefined),
  databases: () => read(DATABASES, "databases"),
  createDatabase: (name, init) =>
    write(DATABASES, "database", { ...texts({ name }), ...(init === undefined ? {} : { init }) }),
  dropDatabase: (name, force) =>
    ({ method: "DELETE", path: database(name), query: { force }, member: "dropped", writes: true }),
};

module.exports = { database, onDatabase, onServer, segment, target };
