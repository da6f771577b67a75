// A stand-in for Mirror, to work on the page without it: LL-HLS of a test picture over HTTPS and h2.
//
//   node fake-server.mjs [--port 9443] [--streams 4] [--dist ../../web/dist]
//
// Nothing here is a judge of Mirror: live.test.mjs runs the real server. It listens on loopback.
// cam1 has sound; "gone", "ended" and "broken" (with --states) show the other states of a tile.
import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import http2 from 'node:http2';
import { tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '9443' },
    streams: { type: 'string', default: '4' },
    states: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '300' },
    dist: { type: 'string', default: join(here, '../../web/dist') },
  },
});

const work = mkdtempSync(join(tmpdir(), 'mirror-fake-'));
const kPart = 0.1;
const kPartsPerSegment = 5;
const kWindowSegments = 12;
const kDelayMs = 230;  // capture to packaged, as measured of a real pipeline

// One file per rendition, one moof+mdat per part.
function make(name, input, encode) {
  const path = join(work, `${name}.mp4`);
  execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', input, '-t', options.seconds, ...encode,
    '-movflags', '+cmaf+empty_moov+default_base_moof', '-frag_duration', '100000', path]);
  const bytes = readFileSync(path);
  const boxes = [];
  for (let at = 0; at < bytes.length; at += bytes.readUInt32BE(at)) {
    boxes.push({ type: bytes.toString('latin1', at + 4, at + 8), at, size: bytes.readUInt32BE(at) });
  }
  const parts = [];
  boxes.forEach((box, i) => {
    if (box.type === 'moof') parts.push(bytes.subarray(box.at, boxes[i + 1].at + boxes[i + 1].size));
  });
  const moov = boxes.find((box) => box.type === 'moov');
  return { init: bytes.subarray(0, moov.at + moov.size), parts };
}

console.log('fake: encoding …');
const video = make('v360', 'testsrc2=size=640x360:rate=30', ['-c:v', 'libx264', '-preset', 'ultrafast',
  '-tune', 'zerolatency', '-profile:v', 'baseline', '-pix_fmt', 'yuv420p', '-g', '15', '-keyint_min', '15',
  '-sc_threshold', '0', '-b:v', '400k', '-maxrate', '400k', '-bufsize', '200k']);
// 44.1 kHz does not divide 100 ms; the fake's audio is muxed as parts of about 100 ms all the same.
const audio = make('audio', 'sine=frequency=440:sample_rate=48000', ['-c:a', 'aac', '-b:a', '64k']);
const audioPart = 1024 * 5 / 48000;

const epoch = Date.now();
const elapsed = () => (Date.now() - epoch - kDelayMs) / 1000 + 10;  // ten seconds of history
const rendition = (name) => name === 'audio'
  ? { ...audio, part: audioPart } : { ...video, part: kPart };
const ready = (r) => Math.min(r.parts.length, Math.floor(elapsed() / r.part));

