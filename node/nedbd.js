#!/usr/bin/env node
"use strict";
/**
 * npx nedbd: starts the server of this platform, with the arguments and the environment that were given.
 *
 * Looked for, in this order: the build of this checkout, which stands beside this file, and the package of this
 * platform, which npm installs as an optional dependency. Signals are handed on, so that a stop is one of the
 * server; what it ends with is what this ends with.
 */

const { spawn } = require("node:child_process");
const { constants } = require("node:os");
const { existsSync } = require("node:fs");
const { join } = require("node:path");
const { platformName } = require("./platform.js");

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Finds the binary; undefined when there is none. */
function binary() {
  const platform = platformName();
  const exe = process.platform === "win32" ? ".exe" : "";
  const built = join(__dirname, `nedbd.${platform}${exe}`);
  if (existsSync(built)) return built;
  try {
    return require.resolve(`nedb-engine-${platform}/nedbd${exe}`);
  } catch {
    return undefined;
  }
}

const found = binary();
if (found === undefined) {
  console.error(
    `nedb-engine has no nedbd for ${platformName()}.\n` +
      "Install again without --omit=optional, or in a checkout run: npm run build:nedbd",
  );
  process.exit(1);
}
const server = spawn(found, process.argv.slice(2), { stdio: "inherit" });
// A terminal sends Ctrl+C to both; the server has it then, and a second one would end it at once.
for (const signal of SIGNALS) process.on(signal, () => process.stdin.isTTY && signal === "SIGINT" || server.kill(signal));
server.on("error", (error) => {
  console.error(`nedbd does not start: ${error.message}`);
  process.exit(1);
});
server.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
