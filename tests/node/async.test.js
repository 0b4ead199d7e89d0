"use strict";
/** Promises: the event loop turns, writes keep their order, and what waits together syncs together. */

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { pathToFileURL } = require("node:url");
const { join } = require("node:path");
const { Worker } = require("node:worker_threads");
const { NEDB } = require("../../node/index.js");
const { directory, opened, withCode } = require("./support.js");

test("the event loop turns while durable writes wait for the disk", async (context) => {
  const db = await opened(context);
  let turns = 0;
  let turning = true;
  const turn = () => {
    turns += 1;
    if (turning) setImmediate(turn);
  };
  setImmediate(turn);
  for (let n = 0; n < 50; n += 1) await db.put("docs", "a", { n });
  turning = false;
  assert.ok(turns >= 50, `${turns} turns during 50 durable writes`);
});

test("nothing that takes long holds the event loop, nor does a put or a get beside it", async () => {
  const db = new NEDB();
  const docs = Array.from({ length: 20_000 }, (_, n) => ({ _id: `d${n}`, n, text: "word ".repeat(20) }));
  await db.putMany("docs", docs);
  let [held, working] = [0, true];
  const began = performance.now();
  const work = Promise.all([db.verify(), db.verifyDeterminism(), db.query("FROM docs SEARCH \"word\" COUNT")]);
  const done = work.finally(() => (working = false));
  const beside = [];
  while (working) {
    const started = performance.now();
    // Called, not awaited: how long the call itself takes is how long the loop stands still.
    beside.push(db.put("docs", "d1", { n: 0 }), db.get("docs", "d1"));
    held += performance.now() - started;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const whole = performance.now() - began;
  await Promise.all([done, ...beside]);
  // Were the loop held, one call would take as long as the work; on a busy machine any call may take a while.
  assert.ok(held < whole / 2, `calls took ${held} of ${whole} ms`);
});

test("writes take effect in the order in which they were called", async (context) => {
  const db = await opened(context);
  const writes = [];
  for (let n = 0; n < 200; n += 1) {
    writes.push(db.put("docs", "same", { n }));
    if (n % 10 === 0) writes.push(db.put("others", "same", { n }, { client: "app", nonce: n + 1 }));
    if (n % 50 === 0) writes.push(db.delete("docs", "same").then((seq) => ({ _seq: Number(seq) })));
  }
  const seqs = (await Promise.all(writes)).map((stored) => stored._seq);
  assert.deepEqual(seqs, seqs.map((_, index) => index));
  assert.equal((await db.get("docs", "same")).n, 199);
});

test("one refused put among many called together fails alone", async (context) => {
  const db = await opened(context);
  const calls = Array.from({ length: 20 }, (_, n) => db.put("docs", `d${n}`, n === 7 ? [] : { n }));
  const settled = await Promise.allSettled(calls);
  assert.deepEqual(settled.flatMap(({ status }, n) => (status === "rejected" ? [n] : [])), [7]);
  withCode("INVALID_ARGUMENT")(settled[7].reason);
  assert.equal(db.seq, 18n);
});

test("many durable puts called together cost far less than one after the other", async (context) => {
  const db = await opened(context);
  const started = performance.now();
  for (let n = 0; n < 30; n += 1) await db.put("docs", `a${n}`, { n });
  const each = (performance.now() - started) / 30;
  const together = performance.now();
  await Promise.all(Array.from({ length: 3_000 }, (_, n) => db.put("docs", `b${n}`, { n })));
  const joined = (performance.now() - together) / 3_000;
  assert.equal((await db.query("FROM docs COUNT"))[0].count, 3_030);
  assert.ok(joined < each, `${joined} ms each together, ${each} ms alone`);
});

test("close waits for the writes that were called before it", async (context) => {
  const path = join(await directory(context), "data");
  const db = await NEDB.open(pathToFileURL(path));
  const writes = Array.from({ length: 10 }, (_, n) => db.put("docs", `d${n}`, { n }));
  const closed = db.close();
  await Promise.all([...writes, closed, db.close()]);
  await assert.rejects(db.put("docs", "late", {}), withCode("DATABASE_CLOSED"));
  await assert.rejects(db.get("docs", "d1"), withCode("DATABASE_CLOSED"));
  const again = await NEDB.open(path);
  assert.equal(again.seq, 9n);
  await again.close();
});

test("a handle is closed at the end of its block", { skip: !Symbol.asyncDispose }, async (context) => {
  const db = await opened(context);
  await db[Symbol.asyncDispose]();
  await assert.rejects(db.get("docs", "a"), withCode("DATABASE_CLOSED"));
});

test("the addon works in worker threads, each with its own handles", async () => {
  const door = require.resolve("../../node/index.js");
  const code = `
    const { parentPort } = require("node:worker_threads");
    const { NEDB } = require(${JSON.stringify(door)});
    const db = new NEDB();
    Promise.all([1, 2, 3].map((n) => db.put("docs", "d" + n, { n })))
      .then(() => db.query("FROM docs ORDER BY n DESC"))
      .then((rows) => parentPort.postMessage(rows.map((row) => row.n)));`;
  const answers = [1, 2].map(
    () =>
      new Promise((resolve, reject) => {
        const worker = new Worker(code, { eval: true });
        worker.once("message", resolve).once("error", reject);
      }),
  );
  assert.deepEqual(await Promise.all(answers), [[3, 2, 1], [3, 2, 1]]);
});
