"use strict";
/**
 * The slower reader of JSON text, for texts that hold integers beyond 2^53 - 1.
 *
 * In: JSON text that the core wrote, so valid and of bounded nesting. Out: the values of
 * `JSON.parse`, but integers beyond 2^53 - 1 as BigInts. (`JSON.parse` shows a reviver the source of
 * a number only from Node 21 on.)
 */

/** The characters that end a number. */
const NUMBER_END = /[,\]}\s]/g;
/** What makes a number a double. */
const DOUBLE = /[.eE]/;
/** What stands between tokens. */
const SPACE = /[^ \t\n\r]/g;

/** Reads one text, once. */
class LongReader {
  /** @param {string} text valid JSON */
  constructor(text) {
    this.text = text;
    this.offset = 0;
  }

  /** Reads the value that begins here. */
  read() {
    switch (this.peek()) {
      case "{":
        return this.readObject();
      case "[":
        return this.readArray();
      case '"':
        return this.readString();
      case "t":
        return this.readWord("true", true);
      case "f":
        return this.readWord("false", false);
      case "n":
        return this.readWord("null", null);
      default:
        return this.readNumber();
    }
  }

  /** Answers the next character that is no space, and stands on it. */
  peek() {
    SPACE.lastIndex = this.offset;
    const found = SPACE.exec(this.text);
    if (found === null) throw new SyntaxError("unexpected end of JSON text");
    this.offset = found.index;
    return found[0];
  }

  /** Steps over a character that has to stand here. */
  expect(character) {
    if (this.peek() !== character) {
      throw new SyntaxError(`expected ${character} at ${this.offset} of JSON text`);
    }
    this.offset += 1;
  }

  /** Steps over a comma and answers true, or over the closing character and answers false. */
  more(closing) {
    if (this.peek() === ",") {
      this.offset += 1;
      return true;
    }
    this.expect(closing);
    return false;
  }

  readWord(word, value) {
    if (!this.text.startsWith(word, this.offset)) {
      throw new SyntaxError(`unexpected token at ${this.offset} of JSON text`);
    }
    this.offset += word.length;
    return value;
  }

  readObject() {
    const value = {};
    this.expect("{");
    if (this.peek() === "}") {
      this.offset += 1;
      return value;
    }
    do {
      this.peek();
      const key = this.readString();
      this.expect(":");
      setMember(value, key, this.read());
    } while (this.more("}"));
    return value;
  }

  readArray() {
    const values = [];
    this.expect("[");
    if (this.peek() === "]") {
      this.offset += 1;
      return values;
    }
    do {
      values.push(this.read());
    } while (this.more("]"));
    return values;
  }

  /** Finds the quote that no odd number of backslashes escapes; `JSON.parse` resolves escapes. */
  readString() {
    const start = this.offset;
    let end = start;
    let backslashes;
    do {
      end = this.text.indexOf('"', end + 1);
      if (end < 0) throw new SyntaxError("unterminated string in JSON text");
      backslashes = 0;
      while (this.text[end - 1 - backslashes] === "\\") backslashes += 1;
    } while (backslashes % 2 === 1);
    this.offset = end + 1;
    return JSON.parse(this.text.slice(start, end + 1));
  }

  readNumber() {
    NUMBER_END.lastIndex = this.offset;
    const end = NUMBER_END.exec(this.text)?.index ?? this.text.length;
    const token = this.text.slice(this.offset, end);
    this.offset = end;
    const value = JSON.parse(token);
    return DOUBLE.test(token) || Number.isSafeInteger(value) ? value : BigInt(token);
  }
}

/** Sets a member as `JSON.parse` does: `__proto__` is a name as any other. */
function setMember(value, key, member) {
  if (key === "__proto__") {
    Object.defineProperty(value, key, {
      value: member,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  } else {
    value[key] = member;
  }
}

module.exports = { LongReader };
