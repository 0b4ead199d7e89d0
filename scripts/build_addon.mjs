/**
 * Builds the Node addon of this checkout, or the server, and puts it where node/native.js or node/nedbd.js looks
 * for it.
 *
 *   node scripts/build_addon.mjs [--cargo CARGO] [--nedbd]
 *
 * Cargo makes a shared library; an addon is that library under the name of its platform.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const { platformName } = createRequire(import.meta.url)("../node/platform.js");

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const at = process.argv.indexOf("--cargo");
const cargo = at > 0 ? process.argv[at + 1] : "cargo";

const isServer = process.argv.includes("--nedbd");
const [crate, target] = isServer ? ["nedbd", "nedbd"] : ["nedb-node", "nedb_node"];

const output = execFileSync(
  cargo,
  ["build", "--release", "--package", crate, "--message-format", "json-render-diagnostics"],
  { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], maxBuffer: 64 << 20 },
);
const artifacts = output
  .split("\n")
  .filter((line) => line.startsWith("{"))
  .map((line) => JSON.parse(line))
  .filter((message) => message.reason === "compiler-artifact" && message.target.name === target);
const built = isServer
  ? artifacts.map((message) => message.executable).find(Boolean)
  : artifacts.flatMap((message) => message.filenames).find((file) => /\.(so|dylib|dll)$/.test(file));
if (built === undefined) {
  console.error(`cargo built nothing to ship for ${crate}`);
  process.exit(1);
}

const exe = process.platform === "win32" ? ".exe" : "";
const placed = join(root, "node", isServer ? `nedbd.${platformName()}${exe}` : `nedb.${platformName()}.node`);
// Renamed, not overwritten: a process that has the old one loaded keeps it.
copyFileSync(built, `${placed}.new`);
renameSync(`${placed}.new`, placed);
