"use strict";
/**
 * Requests in Node: as much of `fetch` as the client uses, over node:http.
 *
 * In: a URL and what `fetch` takes. Out: what `fetch` answers. Node's own gives up on an answer whose head does not
 * come in 300 seconds, and only a package could tell it otherwise; a large database is not checked or copied sooner.
 *
 * Invariants:
 * * Nothing here bounds how long an answer takes: the caller's signal does.
 * * An error says as `wasSent` whether any of the request may have reached the server.
 * * A body that is not taken to its end is not ended as if it were.
 */

const { builtin } = require("./builtin.js");

/** How long a connection may take to be made. */
const CONNECT_MS = 10_000;
/** How long a connection is kept that nothing is asked on: less than any server keeps it. */
const IDLE_MS = 4_000;
/** How many there may be to one server, which refuses whom it has no place for; what is asked beyond waits here. */
const SOCKET_COUNT_MAX = 64;

/** The connections to one server. */
class Connections {
  #http;
  #stream;
  #agent;

  /** Opens none yet; `isSecure` says that they are TLS. Undefined where this is not Node. */
  static of(isSecure) {
    const http = builtin(isSecure ? "node:https" : "node:http");
    const stream = builtin("node:stream");
    return http === undefined || stream === undefined ? undefined : new Connections(http, stream);
  }

  constructor(http, stream) {
    this.#http = http;
    this.#stream = stream;
    this.#agent = new http.Agent({ keepAlive: true, timeout: IDLE_MS, maxSockets: SOCKET_COUNT_MAX });
  }

  /** Sends a request; answers its head, with the promises of its body. */
  fetch(url, { method, headers, body, signal }) {
    return new Promise((resolve, reject) => {
      const isBlob = typeof body?.stream === "function";
      const length = isBlob ? { "content-length": body.size } : {};
      const request = this.#http.request(url, {
        method, headers: { ...headers, ...length }, agent: this.#agent, signal, autoSelectFamily: true,
      });
      const isConnected = watched(request, url.startsWith("https:"));
      request.once("response", (response) => resolve(answer(request, response)));
      request.on("error", (error) => reject(Object.assign(error, { wasSent: isConnected() })));
      if (body === undefined || typeof body === "string" || body instanceof Uint8Array) return request.end(body);
      const stream = this.#stream.Readable.fromWeb(isBlob ? body.stream() : body);
      // What fails is an error of the request, and so is what ends it.
      return this.#stream.pipeline(stream, request, () => {});
    });
  }

  /** Closes them. */
  close() {
    this.#agent.destroy();
  }
}

/** Ends a request whose connection is not made in time; answers a function that says whether it was made. */
function watched(request, isSecure) {
  let isMade = false;
  request.once("socket", (socket) => {
    isMade = !socket.connecting;
    if (isMade) return;
    const timer = setTimeout(() => {
      request.destroy(Object.assign(new Error(`no connection in ${CONNECT_MS} ms`), { code: "ETIMEDOUT" }));
    }, CONNECT_MS);
    socket.once(isSecure ? "secureConnect" : "connect", () => {
      isMade = true;
      clearTimeout(timer);
    });
    request.once("close", () => clearTimeout(timer));
  });
  return () => isMade;
}

/** Makes what `fetch` answers of a response. */
function answer(request, response) {
  const { statusCode: status, headers } = response;
  const bytes = async () => {
    const pieces = [];
    let size = 0;
    for await (const piece of response) {
      pieces.push(piece);
      size += piece.length;
    }
    // The rest of what a server has answered already is for nobody.
    if (!request.writableFinished) request.destroy();
    const whole = new Uint8Array(size);
    let at = 0;
    for (const piece of pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  };
  return {
    status,
    ok: status >= 200 && status < 300,
    headers: { get: (name) => headers[name.toLowerCase()] ?? null },
    text: async () => new TextDecoder().decode(await bytes()),
    arrayBuffer: async () => (await bytes()).buffer,
  };
}

module.exports = { Connections };
