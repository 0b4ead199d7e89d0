"use strict";
/** The JavaScript of the README runs. */

const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { test } = require("node:test");

const ROOT = join(__dirname, "../..");

test("the README runs", () => {
  const text = readFileSync(join(ROOT, "README.md"), "utf8");
  const blocks = [...text.matchAll(/^```js\r?\n(.*?)^```/gms)].map((match) => match[1]);
  assert.ok(blocks.length > 0);
  // Below the root, so that "nedb-engine" is found as the package that it is in.
  const directory = mkdtempSync(join(ROOT, "node", "readme-"));
  try {
    for (const block of blocks) {
      const file = join(directory, "block.mjs");
      writeFileSync(file, block);
      const printed = execFileSync(process.execPath, [file], { cwd: directory, encoding: "utf8" });
      assert.match(printed, /^31\n1 true [0-9a-f]{64}\n$/);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
