"use strict";
/**
 * The order of the writes of one handle.
 *
 * In: writes as they are called. Out: one promise each. Tasks of the pool run side by side and in no
 * order, so the writes of a handle go through here, one task at a time:
 *
 * * they take effect in the order in which they were called, awaited or not;
 * * they hold one thread of the pool at the most, which Node's files and names share;
 * * plain puts that wait in a row for one collection go as one `putMany`: many ops, one sync. So
 *   `Promise.all` over a thousand puts costs about what one costs.
 */

/** Most puts joined into one task: what waits behind them waits for so many only. */
const JOINED_COUNT_MAX = 1_000;
/** Most characters of text joined into one task. */
const JOINED_CHARACTERS_MAX = 4 << 20;
/** Errors of a `putMany` after which nothing of it was appended. */
const REFUSALS = new Set(["INVALID_ARGUMENT", "LIMIT_EXCEEDED"]);

/** The writes of one handle that are under way or waiting. */
class Writes {
  #tasks;
  #waiting = [];
  #running = false;

  /** @param {object} tasks the addon's NedbTasks */
  constructor(tasks) {
    this.#tasks = tasks;
  }

  /** Says whether nothing is under way, so that a write may be made at once. */
  get idle() {
    return !this.#running;
  }

  /**
   * Adds a write.
   *
   * @param {() => Promise<unknown>} run starts its task
   * @returns {Promise<unknown>} what the task answers
   */
  add(run) {
    return this.#push({ run });
  }

  /** Adds a put without options, which may be joined with its neighbours. */
  addPut(collection, id, text) {
    const run = () => this.#tasks.put(collection, id, text);
    return this.#push({ run, collection, id, text });
  }

  #push(write) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...write, resolve, reject });
      if (!this.#running) this.#drain();
    });
  }

  /** Runs what waits until nothing does. */
  async #drain() {
    this.#running = true;
    // What is called in the same turn of the event loop shall find itself in one task.
    await null;
    while (this.#waiting.length > 0) {
      const writes = this.#waiting;
      this.#waiting = [];
      for (let start = 0; start < writes.length; ) {
        const end = joinedEnd(writes, start);
        if (end - start > 1) await this.#runJoined(writes.slice(start, end));
        else await runOne(writes[start]);
        start = end;
      }
    }
    this.#running = false;
  }

  /** Runs puts as one task; when one of them is refused, each runs alone to get its own answer. */
  async #runJoined(puts) {
    try {
      const ids = puts.map((put) => put.id);
      const texts = puts.map((put) => put.text);
      const stored = await this.#tasks.putMany(puts[0].collection, ids, texts);
      puts.forEach((put, index) => put.resolve(stored[index]));
    } catch (error) {
      if (REFUSALS.has(error.code)) for (const put of puts) await runOne(put);
      else for (const put of puts) put.reject(error);
    }
  }
}

/** Finds where the puts end that may be joined with the write at `start`. */
function joinedEnd(writes, start) {
  const first = writes[start];
  if (first.text === undefined) return start + 1;
  let characters = first.text.length;
  let end = start + 1;
  while (end < writes.length && end - start < JOINED_COUNT_MAX) {
    const next = writes[end];
    if (next.text === undefined || next.collection !== first.collection) break;
    characters += next.text.length;
    if (characters > JOINED_CHARACTERS_MAX) break;
    end += 1;
  }
  return end;
}

/** Runs one write and settles its promise. */
async function runOne(write) {
  try {
    write.resolve(await write.run());
  } catch (error) {
    write.reject(error);
  }
}

module.exports = { Writes };
