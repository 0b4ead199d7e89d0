"use strict";
/** NEDB's verbs as JavaScript spells them; what they mean is for the conformance cases to say. */

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { join } = require("node:path");
const { NEDB, NedbCore } = require("../../node/index.js");
const { directory, withCode } = require("./support.js");

test("NedbCore does what the first page of the README does", () => {
  const db = new NedbCore();
  db.createIndex("users", "status", "eq");
  db.put("users", "alice", JSON.stringify({ name: "Alice", age: 31, status: "active" }));
  const snap = db.seq();
  assert.equal(typeof snap, "bigint");
  db.put("users", "alice", JSON.stringify({ name: "Alice", age: 32, status: "retired" }));
  assert.equal(JSON.parse(db.getAsOf("users", "alice", snap)).age, 31);
  assert.equal(JSON.parse(db.getAsOf("users", "alice", Number(snap))).age, 31);
  assert.equal(JSON.parse(db.getAt("users", "alice", '{"as_of": 0}')).age, 31);
  assert.deepEqual(db.query('FROM users WHERE status = "active"'), []);
  assert.equal(db.get("users", "bob"), null);
  assert.equal(db.verify(), true);
  assert.match(db.head(), /^[0-9a-f]{64}$/);
  assert.deepEqual(JSON.parse(db.indexes()), [["users", "status", "eq"]]);
});

test("equal texts give equal heads through both classes", async () => {
  const core = new NedbCore('{"clock": 1000.5}');
  core.putMany("docs", '{"a": {"n": 1.0}, "b": {"n": 1e16}}');
  core.putMany("docs", '[{"_id": "c"}]');
  core.link("docs:a", "to", "docs:b");
  core.delete("docs", "c", '{"caused_by": [0]}');
  const db = new NEDB({ clock: 1000.5 });
  // JavaScript has no 1.0: the other numbers are what a text of JavaScript's own would say.
  const other = new NedbCore('{"clock": 1000.5}');
  other.putMany("docs", '{"a": {"n": 1}, "b": {"n": 1e16}}');
  other.putMany("docs", '[{"_id": "c"}]');
  other.link("docs:a", "to", "docs:b");
  other.delete("docs", "c", '{"caused_by": [0]}');
  await db.putMany("docs", { a: { n: 1 }, b: { n: 1e16 } });
  await db.putMany("docs", [{ _id: "c" }]);
  assert.equal(await db.link("docs:a", "to", "docs:b"), 3n);
  assert.equal(await db.delete("docs", "c", { causedBy: [0n] }), 4n);
  assert.equal(db.head, other.head());
  assert.notEqual(db.head, core.head());
});

test("options in camel case reach the engine", async () => {
  const db = new NEDB({ clock: 1000 });
  await db.put("docs", "cause", {});
  const stored = await db.put("docs", "a", { n: 1 }, {
    client: "app",
    nonce: 3n,
    idem: "key",
    ttlS: 60,
    causedBy: [0, 0n].slice(1),
    evidence: "said so",
    confidence: 0.5,
    validFrom: new Date("2024-01-01T00:00:00Z"),
    validTo: "2024-12-31",
    ifSeq: -1,
  });
  assert.deepEqual(stored._caused_by, [0]);
  assert.equal(stored._evidence, "said so");
  assert.equal(stored._confidence, 0.5);
  assert.equal(stored._expires_at, 1060);
  assert.equal(stored._valid_to, "2024-12-31");
  assert.equal((await db.op(1)).nonce, 3);
  assert.equal((await db.get("docs", "a", { validAsOf: "2024-06-01" })).n, 1);
  assert.equal(await db.get("docs", "a", { validAsOf: new Date("2025-06-01") }), null);
  assert.equal(await db.get("docs", "a", { asOf: 0n }), null);
  await assert.rejects(db.put("docs", "a", {}, { ifSeq: 0 }), withCode("PRECONDITION_FAILED"));
  assert.equal(await db.expire("docs", "nobody", 5), false);
  assert.equal(await db.sweep(), 0);
});

