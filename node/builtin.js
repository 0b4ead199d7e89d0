"use strict";
/** Modules of Node, where there is Node: what a browser loads as well names none that a bundler would look for. */

/** Answers a module of Node by its name; undefined in a browser. */
function builtin(name) {
  const running = globalThis.process;
  if (running?.versions?.node === undefined) return undefined;
  try {
    // Node 18 has only the other; what bundlers make of that one may throw.
    return running.getBuiltinModule?.(name) ?? require(name);
  } catch {
    return undefined;
  }
}

module.exports = { builtin };
