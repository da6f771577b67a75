// Who publishes to Mirror in tests: ffmpeg, mirror-source, and raw bytes, paced by their PCR, for
// what no well-behaved encoder would send.
import { Child } from './process.mjs';
import { binary, sourceEnvironment } from './server.mjs';
import { whenOver } from './cleanup.mjs';

function ending(t, child) {
  whenOver(t, () => child.stop());
  return child;
}

// As the manual says it: ffmpeg reads a file at its own rate and sends it unchanged.
// What an SRT publisher may be late before its packets are given up. Far more than Mirror's default: a
// machine that stands still for a moment makes a feed late then, and tears no hole into it.
const kLatencyMs = 1_000;

export function publishWithFfmpeg(t, server, streamId, file, { input = [], output = [] } = {}) {
  return ending(
    t,
    new Child('ffmpeg', [
      '-hide_banner', '-loglevel', 'warning', '-nostdin', '-re', ...input, '-i', file,
      '-c', 'copy', ...output, '-f', 'mpegts',
      `${server.srtUrl(streamId)}&latency=${kLatencyMs * 1_000}`,  // in microseconds
    ]),
  );
}

export function publishWithSource(t, server, streamId, args = []) {
  const latency = args.includes('--latency') ? [] : ['--latency', String(kLatencyMs)];
  const all = ['--url', server.srtUrl(streamId), ...latency, ...args];
  return ending(t, new Child(binary('mirror-source'), all, { env: sourceEnvironment }));
}

// Sound alone: a publisher whose stream exists and costs next to nothing.
export function publishTone(t, server, streamId) {
  return ending(
    t,
    new Child('ffmpeg', [
      '-hide_banner', '-loglevel', 'warning', '-nostdin', '-re', '-f', 'lavfi', '-i', 'sine',
      '-c:a', 'aac', '-f', 'mpegts', server.srtUrl(streamId),
    ]),
  );
}

// A stream id in the standard form (SRT Access Control), for a URL.
export function accessControl(key, { token, user } = {}) {
  const more = `${user ? `,u=${user}` : ''}${token ? `,s=${token}` : ''}`;
  return encodeURIComponent(`#!::r=${key},m=publish${more}`);
}

const kTsPacket = 188;
const kPayload = 7 * kTsPacket;  // what fits one SRT packet of live mode

// [{at, seconds}]: where in `ts` the first PCR's clock stands where.
function clockOf(ts) {
  const marks = [];
  let pid = null;
  let first = null;
  for (let at = 0; at + kTsPacket <= ts.length; at += kTsPacket) {
    if (ts[at] !== 0x47 || !(ts[at + 3] & 0x20) || ts[at + 4] < 7 || !(ts[at + 5] & 0x10)) continue;
    const packetPid = ts.readUInt16BE(at + 1) & 0x1fff;
    pid ??= packetPid;
    if (packetPid !== pid) continue;
    const base = ts.readUInt32BE(at + 6) * 2 + (ts[at + 10] >> 7);
    first ??= base;
    const ticks = (base - first + 2 ** 33) % 2 ** 33;
    marks.push({ at, seconds: ticks / 90_000 });
  }
  return marks;
}

// Sends `bytes` over SRT at the pace of their PCR, or at `bitsPerSecond`. The bytes go as they are:
// to ffmpeg they are just data. (srt-live-transmit would do, but spins for ever at the end of its
// standard input.) While `silent` is set on what this returns, the connection stands and nothing is sent.
// `endless` begins them again at their end, until the publisher is stopped.
export function publishRaw(t, server, streamId, bytes, { bitsPerSecond, endless = false } = {}) {
  const child = ending(
    t,
    new Child(
      'ffmpeg',
      [
        '-hide_banner', '-loglevel', 'warning', '-y', '-f', 'data',
        '-raw_packet_size', String(kPayload), '-i', 'pipe:0', '-map', '0', '-c', 'copy',
        '-f', 'data', server.srtUrl(streamId, `&payload_size=${kPayload}`),
      ],
      { stdin: 'pipe' },
    ),
  );
  const marks = bitsPerSecond ? [] : clockOf(bytes);
  let began = Date.now();
  let looked = began;
  let sent = 0;
  let mark = 0;
  // How many bytes are due: all before the last PCR whose time has come.
  const due = () => {
    const seconds = (Date.now() - began) / 1000;
    if (bitsPerSecond) return Math.min(bytes.length, (seconds * bitsPerSecond) / 8);
    while (mark < marks.length && marks[mark].seconds <= seconds) ++mark;
    return mark === marks.length ? bytes.length : marks[mark].at;
  };
  const timer = setInterval(() => {
    const now = Date.now();
    if (child.silent) began += now - looked;
    looked = now;
    if (child.silent) return;
    for (const end = due(); end - sent >= kPayload || (end === bytes.length && sent < end); ) {
      child.process.stdin.write(bytes.subarray(sent, Math.min(sent + kPayload, bytes.length)));
      sent = Math.min(sent + kPayload, bytes.length);
    }
    if (sent >= bytes.length && endless) {
      began = now;
      sent = mark = 0;
    } else if (sent >= bytes.length) {
      clearInterval(timer);
      child.process.stdin.end();
    }
  }, 5);
  child.process.stdin.on('error', () => clearInterval(timer));  // it was refused, or killed
  child.ended.then(() => clearInterval(timer));
  return child;
}

// Publishes again and again until a publisher is let in; gives that one and how long it took.
export async function publishUntilAccepted(server, key, publish) {
  const before = await server.get(`/api/v1/streams/${key}`);
  const remoteBefore = before.status === 200 ? JSON.parse(before.body).source.remote : null;
  const began = Date.now();
  for (;;) {
    const child = publish();
    for (;;) {
      const outcome = await Promise.race([
        child.ended,
        new Promise((resolve) => setTimeout(resolve, 50)),
      ]);
      if (outcome) break;
      const { status, body } = await server.get(`/api/v1/streams/${key}`);
      const stream = status === 200 ? JSON.parse(body) : null;
      if (stream && stream.source.remote !== remoteBefore && stream.source.tracks.length > 0) {
        return { child, seconds: (Date.now() - began) / 1000 };
      }
    }
    if (Date.now() - began > 60_000) throw new Error(`${key}: nobody was let in: ${child.stderr}`);
  }
}