function playlist(name) {
  const r = rendition(name);
  const count = ready(r);
  const segments = Math.floor(count / kPartsPerSegment);
  const first = Math.max(0, segments - kWindowSegments);
  const lines = ['#EXTM3U', '#EXT-X-VERSION:9', '#EXT-X-TARGETDURATION:1',
    `#EXT-X-PART-INF:PART-TARGET=${r.part.toFixed(5)}`,
    `#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=${(3 * r.part).toFixed(5)}`,
    `#EXT-X-MEDIA-SEQUENCE:${first}`, '#EXT-X-MAP:URI="1/init.mp4"'];
  for (let s = first; s <= segments; ++s) {
    const date = new Date(epoch - 10_000 + s * kPartsPerSegment * r.part * 1000);
    const parts = Math.min(kPartsPerSegment, count - s * kPartsPerSegment);
    lines.push(`#EXT-X-PROGRAM-DATE-TIME:${date.toISOString()}`);
    if (s >= segments - 4) {
      for (let p = 0; p < parts; ++p) {
        const independent = name === 'audio' || p === 0 ? ',INDEPENDENT=YES' : '';
        lines.push(`#EXT-X-PART:DURATION=${r.part.toFixed(5)},URI="1/${s}.${p}.m4s"${independent}`);
      }
    }
    if (parts === kPartsPerSegment) lines.push(`#EXTINF:${(kPartsPerSegment * r.part).toFixed(5)},`, `1/${s}.m4s`);
    else lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="1/${s}.${parts}.m4s"`);
  }
  return `${lines.join('\n')}\n`;
}

const kTypes = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const reply = (stream, status, type, body) => {
  if (stream.destroyed) return;
  stream.respond({ ':status': status, 'content-type': type, 'cache-control': 'no-store' });
  stream.end(body);
};
const whenReady = (r, index, then) => {
  const wait = ((index + 1) * r.part - elapsed()) * 1000;
  setTimeout(then, Math.max(0, wait) + 2);
};

function streams() {
  const one = (key, state, extra = {}) => ({
    key, state, since: new Date(epoch).toISOString(), error: null,
    source: { protocol: 'srt', remote: '127.0.0.1:40000', bitrate_bps: 8.1e6,
      tracks: [{ id: 256, codec: 'HEVC', language: '' }, { id: 257, codec: 'AAC', language: 'eng' }] },
    renditions: [{ name: 'v360', width: 640, height: 360, frame_rate: 30 },
      ...(key === 'cam1' ? [{ name: 'audio' }] : [])],
    playlist: `/live/${key}/index.m3u8`, epoch: '1', latency_ms: kDelayMs, ...extra,
  });
  const list = Array.from({ length: Number(options.streams) }, (_, i) => one(`cam${i + 1}`, 'live'));
  if (options.states) {
    list.push(one('gate-north', 'reconnecting'), one('press-room', 'ended'), one('roof', 'connecting'),
      one('van-2', 'failed', { error: 'The video codec VP9 is not supported; send HEVC or H.264' }));
  }
  return { now: new Date().toISOString(), streams: list };
}

const key = join(work, 'key.pem');
const cert = join(work, 'cert.pem');
execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
  '-subj', '/CN=localhost', '-days', '2', '-keyout', key, '-out', cert], { stdio: 'ignore' });

const server = http2.createSecureServer({ key: readFileSync(key), cert: readFileSync(cert) });
server.on('stream', (stream, headers) => {
  stream.on('error', () => undefined);
  const url = new URL(headers[':path'], 'https://localhost');
  if (url.pathname === '/api/v1/streams') return reply(stream, 200, 'application/json', JSON.stringify(streams()));
  const media = /^\/live\/[^/]+\/(v360|audio)\/media\.m3u8$/.exec(url.pathname);
  const index = /^\/live\/([^/]+)\/index\.m3u8$/.exec(url.pathname);
  const bytes = /^\/live\/[^/]+\/(v360|audio)\/1\/(?:(\d+)(?:\.(\d+))?\.m4s|init\.mp4)$/.exec(url.pathname);
  if (index) {
    const sound = index[1] === 'cam1';
    return reply(stream, 200, 'application/vnd.apple.mpegurl', `#EXTM3U\n${sound
      ? '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="main",DEFAULT=YES,AUTOSELECT=YES,URI="audio/media.m3u8"\n' : ''}`
      + `#EXT-X-STREAM-INF:BANDWIDTH=600000,RESOLUTION=640x360,FRAME-RATE=30.000,CODECS="avc1.42c01e${sound ? ',mp4a.40.2' : ''}"`
      + `${sound ? ',AUDIO="a"' : ''}\nv360/media.m3u8\n`);
  }
  if (media) {
    const r = rendition(media[1]);
    const msn = url.searchParams.get('_HLS_msn');
    const part = url.searchParams.get('_HLS_part');
    const want = msn === null ? -1
      : Number(msn) * kPartsPerSegment + (part === null ? kPartsPerSegment - 1 : Number(part));
    return whenReady(r, want, () =>
      reply(stream, 200, 'application/vnd.apple.mpegurl', playlist(media[1])));
  }
  if (bytes) {
    const r = rendition(bytes[1]);
    if (bytes[2] === undefined) return reply(stream, 200, 'video/mp4', r.init);
    const from = Number(bytes[2]) * kPartsPerSegment + Number(bytes[3] ?? 0);
    const to = bytes[3] === undefined ? from + kPartsPerSegment : from + 1;
    if (to > r.parts.length) return reply(stream, 404, 'text/plain', 'over\n');
    return whenReady(r, to - 1, () =>
      reply(stream, 200, 'video/mp4', Buffer.concat(r.parts.slice(from, to))));
  }
  const path = join(options.dist, url.pathname === '/' ? 'index.html' : url.pathname.replaceAll('..', ''));
  if (!existsSync(path) || !statSync(path).isFile()) return reply(stream, 404, 'text/plain', 'not found\n');
  stream.respond({ ':status': 200, 'content-type': kTypes[extname(path)] ?? 'application/octet-stream' });
  createReadStream(path).pipe(stream);
});
server.listen(Number(options.port), '127.0.0.1', () => console.log(`fake: https://127.0.0.1:${options.port}/`));
