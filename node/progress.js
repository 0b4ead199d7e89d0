"use strict";
/**
 * A function of the caller that is told how far a task of the addon has come.
 *
 * In: the caller's function, which may throw. Out: a function for the addon, which does not, and the error that
 * the task then ends with.
 */

const { invalid } = require("./errors.js");

/** A listener: `tell` is what the addon calls, undefined when nobody listens. */
class Listener {
  #thrown;

  /** @param {((doneBytes: number, allBytes: number) => void) | undefined | null} progress */
  constructor(progress) {
    if (progress === undefined || progress === null) return;
    if (typeof progress !== "function") throw invalid("progress is a function of two numbers of bytes");
    this.tell = (doneBytes, allBytes) => {
      try {
        progress(doneBytes, allBytes);
        return true;
      } catch (error) {
        this.#thrown = { error };
        return false;
      }
    };
  }

  /** Waits for a task; what the function has thrown is what the task fails with. */
  async heard(task) {
    try {
      return await task;
    } catch (error) {
      throw this.#thrown === undefined ? error : this.#thrown.error;
    }
  }
}

module.exports = { Listener };
