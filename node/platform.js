"use strict";
/** Names the platform that this process runs on, as the packages with its binaries are named. */

/** The platforms that have a package. */
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

module.exports = { PLATFORMS, platformName };
