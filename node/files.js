"use strict";
/**
 * Files: bytes of the caller to the addon and back, at once or as a stream.
 *
 * In: strings, bytes, streams and other iterables of bytes. Out: Buffers, or a Readable.
 *
 * Invariant: of a stream one piece is in memory at a time; the next is asked for when it was stored.
 */

const { Readable } = require("node:stream");
const { bytesOf } = require("./bytes.js");
const { invalid } = require("./errors.js");

/**
 * Hands a stream to a writer of the addon.
 *
 * @param {AsyncIterable<unknown> | Iterable<unknown>} stream its pieces are bytes or text
 * @param {object} writer the addon's NedbFileWriter
 * @param {((takenBytes: number) => void) | undefined} progress told after each piece
 */
async function take(stream, writer, progress) {
  try {
    for await (const piece of stream) {
      const bytes = bytesOf(piece);
      if (bytes === undefined) throw invalid(`a file comes in pieces of bytes, not of ${typeof piece}`);
      const takenBytes = await writer.write(bytes);
      if (progress !== undefined) await progress(takenBytes);
    }
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** Makes a stream of a file; `open` gives the addon's NedbFileReader when the first piece is wanted. */
function readable(open) {
  let reader;
  return new Readable({
    read() {
      const next = async () => {
        reader ??= await open();
        return reader.read();
      };
      next().then(
        (piece) => this.push(piece.length === 0 ? null : piece),
        (error) => this.destroy(error),
      );
    },
  });
}

module.exports = { take, readable };
