// Every frame rate, bit depth and sound that a contribution feed has, several in one server: part
// and segment lengths follow the frame grid (RFC 8216bis: no part above PART-TARGET).
import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  decodeComplaints, probe, publishWithFfmpeg, Server, stepsOf, testCard, Viewer, withSound,
  write,
} from './lib.mjs';

// Frames a part and a segment, timescale and tick, PART-TARGET and EXTINF as printed.
const grid = {
  25: { part: 2, segment: 12, timescale: 25000, tick: 1000, target: '0.08001', seconds: 0.48 },
  29.97: { part: 3, segment: 15, timescale: 30000, tick: 1001, target: '0.10011', seconds: 0.5005 },
  30: { part: 3, segment: 15, timescale: 30000, tick: 1000, target: '0.10001', seconds: 0.5 },
  50: { part: 5, segment: 25, timescale: 50000, tick: 1000, target: '0.10001', seconds: 0.5 },
  59.94: { part: 6, segment: 30, timescale: 60000, tick: 1001, target: '0.10011', seconds: 0.5005 },
  60: { part: 6, segment: 30, timescale: 60000, tick: 1000, target: '0.10001', seconds: 0.5 },
};

const kSourceSeconds = 14;

async function sourceOf({ fps, codec = 'hevc', depth = 8, sound = 'aac', args = [] }) {
  const card = await testCard({
    seconds: kSourceSeconds,
    codec,
    fps,
    args: ['--bit-depth', String(depth), '--bitrate', '500k', ...args],
  });
  return sound === 'aac' ? card : withSound(card, sound);
}

async function checkVideo(t, key, recording, expected) {
  recording.checkStructure();
  assert.equal(recording.timescale, expected.timescale);
  assert.equal(recording.playlist.partTargetText, expected.target);
  for (const segment of recording.segments) {
    assert.ok(Math.abs(segment.duration - expected.seconds) < 1e-5, `EXTINF ${segment.duration}`);
    const samples = recording.partsOf(segment.number).map((part) => part.chunk.samples.length);
    assert.deepEqual(samples, Array(expected.segment / expected.part).fill(expected.part));
  }
  for (const part of recording.parts) {
    for (const sample of part.chunk.samples) assert.equal(sample.duration, expected.tick);
  }
  const file = write(t, `${key}.mp4`, recording.file());
  const { streams } = await probe(file);
  const { codec_name: codec, width, height } = streams[0];
  assert.deepEqual([codec, width, height], ['h264', 640, 360]);
  assert.equal(await decodeComplaints(file), '');
}

async function checkAudio(t, key, recording) {
  recording.checkStructure();
  assert.equal(recording.timescale, 48_000);
  assert.equal(recording.playlist.partTargetText, '0.10668');
  for (const segment of recording.segments) {
    const samples = recording.partsOf(segment.number).map((part) => part.chunk.samples.length);
    assert.deepEqual(samples, [5, 5, 5, 5, 5]);
  }
  const file = write(t, `${key}-audio.mp4`, recording.file());
  const { streams } = await probe(file);
  const { codec_name: codec, sample_rate: rate, channels } = streams[0];
  assert.deepEqual([codec, rate, channels], ['aac', '48000', 2]);
  assert.equal(await decodeComplaints(file), '');
}

async function checkFeeds(t, server, feeds) {
  const step = stepsOf(t, server);
  for (const feed of feeds) feed.file = await sourceOf(feed);
  for (const feed of feeds) publishWithFfmpeg(t, server, feed.key, feed.file);
  await Promise.all(
    feeds.map(async (feed) => {
      await server.untilLive(feed.key);
      const viewer = new Viewer(t, server, feed.key);
      const enough = (recording) => recording.seconds >= 3;
      [feed.video, feed.audio] = await Promise.all([
        viewer.record('v360', enough),
        feed.sound === 'none' ? null : viewer.record('audio', enough),
      ]);
      feed.multivariant = await viewer.multivariant();
      feed.status = await server.json(`/api/v1/streams/${feed.key}`);
    }),
  );
  for (const feed of feeds) {
    const { codec = 'hevc', fps, depth = 8, sound = 'aac' } = feed;
    await step(`${codec} ${fps} fps, ${depth} bit, sound ${sound}`, async () => {
      await checkVideo(t, feed.key, feed.video, grid[feed.proxy]);
      const variant = feed.multivariant.variants[0];
      const rate = variant['FRAME-RATE'];
      assert.ok(Math.abs(Number(rate) - feed.proxy) < 0.006, rate);
      if (feed.sound === 'none') {
        assert.equal(feed.multivariant.media.length, 0);
        assert.match(variant.CODECS, /^avc1\.[0-9a-fA-F]{6}$/);
      } else {
        await checkAudio(t, feed.key, feed.audio);
      }
      const codecs = feed.status.source.tracks.map((track) => track.codec);
      assert.ok(codecs.includes(feed.codec === 'h264' ? 'H.264' : 'HEVC'), codecs.join());
    });
  }
}

test('feeds of every kind become proxies of at most 30 fps', { timeout: 240_000 }, async (t) => {
  const server = await Server.start(t);
  await checkFeeds(t, server, [
    { key: 'f25', fps: '25', proxy: 25, sound: 'mp2' },
    { key: 'f2997', fps: '29.97', proxy: 29.97, depth: 10 },
    { key: 'f30', fps: '30', proxy: 30, depth: 10, sound: 'none' },
    { key: 'f50', fps: '50', proxy: 25, sound: 'ac3' },
    { key: 'f5994', fps: '59.94', proxy: 29.97 },
    { key: 'f60', fps: '60', proxy: 30, depth: 10 },
    { key: 'h30', fps: '30', proxy: 30, codec: 'h264', sound: 'libopus', args: ['--bframes', '2'] },
  ]);
});

test('with frame_rate_max 60 they keep their rate', { timeout: 240_000 }, async (t) => {
  const server = await Server.start(t, { MIRROR_TRANSCODE_FRAME_RATE_MAX: '60' });
  await checkFeeds(t, server, [
    { key: 'g50', fps: '50', proxy: 50, sound: 'ac3' },
    { key: 'g5994', fps: '59.94', proxy: 59.94 },
    { key: 'g60', fps: '60', proxy: 60, depth: 10 },
  ]);
});
