"use strict";
/** The client for Node: what it adds to the calls of a database. What they mean is the conformance suite's to say. */

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const { join } = require("node:path");
const { test } = require("node:test");
const { NedbClient, NedbError, ServerError } = require("nedb-engine/client");
const { Nedbd, ROOT, directory, flaky, pause, started } = require("./nedbd.js");

/** Says whether an error is a NedbError of a code; for `assert.rejects`. */
const withCode = (code) => (error) => {
  assert.ok(error instanceof NedbError, `no NedbError: ${error}`);
  assert.equal(error.code, code);
  return true;
};

test("a database of a server is used as one that is embedded", async (t) => {
  const server = await started(t);
  const client = new NedbClient(server.url);
  assert.deepEqual(await client.databases(), []);
  const init = { indexes: [["users", "age", "ordered"]], seed: { users: [{ _id: "ada", age: 36 }] } };
  const db = await client.createDatabase("shop", { init });
  await assert.rejects(client.createDatabase("shop"), withCode("DATABASE_EXISTS"));
  assert.equal((await client.createDatabase("shop", { existOk: true })).name, "shop");

  const stored = await db.put("users", "bo", { age: 24, big: 2n ** 60n, since: new Date(0) }, { evidence: "form" });
  assert.deepEqual([stored._id, stored._seq, stored.big, stored.since], ["bo", 1, 2n ** 60n, "1970-01-01T00:00:00.000Z"]);
  assert.deepEqual(await db.get("users", "bo"), stored);
  assert.equal(await db.get("users", "cy"), null);
  assert.equal((await db.put("users", "bo", { age: 25 }, { ifSeq: 1 }))._seq, 2);
  await assert.rejects(db.put("users", "bo", {}, { ifSeq: 1 }), withCode("PRECONDITION_FAILED"));
  assert.equal((await db.get("users", "bo", { asOf: 1n })).age, 24);
  assert.deepEqual((await db.query("FROM users WHERE age > $1 ORDER BY age", [24])).map((row) => row.age), [25, 36]);
  assert.deepEqual((await db.q("users").where("age", ">", 30).run()).map((row) => row._id), ["ada"]);
  assert.equal(await db.link("users:ada", "knows", "users:bo"), 3n);
  assert.deepEqual(await db.neighbors("users:ada", "knows"), ["users:bo"]);
  assert.deepEqual(await db.inbound("users:bo", "knows", { asOf: 2 }), []);
  assert.equal(await db.unlink("users:ada", "knows", "users:bo"), 4n);
  assert.deepEqual((await db.putMany("users", { cy: { age: 1 }, di: { age: 2 } })).map((row) => row._seq), [5, 6]);
  assert.equal(await db.expire("users", "cy", 1000), true);
  assert.equal(await db.delete("users", "di"), 8n);
  const answer = await db.transaction((tx) => {
    tx.put("users", "ed", { age: 3 }).link("users:ed", "knows", "users:ada");
    return "done";
  });
  assert.equal(answer, "done");
  assert.deepEqual((await db.batch([{ op: "delete", coll: "users", id: "ed" }])), [null]);
  assert.deepEqual([await db.seq, await db.durableSeq, await db.readOnly], [10n, 10n, false]);
  assert.deepEqual(await db.collections(), ["users"]);
  assert.deepEqual(await db.indexes(), [["users", "age", "ordered"]]);
  assert.equal((await db.op(10)).hash, await db.head);
  assert.equal(await db.op(11), null);
  const log = [];
  for await (const op of db.log({ from: 2, to: 4 })) log.push(op.seq);
  assert.deepEqual(log, [2, 3, 4]);
  assert.equal(await db.checkpoint("note"), 11n);
  assert.ok((await db.verify()) && (await db.verifyDeterminism()));
  assert.equal((await db.verifyReport()).opCount, 12);
  assert.equal((await db.backup("copy")).path, "shop/copy");
  assert.equal((await db.describe()).rows, 3);
  assert.equal(await db.sweep(), 0);
  await db.createIndex("users", "name", "eq");
  await db.flush();
  await client.dropDatabase("shop");
  await assert.rejects(db.get("users", "bo"), (error) => error instanceof ServerError && error.status === 404);
});

