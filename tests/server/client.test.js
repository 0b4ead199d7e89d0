"use strict";
/** The client for Node: what it adds to the calls of a database. What they mean is the conformance suite's to say. */

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const { createReadStream, readFileSync } = require("node:fs");
const { writeFile } = require("node:fs/promises");
const { join } = require("node:path");
const { Readable } = require("node:stream");
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

test("a database that was not opened is dropped only by force", async (t) => {
  const first = await started(t);
  await new NedbClient(first.url).createDatabase("broken");
  await first.stop();
  await writeFile(join(first.data, "broken", "meta.json"), "{");
  const server = await Nedbd.start(first.data);
  t.after(() => server.stop("SIGKILL"));
  const client = new NedbClient(server.url);
  await assert.rejects(client.dropDatabase("broken"), withCode("INTEGRITY_ERROR"));
  await client.dropDatabase("broken", { force: true });
  assert.deepEqual(await client.databases(), []);
});

test("more documents than a body may hold are refused with what to do", async (t) => {
  const server = await started(t, ["--body-bytes-max", "1000000"]);
  const db = await new NedbClient(server.url).createDatabase("db");
  for (const length of [40_000, 400_000]) {
    const docs = Array.from({ length: 40 }, (_, n) => ({ _id: String(n), t: "x".repeat(length) }));
    await assert.rejects(db.putMany("c", docs), (error) => {
      assert.match(error.message, /1000000 bytes.*body_bytes_max.*fewer.* at a time/);
      return withCode("LIMIT_EXCEEDED")(error);
    });
    assert.equal(await db.seq, -1n);
  }
});

