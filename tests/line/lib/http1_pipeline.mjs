// HTTP/1.1 by hand: requests as bytes, and the answers to many of them out of one stream. Node's own
// client neither pipelines nor sends what is odd.
import tls from 'node:tls';

export function connectTls(port, alpn) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect(
      { host: '127.0.0.1', port, ALPNProtocols: [alpn], rejectUnauthorized: false },
      () => resolve(socket),
    );
    socket.on('error', reject);
    socket.setNoDelay(true);
  });
}

const kHeadBytesMax = 64 * 1024;

// Cuts answers out of bytes (RFC 9112, 6.3). `toHead()` says whether the next one answers HEAD.
export class AnswerReader {
  #rest = Buffer.alloc(0);
  #head = null;

  constructor(toHead, onAnswer) {
    this.toHead = toHead;
    this.onAnswer = onAnswer;
  }

  get idle() {
    return this.#rest.length === 0 && this.#head === null;
  }

  push(bytes) {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (this.#step());
  }

  #step() {
    this.#head ??= this.#takeHead();
    if (this.#head === null) return false;
    const { status } = this.#head;
    const bodiless = status < 200 || status === 204 || status === 304 || this.toHead();
    const length = bodiless ? 0 : Number(this.#head.headers['content-length']);
    if (!Number.isInteger(length)) throw new Error(`no length: ${JSON.stringify(this.#head)}`);
    if (this.#rest.length < length) return false;
    const answer = { ...this.#head, body: this.#rest.subarray(0, length) };
    this.#rest = this.#rest.subarray(length);
    this.#head = null;
    if (status >= 200) this.onAnswer(answer);  // 100 (Continue) is no answer
    return this.#rest.length > 0;
  }

  #takeHead() {
    const end = this.#rest.indexOf('\r\n\r\n');
    if (end < 0) {
      if (this.#rest.length > kHeadBytesMax) throw new Error('a head without an end');
      return null;
    }
    const [first, ...lines] = this.#rest.subarray(0, end).toString('latin1').split('\r\n');
    this.#rest = this.#rest.subarray(end + 4);
    const match = /^HTTP\/1\.1 (\d{3}) [ -~]*$/.exec(first);
    if (!match) throw new Error(`no status line: ${JSON.stringify(first)}`);
    const headers = {};
    for (const line of lines) {
      const field = /^([!-9;-~]+): ([\t -~]*)$/.exec(line);
      if (!field) throw new Error(`no field line: ${JSON.stringify(line)}`);
      const name = field[1].toLowerCase();
      headers[name] = name in headers ? `${headers[name]}, ${field[2]}` : field[2];
    }
    return { status: Number(match[1]), headers };
  }
}

function randomCase(random, name) {
  return [...name].map((c) => (random.chance(0.2) ? c.toUpperCase() : c)).join('');
}

function chunked(random, body) {
  const pieces = [];
  for (let at = 0; at < body.length; ) {
    const size = random.between(1, body.length - at);
    const extension = random.chance(0.2) ? ';note="x"' : '';
    pieces.push(`${size.toString(16)}${extension}\r\n${body.slice(at, at + size)}\r\n`);
    at += size;
  }
  const trailer = random.chance(0.3) ? 'x-trailer: y\r\n' : '';
  return `${pieces.join('')}0\r\n${trailer}\r\n`;
}

// `request` {method, target, headers, body} as one of the many ways to write it.
export function writeRequest(random, { method, target, headers, body }) {
  const old = body === undefined && random.chance(0.05);
  const absolute = random.chance(0.05);
  const lines = [
    `${method} ${absolute ? 'http://127.0.0.1' : ''}${target} HTTP/1.${old ? 0 : 1}`,
    `${randomCase(random, 'host')}: 127.0.0.1`,
  ];
  if (old) lines.push('Connection: keep-alive');
  for (const [name, value] of Object.entries(headers)) {
    const space = random.pick(['', ' ', ' ', ' ', '\t', '  ']);
    lines.push(`${randomCase(random, name)}:${space}${value}${random.pick(['', '', ' '])}`);
  }
  let payload = '';
  if (body !== undefined && random.chance(0.5)) {
    lines.push('transfer-encoding: chunked');
    payload = chunked(random, body);
  } else if (body !== undefined) {
    lines.push(`content-length: ${body.length}`);
    payload = body;
  }
  if (body && random.chance(0.2)) lines.push('expect: 100-continue');
  const blank = random.chance(0.02) ? '\r\n' : '';  // RFC 9112, 2.2
  return Buffer.from(`${blank}${lines.join('\r\n')}\r\n\r\n${payload}`, 'latin1');
}
