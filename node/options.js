"use strict";
/**
 * Options and arguments: camelCase of JavaScript to the names of the core.
 *
 * In: plain objects of the caller. Out: JSON text for the core, undefined when there are none.
 *
 * Invariant: an option that is not known is refused, so that a misspelt one is never ignored.
 */

const { invalid } = require("./errors.js");
const { stringify, parse } = require("./json.js");

/** The options of one document of a transaction. */
const ITEM = {
  ifSeq: "if_seq",
  ttlS: "ttl_s",
  causedBy: "caused_by",
  evidence: "evidence",
  confidence: "confidence",
  validFrom: "valid_from",
  validTo: "valid_to",
};
/** The options of a write. */
const WRITE = { client: "client", nonce: "nonce", idem: "idem", ...ITEM };
/** The options of a read. */
const READ = { asOf: "as_of", validAsOf: "valid_as_of" };
/** The options of `putFile`: those of a write that a file has too, and two of its own. */
const { ifSeq: _ifSeq, ttlS: _ttlS, ...FILE_WRITE } = WRITE;
const PUT_FILE = { ...FILE_WRITE, tier: "tier", progress: "progress" };
/** The options that say which version of a file is meant. */
const FILE_AT = { version: "version", tier: "tier", asOf: "as_of" };
/** The options of opening. */
const OPEN = {
  readOnly: "read_only",
  clock: "clock",
  cacheBytes: "cache_bytes",
  durability: "durability",
  checkpointEveryOps: "checkpoint_every_ops",
  tmk: "tmk",
  encryptExisting: "encrypt_existing",
  progress: "progress",
};

/**
 * Renames the options that are set; undefined and null count as absent.
 *
 * @param {Record<string, unknown> | undefined | null} options
 * @param {Record<string, string>} names what is known, and the core's name for it
 * @returns {Record<string, unknown> | undefined} undefined when none is set
 */
function renamed(options, names) {
  if (options === undefined || options === null) return undefined;
  if (typeof options !== "object") throw invalid(`options are a ${typeof options}, not an object`);
  let found;
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(names, name)) {
      throw invalid(`no option ${name}; there are ${Object.keys(names).join(", ")}`);
    }
    if (value === undefined || value === null) continue;
    found ??= {};
    found[names[name]] = value;
  }
  return found;
}

/** Writes a key as hexadecimal digits: it is a Buffer or another Uint8Array. */
function keyText(tmk) {
  if (!(tmk instanceof Uint8Array)) {
    throw invalid('a key is a Buffer or a Uint8Array: for hexadecimal digits, Buffer.from(digits, "hex")');
  }
  return Buffer.from(tmk.buffer, tmk.byteOffset, tmk.byteLength).toString("hex");
}

/** Writes the options of opening as JSON text, but for `progress`; undefined when there are none. */
function openText(options) {
  const found = renamed(options, OPEN);
  if (found !== undefined) delete found.progress;
  if (found?.tmk !== undefined) found.tmk = keyText(found.tmk);
  return found === undefined ? undefined : stringify(found);
}

/** Writes options as JSON text for the core; undefined when there are none. */
function optionsText(options, names) {
  const found = renamed(options, names);
  return found === undefined ? undefined : stringify(found);
}

/** Writes a document as JSON text. The core refuses what is no object, after toJSON. */
function documentText(document) {
  return stringify(document);
}

/** Reads a row, a stored document or null. */
function fromText(text) {
  return text === null ? null : parse(text);
}

/** Gives the members of a report their names in JavaScript, at every depth. */
function camelCased(value) {
  if (Array.isArray(value)) return value.map(camelCased);
  if (value === null || typeof value !== "object") return value;
  const members = Object.entries(value).map(([name, member]) => [
    name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase()),
    camelCased(member),
  ]);
  return Object.fromEntries(members);
}

module.exports = {
  ITEM, WRITE, READ, PUT_FILE, FILE_AT, renamed, optionsText, documentText, fromText, camelCased, keyText, openText,
};
