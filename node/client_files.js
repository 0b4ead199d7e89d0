"use strict";
/**
 * Files on their way to a server and back.
 *
 * In: what a caller gives as a file; parts that a server answers. Out: bodies for `fetch`; a ReadableStream.
 *
 * Invariants:
 * * Of a stream one piece is in memory at a time; the next is asked for when it was sent, or read.
 * * What is not sent to its end is not ended as if it were: the server never takes a part for a file.
 */

const { bytesOf, isStream } = require("./bytes.js");
const { ServerError } = require("./client_call.js");
const { invalid } = require("./errors.js");

/** Bytes that are asked of a server at a time, and handed on of bytes whose progress is told. */
const PIECE_BYTES = 1 << 20;
/** No more than one piece is asked for before it is wanted. */
const ONE_BY_ONE = { highWaterMark: 0 };
/** The options of a file that are texts: what is none would become one on its way. */
const TEXTS = ["tier", "client", "idem", "evidence", "valid_from", "valid_to"];
/** The status of a part that begins behind the end. */
const NO_SUCH_PART = 416;

/** Writes the options of a file as members of a query string. */
function putQuery(given) {
  const wrong = TEXTS.find((name) => given[name] !== undefined && typeof given[name] !== "string");
  if (wrong !== undefined) throw invalid(`${wrong} is a ${typeof given[wrong]}, not a string`);
  if (given.caused_by === undefined) return given;
  const isSeq = (seq) => typeof seq === "bigint" || Number.isInteger(seq);
  const causes = given.caused_by;
  if (!Array.isArray(causes) || !causes.every(isSeq)) throw invalid("causedBy is an array of seqs");
  return { ...given, caused_by: causes.length === 0 ? undefined : causes.join(",") };
}

/** What is sent as a file. */
class Source {
  /** What the caller's stream, or its progress, threw. */
  thrown;
  #data;
  #progress;
  /** Bytes or a Blob, which can be sent again. */
  #fixed;
  #pieces;
  #isTaken = false;

  constructor(data, progress) {
    if (progress !== undefined && progress !== null && typeof progress !== "function") {
      throw invalid(`progress is a ${typeof progress}, not a function`);
    }
    this.#data = data;
    this.#progress = progress ?? undefined;
    const bytes = bytesOf(data);
    // What the caller does with its own bytes meanwhile changes nothing.
    if (bytes !== undefined) this.#fixed = new Uint8Array(bytes);
    else if (isBlob(data)) this.#fixed = data;
    else if (typeof data?.getReader !== "function" && !isStream(data)) {
      throw invalid(`a file is text, bytes, a Blob or a stream, not ${typeof data}`);
    }
    // A stream of Node may fail before its first piece is asked for, which then says so.
    if (typeof data?.once === "function") data.once("error", () => {});
  }

  /** Whether all of it can be sent. */
  get isWhole() {
    return this.#fixed !== undefined || !this.#isTaken;
  }

  /** Answers a body for one request. */
  body() {
    if (this.#fixed !== undefined && this.#progress === undefined) return this.#fixed;
    let takenBytes = 0;
    const slices = this.#fixed === undefined ? undefined : slicesOf(this.#fixed);
    const pull = async (controller) => {
      const piece = await this.#next(slices ?? (this.#pieces ??= piecesOf(this.#data)));
      if (piece === undefined) return controller.close();
      takenBytes += piece.byteLength;
      controller.enqueue(piece);
      return this.#progress?.(takenBytes);
    };
    return new ReadableStream({ pull: (controller) => this.#kept(() => pull(controller)) }, ONE_BY_ONE);
  }

  /** Lets go of a stream that was begun. */
  end() {
    if (!this.#isTaken) return;
    // One that hangs would not end either: nobody waits for it.
    if (typeof this.#data.destroy === "function") this.#data.destroy();
    else Promise.resolve(this.#pieces?.return?.()).catch(() => {});
  }

  /** Takes the next piece that holds something; undefined at the end. */
  async #next(pieces) {
    for (;;) {
      this.#isTaken = true;
      const { done, value } = await pieces.next();
      if (done) return undefined;
      const bytes = bytesOf(value);
      if (bytes === undefined) throw invalid(`a file comes in pieces of bytes, not of ${typeof value}`);
      if (bytes.byteLength > 0) return bytes;
    }
  }

  /** Keeps what is thrown: `fetch` says only that it failed. */
  async #kept(work) {
    try {
      return await work();
    } catch (reason) {
      this.thrown ??= { reason };
      throw reason;
    }
  }
}

/** Says whether a value is a Blob, of whatever page. */
function isBlob(data) {
  return typeof data?.arrayBuffer === "function" && typeof data.slice === "function" && typeof data.size === "number";
}

/** Answers the pieces of a stream or of another iterable; a stream of a browser need not be one. */
function piecesOf(data) {
  if (Symbol.asyncIterator in data) return data[Symbol.asyncIterator]();
  if (typeof data.getReader !== "function") return data[Symbol.iterator]();
  const reader = data.getReader();
  return { next: () => reader.read(), return: () => reader.cancel() };
}

/** Reads bytes or a Blob from the start. */
async function* slicesOf(fixed) {
  const size = fixed.size ?? fixed.byteLength;
  for (let start = 0; start < size; start += PIECE_BYTES) {
    const slice = fixed.slice(start, start + PIECE_BYTES);
    yield slice instanceof Uint8Array ? slice : new Uint8Array(await slice.arrayBuffer());
  }
}

/**
 * Reads a version of a file as a stream of its parts, all of the version that the first one is of.
 *
 * @param {(at: object, range: string) => Promise<object>} ask sends a call for one part
 * @param {object} at which version is meant
 */
function parts(ask, at) {
  let offset = 0;
  let place = at;
  return new ReadableStream({
    async pull(controller) {
      const answer = await ask(place, `bytes=${offset}-${offset + PIECE_BYTES - 1}`).catch(orEmpty);
      if (answer === undefined && offset === 0) return controller.close();
      const size = sizeOf(answer, offset);
      place = { version: answer.headers.get("nedb-file-version"), tier: answer.headers.get("nedb-file-tier") };
      offset += answer.bytes.byteLength;
      if (answer.bytes.byteLength > 0) controller.enqueue(answer.bytes);
      if (offset >= size) controller.close();
      return undefined;
    },
  }, ONE_BY_ONE);
}

/** An empty file has no part. */
function orEmpty(error) {
  if (error instanceof ServerError && error.status === NO_SUCH_PART) return undefined;
  throw error;
}

/** Answers how long the file is that a part is of. */
function sizeOf(answer, offset) {
  const [, start, size] = /^bytes (\d+)-\d+\/(\d+)$/.exec(answer?.headers.get("content-range") ?? "") ?? [];
  if (start !== undefined && Number(start) === offset && answer.bytes.byteLength > 0) return Number(size);
  // What is between may know no ranges, and answer the whole.
  if (answer?.status === 200 && offset === 0) return answer.bytes.byteLength;
  throw new ServerError("the answer is another part of the file", "INTERNAL_ERROR", answer?.status);
}

module.exports = { Source, parts, putQuery };