test("a wrong query says where", async (t) => {
  const db = await new NedbClient((await started(t)).url).createDatabase("db");
  await assert.rejects(db.query("FROM c WHERE = 1"), (error) => withCode("NQL_ERROR")(error) && error.position.column === 14);
});

test("a write is repeated until it is answered, and written once", async (t) => {
  const server = await started(t);
  const proxy = await flaky(t, server);
  const db = await new NedbClient(proxy.url).createDatabase("db");
  let seq = 0;
  for (const failure of ["lose", "drop", 502, 503, [503, "NOT_READY"], [429, "TOO_MANY_REQUESTS"]]) {
    for (const write of [
      async () => (await db.put("c", "a", { n: 1 }))._seq,
      async () => Number(await db.link("c:a", "r", "c:b")),
      async () => (await db.batch([{ op: "put", coll: "c", id: "b", doc: {} }]))[0]._seq,
      async () => Number(await db.delete("c", "a")),
    ]) {
      proxy.script = [failure];
      assert.equal(await write(), seq, String(failure));
      assert.equal(proxy.script.length, 0);
      seq += 1;
    }
  }
  const keys = [];
  for await (const op of db.log()) keys.push(op.idem);
  assert.equal(new Set(keys).size, seq);
  await db.put("c", "own", {}, { idem: "mine" });
  assert.equal((await db.op(seq)).idem, "mine");
  const plain = new NedbClient(server.url, { retryCount: 0 }).db("db");
  await plain.put("c", "none", {});
  assert.equal((await db.op(seq + 1)).idem, null);
});

test("what has no key is repeated only where nothing was done", async (t) => {
  const proxy = await flaky(t, await started(t));
  const db = await new NedbClient(proxy.url).createDatabase("db");
  proxy.script = [[503, "NOT_READY"], [429, "TOO_MANY_REQUESTS"]];
  await db.putMany("c", { a: {} });
  for (const failure of ["lose", "drop", 502]) {
    const before = proxy.seen.length;
    proxy.script = [failure];
    await assert.rejects(db.putMany("c", { x: {} }), withCode("COMMIT_UNKNOWN"));
    assert.equal(proxy.seen.length, before + 1, "it was sent again");
  }
  assert.equal(await db.seq, 1n);
});

test("a failure says what is known", async (t) => {
  const server = await started(t);
  const proxy = await flaky(t, server);
  const client = new NedbClient(proxy.url, { retryCount: 1, timeoutMs: 300 });
  const db = await client.createDatabase("db");
  proxy.script = ["lose", "drop"];
  await assert.rejects(db.get("c", "a"), withCode("UNAVAILABLE"));
  proxy.script = ["lose", "drop"];
  await assert.rejects(db.put("c", "a", {}), withCode("COMMIT_UNKNOWN"));
  proxy.script = ["wait"];
  await assert.rejects(db.get("c", "a"), withCode("REQUEST_TIMEOUT"));
  proxy.script = ["wait"];
  await assert.rejects(db.put("c", "b", {}), withCode("COMMIT_UNKNOWN"));
  for (const status of [200, 301, 404, 500]) {
    proxy.script = [status];
    await assert.rejects(client.databases(), (error) => withCode("INTERNAL_ERROR")(error) && error.status === status);
  }
  await server.stop();
  await assert.rejects(new NedbClient(server.url, { retryCount: 1 }).db("db").put("c", "a", {}), withCode("UNAVAILABLE"));
});

test("a signal ends a call, a wait and a feed with its reason", async (t) => {
  const proxy = await flaky(t, await started(t));
  const db = await new NedbClient(proxy.url).createDatabase("db");
  const reason = new Error("enough");
  const early = new AbortController();
  early.abort(reason);
  await assert.rejects(db.put("c", "a", {}, { signal: early.signal }), reason);
  for (const script of [["wait"], Array(20).fill(503)]) {
    proxy.script = script;
    const stop = new AbortController();
    setTimeout(() => stop.abort(reason), 50);
    await assert.rejects(db.get("c", "a", { signal: stop.signal }), reason);
  }
  proxy.script = [];
  const stop = new AbortController();
  setTimeout(() => stop.abort(reason), 50);
  await assert.rejects(async () => {
    for await (const _ of db.changes(-1, { signal: stop.signal })) assert.fail("there is no op");
  }, reason);
});

