"use strict";
/** What npm installs: the package, and the one of this platform with the addon and the server, with no network. */

const assert = require("node:assert/strict");
const { execFileSync, spawn, spawnSync } = require("node:child_process");
const { once } = require("node:events");
const { mkdirSync, readFileSync, readdirSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { test } = require("node:test");
const { platformName } = require("../../node/platform.js");
const { ROOT, directory } = require("./nedbd.js");

/** npm is a script, which Windows starts by a shell alone. */
const SHELL = { shell: process.platform === "win32", encoding: "utf8" };
const ENGINE = "nedb-engine";
const PLATFORM = `${ENGINE}-${platformName()}`;
/** Uses what was installed, and nothing else. */
const TALK = `
  const { NEDB } = require("nedb-engine");
  const { NedbClient } = require("nedb-engine/client");
  (async () => {
    const own = await NEDB.open("data");
    const stored = await own.put("users", "u1", { name: "Ada" });
    await own.close();
    const client = new NedbClient(process.argv[1]);
    const db = await client.createDatabase("db");
    const [row] = [await db.put("users", "u1", { name: "Ada" }), await db.query("FROM users")][1];
    console.log(JSON.stringify([stored, row, (await client.health()).version]));
  })();`;

/** Runs npm, with a cache of its own that is empty. */
function npm(folder, ...given) {
  return execFileSync("npm", [...given, "--offline", "--cache", join(folder, ".npm"), "--no-audit", "--no-fund", "--silent"],
    { ...SHELL, cwd: folder });
}

/** Packs what the script lays out; answers a function that installs packages in an empty project. */
function packed(t) {
  const place = directory(t);
  execFileSync(process.execPath, [join(ROOT, "scripts", "npm_packages.mjs"), "--output", place]);
  const archives = {};
  for (const name of readdirSync(place)) {
    const folder = join(place, name);
    const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    npm(folder, "pack", "--pack-destination", place);
    archives[name] = join(place, `${name}-${version}.tgz`);
  }
  return (project, ...names) => {
    const folder = join(place, project);
    mkdirSync(folder);
    writeFileSync(join(folder, "package.json"), "{}");
    npm(folder, "install", ...names.map((name) => archives[name]));
    assert.deepEqual(readdirSync(join(folder, "node_modules")).filter((name) => !name.startsWith(".")), names);
    return folder;
  };
}

test("the packages for npm bring the addon, the client and the server of this platform", async (t) => {
  const install = packed(t);
  const project = install("whole", ENGINE, PLATFORM);
  const version = execFileSync("npx", ["--no-install", "nedbd", "--version"], { ...SHELL, cwd: project });
  const variables = { ...process.env, NEDBD_PORT: "0", NEDBD_DATA: join(project, "served") };
  const server = spawn(process.execPath, [join(project, "node_modules", ENGINE, "node", "nedbd.js")],
    { env: variables, stdio: ["ignore", "pipe", "inherit"], cwd: project });
  t.after(() => server.kill("SIGKILL"));
  const [line] = await once(server.stdout.setEncoding("utf8"), "data");
  const said = execFileSync(process.execPath, ["-e", TALK, /http:\S+/.exec(line)[0]], { encoding: "utf8", cwd: project });
  const row = { _id: "u1", _seq: 0, name: "Ada" };
  assert.deepEqual(JSON.parse(said), [row, row, version.trim().split(" ")[1]]);
  server.kill("SIGTERM");
  const [code] = await once(server, "exit");
  // Windows has no such signal: a process is ended with it.
  assert.ok(code === 0 || process.platform === "win32", `it ended with ${code}`);

  const described = JSON.parse(readFileSync(join(project, "node_modules", PLATFORM, "package.json"), "utf8"));
  assert.deepEqual([described.os, described.cpu], [[process.platform], [process.arch]]);
  const main = JSON.parse(readFileSync(join(project, "node_modules", ENGINE, "package.json"), "utf8"));
  assert.equal(main.optionalDependencies[PLATFORM], described.version);

  const bare = install("bare", ENGINE);
  for (const command of [["-e", 'require("nedb-engine")'], [join("node_modules", ENGINE, "node", "nedbd.js")]]) {
    const run = spawnSync(process.execPath, command, { encoding: "utf8", cwd: bare });
    assert.equal(run.status, 1);
    assert.match(run.stderr, new RegExp(`for ${platformName()}[^]*without --omit=optional`));
  }
});
