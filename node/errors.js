"use strict";
/**
 * The one error class of the package.
 *
 * In: a message, a code of `tests/conformance/errors.toml`, and for NQL_ERROR a position. Errors that
 * the addon throws itself (class NedbCore) have the same `name`, `code` and `position` and count as
 * `instanceof NedbError` too, so that a caller needs one test only.
 */

/** An error of NEDB: `code` is a stable string, `position` is set for NQL_ERROR. */
class NedbError extends Error {
  /**
   * @param {string} message what went wrong, for a person
   * @param {string} code what went wrong, for a program
   * @param {{offset: number, line: number, column: number}} [position] where in the query text
   */
  constructor(message, code, position) {
    super(message);
    this.code = code;
    if (position !== undefined) this.position = position;
  }

  /** Says whether a value is an error of NEDB, wherever it was made. */
  static [Symbol.hasInstance](value) {
    if (this !== NedbError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return value instanceof Error && value.name === "NedbError";
  }
}

// On the prototype, as for the errors of the language: not repeated when an error is printed.
Object.defineProperty(NedbError.prototype, "name", {
  value: "NedbError",
  configurable: true,
  writable: true,
});

/** Makes an INVALID_ARGUMENT. */
function invalid(message) {
  return new NedbError(message, "INVALID_ARGUMENT");
}

/**
 * Makes an error of the addon again where JavaScript can see the caller: an error that a native task
 * makes has no stack, one made in an async function names the lines that awaited it.
 */
function rethrown(error) {
  if (!(error instanceof NedbError)) return error;
  return new NedbError(error.message, error.code, error.position);
}

module.exports = { NedbError, invalid, rethrown };
