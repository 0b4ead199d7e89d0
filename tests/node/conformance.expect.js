"use strict";
/**
 * Whether an answer is the expected one (tests/conformance/README.md, "What a step expects").
 *
 * In: the `expect` of a step, and what the engine answered: `{text}`, `{rows}` (JSON texts) or
 * `{error}`. Out: nothing, or an Error that says both.
 */

const { NumberText, parse, stringify } = require("./lossless.js");

/** Makes the error for an answer that is not the expected one. */
function differ(expected, got) {
  return new Error(`\n    expected ${stringify(expected)}\n    got      ${got}`);
}

/** Names the type of a value. */
function kindOf(value) {
  if (value === null) return "null";
  if (value instanceof NumberText) return "number";
  if (value instanceof Map) return "object";
  return Array.isArray(value) ? "array" : typeof value;
}

/** Tells whether two numbers are of one kind and value: 1 and 1.0 differ, 1e3 and 1000.0 do not. */
function equalNumbers(left, right) {
  const isDouble = (number) => /[.eE]/.test(number.text);
  if (isDouble(left) !== isDouble(right)) return false;
  return isDouble(left)
    ? Object.is(Number(left.text), Number(right.text))
    : BigInt(left.text) === BigInt(right.text);
}

/** Tells whether a value is the wanted one; `$any` and `$has` stand for many. */
function equal(wanted, got) {
  if (wanted instanceof Map && wanted.has("$any")) return wanted.get("$any") === kindOf(got);
  if (wanted instanceof Map && wanted.has("$has")) {
    const members = [...wanted.get("$has")];
    return got instanceof Map && members.every(([k, v]) => got.has(k) && equal(v, got.get(k)));
  }
  if (kindOf(wanted) !== kindOf(got)) return false;
  if (wanted instanceof NumberText) return equalNumbers(wanted, got);
  if (Array.isArray(wanted)) {
    return wanted.length === got.length && wanted.every((item, i) => equal(item, got[i]));
  }
  if (wanted instanceof Map) {
    return wanted.size === got.size && [...wanted].every(([k, v]) => got.has(k) && equal(v, got.get(k)));
  }
  return wanted === got;
}

/** Checks an error's code, message and place. */
function checkError(form, error) {
  if (error.code !== form.get("error")) throw differ(form, `${error.code} ${error.message}`);
  const part = form.get("message_contains");
  if (part !== undefined && !error.message.toLowerCase().includes(part.toLowerCase())) {
    throw differ(form, error.message);
  }
  const place = form.get("position");
  if (place === undefined) return;
  const { line, column } = error.position ?? {};
  const got = `{"line":${line},"column":${column}}`;
  if (got !== stringify(place)) throw differ(form, got);
}

/** What each form compares: the answer, made comparable. */
const FORMS = {
  result: ({ text }) => parse(text),
  rows: ({ rows }) => rows.map(parse),
  ids: ({ rows }) => rows.map((row) => parse(row).get("_id") ?? null),
  result_text: ({ text }) => text,
  rows_text: ({ rows }) => rows,
  count: ({ rows }) => new NumberText(String(rows.length)),
};

/** Checks an outcome against what a step expects. */
function check(form, outcome) {
  if (form?.has("error")) {
    if (outcome.error === undefined) throw differ(form, outcome.text ?? `[${outcome.rows}]`);
    return checkError(form, outcome.error);
  }
  if (outcome.error !== undefined) throw differ(form ?? null, `${outcome.error.code} ${outcome.error.message}`);
  if (form === undefined) return;
  const [[kind, wanted]] = form;
  if (!(kind in FORMS)) throw new Error(`the case expects an unknown form: ${kind}`);
  if ((outcome.rows === undefined) !== ["result", "result_text"].includes(kind)) {
    throw new Error(`the verb does not answer what ${kind} compares`);
  }
  const got = FORMS[kind](outcome);
  if (!equal(wanted, got)) throw differ(form, stringify(got));
}

/** Checks a copy that was opened, and closes it: against what was reported of it, and the indexes of its original. */
function checkCopy(copy, seq, head, indexes) {
  const isSame = copy.seq() === BigInt(seq) && copy.head() === head && stringify(parse(copy.indexes())) === indexes;
  const holds = isSame && copy.verify();
  copy.close();
  if (!holds) throw new Error(`the copy is not the database that ends with op ${seq}, ${head}`);
}

module.exports = { check, checkCopy };
