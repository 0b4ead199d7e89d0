"use strict";
/**
 * Finds and loads the addon.
 *
 * Out: the addon's classes. Looked for, in this order: the build of this checkout, which stands beside
 * this file, and the package of this platform, which npm installs as an optional dependency.
 */

/** The platforms that have a package, as napi names them. */
const PLATFORMS = [
  "darwin-arm64",
  "darwin-x64",
  "linux-arm64-gnu",
  "linux-arm64-musl",
  "linux-x64-gnu",
  "linux-x64-musl",
  "win32-x64-msvc",
];

/** Names this platform: system, processor and, where there are several, the C library. */
function platformName() {
  const name = `${process.platform}-${process.arch}`;
  if (process.platform === "win32") return `${name}-msvc`;
  if (process.platform === "linux") return `${name}-${isMusl() ? "musl" : "gnu"}`;
  return name;
}

/** Says whether Node runs on musl, as in Alpine Linux. */
function isMusl() {
  const excluded = process.report.excludeNetwork;
  // Without this the report looks up the name of every open connection, which takes seconds.
  process.report.excludeNetwork = true;
  const { header } = process.report.getReport();
  process.report.excludeNetwork = excluded;
  return header.glibcVersionRuntime === undefined;
}

/** Loads the addon, or throws an error that says what was tried and what to do. */
function load() {
  const platform = platformName();
  const tried = [];
  for (const name of [`./nedb.${platform}.node`, `nedb-engine-${platform}`]) {
    try {
      return require(name);
    } catch (error) {
      tried.push(`  ${name}: ${error.message.split("\n")[0]}`);
    }
  }
  const error = new Error(
    `nedb-engine has no addon for ${platform} that loads.\n${tried.join("\n")}\n` +
      (PLATFORMS.includes(platform)
        ? "Install again without --omit=optional, or in a checkout run: npm run build"
        : `Prebuilt are ${PLATFORMS.join(", ")}. In a checkout run: npm run build`),
  );
  error.code = "ERR_NEDB_ADDON_MISSING";
  throw error;
}

module.exports = load();