test("a transaction commits what it collected as one op, or nothing", async () => {
  const db = new NEDB();
  let tx;
  const answer = await db.transaction(async (open) => {
    tx = open;
    const doc = { n: 2n ** 60n };
    tx.put("users", "a", doc, { evidence: "e" }).link("users:a", "follows", "users:b");
    doc.n = 0;
    await null;
    tx.delete("users", "z");
    return tx.size;
  });
  assert.equal(answer, 3);
  assert.equal(db.seq, 0n);
  assert.equal(tx.results[0].n, 2n ** 60n);
  assert.equal(tx.results[0]._evidence, "e");
  assert.deepEqual(tx.results.slice(1), [null, null]);
  assert.deepEqual(await db.neighbors("users:a", "follows"), ["users:b"]);
  assert.deepEqual(await db.inbound("users:b", "follows", { asOf: 0 }), ["users:a"]);
  assert.throws(() => tx.put("users", "late", {}), withCode("INVALID_ARGUMENT"));

  const failed = db.transaction((tx) => {
    tx.put("users", "b", {});
    throw new RangeError("mine");
  });
  await assert.rejects(failed, RangeError);
  const refused = db.transaction((tx) => tx.put("users", "b", {}).put("users", "c", {}, { ifSeq: 5 }));
  await assert.rejects(refused, withCode("PRECONDITION_FAILED"));
  assert.equal(await db.transaction(() => "nothing to do"), "nothing to do");
  assert.equal(db.seq, 0n);
});

test("batch takes items with options in camel case", async () => {
  const db = new NEDB();
  const items = [
    { op: "put", coll: "docs", id: "a", doc: { n: 1 }, ifSeq: -1, validFrom: "2024-01-01" },
    { op: "link", frm: "docs:a", rel: "to", to: "docs:b" },
  ];
  const [stored, nothing] = await db.batch(items, { idem: "once" });
  assert.equal(stored._valid_from, "2024-01-01");
  assert.equal(nothing, null);
  assert.deepEqual(await db.batch(items, { idem: "once" }), [stored, null]);
  await assert.rejects(db.batch([{ op: "put", coll: "docs", id: "b", doc: {}, ttl: 1 }]), /no option ttl/);
});

test("what was written is there after opening again", async (context) => {
  const path = join(await directory(context), "data");
  const db = await NEDB.open(path, { cacheBytes: 1 << 16 });
  await db.createIndex("docs", "n", "ordered");
  await db.put("docs", "a", { n: 2n ** 60n });
  await db.checkpoint("half-way");
  await db.put("docs", "b", { n: 1 });
  const reader = await NEDB.open(path, { readOnly: true });
  assert.equal(reader.readOnly, true);
  assert.equal(db.readOnly, false);
  assert.equal((await reader.get("docs", "b")).n, 1);
  await assert.rejects(reader.put("docs", "c", {}), withCode("READ_ONLY"));
  await db.put("docs", "c", { n: 3 });
  assert.equal(await reader.refresh(), db.seq);
  assert.equal((await reader.get("docs", "c")).n, 3);
  const { head, seq } = db;
  await reader.close();
  await db.close();

  const again = await NEDB.open(path);
  assert.equal(again.head, head);
  assert.equal(again.seq, seq);
  assert.equal(again.path, path);
  assert.equal((await again.get("docs", "a")).n, 2n ** 60n);
  assert.deepEqual(await again.indexes(), [["docs", "n", "ordered"]]);
  assert.deepEqual(await again.collections(), ["docs"]);
  assert.equal(await again.verifyDeterminism(), true);
  const report = await again.verifyReport();
  const sound = { ok: true, opCount: 4, head: "", damage: null, derivedDamage: null, warnings: [] };
  assert.deepEqual({ ...report, head: "" }, sound);
  assert.equal(again.openReport.cutBytes, 0);
  await again.flush();
  await again.close();
});

test("log gives the ops in order, in parts and as a whole", async () => {
  const db = new NEDB();
  await db.putMany("docs", Object.fromEntries(Array.from({ length: 600 }, (_, n) => [`d${n}`, { n }])));
  const seqs = async (range) => {
    const found = [];
    for await (const op of db.log(range)) found.push(op.seq);
    return found;
  };
  const all = Array.from({ length: 600 }, (_, n) => n);
  assert.deepEqual(await seqs(), all);
  assert.deepEqual(await seqs({ from: 255, to: 513n }), all.slice(255, 514));
  assert.deepEqual(await seqs({ from: 512, to: 512 }), [512]);
  assert.deepEqual(await seqs({ from: 5, to: 4 }), []);
  assert.deepEqual(await seqs({ from: 600 }), []);
  const op = await db.op(5n);
  assert.equal(op.payload.id, "d5");
  assert.equal((await db.op(6)).prev_hash, op.hash);
  assert.equal(await db.op(600), null);
});
