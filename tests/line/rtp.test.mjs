// Who sends RTP in the field: ffmpeg and GStreamer, MPEG-TS and native HEVC, with parity and
// without, and MPEG-TS over plain UDP. Each must play.
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import {
  decodeComplaints, eventually, ffmpegSends, freeRtpPort, gstreamerSends, lossyRelay, Server,
  stepsOf, temporaryFolder, testCard, Viewer, withoutElements, write,
} from './lib.mjs';

const kSeconds = 60;  // of the source; no step takes so long

// A configuration with one input for each of `inputs`: {stream: [more lines]}.
function configOf(ports, more = {}) {
  const lines = ['rtp:', '  address: 127.0.0.1', '  inputs:'];
  for (const [stream, port] of Object.entries(ports)) {
    lines.push(`    - stream: ${stream}`, `      port: ${port}`);
    for (const line of more[stream] ?? []) lines.push(`      ${line}`);
  }
  return `${lines.join('\n')}\n`;
}

// The feed came whole, and what is made of it is sound.
async function plays(t, server, key, { protocol = 'rtp', repaired = false } = {}) {
  await server.untilLive(key);
  const viewer = new Viewer(t, server, key);
  const recording = await viewer.record('v360', (each) => each.seconds >= 2);
  recording.checkStructure();
  assert.ok(recording.parts.length >= 10, 'parts were published');
  assert.equal(await decodeComplaints(write(t, `${key}.mp4`, recording.file())), '');
  const status = await server.untilStream(key, 'is reported on', (stream) =>
    stream.source.packets > 100);
  const { source, counters } = status;
  t.diagnostic(`${key}: ${counters.access_units} access units, ${source.packets} packets, ` +
    `${source.packets_recovered} repaired, ${source.packets_reordered} out of order`);
  assert.equal(source.protocol, protocol);
  assert.equal(source.packets_dropped, 0);
  if (!repaired) assert.equal(source.packets_lost, 0);
  assert.equal(counters.continuity_errors, 0);
  assert.equal(counters.discontinuities, 0);
  return status;
}

// More and more packets come back, and nothing of the stream is damaged.
async function repairs(t, server, key, relay) {
  const { source, counters } = await server.untilStream(key, 'is repaired', (stream) =>
    stream.source.packets_recovered > 30);
  t.diagnostic(`${relay.lost} of ${relay.lost + relay.passed} lost on the way`);
  assert.equal(source.packets_lost, source.packets_recovered);
  assert.equal(source.packets_dropped, 0);
  assert.equal(counters.damaged_access_units, 0);
  assert.equal(counters.continuity_errors, 0);
}

const inputOf = async (server, key) =>
  (await server.json('/api/v1/sources')).sources.find((each) => each.stream === key);

const becomes = (server, key, state) =>
  eventually(`input ${key} is ${state}`, async () => {
    const input = await inputOf(server, key);
    return input.state === state ? input : false;
  });

test('MPEG-TS over RTP and over UDP', { timeout: 240_000 }, async (t) => {
  const card = await testCard({ seconds: kSeconds, args: ['--bitrate', '800k'] });
  const ports = {};
  for (const key of ['ffmpeg', 'gst', 'udp', 'cut']) ports[key] = await freeRtpPort();
  const server = await Server.start(t, {}, configOf(ports));
  const step = stepsOf(t, server);
  assert.equal((await inputOf(server, 'ffmpeg')).state, 'connecting');

  await step('ffmpeg -f rtp_mpegts, and its goodbye', async (s) => {
    const sender = ffmpegSends(t, card, ['-c', 'copy', '-f', 'rtp_mpegts', `rtp://127.0.0.1:${ports.ffmpeg}`]);
    await plays(s, server, 'ffmpeg');
    const input = await inputOf(server, 'ffmpeg');
    assert.deepEqual([input.kind, input.state, input.endpoint],
      ['rtp', 'live', `127.0.0.1:${ports.ffmpeg}`]);
    await sender.stop('SIGTERM');
    const ended = await becomes(server, 'ffmpeg', 'reconnecting');
    assert.match(ended.why, /goodbye|nothing has come/);
  });

  await step('GStreamer rtpmp2tpay', async (s) => {
    const missing = withoutElements('rtpmp2tpay', 'tsparse');
    if (missing) return void s.skip(missing);
    const sender = gstreamerSends(t, [
      'filesrc', `location=${card}`, '!', 'tsparse', 'set-timestamps=true', '!', 'rtpmp2tpay', '!',
      'udpsink', 'host=127.0.0.1', `port=${ports.gst}`,
    ]);
    await plays(s, server, 'gst');
    await sender.stop();
  });

  await step('ffmpeg -f mpegts to UDP', async (s) => {
    const sender = ffmpegSends(t, card, ['-c', 'copy', '-f', 'mpegts', `udp://127.0.0.1:${ports.udp}?pkt_size=1316`]);
    await plays(s, server, 'udp', { protocol: 'udp' });
    await sender.stop();
  });

  await step('the same, cut anywhere', async (s) => {
    const sender = ffmpegSends(t, card, ['-c', 'copy', '-f', 'mpegts', `udp://127.0.0.1:${ports.cut}?pkt_size=1000`]);
    await plays(s, server, 'cut', { protocol: 'udp' });
    await sender.stop();
  });
});

