"use strict";
/** Keys in Node: how they are given, what the environment says. */

const { test } = require("node:test");
const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const { NEDB, NedbCore, rewrapKey } = require("../../node/index.js");
const { directory, withCode } = require("./support.js");

const KEY = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex");
const OTHER = new TextEncoder().encode("another key, at least 16 bytes");

for (const name of ["NEDB_TMK", "NEDB_TMK_FILE", "NEDB_ENCRYPT_EXISTING"]) delete process.env[name];

/** Makes a database with one document. */
async function made(folder, options) {
  const db = await NEDB.open(folder, options);
  await db.put("c", "a", { text: "nobody reads this" });
  await db.close();
}

test("what is written with a key is read with that key alone", async (t) => {
  const folder = path.join(await directory(t), "data");
  await made(folder, { tmk: KEY });
  assert.ok(!fs.readFileSync(path.join(folder, "log.aof")).includes("nobody"));
  const db = await NEDB.open(folder, { tmk: new Uint8Array(KEY) });
  assert.strictEqual(db.encrypted, true);
  assert.strictEqual((await db.get("c", "a")).text, "nobody reads this");
  await db.close();
  await assert.rejects(NEDB.open(folder), withCode("KEY_REQUIRED"));
  await assert.rejects(NEDB.open(folder, { tmk: OTHER }), withCode("WRONG_KEY"));
});

test("a key that is no bytes is refused, and one that is too short", async (t) => {
  const folder = path.join(await directory(t), "data");
  for (const tmk of ["00ff", 7, [1, 2]]) {
    await assert.rejects(NEDB.open(folder, { tmk }), withCode("INVALID_ARGUMENT"));
  }
  await assert.rejects(NEDB.open(folder, { tmk: new Uint8Array(15) }), withCode("INVALID_ARGUMENT"));
  assert.ok(!fs.existsSync(folder));
  assert.strictEqual(new NEDB({ tmk: KEY }).encrypted, false, "in memory a key has no effect");
});

test("the environment says a key where none is given", async (t) => {
  const folder = await directory(t);
  t.after(() => {
    delete process.env.NEDB_TMK;
    delete process.env.NEDB_TMK_FILE;
  });
  const file = path.join(folder, "key");
  fs.writeFileSync(file, "another key, at least 16 bytes\n");
  process.env.NEDB_TMK_FILE = file;
  await made(path.join(folder, "by_file"));
  await made(path.join(folder, "by_file"), { tmk: OTHER });
  process.env.NEDB_TMK = KEY.toString("hex");
  await made(path.join(folder, "by_variable"));
  await made(path.join(folder, "by_variable"), { tmk: KEY });
  process.env.NEDB_TMK = "no hex";
  await assert.rejects(NEDB.open(path.join(folder, "new")), withCode("INVALID_ARGUMENT"));
  assert.throws(() => NedbCore.open(path.join(folder, "new")), withCode("INVALID_ARGUMENT"));
});

test("a plain database is encrypted in place, or refused", async (t) => {
  const folder = await directory(t);
  await made(folder);
  const refusing = { tmk: KEY, encryptExisting: false };
  await assert.rejects(NEDB.open(folder, refusing), withCode("PLAIN_DATABASE"));
  const db = await NEDB.open(folder, { tmk: KEY });
  assert.ok(db.openReport.warnings.some((warning) => warning.includes("encrypted in place")));
  assert.strictEqual(db.seq, 1n);
  await db.close();
  await (await NEDB.open(folder, refusing)).close();
});

test("progress is told how far encrypting has come, and what it throws leaves the database plain", async (t) => {
  const folder = await directory(t);
  await made(folder);
  const before = fs.readFileSync(path.join(folder, "log.aof"));
  const failing = () => {
    throw new RangeError("enough");
  };
  await assert.rejects(NEDB.open(folder, { tmk: KEY, progress: failing }), RangeError);
  assert.ok(fs.readFileSync(path.join(folder, "log.aof")).equals(before));
  assert.ok(!fs.readdirSync(folder).some((name) => name.includes("key.enc") || name.includes("sealing")));
  await assert.rejects(NEDB.open(folder, { tmk: KEY, progress: 7 }), withCode("INVALID_ARGUMENT"));
  const told = [];
  const db = await NEDB.open(folder, { tmk: KEY, progress: (done, all) => void told.push([done, all]) });
  assert.strictEqual(db.encrypted, true);
  assert.deepStrictEqual(told.at(-1), [before.length, before.length]);
  await db.close();
});

test("the key of a database can be changed, open or closed", async (t) => {
  const folder = await directory(t);
  const db = await NEDB.open(folder, { tmk: KEY });
  await assert.rejects(rewrapKey(folder, KEY, OTHER), withCode("DATABASE_LOCKED"));
  await db.rewrapKey(KEY, OTHER);
  await db.close();
  await assert.rejects(NEDB.open(folder, { tmk: KEY }), withCode("WRONG_KEY"));
  await rewrapKey(folder, OTHER, KEY);
  await made(folder, { tmk: KEY });
});
