"use strict";
/** What the conformance runners in JavaScript share: reading cases, and the arguments of a step. */

const fs = require("node:fs");
const path = require("node:path");
const { parse, stringify } = require("./lossless.js");

const CASES = path.join(__dirname, "..", "conformance", "cases");
const ONLY = process.env.NEDB_CONFORMANCE_ONLY ?? "";
const NO_OPTIONS = new Set(["coll", "id", "doc", "doc_text", "docs", "items", "items_text", "frm", "rel", "to",
  "name", "text", "tier"]);

/** Writes `{"$repeat": [[text, count], ...]}` out as the joined text. */
function writtenOut(value) {
  if (!(value instanceof Map) || !value.has("$repeat")) return value;
  return value.get("$repeat").map(([text, count]) => text.repeat(Number(count.text))).join("");
}

/** The arguments of a step. */
class Arguments {
  /** @param {Map} members the `args` of a step, or undefined */
  constructor(members) {
    this.members = new Map([...(members ?? [])].map(([name, value]) => [name, writtenOut(value)]));
  }

  /** Returns a text, or undefined. */
  text(name) {
    return this.members.get(name) ?? undefined;
  }

  /** Returns a whole number as a BigInt, or undefined. */
  integer(name) {
    const number = this.members.get(name);
    return number === undefined || number === null ? undefined : BigInt(number.text);
  }

  /** Returns a number, or undefined. */
  number(name) {
    const number = this.members.get(name);
    return number === undefined ? undefined : Number(number.text);
  }

  /** Returns the JSON text of `name`, or the string of `name_text` as it is. */
  json(name) {
    if (this.members.has(`${name}_text`)) return this.members.get(`${name}_text`);
    return this.members.has(name) ? stringify(this.members.get(name)) : undefined;
  }

  /** Returns the write options as JSON text. */
  options() {
    const options = [...this.members].filter(([name]) => !NO_OPTIONS.has(name));
    return options.length === 0 ? undefined : stringify(new Map(options));
  }
}

/** Lists the case files, by name. */
function caseFiles() {
  const files = fs.readdirSync(CASES, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return files
    .flatMap(({ name }) => fs.readdirSync(path.join(CASES, name)).map((file) => `${name}/${file}`))
    .filter((name) => name.endsWith(".json"))
    .sort();
}

/** Lists every case that was asked for, with its title. */
function allCases() {
  return caseFiles().flatMap((file) =>
    parse(fs.readFileSync(path.join(CASES, file), "utf8"))
      .map((conformanceCase) => ({ title: `${file}: ${conformanceCase.get("name")}`, conformanceCase }))
      .filter(({ conformanceCase }) => file.includes(ONLY) || conformanceCase.get("name").includes(ONLY)),
  );
}

module.exports = { Arguments, allCases };
