"use strict";
/**
 * The client in a browser: a page of another origin, which the server lets call it, does what a page would.
 *
 * Chromium without a window; NEDB_BROWSER names its program where none of the usual names is on the path.
 */

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const { accessSync, constants, readFileSync } = require("node:fs");
const http = require("node:http");
const { delimiter, join } = require("node:path");
const { test } = require("node:test");
const { ROOT, directory, started } = require("./nedbd.js");

const NAMES = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

/** What the page does; what it answers is sent to the server that it came from. */
async function work({ NedbClient, NedbError }, url) {
  const client = new NedbClient(url, { token: "my-secret" });
  const db = await client.createDatabase("db");
  const stored = await db.put("users", "ada/1", { name: "Ada", big: 2n ** 60n });
  const rows = await db.query("FROM users WHERE name = $1", ["Ada"]);
  const large = new Uint8Array(2_600_000).map((_, n) => (n * n) % 251);
  const versions = [await db.putFile("f", large), await db.putFile("f", new Blob(["text"]))];
  const whole = await db.getFile("f", { version: 0 });
  const lengths = [];
  for (const reader = db.fileStream("f", { version: 0 }).getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    lengths.push(value.length);
  }
  const seqs = [];
  for await (const op of db.changes(-1, { follow: false })) seqs.push(op.seq);
  const codes = [];
  for (const wrong of [() => db.query("FROM"), () => new NedbClient(url).databases(), () => db.getFile("none")]) {
    await wrong().catch((error) => codes.push(error instanceof NedbError && error.code));
  }
  const wait = new AbortController();
  setTimeout(() => wait.abort(new Error("enough")), 50);
  const ended = await db.changes(2, { signal: wait.signal }).next().catch((error) => error.message);
  const isWhole = whole.every((byte, n) => byte === large[n]);
  return { big: String(stored.big), ids: rows.map((row) => row._id), versions, isWhole, lengths, seqs, codes, ended };
}

/** Writes the modules of the client as one script, as a bundler does; `client` is what the first one exports. */
function bundled(first) {
  const found = new Map();
  const take = (name) => {
    if (found.has(name)) return;
    const text = readFileSync(join(ROOT, "node", name), "utf8");
    found.set(name, text);
    for (const [, other] of text.matchAll(/require\("\.\/([^"]+)"\)/g)) take(other);
  };
  take(first);
  const modules = [...found].map(([name, text]) => `${JSON.stringify(`./${name}`)}: (require, module) => {${text}\n}`);
  return `const modules = {${modules.join(",\n")}}, made = {};
    function load(name) {
      if (made[name] === undefined) modules[name](load, (made[name] = { exports: {} }));
      return made[name].exports;
    }
    const client = load("./${first}");`;
}

/** Finds a browser. */
function browser() {
  if (process.env.NEDB_BROWSER) return process.env.NEDB_BROWSER;
  const places = process.env.PATH.split(delimiter).flatMap((folder) => NAMES.map((name) => join(folder, name)));
  return places.find((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Serves a page, opens it, and answers what it sends back. */
async function opened(t, program, scriptOf) {
  const told = { at: undefined };
  const answered = new Promise((resolve) => (told.resolve = resolve));
  const pages = http.createServer(async (request, response) => {
    if (request.method === "GET") {
      return response.writeHead(200, { "content-type": "text/html" }).end(`<script type="module">${await told.at}</script>`);
    }
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    told.resolve(JSON.parse(Buffer.concat(pieces)));
    return response.end();
  });
  pages.listen(0, "127.0.0.1");
  await once(pages, "listening");
  const origin = `http://127.0.0.1:${pages.address().port}`;
  told.at = scriptOf(origin);
  await told.at;
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"];
  const running = spawn(program, [...flags, `--user-data-dir=${directory(t)}`, origin], { stdio: "ignore" });
  t.after(() => {
    running.kill("SIGKILL");
    pages.close();
    pages.closeAllConnections?.();
  });
  const early = once(running, "exit").then(([code]) => ({ error: `the browser ended with ${code}` }));
  return Promise.race([answered, early]);
}

const program = browser();

const options = { skip: program === undefined && "there is no browser", timeout: 60_000 };

test("a page uses the client over the fetch of a browser", options, async (t) => {
  const said = await opened(t, program, async (origin) => {
    const server = await started(t, ["--cors-origins", origin], { NEDBD_TOKEN: "my-secret" });
    return `${bundled("client.js")}
      const tell = (said) => fetch("/", { method: "POST", body: JSON.stringify(said) });
      (${work})(client, "${server.url}").then(tell, (error) => tell({ error: String(error.stack) }));`;
  });
  assert.deepEqual(said, {
    big: String(2n ** 60n), ids: ["ada/1"], versions: [0, 1], isWhole: true, lengths: [1 << 20, 1 << 20, 502_848],
    seqs: [0, 1, 2], codes: ["NQL_ERROR", "UNAUTHORIZED", "NOT_FOUND"], ended: "enough",
  });
});
