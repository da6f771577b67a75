// SRT callers that we did not write: ffmpeg, GStreamer's srtsink and srt-live-transmit, clear and with
// every key length of AES. What each publishes must be a stream that plays, whole and undamaged; and
// who may not is refused, with a reason in the log.
// (ffmpeg has its latency in microseconds, the others in milliseconds.)
//
// OvenMediaEngine 452, 520: several SRT inputs on one port, here of several makes.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  accessControl, Child, checkGapless, checkUndamaged, decodeComplaints, freeUdpPort, kTinyVideo,
  publishWithFfmpeg, run, Server, telling, testCard, tinyProxies, Viewer, whenOver, write,
} from './lib.mjs';
import { lint, wrongIn } from './lib/lint.mjs';

const kPassphrase = 'correct-horse-battery';

const card = (codec) => testCard({ seconds: 40, codec, args: ['--bitrate', '600k'] });

async function present(program, args) {
  const child = new Child(program, args);
  const { error, code } = await child.ended;
  return !error && code === 0;
}

function started(t, program, args) {
  const child = new Child(program, args);
  whenOver(t, () => child.stop());
  return child;
}

// A file at its own pace, through srtsink.
function publishWithGstreamer(t, server, key, file, properties = []) {
  return started(t, 'gst-launch-1.0', [
    '-q', 'filesrc', `location=${file}`, '!', 'tsparse', 'set-timestamps=true', 'alignment=7', '!',
    'srtsink', `uri=srt://127.0.0.1:${server.srtPort}?mode=caller`, `streamid=${key}`, 'latency=200',
    ...properties,
  ]);
}

// ffmpeg paces the file over UDP, srt-live-transmit takes it on.
async function publishWithLiveTransmit(t, server, key, file, options = '') {
  const port = await freeUdpPort();
  started(t, 'srt-live-transmit', ['-q', `udp://127.0.0.1:${port}`, server.srtUrl(key, options)]);
  return started(t, 'ffmpeg', [
    '-hide_banner', '-loglevel', 'warning', '-nostdin', '-re', '-i', file, '-c', 'copy', '-f', 'mpegts',
    `udp://127.0.0.1:${port}?pkt_size=1316`,
  ]);
}

// What `key` became: watched for three seconds, decoded, and judged by mirror-lint.
async function checkPlays(t, server, key, child) {
  try {
    await server.untilLive(key);
  } catch (error) {
    error.message += `\n${child.name}: ${child.stderr.slice(-2000)}`;
    throw error;
  }
  const viewer = new Viewer(t, server, key);
  const [video, audio] = await Promise.all([
    viewer.record(kTinyVideo, ({ seconds }) => seconds >= 3),
    viewer.record('audio', ({ seconds }) => seconds >= 3),
  ]);
  const { report } = await lint(`http://127.0.0.1:${server.httpPort}/live/${key}/index.m3u8`, ['--seconds', '3']);
  for (const recording of [video, audio]) {
    recording.checkStructure();
    checkGapless(recording);
    assert.equal(await decodeComplaints(write(t, `${recording.rendition}.mp4`, recording.file())), '');
  }
  // BANDWIDTH is the peak so far, and a stream of seconds has its peak before it: known, and no
  // matter of who publishes.
  assert.deepEqual(wrongIn(report).filter(({ rule }) => rule !== 'bandwidth-exceeded'), []);
  const stream = await server.json(`/api/v1/streams/${key}`);
  checkUndamaged(stream, key);
  assert.equal(stream.source.protocol, 'srt');
}

// Each caller's stream in a step of its own, all at once: {key, skip, publish(t)}.
async function checkCallers(t, server, callers) {
  await Promise.all(callers.map(({ key, skip, publish }) =>
    t.test(key, { skip }, telling(server, async (s) => checkPlays(s, server, key, await publish(s))))));
}

// ffmpeg says no more than that it failed; the server's log says why.
function isRefused(t, server, key, options, words) {
  return t.test(`${key} is refused`, telling(server, async () => {
    await assert.rejects(run('ffmpeg', [
      '-hide_banner', '-loglevel', 'error', '-nostdin', '-i', await card('h264'), '-c', 'copy',
      '-f', 'mpegts', server.srtUrl(key, options),
    ]));
    const { reason, why } = await server.logged(`${key} is refused`, ({ message, stream_id: id }) =>
      message === 'publisher refused' && id === key);
    assert.equal(reason, 'handshake');
    assert.match(why, words);
  }));
}

const kNoSink = 'this GStreamer has no srtsink (gstreamer1.0-plugins-bad)';
const kNoTransmit = 'no srt-live-transmit here (srt-tools)';

async function missing() {
  return {
    sink: (await present('gst-inspect-1.0', ['srtsink'])) ? false : kNoSink,
    transmit: (await present('srt-live-transmit', ['-version'])) ? false : kNoTransmit,
  };
}

test('callers of every make are published', { timeout: 180_000, concurrency: true }, async (t) => {
  const { sink, transmit } = await missing();
  const [hevc, h264] = [await card('hevc'), await card('h264')];
  const server = await Server.start(t, tinyProxies);
  await checkCallers(t, server, [
    { key: 'ffmpeg', publish: (s) => publishWithFfmpeg(s, server, 'ffmpeg', hevc) },
    {
      key: 'ffmpeg.standard-form',
      publish: (s) => publishWithFfmpeg(s, server, accessControl('ffmpeg.standard-form'), h264),
    },
    { key: 'gstreamer', skip: sink, publish: (s) => publishWithGstreamer(s, server, 'gstreamer', hevc) },
    {
      key: 'live-transmit',
      skip: transmit,
      publish: (s) => publishWithLiveTransmit(s, server, 'live-transmit', h264),
    },
  ]);
  await isRefused(t, server, 'secret', `&passphrase=${kPassphrase}`, /has no passphrase/);
});

test('the same with AES of 128, 192 and 256 bits', { timeout: 180_000, concurrency: true }, async (t) => {
  const { sink, transmit } = await missing();
  const file = await card('h264');
  const server = await Server.start(t, { ...tinyProxies, MIRROR_SRT_PASSPHRASE: kPassphrase });
  const secret = (bytes) => `&passphrase=${kPassphrase}&pbkeylen=${bytes}`;
  const withFfmpeg = (bytes) => ({
    key: `ffmpeg-${8 * bytes}`,
    publish: (s) =>
      publishWithFfmpeg(s, server, `ffmpeg-${8 * bytes}`, file, {
        output: ['-passphrase', kPassphrase, '-pbkeylen', String(bytes)],
      }),
  });
  await checkCallers(t, server, [
    withFfmpeg(16), withFfmpeg(24), withFfmpeg(32),
    {
      key: 'gstreamer-256',
      skip: sink,
      publish: (s) => publishWithGstreamer(s, server, 'gstreamer-256', file,
        [`passphrase=${kPassphrase}`, 'pbkeylen=32']),
    },
    {
      key: 'live-transmit-192',
      skip: transmit,
      publish: (s) => publishWithLiveTransmit(s, server, 'live-transmit-192', file, secret(24)),
    },
  ]);
  await isRefused(t, server, 'clear', '', /passphrase is missing or wrong/);
  await isRefused(t, server, 'wrong', '&passphrase=battery-staple', /passphrase is missing or wrong/);
});
