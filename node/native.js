"use strict";
/**
 * Finds and loads the addon.
 *
 * Out: the addon's classes. Looked for, in this order: the build of this checkout, which stands beside
 * this file, and the package of this platform, which npm installs as an optional dependency.
 */

const { PLATFORMS, platformName } = require("./platform.js");

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
