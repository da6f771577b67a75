// What operators and their programs rely on: probes, metrics, the API, an orderly end.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { test } from 'node:test';

import {
  eventually, parseMedia, publishWithFfmpeg, publishWithSource, run, Server, stepsOf,
  telling, testCard, Viewer,
} from './lib.mjs';

const kSource = ['--size', '320x180', '--bitrate', '300k'];

test('probes, metrics and the API tell how it is', { timeout: 120_000 }, async (t) => {
  const server = await Server.start(t);
  const step = stepsOf(t, server);
  const empty = await server.json('/api/v1/streams');
  assert.deepEqual(empty.streams, []);
  assert.equal((await server.get('/healthz')).status, 200);
  assert.equal((await server.get('/readyz')).status, 200);
  assert.equal((await server.get('/api/v1/streams/none')).status, 404);

  const card = await testCard({ seconds: 40, args: ['--bitrate', '500k'] });
  publishWithFfmpeg(t, server, 'b.two', card);
  publishWithSource(t, server, 'a-one', [...kSource, '--codec', 'h264', '--no-audio']);
  await server.untilLive('b.two');
  await server.untilLive('a-one');

  await step('streams are listed by key, with what one wants to know', async () => {
    const measured = ({ source, counters, publish_delay_ms: delay }) =>
      source.bitrate_bps > 0 && counters.access_units > 0 && delay !== null;
    await server.untilStream('a-one', 'is measured', measured);
    await server.untilStream('b.two', 'is measured', measured);
    const { now, streams } = await server.json('/api/v1/streams');
    assert.match(now, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(Math.abs(new Date(now) - Date.now()) < 60_000);
    assert.deepEqual(streams.map((stream) => stream.key), ['a-one', 'b.two']);
    const [h264, hevc] = streams;
    assert.equal(h264.state, 'live');
    assert.equal(h264.error, null);
    assert.equal(h264.playlist, '/live/a-one/index.m3u8');
    assert.deepEqual(h264.renditions.map(({ name }) => name), ['v360']);
    assert.deepEqual(hevc.renditions.map(({ name }) => name), ['v360', 'audio']);
    const [video, audio] = hevc.renditions;
    assert.deepEqual([video.width, video.height, video.frame_rate], [640, 360, 30]);
    assert.deepEqual([audio.sample_rate, audio.channels], [48000, 2]);
    assert.equal(hevc.source.protocol, 'srt');
    assert.match(hevc.source.remote, /^127\.0\.0\.1:\d+$/);
    assert.deepEqual(hevc.source.tracks.map(({ codec }) => codec).sort(), ['AAC', 'HEVC']);
    assert.ok(hevc.source.packets > 0 && hevc.counters.access_units > 0);
    assert.ok(hevc.source.latency_ms >= 20);
    assert.ok(hevc.latency_ms > 0, 'from capture to fetchable');
    const alone = await server.json('/api/v1/streams/b.two');
    assert.deepEqual(Object.keys(alone).slice(1), Object.keys(hevc));
  });

  await step('promtool finds nothing wrong with the metrics', async () => {
    const { body, headers } = await server.get('/metrics');
    assert.match(headers['content-type'], /^text\/plain; version=0\.0\.4/);
    let checked;
    try {
      checked = await run('promtool', ['check', 'metrics'], { input: body });
    } catch (error) {
      if (/ENOENT/.test(error.message)) return t.diagnostic('promtool is not installed');
      throw error;
    }
    assert.equal(checked.stderr + checked.stdout, '');
    assert.match(body.toString(), /publish_delay_seconds_bucket\{stream="b\.two",le="0\.01"\}/);
    assert.equal(await server.metric('mirror_stream_live'), 2);
  });

  await step('the page is there, and other origins may read the API', async () => {
    const page = await server.get('/');
    assert.equal(page.status, 200);
    assert.match(page.headers['content-type'], /^text\/html/);
    const api = await server.get('/api/v1/streams', { headers: { origin: 'https://example.org' } });
    assert.equal(api.headers['access-control-allow-origin'], '*');
  });
});

test('SIGTERM: held requests are answered, playlists end', { timeout: 120_000 }, async (t) => {
  const server = await Server.start(t);
  publishWithSource(t, server, 'cam', kSource);
  await server.untilLive('cam');
  await telling(server, async () => {
    const viewer = new Viewer(t, server, 'cam');
    const watching = ['v360', 'audio'].map((rendition) => viewer.record(rendition, () => false));
    for (const each of watching) each.catch(() => {});
    await viewer.record('v360', (recording) => recording.seconds >= 1);
    // A request for what will never come, held at the moment of the signal.
    const newest = (await viewer.playlist('v360')).segments.at(-1).number;
    let answeredBefore = true;
    const held = viewer.get(`v360/media.m3u8?_HLS_msn=${newest + 2}`).then((answer) => ({
      ...answer,
      before: answeredBefore,
    }));
    // One part later it has arrived, and it waits for more than a second of media.
    await viewer.record('v360', (recording) => recording.reloads >= 1);
    answeredBefore = false;
    const { seconds } = await server.stop();
    t.diagnostic(`it ended after ${seconds.toFixed(2)} s`);
    assert.ok(seconds < 10, `it took ${seconds} s to end`);
    const answer = await held;
    assert.equal(answer.status, 200);
    // On a machine that slept for a second it may have got what it waited for.
    assert.ok(answer.before || parseMedia(answer.body.toString()).ended);
    for (const recording of await Promise.all(watching)) {
      assert.equal(recording.playlist.ended, true, 'ENDLIST');
      recording.checkStructure();
    }
  })(t);
});

test('SIGINT with nothing going on ends at once', { timeout: 60_000 }, async (t) => {
  const server = await Server.start(t);
  // An idle keep-alive connection does not hold it up.
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  await server.get('/healthz', { agent });
  server.child.kill('SIGINT');
  await server.stop();
});

test('a publisher is told that the server is going', { timeout: 60_000 }, async (t) => {
  const server = await Server.start(t);
  const source = publishWithSource(t, server, 'cam', kSource);
  await server.untilLive('cam');
  await server.stop();
  const { code } = await source.ended;
  assert.equal(code, 1, source.stderr);
});

test('streams that end give back files and threads', { timeout: 120_000 }, async (t) => {
  const server = await Server.start(t, { MIRROR_HLS_RECONNECT_HOLD_SECONDS: '0' });
  const counts = () => ({
    files: fs.readdirSync(`/proc/${server.pid}/fd`).length,
    threads: fs.readdirSync(`/proc/${server.pid}/task`).length,
  });
  const cycle = async () => {
    const keys = ['a', 'b', 'c'];
    const args = [...kSource, '--no-audio'];
    const sources = keys.map((key) => publishWithSource(t, server, key, args));
    await Promise.all(keys.map((key) => server.untilLive(key)));
    await Promise.all(sources.map((source) => source.stop('SIGTERM')));
    await eventually('the streams are gone', async () =>
      (await server.json('/api/v1/streams')).streams.length === 0,
    );
  };
  await telling(server, async () => {
    await cycle();  // what is made once is made now
    const before = counts();
    await cycle();
    await eventually('all is as before', async () => {
      const { files, threads } = counts();
      return files <= before.files && threads <= before.threads;
    });
  })(t);
});
