"use strict";
/** Values to JSON text and back: what JavaScript alone has to get right. */

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { parse, stringify } = require("../../node/json.js");
const { LongReader } = require("../../node/json_long.js");
const { NEDB } = require("../../node/index.js");
const { withCode } = require("./support.js");

/** A value and its text. */
const WRITTEN = [
  [1, "1"],
  [-0, "0"],
  [1.5, "1.5"],
  [2 ** 53 - 1, "9007199254740991"],
  [2 ** 53, "9007199254740992.0"],
  [-(2 ** 60), "-1152921504606847000.0"],
  [1e16, "10000000000000000.0"],
  [1e21, "1e+21"],
  [1e-7, "1e-7"],
  [5n, "5"],
  [2n ** 63n - 1n, "9223372036854775807"],
  [{ a: undefined, b: null }, '{"b":null}'],
  [new Date(0), '"1970-01-01T00:00:00.000Z"'],
  [{ toJSON: () => ({ x: [true, "y"] }) }, '{"x":[true,"y"]}'],
  [Object.create(null, { n: { value: 1, enumerable: true } }), '{"n":1}'],
  [new (class Point { x = 1; })(), '{"x":1}'],
  [[Object(1), Object("s"), Object(false), Object(1n)], '[1,"s",false,1]'],
  ['q"\\\n\u2028é😀', JSON.stringify('q"\\\n\u2028é😀')],
  [JSON.parse('{"__proto__": {"a": 1}}'), '{"__proto__":{"a":1}}'],
];

test("values are written with the kind of number they are", () => {
  for (const [value, text] of WRITTEN) assert.equal(stringify(value), text);
});

test("values that JSON would change without a word are refused", () => {
  const circular = {};
  circular.self = [circular];
  const refused = [NaN, Infinity, -Infinity, () => 1, Symbol("s"), undefined, [undefined]];
  refused.push(new Map(), new Set(), /x/, new Error("e"), Promise.resolve(), new Uint8Array(2));
  for (const value of [...refused, ...refused.slice(0, 5).map((value) => ({ value })), circular]) {
    assert.throws(() => stringify(value), withCode("INVALID_ARGUMENT"));
  }
  const twice = { same: 1 };
  assert.equal(stringify([twice, twice]), '[{"same":1},{"same":1}]');
});

test("a nesting without end is refused before the stack is", () => {
  let value = 1;
  for (let depth = 0; depth < 100_000; depth += 1) value = [value];
  assert.throws(() => stringify(value), withCode("LIMIT_EXCEEDED"));
});

test("integers beyond 2^53 - 1 are read as BigInts, all else as JSON.parse does", () => {
  assert.deepEqual(parse('{"a":9007199254740993,"b":[-9007199254740992]}'), {
    a: 9007199254740993n,
    b: [-9007199254740992n],
  });
  assert.equal(parse("9007199254740991"), 9007199254740991);
  assert.equal(parse("1e+16"), 1e16);
  assert.equal(parse("10000000000000000.0"), 1e16);
  assert.deepEqual(parse('{"s":":1234567890123456789,"}'), { s: ":1234567890123456789," });
});

test("the reader of long integers reads every other value as JSON.parse does", () => {
  const texts = WRITTEN.map(([, text]) => text);
  texts.push(' { "a" : [ 1 , { } , [ ] ] , "\\"\\\\" : "\\\\\\"" } ', '"\\u0041"', "[null,true,false]");
  for (const text of texts.filter((text) => !/\d{16}/.test(text))) {
    assert.deepEqual(new LongReader(text).read(), JSON.parse(text));
  }
  for (const text of ["", "[1", '"a', "{1}", "nul"]) {
    assert.throws(() => new LongReader(text).read(), SyntaxError);
  }
});

test("what was put comes back equal, a BigInt as a BigInt where a number cannot hold it", async () => {
  const db = new NEDB();
  const doc = { big: 2n ** 62n, small: 7n, double: 1e16, minus: -(2 ** 53), text: "é😀\u0000", deep: [[{}]] };
  const stored = await db.put("docs", "a", doc);
  assert.deepEqual(stored, { ...doc, small: 7, _id: "a", _seq: 0 });
  assert.deepEqual(await db.get("docs", "a"), stored);
});

test("a member named __proto__ is a member as any other", async () => {
  const db = new NEDB();
  await db.put("docs", "a", JSON.parse('{"__proto__": {"evil": true}, "n": 9007199254740993}'));
  const found = await db.get("docs", "a");
  assert.equal(found.evil, undefined);
  assert.ok(Object.hasOwn(found, "__proto__"));
});

test("a document changed after put, or after get, changes nothing stored", async () => {
  const db = new NEDB();
  const doc = { list: [1] };
  const stored = db.put("docs", "a", doc);
  doc.list.push(2);
  (await stored).list.push(3);
  assert.deepEqual((await db.get("docs", "a")).list, [1]);
});

test("a string that is no Unicode text is refused, and none meets another as U+FFFD", async () => {
  const db = new NEDB();
  await assert.rejects(db.put("docs", "a\ud800", {}), withCode("INVALID_ARGUMENT"));
  await assert.rejects(db.get("docs", "\udc00"), withCode("INVALID_ARGUMENT"));
  await assert.rejects(db.put("docs", "a", { s: "\ud800" }), withCode("INVALID_ARGUMENT"));
  assert.equal((await db.put("docs", "\ufffd", {}))._id, "\ufffd");
});

test("what JSON would make another thing of is refused before it is asked", async () => {
  const db = new NEDB();
  const invalid = { code: "INVALID_ARGUMENT" };
  const noTime = new Date(Number.NaN);
  for (const value of [Buffer.from("xyz"), new Uint8Array(2), new Map(), new Set(), noTime]) {
    await assert.rejects(db.put("c", "a", { value }), invalid);
    await assert.rejects(db.put("c", "a", value), invalid);
    await assert.rejects(db.batch([{ op: "put", coll: "c", id: "a", doc: { value } }]), invalid);
  }
  await assert.rejects(db.putMany("c", new Map([["a", {}]])), invalid);
  await assert.rejects(db.putMany("c", new Set([{ _id: "a" }])), invalid);
  await assert.rejects(db.put("c", "a", {}, { validFrom: noTime, validTo: "2024-01-01" }), invalid);
  await assert.rejects(db.get("c", "a", { validAsOf: noTime }), invalid);
  assert.equal(db.seq, -1n);
  assert.equal((await db.put("c", "a", { at: new Date(0) })).at, "1970-01-01T00:00:00.000Z");
});
