"use strict";
/** What Node has of its own around files: streams, Buffers, promises. */

const { test } = require("node:test");
const assert = require("node:assert");
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
