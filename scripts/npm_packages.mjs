/**
 * Lays out the packages for npm: nedb-engine, which is JavaScript alone, and the one of this platform, which holds
 * the addon and the server.
 *
 *   node scripts/npm_packages.mjs [--output build/npm]
 *
 * In: package.json, node/, and the builds that scripts/build_addon.mjs put there. Out: a folder for each package,
 * to be packed or published as it is. nedb-engine names all platforms as optional dependencies of its own version,
 * and npm installs the one that fits.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const { PLATFORMS, platformName } = createRequire(import.meta.url)("../node/platform.js");

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const at = process.argv.indexOf("--output");
const output = at > 0 ? process.argv[at + 1] : join(ROOT, "build", "npm");
const exe = process.platform === "win32" ? ".exe" : "";
const LICENSES = ["LICENSE-APACHE", "LICENSE-MIT"];
/** What the C library of a platform is called in a package.json. */
const LIBC = { gnu: "glibc", musl: "musl" };

const { name, version, description, license, keywords, main, types, exports, bin, files, engines } = JSON.parse(
  readFileSync(join(ROOT, "package.json"), "utf8"),
);

/** Makes an empty folder of a package, with what every package holds. */
function folderOf(described) {
  const folder = join(output, described.name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const file of LICENSES) copyFileSync(join(ROOT, file), join(folder, file));
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(described, null, 2)}\n`);
  return folder;
}

/** Lays out the package that is asked for by name. */
function layOutMain() {
  const optionalDependencies = Object.fromEntries(PLATFORMS.map((platform) => [`${name}-${platform}`, version]));
  const folder = folderOf({
    name, version, description, license, keywords, main, types, exports, bin, files: [...files, ...LICENSES], engines,
    optionalDependencies,
  });
  copyFileSync(join(ROOT, "README.md"), join(folder, "README.md"));
  mkdirSync(join(folder, "node"));
  for (const file of readdirSync(join(ROOT, "node")).filter((file) => /\.(js|d\.ts)$/.test(file))) {
    copyFileSync(join(ROOT, "node", file), join(folder, "node", file));
  }
  return folder;
}

/** Lays out the package of this platform. */
function layOutPlatform(platform) {
  const [os, cpu, library] = platform.split("-");
  const [addon, server] = [`nedb.${platform}.node`, `nedbd${exe}`];
  const folder = folderOf({
    name: `${name}-${platform}`, version, description: `The addon and the server of ${name} for ${platform}`, license,
    main: addon, files: [addon, server, ...LICENSES], engines, os: [os], cpu: [cpu],
    ...(LIBC[library] === undefined ? {} : { libc: [LIBC[library]] }),
    // A program cannot be started out of an archive, in which some package managers keep packages.
    preferUnplugged: true,
  });
  for (const [from, to] of [[addon, addon], [`nedbd.${platform}${exe}`, server]]) {
    copyFileSync(join(ROOT, "node", from), join(folder, to));
    strip(join(folder, to));
  }
  return folder;
}

/** Takes out what only a debugger reads; Windows keeps it apart. */
function strip(file) {
  if (process.platform === "win32") return;
  const { error, status } = spawnSync("strip", ["-S", file], { stdio: "inherit" });
  if (error === undefined && status !== 0) throw new Error(`strip ends with ${status} on ${file}`);
}

const platform = platformName();
const builds = [`nedb.${platform}.node`, `nedbd.${platform}${exe}`];
const missing = builds.filter((file) => !existsSync(join(ROOT, "node", file)));
if (!PLATFORMS.includes(platform) || missing.length > 0) {
  console.error(
    PLATFORMS.includes(platform)
      ? `node/${missing.join(" and node/")} ${missing.length > 1 ? "are" : "is"} not built: make addon nedbd`
      : `${platform} has no package; those that have one: ${PLATFORMS.join(", ")}`,
  );
  process.exit(1);
}
for (const folder of [layOutMain(), layOutPlatform(platform)]) console.log(folder);
