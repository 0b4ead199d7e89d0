"use strict";

/** Checkpoints as a Node program asks for them; what they do is tested in the core. */

const assert = require("node:assert/strict");
const { existsSync } = require("node:fs");
const { join } = require("node:path");
const { test } = require("node:test");
const { NEDB } = require("../../node/index.js");
const { directory, withCode } = require("./support.js");

test("a checkpoint is loaded at the next opening", async (context) => {
  const place = await directory(context);
  let db = await NEDB.open(place);
  await db.put("c", "a", { n: 1 });
  assert.equal(await db.checkpoint("note"), 1n);
  await db.close();
  assert.ok(existsSync(join(place, "checkpoint.0")));
  db = await NEDB.open(place);
  const { checkpointSeq, opCount, warnings } = db.openReport;
  assert.deepEqual({ checkpointSeq, opCount, warnings }, { checkpointSeq: 0, opCount: 2, warnings: [] });
  assert.deepEqual(await db.get("c", "a"), { _id: "a", _seq: 0, n: 1 });
  assert.ok(await db.verify());
  await db.close();
});

test("automatic checkpoints are saved when closing at the latest", async (context) => {
  const place = await directory(context);
  let db = await NEDB.open(place, { checkpointEveryOps: 1000 });
  await db.put("c", "a", {});
  await db.close();
  db = await NEDB.open(place, { readOnly: true });
  assert.equal(db.openReport.checkpointSeq, 0);
  await db.close();
});

test("checkpoints after no ops are refused", async (context) => {
  await assert.rejects(NEDB.open(await directory(context), { checkpointEveryOps: 0 }), withCode("INVALID_ARGUMENT"));
  await assert.rejects(NEDB.open(await directory(context), { checkpointEveryOps: 1.5 }), withCode("INVALID_ARGUMENT"));
});
