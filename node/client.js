"use strict";
/**
 * nedb-engine/client: nedbd, the server, spoken to with the methods of NEDB.
 *
 * `NedbClient` is a server; `client.db(name)` is a database of it. It loads no addon, and nothing of Node that a
 * browser would miss. `NedbError` is what it throws; `ServerError` is one with a code of a server.
 */

const { ServerError } = require("./client_call.js");
const { onServer } = require("./client_calls.js");
const { Database } = require("./client_database.js");
const { Transport } = require("./client_transport.js");
const { NedbError } = require("./errors.js");
const { stringify } = require("./json.js");
const { renamed } = require("./options.js");

/** The options of a client. */
const CLIENT = { token: "token", timeoutMs: "timeoutMs", retryCount: "retryCount", fetch: "fetch" };

/** A server of databases. */
class NedbClient {
  #transport;

  /** Says where the server is; nothing is asked yet. */
  constructor(url = "http://127.0.0.1:7070", options) {
    this.#transport = new Transport(url, renamed(options, CLIENT));
  }

  /** Answers a database; whether there is one is seen by its first call. */
  db(name) {
    return new Database(this.#transport, name);
  }

  /** Answers what the server says of itself; it asks for no token. */
  async health(options) {
    return this.#transport.value(onServer.health(), options?.signal);
  }

  /** Answers the databases: name, seq, head, rows, collections; or the state of one that is not open. */
  async databases(options) {
    return this.#transport.value(onServer.databases(), options?.signal);
  }

  /**
   * Makes a database, with all that `init` says or not at all; answers it. With `existOk` one that is there
   * already stays as it is.
   */
  async createDatabase(name, { init, existOk = false, signal } = {}) {
    const text = init === undefined ? undefined : stringify(init);
    try {
      await this.#transport.value(onServer.createDatabase(name, text), signal);
    } catch (error) {
      if (!existOk || error.code !== "DATABASE_EXISTS") throw error;
    }
    return this.db(name);
  }

  /** Removes a database and its files; one that the server could not open only with `force`. */
  async dropDatabase(name, { force, signal } = {}) {
    await this.#transport.value(onServer.dropDatabase(name, force), signal);
  }

  /** Ends what is under way; its databases answer nothing more. */
  close() {
    this.#transport.close();
  }
}

module.exports = { NedbClient, NedbError, ServerError };
