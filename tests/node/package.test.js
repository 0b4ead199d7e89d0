"use strict";
/** The package: its door, its types, and what it says when the addon is missing. */

const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const { copyFileSync, readdirSync, readFileSync } = require("node:fs");
const { join } = require("node:path");
const { test } = require("node:test");
const { NEDB, NedbCore } = require("../../node/index.js");
const { directory } = require("./support.js");

const ROOT = join(__dirname, "..", "..");

test("the door opens for require and for import", async () => {
  const names = ["NEDB", "NedbCore", "NedbError", "rewrapKey"];
  assert.deepEqual(Object.keys(require("nedb-engine")).sort(), names);
  const imported = await import("nedb-engine");
  for (const name of names) assert.equal(imported[name], require("nedb-engine")[name]);
});

test("every verb is declared in index.d.ts and every declared verb is there", () => {
  const text = readFileSync(join(ROOT, "node", "index.d.ts"), "utf8");
  for (const Class of [NEDB, NedbCore]) {
    const [, body] = new RegExp(`export class ${Class.name} \\{\\n([^]*?)\\n\\}`).exec(text);
    const declared = [...body.matchAll(/^ {2}(?:readonly )?([a-z][A-Za-z]*)(?=[<(:])/gm)].map((m) => m[1]);
    const there = Object.getOwnPropertyNames(Class.prototype);
    assert.deepEqual([...new Set(declared)].sort(), [...new Set(there)].sort());
  }
});

test("every method of the client is declared in client.d.ts and every declared one is there", () => {
  const text = readFileSync(join(ROOT, "node", "client.d.ts"), "utf8");
  const { NedbClient } = require("nedb-engine/client");
  const { Database } = require("../../node/client_database.js");
  for (const [Class, own] of [[NedbClient, []], [Database, ["name"]]]) {
    const [, body] = new RegExp(`export class ${Class.name} \\{\\n([^]*?)\\n\\}`).exec(text);
    const declared = [...body.matchAll(/^ {2}(?:readonly )?([a-z][A-Za-z]*)(?=[<(:])/gm)].map((m) => m[1]);
    const there = [...Object.getOwnPropertyNames(Class.prototype), ...own];
    // Only the client makes a Database, so that its constructor is not declared as one to call.
    const names = (all) => [...new Set(all)].filter((name) => name !== "constructor").sort();
    assert.deepEqual(names(declared), names(there));
  }
});

test("the client loads no addon and nothing of Node, so that a browser can have it", async () => {
  const code = `const { NedbClient } = require("nedb-engine/client"); new NedbClient();
    process.stdout.write(Object.keys(require.cache).join("\\n"))`;
  const loaded = execFileSync(process.execPath, ["-e", code], { encoding: "utf8", cwd: ROOT }).split("\n");
  assert.ok(loaded.length > 5 && !loaded.some((file) => file.endsWith(".node")), loaded.join());
  for (const file of loaded) {
    assert.doesNotMatch(readFileSync(file, "utf8"), /(?:require|import)\(\s*["'](?!\.)/, file);
  }
  const imported = await import("nedb-engine/client");
  assert.deepEqual(Object.keys(imported).filter((name) => name !== "default" && name !== "module.exports").sort(), [
    "NedbClient", "NedbError", "ServerError",
  ]);
});

test("without an addon the error names the platform and what to do", async (context) => {
  const folder = await directory(context);
  for (const file of readdirSync(join(ROOT, "node")).filter((file) => file.endsWith(".js"))) {
    copyFileSync(join(ROOT, "node", file), join(folder, file));
  }
  const code = `try { require(${JSON.stringify(join(folder, "index.js"))}) } catch (error) {
    process.stdout.write(error.code + " " + error.message) }`;
  const said = execFileSync(process.execPath, ["-e", code], { encoding: "utf8", cwd: folder });
  assert.match(said, /^ERR_NEDB_ADDON_MISSING nedb-engine has no addon for \S+ that loads/);
  assert.match(said, /npm run build/);
});