test('parity repairs what a path loses', { timeout: 240_000 }, async (t) => {
  const card = await testCard({ seconds: kSeconds, args: ['--bitrate', '3M'] });
  const ports = { prompeg: await freeRtpPort(), gst: await freeRtpPort() };
  const server = await Server.start(t, {}, configOf(ports));
  const step = stepsOf(t, server);
  // A burst of five: one of each column; and one alone, which its row repairs.
  const loses = (sequence) => sequence % 60 < 5 || sequence % 60 === 37;

  await step('ffmpeg -fec prompeg', async (s) => {
    const entrance = await freeRtpPort();
    const relay = await lossyRelay(t, entrance, ports.prompeg, loses);
    const sender = ffmpegSends(t, card, ['-c', 'copy', '-f', 'rtp_mpegts', '-fec', 'prompeg=l=5:d=5', `rtp://127.0.0.1:${entrance}`]);
    await plays(s, server, 'prompeg', { repaired: true });
    await repairs(s, server, 'prompeg', relay);
    await sender.stop();
  });

  await step('GStreamer rtpst2022-1-fecenc', async (s) => {
    const missing = withoutElements('rtpst2022-1-fecenc', 'rtpmp2tpay', 'tsparse');
    if (missing) return void s.skip(missing);
    const entrance = await freeRtpPort();
    const relay = await lossyRelay(t, entrance, ports.gst, loses);
    const sender = gstreamerSends(t, [
      'filesrc', `location=${card}`, '!', 'tsparse', 'set-timestamps=true', '!', 'rtpmp2tpay', 'ssrc=0', '!',
      'rtpst2022-1-fecenc', 'name=fec', 'rows=5', 'columns=5',
      'fec.src', '!', 'queue', '!', 'udpsink', 'host=127.0.0.1', `port=${entrance}`,
      'fec.fec_0', '!', 'queue', '!', 'udpsink', 'host=127.0.0.1', `port=${entrance + 2}`, 'async=false',
      'fec.fec_1', '!', 'queue', '!', 'udpsink', 'host=127.0.0.1', `port=${entrance + 4}`, 'async=false',
    ]);
    await plays(s, server, 'gst', { repaired: true });
    await repairs(s, server, 'gst', relay);
    await sender.stop();
  });
});

// What ffmpeg writes of what it sends.
async function describe(t, card, outputs, file) {
  const sender = ffmpegSends(t, card, ['-sdp_file', file, ...outputs]);
  await eventually('ffmpeg has described its session', async () =>
    fs.existsSync(file) && /m=audio/.test(fs.readFileSync(file, 'utf8')));
  await sender.stop();
}

