// What bad input gets: a clear word, and nobody else is disturbed.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';

import {
  eventually, mpeg2Card, publishRaw, publishWithFfmpeg, publishWithSource, run, Server,
  stepsOf, telling, testCard, Viewer,
} from './lib.mjs';

test('bad publishers are told so, and a good one goes on', { timeout: 180_000 }, async (t) => {
  const card = await testCard({ seconds: 40, args: ['--bitrate', '500k'] });
  const mpeg2 = await mpeg2Card(10);
  const server = await Server.start(t, { MIRROR_PUBLISH_POLICY: 'reject', MIRROR_PUBLISH_SILENCE_MS: '30000' });
  publishWithFfmpeg(t, server, 'good', card);
  await server.untilLive('good');
  const viewer = new Viewer(t, server, 'good');
  const step = stepsOf(t, server);
  const isRefused = async (url) => {
    const args = ['-nostdin', '-re', '-i', card, '-c', 'copy', '-f', 'mpegts', url];
    const { code, stderr } = await run('ffmpeg', args, { codes: [1, 251, 145, 255] });
    assert.notEqual(code, 0);
    assert.match(stderr, /reject|refus|Input\/output error|Connection/i);
  };
  let finished = false;
  const watching = viewer.record('v360', () => finished);
  watching.catch(() => {});

  await step('a malformed stream id is refused, with a line in the log', async () => {
    for (const id of ['no/slash', '-begins-wrong', 'x'.repeat(65)]) {
      await isRefused(server.srtUrl(id));
    }
    const line = await server.logged('a malformed stream id', (entry) =>
      entry.stream_id === 'no/slash',
    );
    assert.deepEqual([line.level, line.module], ['warning', 'ingest']);
    assert.equal(line.reason, 'bad_stream_id');
    assert.ok((await server.metric('mirror_srt_refusals_total', 'bad_stream_id')) >= 3);
    const { streams } = await server.json('/api/v1/streams');
    assert.deepEqual(streams.map((stream) => stream.key), ['good']);
  });

  await step('no stream id at all is refused', async () => {
    await isRefused(`srt://127.0.0.1:${server.srtPort}`);
  });

  await step('a key that is live is refused to another', async () => {
    const before = await server.json('/api/v1/streams/good');
    const other = randomBytes(1316 * 100);
    const child = publishRaw(t, server, 'good', other, { bitsPerSecond: 500_000 });
    const { code } = await child.ended;
    assert.notEqual(code, 0, child.stderr);
    await server.logged('the key is already live', (entry) =>
      entry.reason === 'conflict' && entry.stream_id === 'good',
    );
    const after = await server.json('/api/v1/streams/good');
    assert.equal(after.source.remote, before.source.remote);
    assert.equal(after.state, 'live');
  });

  // It takes a while until a publisher is told of, so this one noises beside the tests below.
  // Without the sync byte: one noise in ten would hold it three times, 188 bytes apart, and be told
  // of as a transport stream without a programme.
  // For as long as it takes: twelve seconds of it, which were counted from before ffmpeg had begun,
  // left a busy machine less than the five that the server listens before it speaks.
  const sound = randomBytes(1_500_000).map((byte) => (byte === 0x47 ? 0x48 : byte));
  const noise = publishRaw(t, server, 'noise', sound, { bitsPerSecond: 1_000_000, endless: true });

  await step('a codec that is not supported is named', async () => {
    publishWithFfmpeg(t, server, 'old', mpeg2);
    const failed = (stream) => stream.state === 'failed';
    const status = await server.untilStream('old', 'has failed', failed);
    assert.match(status.error, /MPEG-2 video/);
    assert.match(status.error, /H\.264 or HEVC/);
    assert.equal(status.source.tracks[0].supported, false);
    const line = await server.logged('the feed cannot be shown', (entry) =>
      entry.stream === 'old' && entry.message === 'the feed cannot be shown',
    );
    assert.match(line.reason, /MPEG-2 video/);
    const answer = await server.get('/live/old/v360/media.m3u8');
    assert.equal(answer.status, 404);
  });

  await step('a damaged feed goes on, and what it lost is counted', async () => {
    const bytes = fs.readFileSync(card);
    // Every 500th packet is lost.
    const kept = [];
    for (let at = 0, number = 0; at < bytes.length; at += 188, ++number) {
      if (number % 500 !== 250) kept.push(bytes.subarray(at, at + 188));
    }
    publishRaw(t, server, 'torn', Buffer.concat(kept));
    await server.untilStream('torn', 'is live, with damage counted', (stream) =>
      stream.state === 'live' && stream.counters.continuity_errors > 0 &&
      stream.counters.damaged_access_units > 0,
    );
    const torn = new Viewer(t, server, 'torn');
    const recording = await torn.record('v360', (each) => each.seconds >= 2);
    recording.checkStructure();
  });

  await step('browsers that leave a held request are forgotten', async () => {
    const connections = () => server.metric('mirror_http_connections');
    const before = await connections();
    const leaving = [];
    for (let i = 0; i < 40; ++i) {
      const socket = net.connect(server.httpPort, '127.0.0.1');
      socket.on('error', () => {});
      const playlist = await viewer.playlist('v360');
      const newest = playlist.segments.at(-1).number;
      const target = `/live/good/v360/media.m3u8?_HLS_msn=${newest + 2}`;
      socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
      leaving.push(socket);
    }
    await eventually('the server has them all', async () => (await connections()) >= before + 30);
    for (const socket of leaving) socket.destroy();
    await eventually('they are all gone', async () => (await connections()) <= before + 2);
  });

  await step('garbage never becomes a stream that plays', async () => {
    // Packets that begin like MPEG-TS and mean nothing.
    const synced = randomBytes(188 * 5_000);
    for (let at = 0; at < synced.length; at += 188) synced[at] = 0x47;
    const packets = publishRaw(t, server, 'packets', synced, { bitsPerSecond: 4_000_000 });
    await packets.ended;
    await server.untilStream('noise', 'is there', () => true, { seconds: 60 });
    await server.logged('what is sent is no transport stream', (entry) =>
      entry.stream === 'noise' && /not an MPEG transport stream/.test(entry.message),
    );
    const { streams } = await server.json('/api/v1/streams');
    for (const stream of streams.filter(({ key }) => key === 'noise' || key === 'packets')) {
      assert.notEqual(stream.state, 'live');
      assert.equal(stream.playlist, null);
    }
    await noise.stop('SIGTERM');
    const gone = await server.logged('the noise has gone', (entry) =>
      entry.stream === 'noise' && entry.message === 'publisher gone',
    );
    assert.ok(gone.bytes > 0, 'what it sent was counted');
  });

  await step('the good stream was not disturbed', async () => {
    finished = true;
    const recording = await watching;
    recording.checkStructure({ discontinuities: 0 });
    assert.equal(recording.timeOuts, 0);
    const status = await server.json('/api/v1/streams/good');
    assert.equal(status.counters.discontinuities, 0);
    assert.equal(status.counters.decode_errors, 0);
    assert.equal(status.counters.continuity_errors, 0);
  });
});

test('mirror-source is told that its key is taken, and waits', { timeout: 120_000 }, async (t) => {
  const server = await Server.start(t, { MIRROR_PUBLISH_POLICY: 'reject', MIRROR_PUBLISH_SILENCE_MS: '30000' });
  const args = ['--size', '320x180', '--bitrate', '300k', '--no-audio'];
  const holder = publishWithSource(t, server, 'one', args);
  await telling(server, async () => {
    await server.untilLive('one');
    const second = publishWithSource(t, server, 'one', args);
    const { code } = await second.ended;
    assert.equal(code, 1);
    assert.match(second.stderr, /mirror-source: .*(conflict|refus|reject|already)/i);
    const patient = publishWithSource(t, server, 'one', [...args, '--reconnect']);
    await eventually('the patient one is refused', async () => /again/.test(patient.stderr));
    await holder.stop('SIGTERM');
    const before = (await server.json('/api/v1/streams/one')).source.remote;
    await server.untilStream('one', 'is live from the patient one', (stream) =>
      stream.state === 'live' && stream.source.remote !== before,
    );
  })(t);
});
