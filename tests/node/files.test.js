"use strict";
/** What Node has of its own around files: streams, Buffers, promises. */

const { test } = require("node:test");
const assert = require("node:assert");
const { execFileSync } = require("node:child_process");
const { randomBytes } = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { Readable } = require("node:stream");
const { pipeline } = require("node:stream/promises");
const { NEDB } = require("../../node/index.js");

const DATA = Buffer.from(Array.from({ length: 60_000 }, (_, n) => `${n}, `).join(""));

/** Joins the pieces of a stream. */
async function joined(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

test("bytes come from whatever holds them", async () => {
  const db = new NEDB();
  const arrayBuffer = DATA.buffer.slice(DATA.byteOffset, DATA.byteOffset + DATA.length);
  const given = [
    DATA,
    DATA.toString(),
    new Uint8Array(DATA),
    new DataView(arrayBuffer),
    arrayBuffer,
    Readable.from([DATA.subarray(0, 7), DATA.subarray(7)]),
    [DATA.subarray(0, 99_999), DATA.subarray(99_999).toString()],
  ];
  for (const [number, data] of given.entries()) {
    assert.strictEqual(await db.putFile("a", data), number);
    const found = await db.getFile("a");
    assert.ok(Buffer.isBuffer(found) && found.equals(DATA), `the ${number}th`);
  }
  await db.close();
});

test("what is no bytes is refused and appends nothing", async () => {
  const db = new NEDB();
  for (const data of [7, null, undefined, {}, [7], Readable.from([{ a: 1 }])]) {
    await assert.rejects(db.putFile("a", data), { code: "INVALID_ARGUMENT" });
  }
  await assert.rejects(db.putFile("a", "x", { ttlS: 1 }), { code: "INVALID_ARGUMENT" });
  await assert.rejects(db.putFile("a", "x", { tear: "warm" }), { code: "INVALID_ARGUMENT" });
  await assert.rejects(db.getFile("a", { versoin: 1 }), { code: "INVALID_ARGUMENT" });
  assert.strictEqual(db.seq, -1n);
  await db.close();
});

test("an error of the stream or of the callback ends the put", async () => {
  const db = new NEDB();
  const failing = async function* () {
    yield DATA;
    throw new RangeError("enough");
  };
  await assert.rejects(db.putFile("a", failing()), RangeError);
  const progress = () => {
    throw new RangeError("enough");
  };
  await assert.rejects(db.putFile("a", Readable.from([DATA]), { progress }), RangeError);
  assert.deepStrictEqual(await db.files(), []);
  await db.close();
});

test("a file is written from a stream and read as one", async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "nedb-files-"));
  const [source, copy] = [path.join(directory, "source"), path.join(directory, "copy")];
  const large = Buffer.concat(Array.from({ length: 20 }, (_, n) => Buffer.concat([DATA, Buffer.from([n])])));
  fs.writeFileSync(source, large);
  const db = await NEDB.open(path.join(directory, "db"));
  const told = [];
  const options = { tier: "cold", idem: "k", progress: (count) => void told.push(count) };
  assert.strictEqual(await db.putFile("large", fs.createReadStream(source), options), 0);
  assert.strictEqual(told.at(-1), large.length);
  await pipeline(db.fileStream("large"), fs.createWriteStream(copy));
  assert.ok(fs.readFileSync(copy).equals(large));
  await db.putFile("large", "newer");
  assert.ok((await joined(db.fileStream("large", { version: 0 }))).equals(large));
  assert.strictEqual((await joined(db.fileStream("large"))).toString(), "newer");
  const [first] = await db.fileVersions("large");
  assert.deepStrictEqual([first.size, first.tier], [large.length, "cold"]);
  await assert.rejects(joined(db.fileStream("nobody")), { code: "NOT_FOUND" });
  await db.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

test("changing a Buffer after the call changes nothing", async () => {
  const db = new NEDB();
  const data = Buffer.from("before");
  const put = db.putFile("a", data);
  data.write("after!");
  await put;
  assert.strictEqual((await db.getFile("a")).toString(), "before");
  await db.close();
});

