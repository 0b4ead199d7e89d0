"use strict";
/** Compares `surface.toml` and `errors.toml` with what Node sees of NEDB, both ways. */

const { test } = require("node:test");
const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const { parse } = require("smol-toml");
const { NEDB, NedbCore } = require("../../node/index.js");
const { Database } = require("../../node/client_database.js");

const ROOT = path.join(__dirname, "..", "..");

/** Reads one of the suite's tables. */
function load(name) {
  return parse(fs.readFileSync(path.join(ROOT, "tests", "conformance", name), "utf8"));
}

/** Lists the public names of a class: of its prototype, and its static methods. */
function publicNames(type) {
  const ofFunctions = ["length", "name", "prototype", "arguments", "caller"];
  const statics = Object.getOwnPropertyNames(type).filter((name) => !ofFunctions.includes(name));
  const members = Object.getOwnPropertyNames(type.prototype).filter((name) => name !== "constructor");
  return [...statics, ...members].sort();
}

for (const [column, type] of [["node_core", NedbCore], ["node", NEDB], ["node_client", Database]]) {
  test(`every verb of ${column} is there and none is extra`, () => {
    const { verb: verbs, client_only: own } = load("surface.toml");
    const listed = verbs.flatMap((verb) => verb[column]);
    // The name is set in the constructor.
    if (type === Database) listed.push(...own.node.filter((name) => name !== "name"));
    assert.deepStrictEqual(publicNames(type), listed.sort());
  });

  test(`a verb that is missing in ${column} says why`, () => {
    for (const verb of load("surface.toml").verb) {
      const reason = verb.missing?.[column] ?? "";
      assert.notStrictEqual(verb[column].length > 0, reason !== "", verb.name);
    }
  });
}

test("the error codes of the types are those of the table", () => {
  const types = fs.readFileSync(path.join(ROOT, "node", "index.d.ts"), "utf8");
  const [, union] = /export type ErrorCode =([^;]*);/.exec(types);
  const codes = union.match(/[A-Z_]{4,}/g);
  assert.deepStrictEqual(codes, load("errors.toml").error.map((error) => error.code));
});
