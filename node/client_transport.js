"use strict";
/**
 * How calls are sent: by `fetch` in browsers, by connections of our own in Node.
 *
 * In: calls. Out: the answers' texts or bytes. Rejections are NedbErrors, or the reason of an AbortSignal.
 */

const { Attempts, Failure, ServerError } = require("./client_call.js");
const { target } = require("./client_calls.js");
const { Connections } = require("./client_http.js");
const { NedbError, invalid } = require("./errors.js");
const { parse } = require("./json.js");

/** Codes of errors below `fetch` that say that nothing was sent. */
const NOT_SENT = new Set([
  "ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "EADDRNOTAVAIL", "UND_ERR_CONNECT_TIMEOUT",
]);

/** A server, and how it is spoken to. */
class Transport {
  #root;
  #headers = { accept: "application/json" };
  #timeoutMs;
  #retryCount;
  #fetch;
  #connections;
  #isClosed = false;
  /** How to stop what is under way. */
  #stops = new Set();

  constructor(url, { token, timeoutMs = 60_000, retryCount = 6, fetch: given } = {}) {
    this.#root = rootOf(url);
    if (token !== undefined && token !== null) {
      if (!/^[\x20-\x7e]+$/.test(String(token))) throw invalid("a token is printable ASCII");
      this.#headers.authorization = `Bearer ${token}`;
    }
    this.#timeoutMs = timeoutMs;
    this.#retryCount = retryCount;
    const own = given ? undefined : Connections.of(this.#root.startsWith("https:"));
    this.#connections = own;
    this.#fetch = given ?? own?.fetch.bind(own) ?? ((...request) => globalThis.fetch(...request));
  }

  /** Sends a call, as often as it takes; answers the value of its result. */
  async value(call, signal) {
    const answer = await this.send(call, signal);
    let value;
    try {
      value = parse(answer.text);
    } catch {
      throw new ServerError("what answers is no nedbd: the body is no JSON", "INTERNAL_ERROR", answer.status);
    }
    return call.member === undefined ? value : value[call.member];
  }

  /** Sends a call, as often as it takes; answers `{status, headers, text}`, or with `bytes` instead of text. */
  async send(call, signal) {
    const attempts = new Attempts(call, this.#retryCount);
    for (;;) {
      if (this.#isClosed) throw new NedbError("the client was closed", "DATABASE_CLOSED");
      signal?.throwIfAborted();
      let delayMs;
      try {
        const answer = await this.#once(call, signal);
        delayMs = attempts.answered(answer);
        if (delayMs === undefined) return answer;
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        delayMs = attempts.failed(error);
      }
      await sleep(delayMs, signal);
    }
  }

  /** Ends what is under way, and answers nothing more. */
  close() {
    this.#isClosed = true;
    for (const stop of this.#stops) stop();
    this.#connections?.close();
  }

  /** Sends a call once. */
  async #once(call, signal) {
    const stop = new AbortController();
    let timedOut = false;
    const waited = this.#timeoutMs + (call.extraMs ?? 0);
    const timer = setTimeout(() => {
      timedOut = true;
      stop.abort();
    }, Math.min(waited, 2 ** 31 - 1));
    const abort = () => stop.abort();
    const forget = onAbort(signal, abort);
    this.#stops.add(abort);
    try {
      const response = await this.#fetch(`${this.#root}${target(call)}`, this.#request(call, stop.signal));
      return await answerOf(response, call);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      // What a caller's own stream throws is its own matter.
      if (call.content?.thrown !== undefined) throw call.content.thrown.reason;
      throw failureOf(error, timedOut, waited);
    } finally {
      clearTimeout(timer);
      this.#stops.delete(abort);
      forget();
    }
  }

  #request(call, signal) {
    const { method, members, content } = call;
    // What answers in between, or would be sent along by a browser, is not wanted.
    const request = { method, signal, headers: { ...this.#headers, ...call.headers }, cache: "no-store",
      credentials: "omit", redirect: "manual" };
    if (members !== undefined) {
      request.headers["content-type"] = "application/json";
      request.body = `{${Object.entries(members).map(([name, text]) => `"${name}":${text}`).join(",")}}`;
    } else if (content !== undefined) {
      request.headers["content-type"] = "application/octet-stream";
      request.body = content.body();
      request.duplex = "half";
    }
    return request;
  }
}

/** Reads what came. */
async function answerOf(response, call) {
  const { status, headers } = response;
  const retryAfter = headers.get("retry-after");
  if (call.binary && response.ok) return { status, headers, bytes: new Uint8Array(await response.arrayBuffer()) };
  return { status, headers, retryAfter, text: await response.text() };
}

/** Says what a rejection of `fetch` means. */
function failureOf(error, timedOut, waitedMs) {
  if (error instanceof NedbError) return error;
  const cause = error?.cause ?? error;
  const wasSent = error?.wasSent ?? !NOT_SENT.has(cause?.code);
  if (timedOut) return new Failure(`no answer came in ${waitedMs} ms`, { wasSent, timedOut });
  // What a caller's own fetch throws is its own matter.
  if (!(error instanceof TypeError) && error?.name !== "AbortError" && error?.code === undefined) return error;
  return new Failure(cause.message || String(cause.code ?? error.message), { wasSent });
}

/** Reads where a server is. */
function rootOf(url) {
  let parsed;
  try {
    parsed = new URL(url);
  } catch {
    throw invalid(`a server is http://host:port or https://host:port, not ${String(url)}`);
  }
  if (!["http:", "https:"].includes(parsed.protocol) || parsed.search !== "" || parsed.hash !== "") {
    throw invalid(`a server is http://host:port or https://host:port, not ${String(url)}`);
  }
  if (parsed.username !== "" || parsed.password !== "") {
    throw invalid("a token is an option of its own, not part of the URL, which logs show");
  }
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, "")}`;
}

/** Waits, unless it is aborted. */
function sleep(delayMs, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      forget();
      resolve();
    }, delayMs);
    const forget = onAbort(signal, () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/** What each signal ends: one listener does for all, since Node warns of more than ten. */
const ends = new WeakMap();

/** Calls `end` when a signal is aborted; answers a function that takes it back. */
function onAbort(signal, end) {
  if (signal === undefined || signal === null) return () => {};
  let group = ends.get(signal);
  if (group === undefined) {
    group = { all: new Set(), listener: () => group.all.forEach((one) => one()) };
    ends.set(signal, group);
    signal.addEventListener("abort", group.listener, { once: true });
  }
  group.all.add(end);
  return () => {
    if (!group.all.delete(end) || group.all.size > 0) return;
    signal.removeEventListener("abort", group.listener);
    ends.delete(signal);
  };
}

module.exports = { Transport };
