/**
 * Builds the Node addon of this checkout and puts it where node/native.js looks for it.
 *
 *   node scripts/build_addon.mjs [--cargo CARGO]
 *
 * Cargo makes a shared library; an addon is that library under the name of its platform.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const at = process.argv.indexOf("--cargo");
const cargo = at > 0 ? process.argv[at + 1] : "cargo";

const output = execFileSync(
  cargo,
  ["build", "--release", "--package", "nedb-node", "--message-format", "json-render-diagnostics"],
  { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], maxBuffer: 64 << 20 },
);
const library = output
  .split("\n")
  .filter((line) => line.startsWith("{"))
  .map((line) => JSON.parse(line))
  .filter((message) => message.reason === "compiler-artifact" && message.target.name === "nedb_node")
  .flatMap((message) => message.filenames)
  .find((file) => /\.(so|dylib|dll)$/.test(file));
if (library === undefined) {
  console.error("cargo built no shared library for nedb-node");
  process.exit(1);
}

const addon = join(root, "node", `nedb.${platformName()}.node`);
// Renamed, not overwritten: a process that has the old addon loaded keeps it.
copyFileSync(library, `${addon}.new`);
renameSync(`${addon}.new`, addon);

/** As node/native.js names platforms. */
function platformName() {
  const name = `${process.platform}-${process.arch}`;
  if (process.platform === "win32") return `${name}-msvc`;
  if (process.platform !== "linux") return name;
  const isMusl = process.report.getReport().header.glibcVersionRuntime === undefined;
  return `${name}-${isMusl ? "musl" : "gnu"}`;
}
