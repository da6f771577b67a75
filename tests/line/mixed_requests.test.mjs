// 10,000 random requests, right and wrong ones, on one connection of each protocol: every answer is
// the one to its request. MIRROR_TEST_SEED repeats a run.
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { once } from 'node:events';
import { test } from 'node:test';

import { AnswerReader, connectTls, writeRequest } from './lib/http1_pipeline.mjs';
import { FieldWriter, RawHttp2 } from './lib/http2_frames.mjs';
import { Random, RequestMix, same } from './lib/request_mix.mjs';
import { eventually, nextPosition, publishWithSource, Server, stepsOf, Viewer } from './lib.mjs';

const kRequests = 10_000;
const kFatalConnections = 200;
const kRawRequests = 1_500;
const kSeed = Number(process.env.MIRROR_TEST_SEED ?? 20261122);

// A stream whose publisher has gone for a while: everything stays as it is.
async function startStream(t) {
  const server = await Server.start(t, {
    MIRROR_HLS_WINDOW_SECONDS: '6', MIRROR_HLS_RECONNECT_HOLD_SECONDS: '600',
  });
  const source = publishWithSource(t, server, 'cam', ['--size', '320x180', '--bitrate', '300k']);
  await server.untilLive('cam');
  const viewer = new Viewer(t, server, 'cam');
  await viewer.record('v360', (recording) => recording.seconds >= 2);
  await source.stop('SIGTERM');
  await server.untilStream('cam', 'has lost its publisher', (stream) => stream.state !== 'live');
  return { server, viewer };
}