test('native HEVC and AAC by a session description', { timeout: 240_000 }, async (t) => {
  const card = await testCard({ seconds: kSeconds, args: ['--bitrate', '800k'] });
  const folder = temporaryFolder(t);
  const ports = { ffmpeg: await freeRtpPort(), gst: await freeRtpPort() };
  const outputs = [
    '-map', '0:v', '-c:v', 'copy', '-f', 'rtp', `rtp://127.0.0.1:${ports.ffmpeg}`,
    '-map', '0:a', '-c:a', 'aac', '-b:a', '96k', '-flags', '+global_header',
    '-f', 'rtp', `rtp://127.0.0.1:${ports.ffmpeg + 2}`,
  ];
  const described = path.join(folder, 'ffmpeg.sdp');
  await describe(t, card, outputs, described);
  const written = path.join(folder, 'gst.sdp');
  fs.writeFileSync(written, [
    'v=0', 'o=- 0 0 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0',
    `m=video ${ports.gst} RTP/AVP 96`, 'a=rtpmap:96 H265/90000', '',
  ].join('\r\n'));
  const server = await Server.start(t, {}, configOf(ports, {
    ffmpeg: [`sdp: ${described}`], gst: [`sdp: ${written}`],
  }));
  const step = stepsOf(t, server);

  await step('ffmpeg -f rtp', async (s) => {
    const sender = ffmpegSends(t, card, outputs);
    const { source } = await plays(s, server, 'ffmpeg');
    assert.deepEqual(source.tracks.map((track) => track.codec), ['HEVC', 'AAC']);
    const viewer = new Viewer(t, server, 'ffmpeg');
    const sound = await viewer.record('audio', (each) => each.seconds >= 1);
    sound.checkStructure();
    await sender.stop();
  });

  await step('GStreamer rtph265pay', async (s) => {
    const missing = withoutElements('rtph265pay', 'h265parse', 'tsdemux');
    if (missing) return void s.skip(missing);
    const sender = gstreamerSends(t, [
      'filesrc', `location=${card}`, '!', 'tsdemux', '!', 'h265parse', 'config-interval=-1', '!',
      'rtph265pay', 'config-interval=-1', 'pt=96', '!', 'udpsink', 'host=127.0.0.1', `port=${ports.gst}`,
    ]);
    await plays(s, server, 'gst');
    await sender.stop();
  });
});

test('what does not belong is kept out, and told', { timeout: 120_000 }, async (t) => {
  const card = await testCard({ seconds: kSeconds, args: ['--bitrate', '800k'] });
  const ports = { good: await freeRtpPort(), closed: await freeRtpPort(), noise: await freeRtpPort() };
  const server = await Server.start(t, {}, configOf(ports, { closed: ['senders: [192.0.2.1]'] }));
  const step = stepsOf(t, server);
  const sender = ffmpegSends(t, card, ['-c', 'copy', '-f', 'rtp_mpegts', `rtp://127.0.0.1:${ports.good}`]);
  ffmpegSends(t, card, ['-c', 'copy', '-f', 'rtp_mpegts', `rtp://127.0.0.1:${ports.closed}`]);
  // Noise to every port of every input, beside the good one.
  const socket = dgram.createSocket('udp4');
  let bytes = 1;
  const noise = setInterval(() => {
    for (const port of Object.values(ports)) {
      for (const offset of [0, 1, 2, 4]) {
        const datagram = Buffer.alloc((bytes = (bytes * 7919) % 1500), bytes % 256);
        datagram[0] = bytes % 3 ? 0x80 : bytes % 256;
        socket.send(datagram, port + offset, '127.0.0.1');
      }
    }
  }, 5);
  t.after(() => {
    clearInterval(noise);
    socket.close();
  });

  await step('a good feed is not disturbed', async (s) => {
    const { source } = await plays(s, server, 'good');
    assert.ok(source.packets_strange > 10);
  });

  await step('a sender who is not listed is not heard', async () => {
    const line = await server.logged('nothing usable comes', (entry) =>
      entry.stream === 'closed' && /none of them is taken/.test(entry.message));
    assert.equal(line.level, 'warning');
    const input = await inputOf(server, 'closed');
    assert.equal(input.state, 'connecting');
    assert.match(input.why, /not from whom/);
    await sender.stop();
  });

  await step('a port that is taken is said at the start', async () => {
    const second = await Server.launch(t, {}, configOf({ other: ports.good }));
    const { code } = await second.child.ended;
    second.checked = true;
    assert.equal(code, 1);
    assert.match(second.child.stderr, /RTP input 'other'.*in use/);
  });
});
