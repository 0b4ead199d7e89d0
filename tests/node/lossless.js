"use strict";
/**
 * JSON that forgets nothing: numbers keep their spelling, members their order.
 *
 * In: a JSON text. Out: plain values, in which a number is a `NumberText`; and the way back to text.
 * `JSON.parse` reads 1.0 as 1 and rounds beyond 2^53, so the conformance suite cannot use it.
 */

/** A number as it was written. */
class NumberText {
  /** @param {string} text the token of the number */
  constructor(text) {
    this.text = text;
  }
}

const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/y;
// Runs of plain characters are one step: a step for each of them overflows the stack on a long text.
const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"/y;
const WORD = /true|false|null/y;
const BLANKS = /[ \t\r\n]*/y;

/** Reads one text from its start. */
class Reader {
  /** @param {string} text what is read */
  constructor(text) {
    this.text = text;
    this.place = 0;
  }

  /** Takes what a sticky pattern matches here, or returns undefined. */
  take(pattern) {
    pattern.lastIndex = this.place;
    const found = pattern.exec(this.text);
    if (found === null) return undefined;
    this.place = pattern.lastIndex;
    return found[0];
  }

  /** Takes one character if it is the next that is no blank. */
  takes(character) {
    this.take(BLANKS);
    if (this.text[this.place] !== character) return false;
    this.place += 1;
    return true;
  }

  /** Reads a value. */
  value() {
    if (this.takes("{")) return this.object();
    if (this.takes("[")) return this.list("]", () => this.value());
    const string = this.take(STRING);
    if (string !== undefined) return JSON.parse(string);
    const word = this.take(WORD);
    if (word !== undefined) return JSON.parse(word);
    const number = this.take(NUMBER);
    if (number !== undefined) return new NumberText(number);
    throw new SyntaxError(`no JSON at ${this.place}: ${this.text.slice(this.place, this.place + 40)}`);
  }

  /** Reads the members of an object, in order. A Map, since an object would sort names like "1". */
  object() {
    return new Map(
      this.list("}", () => {
        this.take(BLANKS);
        const name = JSON.parse(this.take(STRING) ?? "");
        if (!this.takes(":")) throw new SyntaxError(`no ":" at ${this.place}`);
        return [name, this.value()];
      }),
    );
  }

  /** Reads items separated by commas up to a closing character. */
  list(closing, item) {
    const items = [];
    if (this.takes(closing)) return items;
    do items.push(item());
    while (this.takes(","));
    if (!this.takes(closing)) throw new SyntaxError(`no "${closing}" at ${this.place}`);
    return items;
  }
}

/** Parses a JSON text; objects become Maps, numbers NumberTexts. */
function parse(text) {
  const reader = new Reader(text);
  const value = reader.value();
  reader.take(BLANKS);
  if (reader.place !== text.length) throw new SyntaxError(`more text at ${reader.place}`);
  return value;
}

/** Writes a value that `parse` made, or a plain one, as JSON text. */
function stringify(value) {
  if (value instanceof NumberText) return value.text;
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return `[${value.map(stringify).join(",")}]`;
  if (value instanceof Map) {
    const members = [...value].map(([name, member]) => `${JSON.stringify(name)}:${stringify(member)}`);
    return `{${members.join(",")}}`;
  }
  return JSON.stringify(value);
}

module.exports = { NumberText, parse, stringify };
