// Runs in the page: a viewer of docs/push-protocol.md, small enough to be read beside it. Over WebTransport or
// one streamed response it collects what is pushed, until each of two tracks had `parts`, or for `seconds`:
// {tracks: {number: {rendition, epoch, parts: [{msn, part, sha256, delayMs}]}}}.
export async function collectPush({ carrier, hash, url, parts, seconds }) {
  const kTrack = 2;
  const kPart = 4;
  const tracks = {};
  const early = [];  // a part may arrive before the TRACK that names it

  // Each of two tracks had `parts` of them, or it took too long.
  let finish;
  const over = new Promise((resolve) => { finish = resolve; });
  setTimeout(finish, seconds * 1000);
  const finishIfEnough = () => {
    const numbers = Object.keys(tracks).map(Number);
    const had = (number) => early.filter(({ track }) => track === number).length;
    if (numbers.length === 2 && numbers.every((number) => had(number) >= parts)) finish();
  };

  const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const now = () => performance.timeOrigin + performance.now();

  class Fields {
    constructor(bytes) {
      this.bytes = bytes;
      this.at = 0;
    }

    // Variable-length integers of RFC 9000, 16; none of these is above 2^53.
    number() {
      const first = this.bytes[this.at];
      const size = 1 << (first >> 6);
      if (this.at + size > this.bytes.length) throw new RangeError('short');
      let value = first & 0x3f;
      for (let i = 1; i < size; ++i) value = value * 256 + this.bytes[this.at + i];
      this.at += size;
      return value;
    }

    text() {
      const size = this.number();
      this.at += size;
      return new TextDecoder().decode(this.bytes.subarray(this.at - size, this.at));
    }
  }

  async function take(type, payload, arrived) {
    const fields = new Fields(payload);
    if (type === kTrack) {
      const number = fields.number();
      fields.text();
      tracks[number] = { rendition: fields.text(), epoch: fields.text(), parts: [] };
      return;
    }
    if (type !== kPart) return;
    const track = fields.number();
    const msn = fields.number();
    const part = fields.number();
    for (let skipped = 0; skipped < 7; ++skipped) fields.number();  // flags to encoded
    const published = fields.number() / 1000;
    const digest = await crypto.subtle.digest('SHA-256', payload.subarray(fields.at));
    early.push({ track, msn, part, delayMs: arrived - published, sha256: hex(new Uint8Array(digest)) });
  }

  // Each whole frame of a stream of bytes goes to take().
  async function readFrames(stream) {
    let rest = new Uint8Array();
    const reader = stream.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const arrived = now();
      const joined = new Uint8Array(rest.length + value.length);
      joined.set(rest);
      joined.set(value, rest.length);
      rest = joined;
      while (rest.length > 0) {
        const fields = new Fields(rest);
        let type;
        let size;
        try {
          type = fields.number();
          size = fields.number();
        } catch {
          break;
        }
        if (fields.at + size > rest.length) break;
        await take(type, rest.slice(fields.at, fields.at + size), arrived);
        finishIfEnough();
        rest = rest.subarray(fields.at + size);
      }
    }
  }

  try {
    if (carrier === 'webtransport') {
      const session = new WebTransport(url, { serverCertificateHashes: [{ algorithm: 'sha-256', value: new Uint8Array(hash) }] });
      await session.ready;
      const streams = session.incomingUnidirectionalStreams.getReader();
      (async () => {
        for (;;) {
          const { value, done } = await streams.read();
          if (done) return;
          readFrames(value).catch(() => {});
        }
      })().catch(() => {});
      await over;
      session.close();
    } else {
      const stop = new AbortController();
      const response = await fetch(url, { signal: stop.signal });
      readFrames(response.body).catch(() => {});
      await over;
      stop.abort();
    }
  } catch (error) {
    return { error: `${error}`, tracks };
  }
  for (const { track, ...part } of early) tracks[track]?.parts.push(part);
  for (const track of Object.values(tracks)) track.parts.sort((a, b) => a.msn - b.msn || a.part - b.part);
  return { tracks };
}
