"use strict";
/** What the tests of the client in Node share: a server, and a proxy before it that fails by a script. */

const { spawn } = require("node:child_process");
const { once } = require("node:events");
const fs = require("node:fs");
const http = require("node:http");
const os = require("node:os");
const path = require("node:path");
const readline = require("node:readline");

const ROOT = path.join(__dirname, "..", "..");
/** The binary; `make test-server` says which, since a build may be elsewhere. */
const BINARY = process.env.NEDBD_BINARY ?? path.join(ROOT, "target", "release", "nedbd");

/** Makes a directory that is removed when the test ends. */
function directory(test) {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), "nedbd-"));
  test.after(() => fs.rmSync(made, { recursive: true, force: true }));
  return made;
}

/** A running server. */
class Nedbd {
  /** Starts one on a data directory, and waits until its databases are open. */
  static async start(data, flags = [], variables = {}) {
    const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("NEDB")));
    const log = fs.openSync(`${data}.log`, "a");
    const child = spawn(BINARY, flags, {
      env: { ...inherited, NEDBD_PORT: "0", NEDBD_DATA: data, ...variables },
      stdio: ["ignore", "pipe", log],
    });
    fs.closeSync(log);
    const server = new Nedbd();
    server.data = data;
    server.child = child;
    server.ended = once(child, "exit");
    const lines = readline.createInterface({ input: child.stdout });
    const [line] = await Promise.race([once(lines, "line"), server.ended.then(() => ["it ended"])]);
    server.url = /http:\S+/.exec(line)?.[0];
    if (server.url === undefined) throw new Error(`it did not start: ${fs.readFileSync(`${data}.log`, "utf8")}`);
    while ((await fetch(`${server.url}/health?ready=true`)).status !== 200) await pause(10);
    return server;
  }

  /** Stops it as an operator does; answers what it ended with. */
  async stop(signal = "SIGTERM") {
    this.child.kill(signal);
    const [code] = await this.ended;
    return code;
  }
}

/** Starts a server for a test, on a directory of its own. */
async function started(test, flags, variables) {
  const server = await Nedbd.start(path.join(directory(test), "data"), flags, variables);
  test.after(() => server.stop("SIGKILL"));
  return server;
}

/**
 * A proxy that hands requests on; for each of the next requests `script` may say otherwise: "lose" hands it on and
 * ends the connection without the answer, "drop" ends it at once, "wait" answers nothing; a number is a status
 * that it answers itself, `[status, code]` an answer of nedbd.
 */
async function flaky(test, server) {
  const proxy = { script: [], seen: [], keys: [] };
  const listener = http.createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const body = Buffer.concat(pieces);
    proxy.seen.push(`${request.method} ${request.url}`);
    const what = proxy.script.shift() ?? "pass";
    if (what === "drop") return request.socket.destroy();
    if (typeof what === "number") return response.writeHead(what).end("<html>a proxy speaks</html>");
    if (Array.isArray(what)) {
      const text = JSON.stringify({ error: { code: what[1], message: "not now" } });
      return response.writeHead(what[0], { "retry-after": "0" }).end(text);
    }
    const { method, url } = request;
    const given = body.length > 0 ? body : undefined;
    const { range } = request.headers;
    const headers = range === undefined ? {} : { range };
    const answer = await fetch(`${server.url}${url}`, { method, headers, body: given }).catch(() => undefined);
    // The server was stopped meanwhile.
    if (answer === undefined) return request.socket.destroy();
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (what === "lose") return request.socket.destroy();
    const kept = ["content-range", "nedb-file-version", "nedb-file-tier"].filter((name) => answer.headers.has(name));
    const told = Object.fromEntries(kept.map((name) => [name, answer.headers.get(name)]));
    if (what === "pass") return response.writeHead(answer.status, told).end(bytes);
    return undefined;
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  test.after(() => {
    listener.close();
    listener.closeAllConnections?.();
  });
  proxy.url = `http://127.0.0.1:${listener.address().port}`;
  return proxy;
}

const pause = (delayMs) => new Promise((resolve) => setTimeout(resolve, delayMs));

module.exports = { Nedbd, ROOT, directory, flaky, pause, started };
