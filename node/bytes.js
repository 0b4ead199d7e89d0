"use strict";
/**
 * What a caller may give as bytes.
 *
 * In: any value. Out: a Uint8Array over the same memory, or undefined. Nothing here is of Node alone.
 */

/** Makes bytes of what is bytes or text; undefined for anything else. */
function bytesOf(data) {
  if (typeof data === "string") return new TextEncoder().encode(data);
  if (data instanceof Uint8Array) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return undefined;
}

/** Says whether a value can be read piece by piece. */
function isStream(data) {
  return data !== null && typeof data === "object" &&
    (Symbol.asyncIterator in data || Symbol.iterator in data);
}

module.exports = { bytesOf, isStream };
