/**
 * The types, checked by the compiler: `tsc --noEmit --strict`. Nothing here runs.
 *
 * A line under `@ts-expect-error` must not compile: were it accepted, the compiler would say so.
 */

import { NEDB, NedbCore, NedbError, type BatchItem, type ErrorCode, type Op } from "nedb-engine";

import { NedbClient, ServerError, type ServerErrorCode } from "nedb-engine/client";

interface User {
  name: string;
  age: number;
}

/** Accepts a value of exactly this type or narrower. */
function is<T>(_value: T): void {}

export async function documents(): Promise<void> {
  await using db = await NEDB.open("data", { readOnly: false, cacheBytes: 1 << 20, checkpointEveryOps: 1000 });
  const stored = await db.put<User>("users", "alice", { name: "Alice", age: 31 }, { idem: "k", ttlS: 60 });
  is<string>(stored.name);
  is<number>(stored._seq);
  is<string>(stored._id);
  const found = await db.get<User>("users", "alice", { asOf: db.seq, validAsOf: new Date() });
  is<number | undefined>(found?.age);
  // @ts-expect-error: a document may be absent
  found.age;
  // @ts-expect-error: an option that is not known
  await db.put("users", "alice", {}, { ttl_s: 1 });
  // @ts-expect-error: a document is an object
  await db.put("users", "alice", 5);
  await db.putMany<User>("users", { a: { name: "A", age: 1 } });
  await db.putMany("users", [{ _id: "a", name: "A" }]);
  // @ts-expect-error: a document of an array has an _id
  await db.putMany("users", [{ name: "A" }]);
  is<bigint>(await db.delete("users", "alice", { causedBy: [1, 2n] }));
  is<boolean>(await db.expire("users", "alice", 5));
  is<number>(await db.sweep());
}

export async function queries(db: NEDB): Promise<void> {
  const rows = await db.query<User>("FROM users WHERE age > $1", [30]);
  is<string | undefined>(rows[0]?.name);
  await db.query("FROM users WHERE age > $least", { least: 30n });
  const query = db.q<User>("users").where("age", ">", 30).where({ name: "A" }).orderBy("age", "desc");
  is<User[]>(await query.limit(5).offset(1).run());
  is<string>(query.nql);
  await db.q("users").groupBy("status").count().sum("age").having("count", ">", 1).run();
  // @ts-expect-error: no such operator
  db.q("users").where("age", "~", 30);
  await db.createIndex("users", "bio", "search");
  // @ts-expect-error: no such kind
  await db.createIndex("users", "bio", "hash");
  is<[string, string, string][]>(await db.indexes());
  is<string[]>(await db.neighbors("users:a", "follows", { asOf: 3 }));
}

export async function transactions(db: NEDB): Promise<void> {
  const count = await db.transaction(async (tx) => {
    tx.put("users", "a", { n: 1 }, { ifSeq: -1 }).link("users:a", "follows", "users:b");
    tx.delete("users", "c", { ifSeq: 5n });
    return tx.size;
  });
  is<number>(count);
  const items: BatchItem[] = [
    { op: "put", coll: "users", id: "a", doc: {}, confidence: 0.5 },
    { op: "unlink", frm: "users:a", rel: "follows", to: "users:b" },
  ];
  is<number | undefined>((await db.batch(items, { client: "app", nonce: 7n }))[0]?._seq);
  // @ts-expect-error: a put has a document
  await db.batch([{ op: "put", coll: "users", id: "a" }]);
}

export async function log(db: NEDB): Promise<void> {
  for await (const op of db.log({ from: 0, to: db.seq })) is<Op>(op);
  is<string | undefined>((await db.op(0n))?.hash);
  is<bigint>(await db.checkpoint("note"));
  const report = await db.verifyReport();
  is<number | undefined>(report.damage?.offsetBytes);
  is<string | null>(db.openReport.cutFile);
  is<bigint>(db.seq);
  // @ts-expect-error: read only
  db.seq = 1n;
}

export function core(): void {
  const core = new NedbCore('{"clock": 1000.5}');
  is<string>(core.put("users", "a", "{}", '{"ttl_s": 5}'));
  is<string | null>(core.getAsOf("users", "a", core.seq()));
  is<string[]>(core.query("FROM users"));
  // @ts-expect-error: JSON text, not a value
  core.put("users", "a", {});
  NedbCore.open("data").close();
}

export function errors(error: unknown): ErrorCode | undefined {
  if (!(error instanceof NedbError)) return undefined;
  is<number | undefined>(error.position?.line);
  return error.code;
}

export async function client(): Promise<void> {
  const server = new NedbClient("https://host:7070", { token: "t", timeoutMs: 1000, retryCount: 0 });
  const db = await server.createDatabase("shop", { init: { indexes: [["users", "age", "ordered"]] }, existOk: true });
  const stored = await db.put<User>("users", "alice", { name: "Alice", age: 31 }, { idem: "k", signal: new AbortSignalOf() });
  is<number>(stored._seq);
  is<User[]>(await db.query<User>("FROM users", null, {}));
  is<bigint>(await db.seq);
  for await (const op of db.changes(-1n, { follow: false })) is<Op>(op);
  is<number>(await db.putFile("f", new Uint8Array(3), { tier: "cold", progress: (taken) => is<number>(taken) }));
  is<number>(await db.putFile("f", db.fileStream("f", { version: -1 }), { signal: new AbortSignalOf() }));
  for await (const part of db.fileStream("f")) is<Uint8Array>(part);
  is<number | null | undefined>((await db.fileVersions("f", { asOf: 1n }))[0]?.size);
  is<string>((await db.fileProof("f", 0)).root);
  // @ts-expect-error: a file is bytes
  await db.putFile("f", 5);
  // @ts-expect-error: the seq of a server is asked for
  is<bigint>(db.seq);
  // @ts-expect-error: an option that is not known
  new NedbClient("http://host", { tokn: "t" });
  // @ts-expect-error: a database is made by its client
  new (db.constructor as typeof import("nedb-engine/client").Database)();
  const error: unknown = undefined;
  if (error instanceof ServerError) {
    is<ServerErrorCode>(error.code);
    is<number | undefined>(error.status);
  }
}

declare class AbortSignalOf {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}
