// Publishers come in the middle of things, vanish, and come back; viewers go on.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import {
  decodeComplaints, publishRaw, publishUntilAccepted, publishWithFfmpeg, publishWithSource, Server,
  telling, testCard, Viewer, write,
} from './lib.mjs';

const kTsPacket = 188;

test('a feed joined in mid-GOP starts at an access point', { timeout: 120_000 }, async (t) => {
  // GOPs of two seconds; the cut lies half a GOP in.
  const card = await testCard({ seconds: 14, args: ['--gop', '2', '--bitrate', '500k'] });
  const whole = fs.readFileSync(card);
  const cut = Math.floor(whole.length / 14 / kTsPacket) * kTsPacket;
  const server = await Server.start(t);
  publishRaw(t, server, 'mid', whole.subarray(cut));
  await telling(server, async () => {
    await server.untilLive('mid');
    const viewer = new Viewer(t, server, 'mid');
    const [video, audio] = await Promise.all([
      viewer.record('v360', (recording) => recording.seconds >= 3),
      viewer.record('audio', (recording) => recording.seconds >= 3),
    ]);
    video.checkStructure();
    audio.checkStructure();
    assert.equal(await decodeComplaints(write(t, 'mid.mp4', video.file())), '');
    const status = await server.json('/api/v1/streams/mid');
    assert.equal(status.counters.decode_errors, 0, 'nothing was decoded before it could be');
  })(t);
});

test('timestamps wrap at 2^33 and nobody notices', { timeout: 120_000 }, async (t) => {
  const start = String(2 ** 33 - 4 * 90_000);  // four seconds before
  const card = await testCard({ seconds: 12, args: ['--start-pts', start, '--bitrate', '500k'] });
  const bytes = fs.readFileSync(card);
  const server = await Server.start(t);
  publishRaw(t, server, 'wrap', bytes);
  await telling(server, async () => {
    await server.untilLive('wrap');
    const viewer = new Viewer(t, server, 'wrap');
    const [video, audio] = await Promise.all([
      viewer.record('v360', (recording) => recording.seconds >= 7),
      viewer.record('audio', (recording) => recording.seconds >= 7),
    ]);
    video.checkStructure({ discontinuities: 0 });
    audio.checkStructure({ discontinuities: 0 });
    const status = await server.json('/api/v1/streams/wrap');
    assert.equal(status.counters.discontinuities, 0);
    assert.equal(status.counters.decode_errors, 0);
  })(t);
});

test('a publisher is killed and returns: viewers go on', { timeout: 180_000 }, async (t) => {
  // A short window, so that the discontinuity leaves it within the test.
  const server = await Server.start(t, {
    MIRROR_HLS_WINDOW_SECONDS: '6',
    // So long that only a take-over explains that the returning publisher is let in.
    MIRROR_SRT_PEER_IDLE_TIMEOUT_MS: '60000',
  });
  const file = await testCard({ seconds: 40, args: ['--bitrate', '500k'] });
  const publish = () => publishWithFfmpeg(t, server, 'cam', file);
  const first = publish();
  await telling(server, async () => {
    const before = await server.untilLive('cam');
    const viewer = new Viewer(t, server, 'cam');
    let returned = false;
    const done = (recording) =>
      returned && recording.playlist.discontinuitySequence === 1 && recording.seconds >= 8;
    const watching = Promise.all([viewer.record('v360', done), viewer.record('audio', done)]);
    watching.catch(() => {});  // it is awaited below; an earlier failure must not end the process

    await viewer.record('v360', (recording) => recording.seconds >= 2);
    await first.stop('SIGKILL');
    const { seconds } = await publishUntilAccepted(server, 'cam', publish);
    t.diagnostic(`the returning publisher was let in after ${seconds.toFixed(1)} s`);
    const refused = server.log().filter((line) => line.message === 'publisher refused');
    assert.deepEqual(refused, [], 'it was let in at once');
    returned = true;

    const [video, audio] = await watching;
    for (const recording of [video, audio]) {
      recording.checkStructure({ discontinuities: 1 });
      const numbers = recording.segments.map((segment) => segment.number);
      numbers.forEach((number, at) => assert.equal(number, numbers[0] + at, 'no gap'));
      const broken = recording.segments.find((segment) => segment.discontinuity);
      assert.ok(broken.number > numbers[0], 'there was something before the break');
      // RFC 8216bis, 6.2.1: it left the window together with its tag.
      assert.equal(recording.playlist.discontinuitySequence, 1);
      assert.ok(recording.playlist.mediaSequence > broken.number);
      const { rendition, reloads, timeOuts } = recording;
      t.diagnostic(`${rendition}: ${reloads} reloads, ${timeOuts} of them timed out`);
    }
    const after = await server.json('/api/v1/streams/cam');
    assert.equal(after.epoch, before.epoch, 'the presentation is the same one');
    assert.equal(after.state, 'live');
    assert.equal(await decodeComplaints(write(t, 'cam.mp4', video.file())), '');
  })(t);
});

test('a publisher that says goodbye is waited for', { timeout: 120_000 }, async (t) => {
  const server = await Server.start(t, { MIRROR_HLS_RECONNECT_HOLD_SECONDS: '3' });
  const source = publishWithSource(t, server, 'cam', ['--size', '320x180', '--bitrate', '500k']);
  await telling(server, async () => {
    await server.untilLive('cam');
    const viewer = new Viewer(t, server, 'cam');
    const watching = viewer.record('v360', () => false);  // until the playlist ends
    watching.catch(() => {});
    await viewer.record('v360', (recording) => recording.seconds >= 1);
    const { code } = await source.stop('SIGTERM');
    assert.equal(code, 0);
    await server.untilStream('cam', 'is reconnecting', (stream) => stream.state === 'reconnecting');
    const recording = await watching;
    assert.equal(recording.playlist.ended, true, 'nobody came back: the playlist is closed');
    recording.checkStructure();
    for (;;) {
      const { streams } = await server.json('/api/v1/streams');
      if (streams.length === 0) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const { body } = await server.get('/metrics');
    assert.doesNotMatch(body.toString(), /stream="cam"/, 'its series are gone');
  })(t);
});
