"use strict";
/** Errors: a stable code, a name, a position, and a stack that names the caller. */

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { join } = require("node:path");
const { NEDB, NedbCore, NedbError } = require("../../node/index.js");
const { directory, opened, withCode } = require("./support.js");

test("NedbCore throws errors with the codes of the engine", () => {
  const core = new NedbCore();
  core.put("users", "a", "{}", '{"client": "app", "nonce": 5, "idem": "k"}');
  const cases = [
    [() => core.put("users", "a", "[]"), "INVALID_ARGUMENT"],
    [() => core.put("users", "a", "{}", '{"nonc": 1}'), "INVALID_ARGUMENT"],
    [() => core.put("users", 5, "{}"), "INVALID_ARGUMENT"],
    [() => core.put("users"), "INVALID_ARGUMENT"],
    [() => core.getAsOf("users", "a", 1.5), "INVALID_ARGUMENT"],
    [() => core.getAsOf("users", "a", 2n ** 64n), "INVALID_ARGUMENT"],
    [() => core.createIndex("users", "age", "hash"), "INVALID_ARGUMENT"],
    [() => core.putMany("users", "5"), "INVALID_ARGUMENT"],
    [() => core.putMany("users", '[{"n": 1}]'), "INVALID_ARGUMENT"],
    [() => core.put("users", "a", "{}", '{"client": "app", "nonce": 5}'), "REPLAY_ERROR"],
    [() => core.put("users", "b", "{}", '{"idem": "k"}'), "IDEMPOTENCY_CONFLICT"],
    [() => core.put("users", "a", "{}", '{"if_seq": -1}'), "PRECONDITION_FAILED"],
    [() => core.query("FROM"), "NQL_ERROR"],
  ];
  for (const [call, code] of cases) assert.throws(call, withCode(code));
  core.close();
  assert.throws(() => core.put("users", "a", "{}"), withCode("DATABASE_CLOSED"));
});

test("an error of a query says where", async () => {
  const wrong = "FROM users\nWHERE é ~ 1";
  const check = (error) => {
    assert.equal(error.code, "NQL_ERROR");
    assert.equal(error.position.line, 2);
    assert.equal(error.position.column, 9);
    assert.equal(error.position.offset, 20);
    return true;
  };
  assert.throws(() => new NedbCore().query(wrong), check);
  await assert.rejects(new NEDB().query(wrong), check);
});

test("errors of NEDB are NedbErrors and others are not", async () => {
  const error = await new NEDB().query("FROM").catch((error) => error);
  assert.ok(error instanceof NedbError && error instanceof Error);
  assert.equal(Object.getPrototypeOf(error), NedbError.prototype);
  assert.ok(!(new Error("x") instanceof NedbError));
  assert.ok(!({ name: "NedbError" } instanceof NedbError));
  class Own extends NedbError {}
  assert.ok(!(error instanceof Own));
  assert.ok(new Own("m", "INVALID_ARGUMENT") instanceof NedbError);
});

test("the stack of a rejection names the function that awaited", async (context) => {
  const db = await opened(context);
  async function theCaller() {
    await db.put("users", "", {});
  }
  await assert.rejects(theCaller(), (error) => error.stack.includes("theCaller"));
});

test("misspelt options and wrong arguments are refused", async () => {
  const db = new NEDB();
  await assert.rejects(db.put("users", "a", {}, { ttl_s: 1 }), /no option ttl_s; there are client/);
  await assert.rejects(db.put("users", "a", {}, "x"), withCode("INVALID_ARGUMENT"));
  await assert.rejects(db.get("users", "a", { asof: 1 }), withCode("INVALID_ARGUMENT"));
  await assert.rejects(db.putMany("users", [{ n: 1 }]), withCode("INVALID_ARGUMENT"));
  await assert.rejects(db.batch({}), withCode("INVALID_ARGUMENT"));
  await assert.rejects(NEDB.open(5), withCode("INVALID_ARGUMENT"));
  assert.throws(() => new NEDB("data"), withCode("INVALID_ARGUMENT"));
});

test("a second writer is told that the directory is taken", async (context) => {
  const path = join(await directory(context), "data");
  const db = await NEDB.open(path);
  await assert.rejects(NEDB.open(path), withCode("DATABASE_LOCKED"));
  await db.close();
  await (await NEDB.open(path)).close();
});
