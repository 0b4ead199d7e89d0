"use strict";
/**
 * What is asked of a server, and when it is asked again: all but the sending.
 *
 * In: calls (client_calls.js makes them), answers, failures. Out: what is sent, how long to wait, errors.
 *
 * Invariants:
 * * A call is sent again only where that cannot write twice: it reads, it has an idempotency key, or the
 *   server surely did nothing.
 * * A stream of which something was taken is not sent again.
 * * A write whose outcome is not known is COMMIT_UNKNOWN, and anything else says what happened.
 *
 * The same rules as python/nedb/client/call.py; docs/decisions/0017-clients.md says why.
 */

const { builtin } = require("./builtin.js");
const { NedbError } = require("./errors.js");
const { parse } = require("./json.js");

/** The first wait before a call is repeated, and the longest. */
const DELAY_FIRST_MS = 50;
const DELAY_MAX_MS = 2_000;
/** The longest wait that a server may ask for. */
const RETRY_AFTER_MAX_MS = 30_000;
/** Statuses with which a server, or a proxy before it, says that it may be asked again. */
const AGAIN = new Set([429, 502, 503, 504]);
/** Codes of such answers that more waiting does not help. */
const NOT_AGAIN = new Set(["KEY_REQUIRED", "WRONG_KEY", "PLAIN_DATABASE"]);
/** Codes that say that the call was not begun. */
const NOT_BEGUN = new Set(["NOT_READY", "TOO_MANY_REQUESTS"]);
/** Codes of the engine; any other is a ServerError. */
const ENGINE = new Set([
  "INVALID_ARGUMENT",
  "LIMIT_EXCEEDED",
  "NQL_ERROR",
  "REPLAY_ERROR",
  "IDEMPOTENCY_CONFLICT",
  "PRECONDITION_FAILED",
  "DATABASE_LOCKED",
  "DATABASE_CLOSED",
  "READ_ONLY",
  "INTEGRITY_ERROR",
  "COMMIT_UNKNOWN",
  "STORAGE_ERROR",
  "KEY_REQUIRED",
  "WRONG_KEY",
  "PLAIN_DATABASE",
  "NOT_FOUND",
  "CANCELLED",
  "TIMED_OUT",
]);
/** A body of which it is said how long it was where no answer came: it may have been too long. */
const LONG_BODY_BYTES = 1 << 20;
/** The code of an answer that a proxy made, and of none. */
const UNAVAILABLE = "UNAVAILABLE";

/** What only a server refuses, or what came between: `status` is that of the answer, if there was one. */
class ServerError extends NedbError {
  constructor(message, code, status) {
    super(message, code);
    if (status !== undefined) this.status = status;
  }
}

/** A request that got no answer. */
class Failure extends Error {
  /**
   * @param {string} message why
   * @param {{wasSent: boolean, timedOut?: boolean}} known whether the server may have begun
   */
  constructor(message, { wasSent, timedOut = false }) {
    super(message);
    this.wasSent = wasSent;
    this.timedOut = timedOut;
  }
}

/** Makes 128 random bits as text. */
function newKey() {
  // Node 18 has it as a module only.
  const random = globalThis.crypto ?? builtin("node:crypto").webcrypto;
  return Array.from(random.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Makes an idempotency key where a call takes one and has none: with it the call may be sent again. */
function giveKey(call) {
  if (!call.keyed) return;
  if (call.members !== undefined) call.members.idem ??= JSON.stringify(newKey());
  else call.query.idem ??= newKey();
  call.repeatable = true;
}

/** One call, as often as it is tried. */
class Attempts {
  #call;
  #left;
  #made = 0;
  #mayBeWritten = false;

  constructor(call, retryCount) {
    this.#call = call;
    this.#left = retryCount;
    if (retryCount > 0) giveKey(call);
  }

  /** Answers how long to wait before the call is repeated; undefined when the answer is to be read. */
  answered({ status, text, retryAfter }) {
    if (status >= 200 && status < 300) return undefined;
    const error = errorOf(status, text);
    if (!AGAIN.has(status) || NOT_AGAIN.has(error.code)) throw made(error, status);
    // A proxy does not know what the server did.
    if (this.#call.writes && error.code === UNAVAILABLE) this.#mayBeWritten = true;
    if (this.#canBeSent && (this.#call.repeatable || NOT_BEGUN.has(error.code))) {
      const delayMs = this.#nextDelayMs();
      if (delayMs !== undefined) return Math.max(delayMs, retryAfterMs(retryAfter));
    }
    throw this.#mayBeWritten ? unknown(error.message) : made(error, status);
  }

  /** Answers how long to wait before the call is repeated, or throws. */
  failed(failure) {
    if (failure.wasSent && this.#call.writes) this.#mayBeWritten = true;
    // Who waited in vain does not want to wait as long again.
    if (!failure.timedOut && this.#canBeSent && (this.#call.repeatable || !failure.wasSent)) {
      const delayMs = this.#nextDelayMs();
      if (delayMs !== undefined) return delayMs;
    }
    const reason = `${failure.message}${lengthOf(this.#call)}`;
    if (this.#mayBeWritten) throw unknown(reason);
    throw new ServerError(reason, failure.timedOut ? "REQUEST_TIMEOUT" : UNAVAILABLE);
  }

  /** Whether its body is still there: what was taken of a stream is gone, and the rest would be another file. */
  get #canBeSent() {
    return this.#call.content === undefined || this.#call.content.isWhole;
  }

  /** Doubled each time, and of no two clients the same; undefined when there are no repetitions left. */
  #nextDelayMs() {
    if (this.#left === 0) return undefined;
    this.#left -= 1;
    this.#made += 1;
    return Math.min(DELAY_FIRST_MS * 2 ** (this.#made - 1), DELAY_MAX_MS) * (0.5 + Math.random() / 2);
  }
}

/** Says how long a long body was; nothing of a short one. */
function lengthOf({ members }) {
  if (members === undefined) return "";
  const encoder = new TextEncoder();
  // With the quotes, the colon and the comma of each, and a brace at both ends.
  const lengths = Object.entries(members).map(([name, text]) => name.length + 4 + encoder.encode(text).length);
  const bytes = lengths.reduce((sum, length) => sum + length, 1);
  if (bytes <= LONG_BODY_BYTES) return "";
  return ` (the body was ${bytes} bytes long, and a server takes body_bytes_max: send fewer documents at a time)`;
}

/** Makes the error of a write that may be there or not. */
function unknown(reason) {
  return new NedbError(`no answer, so it may be written or not: ${reason}; a repetition is safe with an idem`, "COMMIT_UNKNOWN");
}

/** Makes the error that an answer says. */
function made({ code, message, position }, status) {
  if (ENGINE.has(code)) return new NedbError(message, code, position);
  return new ServerError(message, code, status);
}

/** Reads the object of an error, or makes one for an answer that a proxy made. */
function errorOf(status, text) {
  try {
    const { error } = parse(text);
    if (typeof error.code === "string") return error;
  } catch {
    // It is no answer of nedbd.
  }
  const code = AGAIN.has(status) ? UNAVAILABLE : "INTERNAL_ERROR";
  return { code, message: `the answer has status ${status} and no error of nedbd in it` };
}

/** How long the server asks to wait. */
function retryAfterMs(header) {
  const seconds = Number(header ?? 0);
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds * 1000, 0), RETRY_AFTER_MAX_MS) : 0;
}

module.exports = { Attempts, Failure, ServerError, ENGINE };