test("a long body without an answer may have been too long", async (t) => {
  const proxy = await flaky(t, await started(t));
  const db = await new NedbClient(proxy.url).createDatabase("db");
  proxy.script = ["drop", "drop"];
  await assert.rejects(db.putMany("c", [{ _id: "a", t: "x".repeat(2_000_000) }]), (error) => {
    assert.match(error.message, /2000040 bytes.*body_bytes_max.*fewer documents at a time/);
    return withCode("COMMIT_UNKNOWN")(error);
  });
  await assert.rejects(db.putMany("c", [{ _id: "a" }]), (error) => withCode("COMMIT_UNKNOWN")(error) && !error.message.includes("bytes"));
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

/** Three parts of a file, more or less, and its pieces. */
const LARGE = Buffer.from(Array.from({ length: 2_600_000 }, (_, n) => (n * n) % 251));
async function* pieces(sizeBytes = 70_000) {
  for (let start = 0; start < LARGE.length; start += sizeBytes) yield LARGE.subarray(start, start + sizeBytes);
}

test("a file is sent and read in every shape", async (t) => {
  const db = await new NedbClient((await started(t)).url).createDatabase("db");
  const source = join(directory(t), "large");
  await writeFile(source, LARGE);
  const shapes = {
    bytes: LARGE,
    view: new DataView(LARGE.buffer, LARGE.byteOffset, LARGE.length),
    blob: new Blob([LARGE]),
    stream: new Blob([LARGE]).stream(),
    "of/node": createReadStream(source),
    generator: pieces(),
    // Not every browser's stream can be iterated.
    reader: { getReader: () => new Blob([LARGE]).stream().getReader() },
  };
  for (const [name, data] of Object.entries(shapes)) {
    assert.equal(await db.putFile(name, data), 0, name);
    assert.ok(LARGE.equals(await db.getFile(name)), name);
  }
  const told = [];
  for (const data of [LARGE, new Blob([LARGE]), pieces(1_000_000)]) {
    told.length = 0;
    await db.putFile("told", data, { progress: async (takenBytes) => told.push(takenBytes) });
    assert.ok(told.length === 3 && told[0] < told[1] && told[2] === LARGE.length, String(told));
    assert.ok(LARGE.equals(await db.getFile("told")));
  }
  for (const [name, data] of Object.entries({ text: "h\u00e9", list: ["h", "", Buffer.from("\u00e9")], nothing: "", none: [] })) {
    assert.equal(await db.putFile(name, data), 0, name);
    assert.equal(Buffer.from(await db.getFile(name)).toString(), name === "text" || name === "list" ? "h\u00e9" : "");
  }
  assert.deepEqual(await db.files({ asOf: 1 }), ["bytes", "view"]);
});

test("a file has versions, options, a root and proofs", async (t) => {
  const db = await new NedbClient((await started(t)).url).createDatabase("db");
  await db.put("c", "why", {});
  const given = { tier: "cold", client: "app", nonce: 7n, evidence: "form & stamp", confidence: 0.5, causedBy: [0, 0n],
    validFrom: new Date(0), validTo: null, idem: "k" };
  assert.equal(await db.putFile("a", "one", given), 0);
  assert.equal(await db.putFile("a", "other", { ...given, nonce: null }), 0);
  const op = await db.op(1);
  assert.deepEqual([op.client, op.nonce, op.evidence, op.confidence, op.causedBy ?? op.caused_by, op.idem],
    ["app", 7, "form & stamp", 0.5, [0, 0], "k"]);
  assert.equal(await db.putFile("a", "two", { causedBy: [] }), 1);
  assert.equal(Buffer.from(await db.getFile("a", { version: 0 })).toString(), "one");
  assert.equal(Buffer.from(await db.getFile("a", { asOf: 1n, tier: "cold" })).toString(), "one");
  const versions = await db.fileVersions("a");
  assert.deepEqual(versions.map(({ version, tier, size, seq }) => [version, tier, size, seq]), [[0, "cold", 3, 1], [1, "warm", 3, 2]]);
  assert.equal(await db.fileRoot("a", { version: -2 }), versions[0].root);
  await db.putFile("large", LARGE);
  const proof = await db.fileProof("large", 1);
  assert.ok(proof.path.length > 0 && proof.root === await db.fileRoot("large") && proof.leaf !== proof.root);
  assert.equal((await db.compressionStats()).logicalBytes, LARGE.length + 3);
  assert.equal((await db.compressionStats("cold")).logicalBytes, 3);
  assert.ok((await db.compactBlobs()).keptChunkCount > 2);
  for (const missing of [() => db.getFile("b"), () => db.fileStream("b").getReader().read(), () => db.fileRoot("a", { version: 9 }),
    () => db.fileProof("a", 1)]) {
    await assert.rejects(missing, withCode("NOT_FOUND"));
  }
});

test("a backup leaves out what is damaged of files when it is asked to", async (t) => {
  const first = await started(t);
  const own = await new NedbClient(first.url).createDatabase("db");
  await own.putFile("good", "what is sound");
  await own.putFile("bad", LARGE.subarray(0, 9_000));
  assert.deepEqual((await own.backup("whole", { skipDamagedFiles: true })).damage, []);
  await first.stop();
  const pack = join(first.data, "db", "blobs", "000001.pack");
  const bytes = readFileSync(pack);
  await writeFile(pack, bytes.fill(0, bytes.length - 200));
  const server = await Nedbd.start(first.data);
  t.after(() => server.stop("SIGKILL"));
  const db = new NedbClient(server.url).db("db");
  await assert.rejects(db.backup("none"), (error) => withCode("INTEGRITY_ERROR")(error) && /bad/.test(error.message));
  const { path, damage, damageCount, seq } = await db.backup("part", { skipDamagedFiles: true });
  assert.deepEqual([path, seq, damageCount > 0, new Set(damage.map((it) => it.name))], ["db/part", 1, true, new Set(["bad"])]);
  await assert.rejects(db.backup("x", { skip: true }), withCode("INVALID_ARGUMENT"));
});

test("a stream of a file is of one version, and asks for no part before it is wanted", async (t) => {
  const server = await started(t);
  const proxy = await flaky(t, server);
  const direct = await new NedbClient(server.url).createDatabase("db");
  await direct.putFile("f", LARGE);
  const stream = new NedbClient(proxy.url).db("db").fileStream("f");
  assert.equal(proxy.seen.length, 0);
  const reader = stream.getReader();
  const parts = [(await reader.read()).value];
  assert.equal(proxy.seen.length, 1);
  await direct.putFile("f", "another version");
  proxy.script = ["drop", 502];
  for (let next = await reader.read(); !next.done; next = await reader.read()) parts.push(next.value);
  assert.deepEqual(parts.map((part) => part.length), [1 << 20, 1 << 20, LARGE.length - (2 << 20)]);
  assert.ok(Buffer.concat(parts).equals(LARGE));
  await direct.fileStream("f", { version: 0 }).cancel();
  const stop = new AbortController();
  stop.abort(new Error("enough"));
  await assert.rejects(direct.fileStream("f", { signal: stop.signal }).getReader().read(), /enough/);
});

test("a file that cannot be taken in leaves nothing, and its stream is let go", async (t) => {
  const client = new NedbClient((await started(t)).url);
  const db = await client.createDatabase("db");
  const enough = new Error("enough");
  async function* broken(count) {
    for (let n = 0; n < count; n += 1) yield LARGE;
    throw enough;
  }
  for (const count of [0, 1, 3]) await assert.rejects(db.putFile("f", broken(count)), enough);
  for (const data of [LARGE, "text", new Blob([LARGE]), pieces()]) {
    await assert.rejects(db.putFile("f", data, { progress: () => { throw enough; } }), enough);
  }
  await assert.rejects(db.putFile("f", createReadStream(join(directory(t), "gone"))), (error) => error.code === "ENOENT");
  for (const wrong of [[5], [null], new Set([{}])]) await assert.rejects(db.putFile("f", wrong), withCode("INVALID_ARGUMENT"));
  const locked = new Blob([LARGE]).stream();
  locked.getReader();
  await assert.rejects(db.putFile("f", locked), (error) => error instanceof TypeError || error.code === "ERR_INVALID_STATE");
  const endless = new Readable({ read() { setTimeout(() => this.push(LARGE), 5); } });
  const stop = new AbortController();
  setTimeout(() => stop.abort(enough), 50);
  await assert.rejects(db.putFile("f", endless, { signal: stop.signal }), enough);
  assert.ok(endless.destroyed);
  let isLetGo = false;
  async function* held() {
    try {
      for (;;) yield LARGE;
    } finally {
      isLetGo = true;
    }
  }
  for (const [name, options, code] of [["f", { tier: "hot" }, "INVALID_ARGUMENT"], ["", {}, "INVALID_ARGUMENT"]]) {
    await assert.rejects(db.putFile(name, pieces(), options), withCode(code));
  }
  await assert.rejects(client.db("none").putFile("f", pieces()), withCode("DATABASE_NOT_FOUND"));
  await assert.rejects(db.putFile("f", held(), { progress: (takenBytes) => { if (takenBytes > 3e6) throw enough; } }), enough);
  assert.ok(isLetGo);
  for (const wrong of [
    () => db.putFile("f", 5),
    () => db.putFile("f", null),
    () => db.putFile("f", {}),
    () => db.putFile("f", "", { ttlS: 1 }),
    () => db.putFile("f", "", { causedBy: "1,2" }),
    () => db.putFile("f", "", { causedBy: ["1,2"] }),
    () => db.putFile("f", "", { idem: 5 }),
    () => db.putFile("f", "", { progress: 5 }),
    () => db.getFile("f", { asof: 5 }),
    async () => db.fileStream("f", { as_of: 5 }),
  ]) {
    await assert.rejects(wrong, withCode("INVALID_ARGUMENT"), String(wrong));
  }
  assert.equal(await db.seq, -1n);
  assert.equal(await db.putFile("f", "whole"), 0);
});

test("a file is sent again only where all of it is still there", async (t) => {
  const server = await started(t);
  const proxy = await flaky(t, server);
  const db = await new NedbClient(proxy.url, { retryCount: 2 }).createDatabase("db");
  let seq = -1n;
  for (const data of [LARGE, new Blob([LARGE]), "text"]) {
    for (const failure of ["lose", 502, [503, "NOT_READY"], [429, "TOO_MANY_REQUESTS"]]) {
      proxy.script = [failure];
      await db.putFile("f", data);
      assert.equal(await db.seq, (seq += 1n), `${failure}`);
    }
  }
  for (const [failure, code] of [["lose", "COMMIT_UNKNOWN"], [502, "COMMIT_UNKNOWN"], [[503, "NOT_READY"], "NOT_READY"]]) {
    const before = proxy.seen.length;
    proxy.script = [failure];
    await assert.rejects(db.putFile(`once${failure}`, pieces()), withCode(code));
    assert.equal(proxy.seen.length, before + 1, "it was sent again");
  }
  assert.deepEqual(await db.files(), ["f", "oncelose"]);
  proxy.script = ["drop", 502];
  assert.ok(LARGE.equals(await db.getFile("oncelose")));
  await server.stop();
  const closed = new NedbClient(server.url, { retryCount: 1 }).db("db");
  await assert.rejects(closed.putFile("f", pieces()), withCode("UNAVAILABLE"));
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