test("changes are followed over a restart of the server, without a gap or a repeat", async (t) => {
  const server = await started(t);
  const port = new URL(server.url).port;
  const db = await new NedbClient(server.url).createDatabase("db");
  await db.put("c", "0", {});
  const feed = db.changes();
  assert.equal((await feed.next()).value.seq, 0);
  const next = feed.next();
  await server.stop("SIGKILL");
  const again = Nedbd.start(server.data, ["--port", port]);
  const writing = db.put("c", "1", {});
  t.after(async () => (await again).stop("SIGKILL"));
  assert.equal((await writing)._seq, 1);
  assert.equal((await next).value.seq, 1);
  await db.put("c", "2", {});
  assert.equal((await feed.next()).value.seq, 2);
  await feed.return();
  await assert.rejects(db.changes(99).next(), withCode("INVALID_ARGUMENT"));
});

test("the token is said, and a client that was closed says so", async (t) => {
  const server = await started(t, [], { NEDBD_TOKEN: "my-secret" });
  const client = new NedbClient(server.url, { token: "my-secret" });
  assert.deepEqual(await client.databases(), []);
  const stranger = new NedbClient(server.url);
  assert.equal((await stranger.health()).ok, true);
  await assert.rejects(stranger.databases(), withCode("UNAUTHORIZED"));
  client.close();
  await assert.rejects(client.databases(), withCode("DATABASE_CLOSED"));
});

test("what is no name, no value or no URL is refused before it is sent", async () => {
  const client = new NedbClient("http://127.0.0.1:1", { fetch: () => assert.fail("it was sent") });
  const db = client.db("db");
  for (const name of ["", "..", 5, "\ud800"]) assert.throws(() => client.db(name), withCode("INVALID_ARGUMENT"));
  for (const wrong of [
    () => db.put("c", 1, {}),
    () => db.put("c", "a", { n: NaN }),
    () => db.put("c", "a", {}, { ttl_s: 1 }),
    () => db.get("c", "\ud800"),
    () => db.get(null, "a"),
    () => db.batch("x"),
    () => db.putMany("c", new Map()),
    () => db.query(5),
  ]) {
    await assert.rejects(wrong, withCode("INVALID_ARGUMENT"));
  }
  for (const url of ["127.0.0.1:7070", "ftp://host", "http://a:b@host", "http://h/?q", "http://h:99999"]) {
    assert.throws(() => new NedbClient(url), withCode("INVALID_ARGUMENT"), url);
  }
  assert.throws(() => new NedbClient("http://h", { tokn: "x" }), withCode("INVALID_ARGUMENT"));
});

test("any id reaches the server as it is", async (t) => {
  const db = await new NedbClient((await started(t)).url).createDatabase("db");
  for (const id of ["a/b", "..", "%2f", "?x=1&y", "ä ö", "\x7f", "a+b", '"', "\u2028"]) {
    assert.deepEqual(await db.put("c c", id, { t: id }), await db.get("c c", id));
  }
  await Promise.all(Array.from({ length: 40 }, (_, n) => db.put("many", String(n), { n })));
  assert.equal((await db.query("FROM many")).length, 40);
  await pause(0);
});

test("npx nedbd is the server of this platform, and stops as it does", { skip: process.platform === "win32" && "it has no signals" }, async (t) => {
  const variables = { ...process.env, NEDBD_DATA: join(directory(t), "data"), NEDBD_PORT: "0" };
  const child = spawn(process.execPath, [join(ROOT, "node", "nedbd.js")], { env: variables, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const [line] = await once(child.stdout.setEncoding("utf8"), "data");
  const client = new NedbClient(/http:\S+/.exec(line)[0]);
  assert.equal((await client.health()).service, "nedbd");
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});
