// Who publishes over SRT in the field: ffmpeg, GStreamer and srt-live-transmit, in the clear and
// with AES-128, 192 and 256; and what each is told when it must not.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  Child, freeUdpPort, publishWithFfmpeg, publishWithSource, run, Server, stepsOf, testCard, whenOver,
} from './lib.mjs';

const kPassphrase = 'correct horse battery';
const kSourceSeconds = 30;

function started(t, program, args) {
  const child = new Child(program, args);
  whenOver(t, () => child.stop());
  return child;
}

function publishWithGstreamer(t, server, streamId, file, sink = []) {
  return started(t, 'gst-launch-1.0', [
    '-q', 'filesrc', `location=${file}`, '!', 'tsparse', 'set-timestamps=true', 'alignment=7', '!',
    'srtsink', `uri=srt://127.0.0.1:${server.srtPort}`, 'mode=caller', `streamid=${streamId}`,
    'wait-for-connection=true', ...sink,
  ]);
}

// It reads UDP, because it spins for ever at the end of its standard input.
async function publishWithLiveTransmit(t, server, streamId, file, options = '') {
  const port = await freeUdpPort();
  const relay = started(t, 'srt-live-transmit', [
    '-q', `udp://127.0.0.1:${port}`,
    `srt://127.0.0.1:${server.srtPort}?streamid=${streamId}${options}`,
  ]);
  started(t, 'ffmpeg', [
    '-hide_banner', '-loglevel', 'warning', '-nostdin', '-re', '-i', file, '-c', 'copy',
    '-f', 'mpegts', `udp://127.0.0.1:${port}?pkt_size=1316`,
  ]);
  return relay;
}

// The feed came whole: nothing lost, nothing damaged, and it goes on.
async function arrivesWhole(t, server, key) {
  const before = await server.untilLive(key);
  const after = await server.untilStream(key, 'goes on', (stream) =>
    stream.counters.access_units > before.counters.access_units + 60);
  const { source, counters } = after;
  t.diagnostic(`${key}: ${counters.access_units} access units, ${source.packets} packets, ` +
    `${source.packets_retransmitted} of them sent again`);
  assert.equal(source.protocol, 'srt');
  assert.equal(source.packets_dropped, 0);
  assert.equal(counters.damaged_access_units, 0);
  assert.equal(counters.continuity_errors, 0);
}

const reasonOf = (server, streamId) =>
  server.logged(`${streamId} is refused`, (line) =>
    line.message === 'publisher refused' && line.stream_id === streamId);

test('in the clear', { timeout: 180_000 }, async (t) => {
  const card = await testCard({ seconds: kSourceSeconds, args: ['--bitrate', '500k'] });
  const server = await Server.start(t);
  const step = stepsOf(t, server);
  await step('ffmpeg, the standard form', async (u) => {
    publishWithFfmpeg(u, server, '%23!::r%3Dffmpeg%2Cm%3Dpublish', card);
    await arrivesWhole(u, server, 'ffmpeg');
  });
  await step('GStreamer', async (u) => {
    publishWithGstreamer(u, server, 'gst', card);
    await arrivesWhole(u, server, 'gst');
  });
  await step('srt-live-transmit', async (u) => {
    await publishWithLiveTransmit(u, server, 'slt', card);
    await arrivesWhole(u, server, 'slt');
  });
  await step('who encrypts is refused, and the log says why', async (u) => {
    const args = [`srt://127.0.0.1:${server.srtPort}?streamid=secret&passphrase=${kPassphrase}`];
    await assert.rejects(run('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-nostdin', '-i', card,
      '-c', 'copy', '-f', 'mpegts', ...args]));
    const { reason, why } = await reasonOf(server, 'secret');
    assert.equal(reason, 'handshake');
    assert.match(why, /has no passphrase/);
  });
});

test('encrypted', { timeout: 180_000 }, async (t) => {
  const card = await testCard({ seconds: kSourceSeconds, args: ['--bitrate', '500k'] });
  const server = await Server.start(t, { MIRROR_SRT_PASSPHRASE: kPassphrase });
  const step = stepsOf(t, server);
  const beside = publishWithSource(t, {
    srtUrl: (id) => server.srtUrl(id, `&passphrase=${kPassphrase.replaceAll(' ', '%20')}`),
  }, 'beside', ['--size', '320x180', '--bitrate', '500k']);
  await server.untilLive('beside');
  const encrypted = (bytes) => `&passphrase=${kPassphrase}&pbkeylen=${bytes}`;
  for (const bytes of [16, 32]) {
    await step(`ffmpeg, AES-${8 * bytes}`, async (u) => {
      const secretive = { srtUrl: (id) => server.srtUrl(id, encrypted(bytes)) };
      publishWithFfmpeg(u, secretive, `ffmpeg${bytes}`, card);
      await arrivesWhole(u, server, `ffmpeg${bytes}`);
    });
  }
  await step('GStreamer, AES-192', async (u) => {
    publishWithGstreamer(u, server, 'gst', card, [`passphrase=${kPassphrase}`, 'pbkeylen=24']);
    await arrivesWhole(u, server, 'gst');
  });
  await step('srt-live-transmit, AES-256', async (u) => {
    await publishWithLiveTransmit(u, server, 'slt', card, encrypted(32));
    await arrivesWhole(u, server, 'slt');
  });
  for (const [key, options] of [['clear', ''], ['wrong', '&passphrase=battery-staple']]) {
    await step(`${key}: refused, and the log says why`, async () => {
      await assert.rejects(run('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-nostdin', '-i', card,
        '-c', 'copy', '-f', 'mpegts', server.srtUrl(key, options)]));
      const { reason, why } = await reasonOf(server, key);
      assert.equal(reason, 'handshake');
      assert.match(why, /passphrase is missing or wrong/);
    });
  }
  await step('the stream beside them all lost nothing', async (u) => {
    assert.equal(beside.result, undefined, 'it was not hung up on');
    await arrivesWhole(u, server, 'beside');
    assert.equal(await server.metric('mirror_srt_undecrypted_packets_total'), 0);
  });
});
