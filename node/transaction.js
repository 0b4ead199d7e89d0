"use strict";
/**
 * The items of a transaction, collected until they are committed as one op.
 *
 * In: calls as on NEDB, which answer nothing yet. Out: items as `batch` takes them.
 */

const { invalid } = require("./errors.js");
const { stringify } = require("./json.js");
const { ITEM, renamed } = require("./options.js");

/** The options of a deletion in a transaction. */
const DELETE = { ifSeq: ITEM.ifSeq };

/** A transaction that has not been committed. */
class Transaction {
  #items = [];
  #open = true;

  /** What each item answered, once the transaction is committed: a stored document or null. */
  results = undefined;

  /** Stores a document; the same as on NEDB, but for client, nonce and idem, which are the op's. */
  put(coll, id, doc, options) {
    return this.#add({ op: "put", coll, id, doc, ...renamed(options, ITEM) });
  }

  /** Deletes a document. */
  delete(coll, id, options) {
    return this.#add({ op: "delete", coll, id, ...renamed(options, DELETE) });
  }

  /** Adds a relation between two nodes `coll:id`. */
  link(frm, rel, to) {
    return this.#add({ op: "link", frm, rel, to });
  }

  /** Ends a relation. */
  unlink(frm, rel, to) {
    return this.#add({ op: "unlink", frm, rel, to });
  }

  /** How many items there are. */
  get size() {
    return this.#items.length;
  }

  /** Ends the transaction: from here on it takes no items. */
  end() {
    this.#open = false;
  }

  /** The items as the JSON text that the core takes. */
  get text() {
    return `[${this.#items.join(",")}]`;
  }

  #add(item) {
    // A call that was not awaited would otherwise be lost without a word.
    if (!this.#open) throw invalid("the transaction has ended");
    // Written now: what the caller changes afterwards is not part of it.
    this.#items.push(stringify(item));
    return this;
  }
}

/**
 * Calls `work` with a transaction and hands its items' text to `write` when `work` is done, unless there are none;
 * answers what `work` answered.
 */
async function transacted(work, write) {
  const tx = new Transaction();
  let answer;
  try {
    answer = await work(tx);
  } finally {
    tx.end();
  }
  tx.results = tx.size === 0 ? [] : await write(tx.text);
  return answer;
}

/** The items of `batch` as the JSON text that the core takes. */
function batchText(items) {
  if (!Array.isArray(items)) throw invalid("batch takes an array of items");
  return stringify(items.map(batchItem));
}

/** Gives an item of `batch` the core's names for its options. */
function batchItem(item) {
  if (item === null || typeof item !== "object") throw invalid("an item is not an object");
  const { op, coll, id, doc, frm, rel, to, ...options } = item;
  return { op, coll, id, doc, frm, rel, to, ...renamed(options, ITEM) };
}

module.exports = { Transaction, batchText, transacted };