async function resourcesOf({ server, viewer }) {
  const playlist = await viewer.playlist('v360');
  const base = '/live/cam/v360';
  const media = playlist.segments
    .flatMap((segment) => [segment, ...segment.parts])
    .map(({ uri }) => uri)
    .filter((uri) => uri);
  const { msn } = nextPosition(playlist);
  const { body } = await server.get('/');
  const assets = [...body.toString().matchAll(/(?:src|href)="([^":#]+)"/g)].map(([, path]) =>
    path.startsWith('/') ? path : `/${path}`,
  );
  return {
    targets: [
      '/', ...new Set(assets), '/healthz', '/readyz', '/live/../%68ealthz', '/live/cam/index.m3u8',
      `${base}/media.m3u8`, `${base}/media.m3u8?_HLS_msn=0`, '/live/cam/audio/media.m3u8',
      `${base}/media.m3u8?_HLS_msn=${playlist.mediaSequence}&_HLS_part=0`,
      ...[playlist.map, ...media].map((uri) => `${base}/${uri}`),
    ],
    refused: [
      ['/nothing', 404], ['/live/', 404], ['/live/none/index.m3u8', 404],
      ['/live/cam/none/media.m3u8', 404], [`${base}/none/1.m4s`, 404],
      ['/api/v1/streams/none', 404],
      [`${base}/media.m3u8?_HLS_part=0`, 400], [`${base}/media.m3u8?_HLS_msn=x`, 400],
      [`${base}/media.m3u8?_HLS_msn=${msn + 1000}`, 400],
    ],
  };
}

function judge(request, answer) {
  try {
    request.check(answer);
  } catch (error) {
    const { check, ...asked } = request;
    error.message += `\nasked: ${JSON.stringify(asked)}\ngot: ${answer.status} ` +
      `${JSON.stringify(answer.headers)}\nseed: ${kSeed}`;
    throw error;
  }
}

// Writes requests as they come to mind, up to `depthMax` ahead of the answers, in pieces of any
// size.
async function pipeline(port, random, { count, depthMax, make }) {
  const socket = await connectTls(port, 'http/1.1');
  const asked = [];
  let answered = 0;
  let sent = 0;
  let depth = 1;
  await new Promise((resolve, reject) => {
    const fill = () => {
      const pieces = [];
      for (; sent < count && asked.length < depth; ++sent) {
        asked.push(make(random));
        pieces.push(writeRequest(random, asked.at(-1)));
      }
      for (let bytes = Buffer.concat(pieces); bytes.length > 0; ) {
        const size = random.chance(0.7) ? bytes.length : random.between(1, bytes.length);
        socket.write(bytes.subarray(0, size));
        bytes = bytes.subarray(size);
      }
    };
    const reader = new AnswerReader(
      () => asked[0]?.method === 'HEAD',
      (answer) => {
        judge(asked.shift(), answer);
        ++answered;
        assert.equal(answer.headers.connection ?? 'keep-alive', 'keep-alive');
        if (asked.length === 0) depth = random.between(1, depthMax);
      },
    );
    socket.on('data', (bytes) => {
      try {
        reader.push(bytes);
        if (answered === count) resolve();
        else fill();
      } catch (error) {
        reject(error);
      }
    });
    socket.on('close', () => reject(new Error(`closed after ${answered} answers, seed ${kSeed}`)));
    fill();
  });
  socket.destroy();
}

// What ends an HTTP/1.1 connection, and the status with which it does.
const kFatal = [
  ['GET / HTTP/1.1\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
  ['GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n', 400],
  ['GET /\u0001 HTTP/1.1\r\nHost: h\r\n\r\n', 400],
  ['GET / HTTP/1.1\nHost: h\n\n', 400],
  ['GET / HTTP/2.0\r\nHost: h\r\n\r\n', 505],
  ['BREW / HTTP/1.1\r\nHost: h\r\n\r\n', 501],
  ['GET  / HTTP/1.1\r\nHost: h\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost : h\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n', 400],
  ['POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
  ['POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\n', 400],
  ['POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n', 413],
  ['POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n', 501],
  ['POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n', 400],
  ['POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: h\r\nExpect: wonders\r\n\r\n', 417],
  [`GET /${'a'.repeat(9000)} HTTP/1.1\r\nHost: h\r\n\r\n`, 414],
  [`GET / HTTP/1.1\r\nHost: h\r\nX: ${'a'.repeat(17_000)}\r\n\r\n`, 431],
  ['\u0016\u0003\u0001', 400],
];

// Good requests, then a fatal one, in one write: the answers to all, and the end.
async function fatalConnection(port, random, mix) {
  const asked = Array.from({ length: random.between(0, 5) }, () => mix.make(random));
  const [bytes, status] = random.pick(kFatal);
  const fatal = { method: '', check: (answer) => assert.equal(answer.status, status, bytes) };
  const written = asked.map((request) => writeRequest(random, request));
  const socket = await connectTls(port, 'http/1.1');
  const left = [...asked, fatal];
  const reader = new AnswerReader(
    () => left[0].method === 'HEAD',
    (answer) => judge(left.shift(), answer),
  );
  const over = new Promise((resolve, reject) => {
    socket.on('data', (data) => {
      try {
        reader.push(data);
      } catch (error) {
        reject(error);
      }
    });
    socket.on('close', resolve);
  });
  socket.write(Buffer.concat([...written, Buffer.from(bytes, 'latin1')]));
  await over;
  assert.equal(left.length, 0, `no answer to ${left[0]?.target ?? bytes}, seed ${kSeed}`);
  assert.ok(reader.idle);
}

function http2Request(session, { method, target, headers, body }) {
  const all = { ':method': method, ':path': target, ...headers };
  const stream = session.request(all, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  return stream;
}

async function http2Answer(stream) {
  const pieces = [];
  let head = null;
  stream.on('response', (headers) => (head = headers));
  stream.on('data', (piece) => pieces.push(piece));
  await once(stream, 'close');
  assert.equal(stream.rstCode, http2.constants.NGHTTP2_NO_ERROR);
  const { ':status': status, ...rest } = head;
  const headers = Object.fromEntries(Object.entries(rest));  // without node's symbol
  return { status, headers, body: Buffer.concat(pieces) };
}

// As many streams at once as the server allows. A few are cancelled on the way.
async function streams(port, random, { count, make }) {
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  await once(session, 'remoteSettings');
  const most = session.remoteSettings.maxConcurrentStreams;
  let left = count;
  const worker = async () => {
    while (left > 0) {
      --left;
      const request = make(random);
      const stream = http2Request(session, request);
      if (random.chance(0.02)) {
        stream.on('error', () => {});
        stream.close(http2.constants.NGHTTP2_CANCEL);
        await once(stream, 'close');
      } else {
        judge(request, await http2Answer(stream));
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(most, 50) }, worker));
  assert.equal(session.closed, false);
  session.close();
  await once(session, 'close');
}

const kProtocolError = 1;
const get = (path, method = 'GET') => [
  [':method', method], [':scheme', 'https'], [':authority', 'h'], [':path', path],
];

// Malformed requests (RFC 9113, 8.1.1), which cost their stream, and refused ones.
const kBroken = [
  { fields: [...get('/'), ['X-Upper', 'a']], reset: kProtocolError },
  { fields: [...get('/'), ['connection', 'close']], reset: kProtocolError },
  { fields: [...get('/'), ['te', 'gzip']], reset: kProtocolError },
  { fields: get('/').slice(0, 3), reset: kProtocolError },
  { fields: [...get('/'), [':method', 'GET']], reset: kProtocolError },
  { fields: [...get('/'), [':nothing', 'a']], reset: kProtocolError },
  { fields: [['x-a', 'b'], ...get('/')], reset: kProtocolError },
  { fields: [...get('/'), ['content-length', '5']], reset: kProtocolError },
  { fields: [...get('/'), ['content-length', '5']], data: 'abc', reset: kProtocolError },
  { fields: get('/%zz'), status: 400 },
  { fields: get('/a#b'), status: 400 },
  { fields: get('/', 'BREW'), status: 501 },
  { fields: get(`/${'a'.repeat(9000)}`), status: 414 },
  { fields: [...get('/'), ['x-a', 'b'.repeat(17_000)]], status: 431 },
  { fields: get('/', 'POST'), data: 'b'.repeat(16_000), times: 5, status: 413 },
];

function brokenStream(random, writer, id, { fields, data, times = 1 }) {
  const block = writer.write(random, fields);
  const cutAt = random.chance(0.3) ? Math.max(9, Math.ceil(block.length / 4)) : undefined;
  const end = data === undefined;
  const frames = [RawHttp2.headerFrames(id, block, { end, cutAt })];
  for (let i = 0; data !== undefined && i < times; ++i) {
    frames.push(RawHttp2.dataFrame(id, Buffer.from(data), { end: i + 1 === times }));
  }
  return Buffer.concat(frames);
}

// Streams good and broken, side by side on one connection that must outlive them.
async function rawStreams(port, random, { count, mix, targets }) {
  const open = new Map();
  let over = 0;
  let settle;
  const done = new Promise((resolve, reject) => (settle = { resolve, reject }));
  const writer = new FieldWriter();
  const connection = await RawHttp2.connect(port, (id, answer) => {
    try {
      open.get(id)(answer);
      open.delete(id);
      if (++over === count) settle.resolve();
      fill();
    } catch (error) {
      error.message += `\nstream ${id}, seed ${kSeed}`;
      settle.reject(error);
    }
  });
  connection.socket.on('close', () => settle.reject(new Error(`GOAWAY ${connection.goaway}`)));
  let next = 1;
  function fill() {
    const frames = [];
    for (; next < 2 * count && open.size < 50; next += 2) {
      if (random.chance(0.2)) {
        const broken = random.pick(kBroken);
        const outcome = [broken.status ?? null, broken.reset ?? null];
        open.set(next, ({ status, reset }) =>
          assert.deepEqual([status, reset], outcome, broken.fields.join()),
        );
        frames.push(brokenStream(random, writer, next, broken));
      } else {
        const target = random.pick(targets);
        open.set(next, ({ status, reset, body }) =>
          assert.deepEqual([status, reset, body], [200, null, mix.known(target).body], target),
        );
        const block = writer.write(random, get(target));
        frames.push(RawHttp2.headerFrames(next, block, { end: true }));
      }
    }
    if (frames.length > 0) connection.socket.write(Buffer.concat(frames));
  }
  fill();
  await done;
  assert.equal(connection.goaway, null);
  connection.socket.destroy();
}

test('random requests on one connection', { timeout: 240_000 }, async (t) => {
  const stream = await startStream(t);
  const { server } = stream;
  const step = stepsOf(t, server);
  const resources = await resourcesOf(stream);
  const ask = (target, headers) => server.get(target, { headers });
  const mix = await RequestMix.learn(ask, resources);
  const port = server.httpsPort;
  const make = (random) => mix.make(random);

  await step('HTTP/1.1, one after another', () =>
    pipeline(port, new Random(kSeed), { count: kRequests / 2, depthMax: 1, make }));
  await step('HTTP/1.1, pipelined', () =>
    pipeline(port, new Random(kSeed + 1), { count: kRequests / 2, depthMax: 30, make }));
  await step('HTTP/1.1, what ends the connection', async () => {
    const random = new Random(kSeed + 2);
    for (let i = 0; i < kFatalConnections; ++i) await fatalConnection(port, random, mix);
  });
  await step('HTTP/2, many streams', () =>
    streams(port, new Random(kSeed + 3), { count: kRequests, make }));
  await step('HTTP/2, broken streams beside good ones', () => {
    const small = resources.targets.filter((target) => mix.known(target).body.length < 30_000);
    return rawStreams(port, new Random(kSeed + 4), { count: kRawRequests, mix, targets: small });
  });
  await step('nothing is left', async () => {
    for (const target of resources.targets) same(await ask(target), mix.known(target));
    stream.viewer.agent.destroy();
    await eventually('all connections but the one that asks are gone', async () =>
      (await server.metric('mirror_http_connections')) === 1);
  });
});
