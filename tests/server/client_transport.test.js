"use strict";
/** How the client for Node sends: how long it waits, how many calls at a time, and what it knows of a failure. */

const assert = require("node:assert/strict");
const dns = require("node:dns");
const { once } = require("node:events");
const http = require("node:http");
const net = require("node:net");
const { test } = require("node:test");
const { NedbClient } = require("nedb-engine/client");
const { pause } = require("./nedbd.js");

/** Where undici, which is Node's fetch, keeps what sends its requests. */
const DISPATCHER = Symbol.for("undici.globalDispatcher.1");

/** Listens for a test; answers the port. */
async function listening(t, listener) {
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  t.after(() => {
    listener.close();
    listener.closeAllConnections?.();
  });
  return listener.address().port;
}

/** A server that answers every request with a JSON text, after a while. */
async function slow(t, delayMs, text = '{"seq": 7}') {
  const listener = http.createServer((request, response) => {
    request.resume();
    setTimeout(() => response.end(text), delayMs).unref();
  });
  return `http://127.0.0.1:${await listening(t, listener)}`;
}

test("an answer may take longer than the fetch of Node waits for its head", async (t) => {
  const url = await slow(t, 2_500);
  // Its 300 s are a second here; whoever gives it as `fetch` has them.
  await fetch("data:,");
  const usual = globalThis[DISPATCHER];
  globalThis[DISPATCHER] = new usual.constructor({ headersTimeout: 500 });
  t.after(() => (globalThis[DISPATCHER] = usual));
  const given = new NedbClient(url, { fetch: (...request) => fetch(...request), retryCount: 0 });
  const [own, other] = await Promise.allSettled([new NedbClient(url).db("db").seq, given.db("db").seq]);
  assert.deepEqual(own, { status: "fulfilled", value: 7n });
  assert.equal(other.reason?.code, "UNAVAILABLE");
  assert.match(other.reason.message, /header/i);
});

test("a hundred calls at a time, that one signal would end, make no warning", async (t) => {
  const warnings = [];
  const listener = (warning) => warnings.push(warning);
  process.on("warning", listener);
  t.after(() => process.off("warning", listener));
  const url = await slow(t, 50);
  for (const options of [{}, { fetch: (...request) => fetch(...request) }]) {
    const db = new NedbClient(url, options).db("db");
    const stop = new AbortController();
    const calls = Array.from({ length: 100 }, () => db.checkpoint(null, { signal: stop.signal }));
    assert.deepEqual(new Set(await Promise.all(calls)), new Set([7n]));
    const ended = Array.from({ length: 100 }, () => db.checkpoint(null, { signal: stop.signal }));
    await pause(10);
    stop.abort(new Error("enough"));
    for (const { reason } of await Promise.allSettled(ended)) assert.equal(reason?.message, "enough");
  }
  await pause(10);
  assert.deepEqual(warnings, []);
});

test("thousands of calls at a time share a few connections, and all are answered", async (t) => {
  const sockets = new Set();
  const listener = http.createServer((request, response) => {
    request.resume();
    sockets.add(request.socket);
    response.end('{"seq": 7}');
  });
  const db = new NedbClient(`http://127.0.0.1:${await listening(t, listener)}`).db("db");
  const calls = Array.from({ length: 3_000 }, () => db.checkpoint());
  assert.deepEqual(new Set(await Promise.all(calls)), new Set([7n]));
  assert.ok(sockets.size <= 64, `${sockets.size} connections`);
});

test("where there is no Node the client sends by fetch", async (t) => {
  const url = await slow(t, 0);
  const { process: node, fetch: usual } = globalThis;
  const asked = [];
  globalThis.process = undefined;
  const client = new NedbClient(url);
  globalThis.process = node;
  globalThis.fetch = (...request) => asked.push(request[0]) && usual(...request);
  t.after(() => (globalThis.fetch = usual));
  assert.equal(await client.db("db").seq, 7n);
  assert.deepEqual(asked, [`${url}/v1/databases/db/log?limit=0`]);
});

test("a client that is closed ends what is under way", async (t) => {
  const url = await slow(t, 60_000);
  for (const options of [{}, { fetch: (...request) => fetch(...request) }]) {
    const client = new NedbClient(url, options);
    const calls = [client.databases(), client.db("db").seq];
    await pause(20);
    client.close();
    for (const { reason } of await Promise.allSettled(calls)) assert.equal(reason?.code, "DATABASE_CLOSED");
  }
});

test("a write that no connection was made for is not one that may be written", async (t) => {
  const port = await listening(t, net.createServer((socket) => socket.on("error", () => {}).end("no TLS\r\n")));
  const strange = new NedbClient(`https://127.0.0.1:${port}`, { retryCount: 1 });
  await assert.rejects(strange.db("db").put("c", "a", {}), { code: "UNAVAILABLE" });

  // A name that nobody answers for takes a connection's ten seconds, which are less here.
  const { lookup } = dns;
  const { setTimeout: usual } = globalThis;
  dns.lookup = () => {};
  globalThis.setTimeout = (work, delayMs) => usual(work, delayMs === 10_000 ? 50 : delayMs);
  t.after(() => {
    dns.lookup = lookup;
    globalThis.setTimeout = usual;
  });
  const silent = new NedbClient("http://silent.invalid", { retryCount: 1 });
  await assert.rejects(silent.db("db").put("c", "a", {}), { code: "UNAVAILABLE", message: /no connection/ });
  const hasty = new NedbClient("http://silent.invalid", { retryCount: 1, timeoutMs: 20 });
  await assert.rejects(hasty.db("db").put("c", "a", {}), { code: "REQUEST_TIMEOUT" });
});

test("an answer that ends before its length is a failure", async (t) => {
  const port = await listening(t, net.createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"seq": 7}'));
  }));
  const db = new NedbClient(`http://127.0.0.1:${port}`, { retryCount: 0 }).db("db");
  await assert.rejects(db.seq, { code: "UNAVAILABLE" });
  await assert.rejects(db.put("c", "a", {}), { code: "COMMIT_UNKNOWN" });
});
