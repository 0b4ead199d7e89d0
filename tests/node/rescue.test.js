"use strict";
/** Backup and repair as a Node program calls them; what they do is tested in the core. */

const assert = require("node:assert/strict");
const { readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { test } = require("node:test");
const { NEDB, NedbCore } = require("../../node/index.js");
const { directory, withCode } = require("./support.js");

test("a backup opens with the head that it reports", async (test) => {
  const path = await directory(test);
  const db = await NEDB.open(join(path, "db"));
  await db.put("c", "a", { n: 1 });
  const report = await db.backup(join(path, "copy"));
  assert.equal(report.head, db.head);
  await assert.rejects(db.backup(join(path, "copy")), withCode("INVALID_ARGUMENT"));
  await db.close();
  const copy = NedbCore.open(join(path, "copy"));
  assert.equal(copy.head(), report.head);
  assert.equal(JSON.parse(copy.backup(join(path, "again"))).head, report.head);
  copy.close();
});

test("a repaired database is written to again", async (test) => {
  const path = await directory(test);
  let db = await NEDB.open(path);
  for (const id of ["0", "1", "2"]) await db.put("c", id, { n: 1 });
  await db.close();
  const log = join(path, "log.aof");
  const damaged = readFileSync(log, "utf8").replace('"_id":"1","n":1', '"_id":"1","n":2');
  writeFileSync(log, damaged);
  db = await NEDB.open(path);
  await assert.rejects(db.put("c", "x", {}), withCode("READ_ONLY"));
  const report = await db.repair();
  assert.equal(report.damage.seq, 1);
  assert.equal(readFileSync(report.damagedFile, "utf8"), damaged);
  await db.put("c", "x", {});
  assert.equal(await db.verify(), true);
  await db.close();
});
