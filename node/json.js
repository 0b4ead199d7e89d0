"use strict";
/**
 * JSON text from plain values and back, without losing a number.
 *
 * In and out: JavaScript values; JSON text as the core takes and gives it. It differs from
 * `JSON.stringify` and `JSON.parse` where those would change a value without a word:
 *
 * * a number is written so that the core reads the same kind back: an integral number beyond
 *   2^53 - 1 as a double (`10000000000000000.0`), a BigInt as an integer; -0 is the integer 0;
 * * an integer beyond 2^53 - 1 is read as a BigInt;
 * * NaN, the infinities, functions, symbols, an undefined element of an array, circular values, and
 *   objects that JSON would empty (Map, Set, RegExp, Error, Promise, buffers) are refused.
 *
 * As with `JSON.stringify`, a member that is undefined is left out and `toJSON` is called, which makes
 * a Date its ISO text. Source: docs/format.md, Numbers.
 */

const { NedbError, invalid } = require("./errors.js");
const { LongReader } = require("./json_long.js");

/** Deepest nesting written: far beyond what the core takes, near enough to keep the stack small. */
const DEPTH_MAX = 1_000;

/** What a string must not hold to be its own JSON text: quotes, backslash, controls, surrogates. */
const NEEDS_ESCAPE = /["\\\u0000-\u001f\ud800-\udfff]/;

/** Where an integer of 16 digits or more may stand: outside strings surely, in a string perhaps. */
const LONG_INTEGER = /(?:^|[[:,])-?\d{16,}(?:$|[\],}])/;

/**
 * Writes a value as JSON text.
 *
 * @param {unknown} value anything but undefined
 * @returns {string}
 * @throws {NedbError} INVALID_ARGUMENT that names the place, LIMIT_EXCEEDED for nesting
 */
function stringify(value) {
  const text = write(value, "", []);
  if (text === undefined) throw invalid("undefined is no value of a document");
  return text;
}

/** Writes one value; answers undefined where JSON leaves a member out. */
function write(value, key, ancestors) {
  switch (typeof value) {
    case "string":
      return NEEDS_ESCAPE.test(value) ? JSON.stringify(value) : `"${value}"`;
    case "number":
      return writeNumber(value, key);
    case "boolean":
      return value ? "true" : "false";
    case "bigint":
      return value.toString();
    case "object":
      return value === null ? "null" : writeObject(value, key, ancestors);
    case "undefined":
      return undefined;
    default:
      throw invalid(`a ${typeof value} is no value of a document${at(key)}`);
  }
}

/** Writes a number so that the core reads a double as a double. */
function writeNumber(value, key) {
  if (!Number.isFinite(value)) throw invalid(`${value} is no value of a document${at(key)}`);
  // From 1e21 on JavaScript writes an exponent itself.
  if (Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < 1e21) {
    return `${value}.0`;
  }
  return `${value}`;
}

/** Writes an array or an object, or what its toJSON answers. */
function writeObject(value, key, ancestors) {
  refuseHidden(value, key);
  if (typeof value.toJSON === "function") {
    const plain = value.toJSON(key);
    if (plain === null || typeof plain !== "object") return write(plain, key, ancestors);
    value = plain;
  }
  if (ancestors.includes(value)) throw invalid(`a circular value${at(key)}`);
  if (ancestors.length >= DEPTH_MAX) {
    throw new NedbError(`nested deeper than ${DEPTH_MAX} levels`, "LIMIT_EXCEEDED");
  }
  ancestors.push(value);
  const text = Array.isArray(value)
    ? writeArray(value, key, ancestors)
    : writeMembers(plainObject(value, key), ancestors);
  ancestors.pop();
  return text;
}

/** Writes an array's elements. */
function writeArray(values, key, ancestors) {
  let text = "[";
  for (let index = 0; index < values.length; index += 1) {
    const item = write(values[index], key, ancestors);
    // JSON.stringify would write null: another value than the one that was given.
    if (item === undefined) throw invalid(`undefined in an array${at(key)}`);
    text += index === 0 ? item : `,${item}`;
  }
  return `${text}]`;
}

/** Writes an object's own enumerable members that are not undefined. */
function writeMembers(value, ancestors) {
  if (typeof value !== "object") return write(value, "", ancestors);
  let text = "";
  for (const key of Object.keys(value)) {
    const item = write(value[key], key, ancestors);
    if (item === undefined) continue;
    const name = NEEDS_ESCAPE.test(key) ? JSON.stringify(key) : `"${key}"`;
    text += text === "" ? `${name}:${item}` : `,${name}:${item}`;
  }
  return `{${text}}`;
}

/** Answers an object whose members are its value, a boxed primitive's value, or refuses. */
function plainObject(value, key) {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return value;
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  if (tag === "Number" || tag === "String" || tag === "Boolean" || tag === "BigInt") {
    return value.valueOf();
  }
  return value;
}

const HIDDEN = new Set(["Map", "Set", "WeakMap", "WeakSet", "RegExp", "Error", "Promise", "ArrayBuffer"]);

/**
 * Refuses an object that JSON would empty, or make another thing of: before its toJSON is asked, since
 * that of a Buffer answers a list of numbers, and that of a Date without a time null.
 */
function refuseHidden(value, key) {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === Array.prototype || prototype === null) return;
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  if (ArrayBuffer.isView(value) || HIDDEN.has(tag)) {
    throw invalid(`a ${tag} is no value of a document${at(key)}`);
  }
  if (tag === "Date" && Number.isNaN(value.valueOf())) {
    throw invalid(`the Date has no time${at(key)}`);
  }
}

/** Says where a refused value stands. */
function at(key) {
  return key === "" ? "" : ` (member ${JSON.stringify(key)})`;
}

/**
 * Reads JSON text of the core; integers beyond 2^53 - 1 become BigInts.
 *
 * Cost: `JSON.parse`, and a search for long integers; only a text that has one takes the slower reader.
 *
 * @param {string} text
 */
function parse(text) {
  return LONG_INTEGER.test(text) ? new LongReader(text).read() : JSON.parse(text);
}

module.exports = { stringify, parse, refuseHidden };
