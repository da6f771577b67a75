// Still pictures: what the wall and a dashboard show of a stream that they do not play.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { decodeComplaints, eventually, probe, publishWithSource, publishTone, Server, stepsOf, temporaryFolder, write } from './lib.mjs';
import { run } from './lib/process.mjs';

const thumbnail = (key) => `/live/${key}/thumbnail.jpg`;

test('stills', { timeout: 180_000 }, async (t) => {
  const server = await Server.start(t, {
    MIRROR_THUMBNAILS_EVERY_MS: '1000', MIRROR_HLS_RECONNECT_HOLD_SECONDS: '2',
  });
  const step = stepsOf(t, server);
  const refused = async (key, why) => {
    const { status, headers, body } = await server.get(thumbnail(key));
    assert.equal(status, 404);
    assert.match(body.toString(), why);
    assert.match(headers['content-type'], /^text\/plain/);
    assert.equal(headers['access-control-allow-origin'], '*');
  };

  await step('there is none without a stream, nor before its first picture', async () => {
    await refused('cam', /no such stream/);
    publishTone(t, server, 'tone');
    await eventually('the stream of sound', async () =>
      (await server.get('/api/v1/streams/tone')).status === 200);
    await refused('tone', /no still picture yet/);
  });

  const publisher = publishWithSource(t, server, 'cam', ['--size', '640x360', '--bitrate', '1M']);
  await server.untilLive('cam');

  const first = await server.get(thumbnail('cam'));
  await step('a still is a JPEG of 320x180', async () => {
    assert.equal(first.status, 200);
    assert.equal(first.headers['content-type'], 'image/jpeg');
    assert.equal(Number(first.headers['content-length']), first.body.length);
    assert.match(first.headers['cache-control'], /max-age=1\b/);
    assert.equal(first.headers['access-control-allow-origin'], '*');
    const age = Date.now() - Date.parse(first.headers['last-modified']);
    assert.ok(age > -1_000 && age < 10_000, `${age} ms old`);
    const file = write(t, 'still.jpg', first.body);
    const { streams } = await probe(file);
    assert.deepEqual([streams[0].codec_name, streams[0].width, streams[0].height], ['mjpeg', 320, 180]);
    assert.equal(await decodeComplaints(file), '');
    assert.ok(first.body.length < 30_000, `${first.body.length} bytes`);
  });

  await step('ffmpeg reads it over HTTP', async () => {
    const output = path.join(temporaryFolder(t), 'still.ppm');
    await run('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-nostdin', '-y',
      '-i', `http://127.0.0.1:${server.httpPort}${thumbnail('cam')}`, '-frames:v', '1', output]);
    const picture = fs.readFileSync(output);
    assert.match(picture.subarray(0, 20).toString('latin1'), /^P6\n320 180\n255\n/);
    const samples = picture.subarray(15);
    const mean = samples.reduce((sum, value) => sum + value, 0) / samples.length;
    const spread = samples.reduce((sum, value) => sum + Math.abs(value - mean), 0) / samples.length;
    assert.ok(spread > 5, `a picture, not one colour: ${spread}`);
  });

  await step('who has it is told so, and HEAD is GET without the bytes', async () => {
    await eventually('a still that stays for three requests', async () => {
      const got = await server.get(thumbnail('cam'));
      const same = await server.get(thumbnail('cam'), { headers: { 'if-none-match': got.headers.etag } });
      const head = await server.get(thumbnail('cam'), { method: 'HEAD' });
      if (same.status === 200 || head.headers.etag !== got.headers.etag) return false;
      assert.equal(same.status, 304);
      assert.equal(same.body.length, 0);
      assert.equal(same.headers.etag, got.headers.etag);
      assert.equal(head.status, 200);
      assert.equal(head.body.length, 0);
      assert.equal(head.headers['content-length'], got.headers['content-length']);
      return true;
    });
  });

  await step('it changes, by another ETag and with other bytes', async () => {
    const next = await eventually('the next still', async () => {
      const got = await server.get(thumbnail('cam'), { headers: { 'if-none-match': first.headers.etag } });
      return got.status === 200 ? got : false;
    });
    assert.notEqual(next.headers.etag, first.headers.etag);
    assert.ok(!next.body.equals(first.body));
  });

  await step('metrics count them', async () => {
    await eventually('metrics that count them', async () => {
      const text = (await server.get('/metrics')).body.toString();
      const value = (name) => Number(new RegExp(`^${name}\\{stream="cam"\\} (\\S+)$`, 'm').exec(text)[1]);
      assert.equal(value('mirror_stream_still_failures_total'), 0);
      return value('mirror_stream_stills_total') >= 2;
    });
  });

  await step('the last one stays while the publisher is away, and goes with the stream', async () => {
    await publisher.stop();
    await server.untilStream('cam', 'the publisher is away', (stream) => stream.state === 'reconnecting');
    assert.equal((await server.get(thumbnail('cam'))).status, 200);
    await eventually('the stream is gone', async () => (await server.get(thumbnail('cam'))).status === 404);
    await refused('cam', /no such stream|the stream has ended/);
  });
});

test('stills may be switched off', { timeout: 60_000 }, async (t) => {
  const server = await Server.start(t, { MIRROR_THUMBNAILS_EVERY_MS: '0' });
  publishWithSource(t, server, 'cam', ['--size', '320x180', '--bitrate', '300k']);
  await server.untilLive('cam');
  assert.equal((await server.get(thumbnail('cam'))).status, 404);
});