test("proofs, costs and compactions are plain objects", async () => {
  const db = new NEDB();
  await db.putFile("a", DATA);
  const proof = await db.fileProof("a", 1);
  assert.strictEqual(proof.root, await db.fileRoot("a"));
  assert.strictEqual(NEDB.verifyProof(proof), true);
  assert.strictEqual(NEDB.verifyProof({ ...proof, leaf: proof.root }), false);
  assert.throws(() => NEDB.verifyProof({ leaf: 1 }), { code: "INVALID_ARGUMENT" });
  assert.strictEqual((await db.compressionStats()).logicalBytes, DATA.length);
  assert.strictEqual((await db.compactBlobs()).removedChunkCount, 0);
  await db.close();
});

test("the bytes of files are checked, and what is damaged is named", async (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "nedb-files-"));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  let db = await NEDB.open(directory);
  await db.putFile("good", DATA);
  await db.putFile("bad", randomBytes(9_000));
  await db.close();
  const pack = path.join(directory, "blobs", "000001.pack");
  const bytes = fs.readFileSync(pack);
  fs.writeFileSync(pack, bytes.fill(0, bytes.length - 3_000));
  db = await NEDB.open(directory);
  const told = [];
  const report = await db.verifyFiles({ progress: (done, all) => void told.push([done, all]) });
  assert.deepStrictEqual([await db.verify(), report.ok, report.versionCount], [true, false, 2]);
  assert.ok(report.damageCount >= 1 && report.damage.every(({ name }) => name === "bad"));
  assert.ok(told.length > 1 && told.at(-1)[0] === told.at(-1)[1] && told.at(-1)[0] > 100_000);
  const failing = () => {
    throw new RangeError("enough");
  };
  await assert.rejects(db.verifyFiles({ progress: failing }), RangeError);
  await assert.rejects(db.verifyFiles({ progress: 7 }), { code: "INVALID_ARGUMENT" });
  assert.deepStrictEqual((await db.verifyFiles()).damage, report.damage);
  await db.close();
});

/** Puts and gets a long file in a process of its own; tells by how much its memory has grown, in bytes. */
const LONG = `
const fs = require("node:fs");
const { NEDB } = require(process.argv[1]);
const [folder, size] = [process.argv[2], Number(process.argv[3])];
const memory = (name) => 1024 * Number(new RegExp(name + ":\\\\s+(\\\\d+)").exec(fs.readFileSync("/proc/self/status", "utf8"))[1]);
const grownBy = async (work) => {
  fs.writeFileSync("/proc/self/clear_refs", "5");
  const before = memory("VmRSS");
  await work();
  return memory("VmHWM") - before;
};
function* pieces() {
  const piece = 1 << 16;
  for (let done = 0; done < size; done += piece) {
    const bytes = Buffer.alloc(piece, "the quick brown fox jumps over the lazy dog ");
    for (let at = 0; at < piece; at += 512) bytes.writeDoubleLE(Math.sin(done + at), at);
    yield bytes;
  }
}
(async () => {
  const db = await NEDB.open(folder);
  await db.putFile("first", "what is needed once");
  await db.getFile("first");
  let [told, read] = [0, 0];
  const progress = (count) => void (told = count);
  const put = await grownBy(() => db.putFile("long", pieces(), { progress }));
  const get = await grownBy(async () => {
    for await (const piece of db.fileStream("long")) read += piece.length;
  });
  await db.close();
  console.log(JSON.stringify({ put, get, told, read }));
})();
`;

test("a long file passes through 64 MiB of memory, in and out", { skip: process.platform !== "linux" && "it reads /proc" }, (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "nedb-files-"));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const size = Number(process.env.NEDB_LARGE_FILE_BYTES ?? 160 << 20);
  const index = path.join(__dirname, "..", "..", "node", "index.js");
  const printed = execFileSync(process.execPath, ["-e", LONG, index, folder, String(size)], { encoding: "utf8" });
  const { put, get, told, read } = JSON.parse(printed);
  assert.deepStrictEqual([told, read], [size, size]);
  assert.ok(put < 64 << 20 && get < 64 << 20, `memory grew by ${put} and ${get} bytes`);
});
