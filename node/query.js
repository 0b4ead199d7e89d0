"use strict";
/**
 * A query put together by calls.
 *
 * In: names and values. Out: NQL with `$n` parameters, and their values.
 *
 * Invariant: a value reaches the query as a parameter and a name in backticks where it is no plain
 * word: nothing that a caller gives becomes NQL.
 */

const { invalid } = require("./errors.js");

/** Names that need no backticks. */
const PLAIN = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Plain words that begin a value, a condition or an aggregate where a name may stand. */
const TAKEN = /^(?:not|true|false|null|count|sum|avg|min|max)$/i;
/** An index into an array, which stands after a dot as it is. */
const INDEX = /^[0-9]+$/;
/** The operators of `where` and `having`, and what follows the field. */
const OPERATORS = new Map([
  ["=", "="],
  ["==", "="],
  ["!=", "!="],
  ["<>", "!="],
  ["<", "<"],
  ["<=", "<="],
  [">", ">"],
  [">=", ">="],
  ["in", "IN"],
  ["not in", "NOT IN"],
  ["like", "LIKE"],
  ["not like", "NOT LIKE"],
  ["contains", "CONTAINS"],
  ["not contains", "NOT CONTAINS"],
  ["between", "BETWEEN"],
  ["not between", "NOT BETWEEN"],
]);

/** The clauses in the order in which they act and are written. */
const CLAUSES = [
  "AS OF",
  "VALID AS OF",
  "WHERE",
  "SEARCH",
  "ORDER BY",
  "TRAVERSE",
  "TRACE",
  "GROUP BY",
  "AGGREGATES",
  "HAVING",
  "OFFSET",
  "LIMIT",
];

/** Writes a name as NQL. */
function name(text, what) {
  if (typeof text !== "string" || text === "") throw invalid(`${what} is no name: ${String(text)}`);
  if (PLAIN.test(text) && !TAKEN.test(text)) return text;
  return `\`${text.replaceAll("`", "``")}\``;
}

/** Writes a dotted path as NQL. */
function field(text) {
  if (typeof text !== "string" || text === "") throw invalid(`no field: ${String(text)}`);
  return text
    .split(".")
    .map((part, index) => (index > 0 && INDEX.test(part) ? part : name(part, "a field")))
    .join(".");
}

/** A query under construction. Every method but `run` changes it and answers it. */
class Query {
  #run;
  #from;
  #params = [];
  #clauses = new Map();

  /** Made by `db.q(coll)`; `run` runs a query. */
  constructor(coll, run) {
    this.#from = name(coll, "a collection");
    this.#run = run;
  }

  /**
   * Adds a condition; all must hold. `where({field: value})`, `where(field, value)`,
   * `where(field, operator, value)`.
   */
  where(...condition) {
    return this.#addConditions("WHERE", condition);
  }

  /** Adds a condition on the groups: "count", "sum_f" and the like, or a key. */
  having(...condition) {
    return this.#addConditions("HAVING", condition);
  }

  /** Reads the state after an op. */
  asOf(seq) {
    return this.#once("AS OF", this.#param(seq));
  }

  /** Reads what was valid at a date. */
  validAsOf(date) {
    return this.#once("VALID AS OF", this.#param(date));
  }

  /** Looks for words, in the fields given or wherever there is a search index. */
  search(text, ...fields) {
    const places = fields.length === 0 ? "" : ` IN (${fields.map(field).join(", ")})`;
    return this.#once("SEARCH", `${this.#param(text)}${places}`);
  }

  /** Adds a key to the order: "asc" or "desc". */
  orderBy(path, direction = "asc") {
    const word = String(direction).toUpperCase();
    if (word !== "ASC" && word !== "DESC") throw invalid(`no direction: ${String(direction)}`);
    return this.#add("ORDER BY", ", ", `${field(path)} ${word}`);
  }

  /** Goes from the rows along a relation. */
  traverse(relation) {
    return this.#once("TRAVERSE", name(relation, "a relation"));
  }

  /** Goes from the rows to what caused them, or with `{ reverse: true }` to what they caused. */
  trace({ reverse = false } = {}) {
    return this.#once("TRACE", `caused_by${reverse ? " REVERSE" : ""}`);
  }

  /** Groups the rows. */
  groupBy(...fields) {
    return this.#once("GROUP BY", fields.map(field).join(", "));
  }

  /** Counts the rows of each group, or all. */
  count() {
    return this.#aggregate("COUNT");
  }

  /** Adds the numbers of a field up. */
  sum(path) {
    return this.#aggregate(`SUM ${field(path)}`);
  }

  /** Takes the mean of the numbers of a field. */
  avg(path) {
    return this.#aggregate(`AVG ${field(path)}`);
  }

  /** Takes the least number of a field. */
  min(path) {
    return this.#aggregate(`MIN ${field(path)}`);
  }

  /** Takes the largest number of a field. */
  max(path) {
    return this.#aggregate(`MAX ${field(path)}`);
  }

  /** Leaves rows out at the start. */
  offset(count) {
    return this.#once("OFFSET", this.#param(count));
  }

  /** Gives so many rows at the most. */
  limit(count) {
    return this.#once("LIMIT", this.#param(count));
  }

  /** The query as NQL. */
  get nql() {
    const written = CLAUSES.filter((clause) => this.#clauses.has(clause)).map((clause) =>
      clause === "AGGREGATES" ? this.#clauses.get(clause) : `${clause} ${this.#clauses.get(clause)}`,
    );
    return [`FROM ${this.#from}`, ...written].join(" ");
  }

  /** The values of `$1`, `$2`, … */
  get params() {
    return [...this.#params];
  }

  /** Runs the query; answers the rows. */
  async run() {
    return this.#run(this.nql, this.params);
  }

  /** Sets a clause that a query takes once. */
  #once(clause, text) {
    if (this.#clauses.has(clause)) throw invalid(`${clause} is in the query already`);
    this.#clauses.set(clause, text);
    return this;
  }

  /** Adds to a clause that is a list. */
  #add(clause, separator, text) {
    const before = this.#clauses.get(clause);
    this.#clauses.set(clause, before === undefined ? text : `${before}${separator}${text}`);
    return this;
  }

  #aggregate(text) {
    return this.#add("AGGREGATES", " ", text);
  }

  #param(value) {
    if (value === undefined) throw invalid("undefined is no value of a query");
    return `$${this.#params.push(value)}`;
  }

  #addConditions(clause, [first, ...rest]) {
    if (first !== null && typeof first === "object") {
      for (const [path, value] of Object.entries(first)) {
        this.#add(clause, " AND ", `${field(path)} = ${this.#param(value)}`);
      }
      return this;
    }
    if (rest.length === 0) throw invalid("a condition is a field, an operator and a value");
    const [operator, value] = rest.length === 1 ? ["=", rest[0]] : rest;
    return this.#add(clause, " AND ", `${field(first)} ${this.#comparison(operator, value)}`);
  }

  #comparison(operator, value) {
    const word = OPERATORS.get(String(operator).toLowerCase());
    if (word === undefined) throw invalid(`no operator: ${String(operator)}`);
    if (!word.endsWith("BETWEEN")) return `${word} ${this.#param(value)}`;
    if (!Array.isArray(value) || value.length !== 2) throw invalid("between takes [low, high]");
    return `${word} ${this.#param(value[0])} AND ${this.#param(value[1])}`;
  }
}

module.exports = { Query };
