// A small LL-HLS origin that can lie: parts of 100 ms with nothing but boxes in them, five to a
// segment, over plain HTTP/1.1 or HTTP/2. What tests of mirror-load need a server to do wrong.
import http from 'node:http';
import http2 from 'node:http2';

import { whenOver } from './cleanup.mjs';

const kPartsPerSegment = 5;
const kPartMs = 100;
const kPartTicks = 9_000;  // of 90 kHz
const kSegmentsListed = 12;
const kSegmentsWithParts = 7;

function box(type, ...bodies) {
  const body = Buffer.concat(bodies);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, body]);
}

function numbers(...values) {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, at) => bytes.writeUInt32BE(value >>> 0, 4 * at));
  return bytes;
}

const full = (type, version, flags, ...values) =>
  box(type, numbers((version << 24) | flags, ...values));

// The bytes of the part whose place on the timeline is `at`, in parts from the start.
function partBytes(at) {
  const tfhd = full('tfhd', 0, 0x20008, 1, kPartTicks / 3);
  const trun = full('trun', 0, 0, 3);
  const traf = box('traf', tfhd, full('tfdt', 0, 0, at * kPartTicks), trun);
  const media = Buffer.alloc(3_000, at & 0xff);
  return Buffer.concat([box('moof', full('mfhd', 0, 0, at + 1), traf), box('mdat', media)]);
}

const init = Buffer.concat([box('ftyp', Buffer.from('iso6')), box('moov')]);
const uriOf = (at) => `${Math.floor(at / kPartsPerSegment)}.${at % kPartsPerSegment}.m4s`;

export class Origin {
  // `lies`: {part(turn, response, origin)} may answer a part itself (true), or give other bytes;
  // {playlist(text, origin)} may change one; {headers} are added to each answer. Turns count parts
  // from the first that anybody asked for, so that lies come once a viewer is there.
  static async start(t, lies = {}, { version = '1.1' } = {}) {
    const origin = new Origin();
    origin.lies = lies;
    origin.published = kPartsPerSegment + 2;
    origin.firstPart = null;
    origin.held = new Set();
    const answer = (request, response) => origin.#answer(request, response);
    origin.server = version === '2' ? http2.createServer(answer) : http.createServer(answer);
    origin.sessions = new Set();
    origin.server.on(version === '2' ? 'session' : 'connection', (session) => {
      origin.sessions.add(session);
      session.on('close', () => origin.sessions.delete(session));
      session.on('error', () => {});
    });
    await new Promise((resolve) => origin.server.listen(0, '127.0.0.1', resolve));
    const timer = setInterval(() => origin.#publish(), kPartMs);
    whenOver(t, () => {
      clearInterval(timer);
      for (const session of origin.sessions) session.destroy();
      origin.server.close();
    });
    return origin;
  }

  // The bytes of the part of this turn.
  partOf(turn) {
    return partBytes(this.firstPart + turn);
  }

  get url() {
    return `http://127.0.0.1:${this.server.address().port}/live/media.m3u8`;
  }

  #publish() {
    ++this.published;
    for (const look of [...this.held]) look();
  }

  playlist() {
    const segments = Math.floor(this.published / kPartsPerSegment);
    const first = Math.max(0, segments - kSegmentsListed);
    const lines = [
      '#EXTM3U', '#EXT-X-VERSION:10', '#EXT-X-TARGETDURATION:1',
      '#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.3',
      '#EXT-X-PART-INF:PART-TARGET=0.1', `#EXT-X-MEDIA-SEQUENCE:${first}`,
      '#EXT-X-MAP:URI="init.mp4"',
    ];
    for (let number = first; number <= segments; ++number) {
      for (let part = 0; part < kPartsPerSegment; ++part) {
        const at = number * kPartsPerSegment + part;
        if (at >= this.published || number + kSegmentsWithParts < segments) break;
        lines.push(`#EXT-X-PART:DURATION=0.1,URI="${uriOf(at)}"`);
      }
      if (number < segments) lines.push('#EXTINF:0.5,', `${number}.m4s`);
    }
    const text = lines.join('\n') + '\n';
    return this.lies.playlist?.(text, this) ?? text;
  }

  #answer(request, response) {
    const { pathname, searchParams } = new URL(request.url, 'http://origin');
    const name = pathname.split('/').pop();
    if (name === 'init.mp4') return this.#send(response, init);
    const part = /^(\d+)\.(\d+)\.m4s$/.exec(name);
    if (part) return this.#part(Number(part[1]) * kPartsPerSegment + Number(part[2]), response);
    const position = ['_HLS_msn', '_HLS_part'].map((key) => Number(searchParams.get(key) ?? -1));
    const wanted = position[0] * kPartsPerSegment + position[1];
    const look = () => {
      if (this.published <= wanted) return;
      this.held.delete(look);
      this.#send(response, Buffer.from(this.playlist()));
    };
    this.held.add(look);
    response.on('close', () => this.held.delete(look));
    look();
  }

  #part(at, response) {
    this.firstPart ??= at;
    const lie = this.lies.part?.(at - this.firstPart, response, this);
    if (lie !== true) this.#send(response, lie ?? partBytes(at));
  }

  #send(response, bytes) {
    response.writeHead(200, { 'content-length': bytes.length, ...this.lies.headers });
    response.end(bytes);
  }
}
