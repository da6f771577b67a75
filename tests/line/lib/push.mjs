// A viewer with a push session (docs/push-protocol.md): reads frames from whatever brings bytes.
import assert from 'node:assert/strict';
import http from 'node:http';
import http2 from 'node:http2';

import { whenOver } from './cleanup.mjs';
import { eventually } from './process.mjs';

const kTypes = ['', 'hello', 'track', 'init', 'part', 'dropped', 'state', 'error', 'ping'];

// Takes fields off a payload.
class Fields {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  number() {
    const size = 1 << (this.bytes[this.at] >> 6);
    let value = BigInt(this.bytes[this.at] & 0x3f);
    for (let i = 1; i < size; ++i) value = (value << 8n) | BigInt(this.bytes[this.at + i]);
    this.at += size;
    assert.ok(this.at <= this.bytes.length, 'a number ends within its frame');
    return Number(value);
  }
  text() {
    const size = this.number();
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at).toString();
  }
  rest() {
    return this.bytes.subarray(this.at);
  }
}

function decode(type, payload) {
  const fields = new Fields(payload);
  const frame = { type: kTypes[type] ?? type };
  switch (frame.type) {
    case 'hello':
      return { ...frame, version: fields.number(), session: fields.text(), now: fields.number() };
    case 'track':
      Object.assign(frame, {
        track: fields.number(), stream: fields.text(), rendition: fields.text(), epoch: fields.text(),
        codec: fields.text(), timescale: fields.number(), sampleDuration: fields.number(),
        kind: fields.number(),
      });
      if (frame.kind === 1) {
        return { ...frame, width: fields.number(), height: fields.number(), rate: [fields.number(), fields.number()] };
      }
      return { ...frame, sampleRate: fields.number(), channels: fields.number(), language: fields.text() };
    case 'init':
      return { ...frame, track: fields.number(), bytes: fields.rest() };
    case 'part': {
      Object.assign(frame, { track: fields.number(), msn: fields.number(), part: fields.number() });
      const flags = fields.number();
      Object.assign(frame, {
        independent: !!(flags & 1), discontinuity: !!(flags & 2), gap: !!(flags & 4), chunk: !!(flags & 8),
        last: !!(flags & 16), offset: fields.number(), decodeTime: fields.number(), duration: fields.number(),
        captured: fields.number(), ingested: fields.number(), encoded: fields.number(), published: fields.number(),
      });
      return { ...frame, bytes: fields.rest() };
    }
    case 'dropped':
      return {
        ...frame, track: fields.number(), from: [fields.number(), fields.number()],
        to: [fields.number(), fields.number()], parts: fields.number(), reason: fields.number(),
      };
    case 'state':
      return { ...frame, state: fields.number(), stream: fields.text(), rendition: fields.text() };
    case 'error':
      return { ...frame, code: fields.number(), text: fields.text() };
    case 'ping':
      return { ...frame, now: fields.number() };
    default:
      return frame;
  }
}

// Bytes in, frames out; `frames` holds all that came, each with when.
export class FrameLog {
  #waiting = Buffer.alloc(0);
  frames = [];

  take(bytes) {
    this.#waiting = Buffer.concat([this.#waiting, bytes]);
    for (;;) {
      const head = this.#head();
      if (!head || this.#waiting.length < head.at + head.size) return;
      const payload = Buffer.from(this.#waiting.subarray(head.at, head.at + head.size));
      this.#waiting = this.#waiting.subarray(head.at + head.size);
      this.frames.push({ ...decode(head.type, payload), arrived: Date.now() * 1000 });
    }
  }

  #head() {
    const fields = new Fields(this.#waiting);
    const numbers = [];
    for (let i = 0; i < 2; ++i) {
      if (fields.at >= this.#waiting.length) return null;
      if (fields.at + (1 << (this.#waiting[fields.at] >> 6)) > this.#waiting.length) return null;
      numbers.push(fields.number());
    }
    return { type: numbers[0], size: numbers[1], at: fields.at };
  }

  of(type, predicate = () => true) {
    return this.frames.filter((frame) => frame.type === type && predicate(frame));
  }
  get hello() {
    return this.of('hello')[0];
  }
  tracksOf(stream, rendition) {
    return this.of('track', (track) => track.stream === stream && track.rendition === rendition)
      .map(({ track }) => track);
  }
  partsOf(stream, rendition) {
    const tracks = this.tracksOf(stream, rendition);
    return this.of('part', ({ track }) => tracks.includes(track));
  }
  until(why, predicate, seconds = 20) {
    return eventually(`push: ${why}`, async () => predicate(this), { seconds, everyMs: 20 });
  }
}

// A session over HTTP/1.1, plain. `pause()` and `resume()` make a slow reader of it.
export function pushOverHttp1(t, server, query) {
  const log = new FrameLog();
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port: server.httpPort, path: `/push?${query}`, agent: false }, (response) => {
      response.on('data', (bytes) => log.take(bytes));
      response.on('error', () => {});
      response.on('end', () => { log.ended = true; });
      log.response = response;
      log.close = () => request.destroy();
      resolve(log);
    });
    whenOver(t, () => request.destroy());
    request.on('error', reject);
  });
}

// A session over HTTP/2 and TLS.
export function pushOverHttp2(t, server, query) {
  const log = new FrameLog();
  const session = http2.connect(`https://127.0.0.1:${server.httpsPort}`, { rejectUnauthorized: false });
  session.on('error', () => {});
  whenOver(t, () => session.destroy());
  const request = session.request({ ':path': `/push?${query}` });
  request.on('data', (bytes) => log.take(bytes));
  request.on('error', () => {});
  log.close = () => session.destroy();
  return new Promise((resolve, reject) => {
    request.on('response', (headers) => {
      log.headers = headers;
      resolve(log);
    });
    session.on('error', reject);
  });
}

// POSTs JSON lines to a session, on a connection of its own.
export function control(server, session, messages, { raw } = {}) {
  const body = raw ?? messages.map((message) => JSON.stringify(message)).join('\n');
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host: '127.0.0.1', port: server.httpPort, path: `/push/${session}`, method: 'POST', agent: false,
        headers: { 'content-length': Buffer.byteLength(body) } },
      (response) => {
        const pieces = [];
        response.on('data', (piece) => pieces.push(piece));
        response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(pieces).toString() }));
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}
