"use strict";
/** The query builder: what it writes, and that it writes no value as text. */

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { NEDB } = require("../../node/index.js");
const { withCode } = require("./support.js");

/** A database of three users. */
async function users() {
  const db = new NEDB();
  await db.createIndex("users", "bio", "search");
  await db.putMany("users", {
    alice: { name: "Alice", age: 31, status: "active", bio: "rust hacker", tags: ["a", "b"] },
    bob: { name: "Bob", age: 24, status: "active", bio: "python dev", tags: ["b"] },
    carol: { name: "Carol", age: 45, status: "retired", bio: "rust and go", tags: [] },
  });
  return db;
}

/** The ids of rows. */
const ids = (rows) => rows.map((row) => row._id);

test("the builder writes clauses in the order in which they act", () => {
  const query = new NEDB()
    .q("users")
    .limit(5)
    .having("count", ">", 1)
    .where({ "tags.0": "a", "odd `name`": 1 })
    .where("age", "between", [20, 40])
    .orderBy("age", "desc")
    .orderBy("name")
    .asOf(7n)
    .groupBy("status", "count")
    .count()
    .sum("age")
    .offset(1)
    .search("rust", "bio", "name");
  assert.equal(
    query.nql,
    "FROM users AS OF $7 WHERE tags.0 = $3 AND `odd ``name``` = $4 AND age BETWEEN $5 AND $6 " +
      "SEARCH $9 IN (bio, name) ORDER BY age DESC, name ASC GROUP BY status, `count` " +
      "COUNT SUM age HAVING `count` > $2 OFFSET $8 LIMIT $1",
  );
  assert.deepEqual(query.params, [5, 1, "a", 1, 20, 40, 7n, 1, "rust"]);
});

test("every clause of the builder runs", async () => {
  const db = await users();
  const q = () => db.q("users");
  assert.deepEqual(ids(await q().where("age", ">", 30).orderBy("age", "desc").run()), ["carol", "alice"]);
  assert.deepEqual(ids(await q().where({ status: "active", "tags.0": "b" }).run()), ["bob"]);
  assert.deepEqual(ids(await q().where("age", "in", [24, 45]).run()), ["bob", "carol"]);
  assert.deepEqual(ids(await q().where("age", "in", []).run()), []);
  assert.deepEqual(ids(await q().where("age", "not in", [24, 45]).run()), ["alice"]);
  assert.deepEqual(ids(await q().where("name", "like", "%o%").run()), ["bob", "carol"]);
  assert.deepEqual(ids(await q().where("tags", "contains", "a").run()), ["alice"]);
  assert.deepEqual(ids(await q().where("age", "not between", [30, 50]).run()), ["bob"]);
  assert.deepEqual(ids(await q().where("nothing", null).orderBy("name").offset(1).limit(1).run()), ["bob"]);
  assert.deepEqual(ids(await q().search("rust").where("age", "<", 40).run()), ["alice"]);
  assert.deepEqual(ids(await q().asOf(0).run()), ["alice"]);
  const groups = await q().groupBy("status").count().sum("age").having("count", ">", 1).run();
  assert.deepEqual(groups, [{ status: "active", count: 2, sum_age: 55 }]);
  const [whole] = await q().count().avg("age").min("age").max("age").run();
  assert.equal(whole.count, 3);
  assert.equal(whole.max_age, 45);
});

test("traverse, trace and valid time run through the builder", async () => {
  const db = await users();
  await db.link("users:alice", "follows", "users:bob");
  await db.put("beliefs", "b", { v: 1 }, { causedBy: [0], validFrom: "2024-01-01", validTo: "2024-12-31" });
  assert.deepEqual(ids(await db.q("users").where("_id", "alice").traverse("follows").run()), ["bob"]);
  assert.deepEqual(ids(await db.q("beliefs").trace().run()), ["alice"]);
  assert.deepEqual(ids(await db.q("users").where({ _id: "alice" }).trace({ reverse: true }).run()), ["b"]);
  assert.deepEqual(ids(await db.q("beliefs").validAsOf("2024-06-15").run()), ["b"]);
  assert.deepEqual(ids(await db.q("beliefs").validAsOf(new Date("2025-06-15")).run()), []);
});

test("values and names of the caller never become NQL", async () => {
  const db = await users();
  const evil = '" OR age > 0 --';
  assert.deepEqual(await db.q("users").where("name", evil).run(), []);
  assert.deepEqual(await db.q("users").where("name", "is null").run(), []);
  assert.deepEqual(await db.q("users").where("name` = `name", 1).run(), []);
  assert.deepEqual(await db.q("users WHERE age > 0 --").run(), []);
  assert.deepEqual(await db.query("FROM users WHERE name = $name", { name: evil }), []);
});

test("what makes no query is refused where it is written", async () => {
  const query = () => new NEDB().q("users");
  const wrong = [
    () => query().where("age", "~", 1),
    () => query().where("age"),
    () => query().where("", 1),
    () => query().where("age", undefined),
    () => query().where("age", "between", 5),
    () => query().orderBy("age", "up"),
    () => query().limit(1).limit(2),
    () => new NEDB().q(""),
  ];
  for (const call of wrong) assert.throws(call, withCode("INVALID_ARGUMENT"));
  await assert.rejects(query().limit(-1).run(), withCode("NQL_ERROR"));
});

test("rows keep long integers, and parameters may be BigInts", async () => {
  const db = new NEDB();
  await db.put("docs", "a", { n: 2n ** 60n + 1n });
  await db.put("docs", "b", { n: 2n ** 60n });
  const rows = await db.query("FROM docs WHERE n = $1", [2n ** 60n + 1n]);
  assert.deepEqual(rows.map((row) => row.n), [2n ** 60n + 1n]);
});
