"use strict";
/** What the tests of this folder share: a directory of their own, and what an error must be. */

const assert = require("node:assert/strict");
const { mkdtemp, rm } = require("node:fs/promises");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { NEDB, NedbError } = require("../../node/index.js");

/** Makes a directory that is removed when the test ends. */
async function directory(test) {
  const path = await mkdtemp(join(tmpdir(), "nedb-"));
  test.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Opens a database in a directory of its own; closed and removed when the test ends. */
async function opened(test, options) {
  const path = await mkdtemp(join(tmpdir(), "nedb-"));
  const db = await NEDB.open(join(path, "data"), options);
  test.after(async () => {
    await db.close();
    await rm(path, { recursive: true, force: true });
  });
  return db;
}

/** Says whether an error is a NedbError of a code; for `assert.throws` and `assert.rejects`. */
function withCode(code) {
  return (error) => {
    assert.ok(error instanceof NedbError, `no NedbError: ${error}`);
    assert.equal(error.name, "NedbError");
    assert.equal(error.code, code);
    return true;
  };
}

module.exports = { directory, opened, withCode };
