// HTTP/2 by hand: frames as bytes, for what no client library would send. HPACK is written with a
// dynamic table but without Huffman; of answers only the status is read, as the peer is told to keep
// no table.
import { connectTls } from './http1_pipeline.mjs';

export const kFrame = {
  data: 0, headers: 1, priority: 2, reset: 3, settings: 4, ping: 6, goaway: 7, window: 8,
  continuation: 9,
};
const kEndStream = 1;
const kAck = 1;
const kEndHeaders = 4;
const kFrameBytesMax = 16_384;

export function frame(type, flags, stream, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

// RFC 7541, 5.1.
function integer(first, prefixBits, value) {
  const most = 2 ** prefixBits - 1;
  if (value < most) return [first | value];
  const bytes = [first | most];
  let left = value - most;
  for (; left >= 128; left >>= 7) bytes.push(128 | (left & 127));
  return [...bytes, left];
}

const text = (string) => [...integer(0, 7, string.length), ...Buffer.from(string, 'latin1')];

const kStaticSize = 61;
const kTableBytes = 4096;

// Writes field lists, now indexed, now literal, now into the dynamic table (RFC 7541, 6).
export class FieldWriter {
  #table = [];  // newest first
  #bytes = 0;

  write(random, fields) {
    return Buffer.from(fields.flatMap(([name, value]) => this.#field(random, name, value)));
  }

  #field(random, name, value) {
    const known = this.#table.findIndex((entry) => entry[0] === name && entry[1] === value);
    if (known >= 0) return integer(0x80, 7, kStaticSize + 1 + known);
    const named = this.#table.findIndex((entry) => entry[0] === name);
    const index = named >= 0 && random.chance(0.5) ? kStaticSize + 1 + named : 0;
    const keep = random.chance(0.5);
    const literal = [
      ...(keep ? integer(0x40, 6, index) : integer(random.pick([0x00, 0x10]), 4, index)),
      ...(index === 0 ? text(name) : []),
      ...text(value),
    ];
    if (keep) this.#keep(name, value);
    return literal;
  }

  #keep(name, value) {
    const size = ([n, v]) => n.length + v.length + 32;
    this.#table.unshift([name, value]);
    this.#bytes += size([name, value]);
    while (this.#bytes > kTableBytes) this.#bytes -= size(this.#table.pop());
  }
}

const kStaticStatus = { 8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500 };
// RFC 7541, appendix B: the digits' codes.
const kDigitCodes = ['00000', '00001', '00010', '011001', '011010', '011011', '011100', '011101',
  '011110', '011111'];

function huffmanDigits(bytes) {
  let bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  let digits = '';
  for (let found = 0; found >= 0 && digits.length < 3; ) {
    found = kDigitCodes.findIndex((code) => bits.startsWith(code));
    if (found >= 0) digits += found;
    bits = bits.slice(kDigitCodes[found]?.length ?? 0);
  }
  return Number(digits);
}

// The :status that opens a header block.
export function statusOf(block) {
  let at = 0;
  while ((block[at] & 0xe0) === 0x20) ++at;  // table size updates, all below 31
  if (block[at] & 0x80) return kStaticStatus[block[at] & 0x7f];
  const length = block[at + 1] & 0x7f;
  const value = block.subarray(at + 2, at + 2 + length);
  return block[at + 1] & 0x80 ? huffmanDigits(value) : Number(value.toString());
}

// One connection. `onStream(id, {status, body, reset})` when a stream has ended, `goaway` when the
// peer gave up.
export class RawHttp2 {
  #rest = Buffer.alloc(0);
  #streams = new Map();
  #ended = new Set();
  #uncounted = 0;
  goaway = null;

  static async connect(port, onStream) {
    const self = new RawHttp2();
    self.onStream = onStream;
    self.socket = await connectTls(port, 'h2');
    self.ended = new Promise((resolve) => self.socket.on('close', resolve));
    self.socket.on('data', (bytes) => self.#take(bytes));
    const noTable = Buffer.concat([Buffer.from([0, 1]), uint32(0)]);  // SETTINGS_HEADER_TABLE_SIZE
    self.socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    self.socket.write(frame(kFrame.settings, 0, 0, noTable));
    return self;
  }

  // A header block, cut into HEADERS and CONTINUATION frames.
  static headerFrames(id, block, { end, cutAt = kFrameBytesMax }) {
    const pieces = [];
    for (let at = 0; at === 0 || at < block.length; at += cutAt) {
      const type = at === 0 ? kFrame.headers : kFrame.continuation;
      const flags =
        (at === 0 && end ? kEndStream : 0) | (at + cutAt >= block.length ? kEndHeaders : 0);
      pieces.push(frame(type, flags, id, block.subarray(at, at + cutAt)));
    }
    return Buffer.concat(pieces);
  }

  static dataFrame(id, bytes, { end }) {
    return frame(kFrame.data, end ? kEndStream : 0, id, bytes);
  }

  #take(bytes) {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= 9) {
      const size = this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < 9 + size) return;
      const [type, flags] = [this.#rest[3], this.#rest[4]];
      const id = this.#rest.readUInt32BE(5) & 0x7fffffff;
      const payload = this.#rest.subarray(9, 9 + size);
      this.#rest = this.#rest.subarray(9 + size);
      this.#frame(type, flags, id, payload);
    }
  }

  #frame(type, flags, id, payload) {
    if (type === kFrame.settings && !(flags & kAck)) {
      this.socket.write(frame(kFrame.settings, kAck, 0));
    } else if (type === kFrame.goaway) {
      this.goaway = payload.readUInt32BE(4);
    } else if (type === kFrame.headers) {
      this.#stream(id).status = statusOf(payload);
    } else if (type === kFrame.data) {
      this.#stream(id).pieces.push(payload);
      this.#uncounted += payload.length;
      if (this.#uncounted > 16_384) {
        this.socket.write(frame(kFrame.window, 0, 0, uint32(this.#uncounted)));
        this.#uncounted = 0;
      }
    } else if (type === kFrame.reset) {
      this.#end(id, payload.readUInt32BE(0));
    }
    if ((type === kFrame.headers || type === kFrame.data) && flags & kEndStream) {
      this.#end(id, null);
    }
  }

  #stream(id) {
    if (!this.#streams.has(id)) this.#streams.set(id, { status: null, pieces: [] });
    return this.#streams.get(id);
  }

  // A whole answer may be followed by RST_STREAM: NO_ERROR (RFC 9113, 8.1).
  #end(id, reset) {
    if (this.#ended.has(id)) return;
    this.#ended.add(id);
    const { status, pieces } = this.#stream(id);
    this.#streams.delete(id);
    this.onStream(id, { status, body: Buffer.concat(pieces), reset });
  }
}
