"use strict";
/** Modules of Node, where there is Node: what a browser loads as well names none that a bundler would look for. */

/** Answers a module of Node by its name; undefined in a browser. */
function builtin(name) {
  const running = globalThis.process;
  if (running?.versions?.node === undefined) return undefined;
  try {
    // Node 18 has no such function, and require under its own name would have bundlers look for what is asked.
    const { require: load } = module;
    return running.getBuiltinModule?.(name) ?? load.call(module, name);
  } catch {
    return undefined;
  }
}

module.exports = { builtin };
