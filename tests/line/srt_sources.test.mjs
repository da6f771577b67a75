// Feeds that Mirror fetches over SRT, and what differs by stream: from the configuration file to the
// playlist.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  Child, eventually, freeUdpPort, publishWithSource, run, Server, telling, testCard, whenOver,
} from './lib.mjs';

const sourceOf = async (server, key) =>
  (await server.json('/api/v1/sources')).sources.find((source) => source.stream === key);

const untilSource = (server, key, state) =>
  eventually(`source ${key} is ${state}`, async () => {
    const source = await sourceOf(server, key);
    return source.state === state ? source : false;
  });

test('a source is dialled until it is there, and again when it is gone', { timeout: 120_000 }, async (t) => {
  const card = await testCard({ seconds: 40, args: ['--bitrate', '500k'] });
  const port = await freeUdpPort();
  const server = await Server.start(t, { MIRROR_SRT_PEER_IDLE_TIMEOUT_MS: '1000' }, [
    'srt:', '  call_private_addresses: true',
    'sources:', '  - stream: far', `    url: srt://127.0.0.1:${port}`, '    passphrase: correct horse battery', '',
  ].join('\n'));
  // The far end listens; ffmpeg serves one caller and ends.
  const listen = () => {
    const child = new Child('ffmpeg', ['-hide_banner', '-loglevel', 'warning', '-nostdin', '-re', '-i', card,
      '-c', 'copy', '-f', 'mpegts',
      `srt://127.0.0.1:${port}?mode=listener&passphrase=correct horse battery&pbkeylen=32`]);
    whenOver(t, () => child.stop());
    return child;
  };
  await telling(server, async () => {
    const waiting = await eventually('it was dialled in vain', async () => {
      const source = await sourceOf(server, 'far');
      return source.why ? source : false;
    });
    assert.equal(waiting.state, 'connecting');
    assert.equal(waiting.endpoint, `srt://127.0.0.1:${port}`);
    const first = listen();
    await server.untilLive('far');
    await untilSource(server, 'far', 'live');
    await first.stop('SIGKILL');
    await untilSource(server, 'far', 'reconnecting');
    listen();
    await untilSource(server, 'far', 'live');
    const stream = await server.untilLive('far');
    assert.equal(stream.counters.damaged_access_units <= 2, true, 'at most what the kill cut');
  })(t);
});

test('private addresses are not dialled unless it is allowed', { timeout: 60_000 }, async (t) => {
  const server = await Server.start(t, {}, [
    'sources:', '  - stream: inside', '    url: srt://localhost:9999', '',
  ].join('\n'));
  await telling(server, async () => {
    const source = await untilSource(server, 'inside', 'refused');
    assert.match(source.why, /call_private_addresses/);
  })(t);
});

test('a passphrase and a latency by stream', { timeout: 120_000 }, async (t) => {
  const server = await Server.start(t, {}, [
    'streams:', '  rules:', '    secret:', '      passphrase: battery staple', '      latency_ms: 400', '',
  ].join('\n'));
  const small = ['--size', '320x180', '--bitrate', '500k', '--latency', '120'];
  await telling(server, async () => {
    const refused = await run('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-nostdin', '-f', 'lavfi', '-i', 'sine',
      '-c:a', 'aac', '-f', 'mpegts', server.srtUrl('secret')], { codes: Array.from({ length: 256 }, (_, i) => i) });
    assert.notEqual(refused.code, 0);
    publishWithSource(t, server, 'open', small);
    publishWithSource(t, { srtUrl: (id) => server.srtUrl(id, '&passphrase=battery staple') }, 'secret', small);
    const measured = (stream) => stream.state === 'live' && stream.source.latency_ms > 0;
    const [secret, open] = await Promise.all(['secret', 'open'].map((key) =>
      server.untilStream(key, 'is live and measured', measured)));
    assert.equal(secret.source.latency_ms, 400);
    assert.equal(open.source.latency_ms, 120);
    const refusals = await eventually('it is told who was refused', async () => {
      const told = (await server.json('/api/v1/refusals')).refusals;
      return told.length > 0 ? told : false;
    });
    assert.deepEqual(refusals.map(({ reason, asked_for: id }) => [reason, id]), [['handshake', 'secret']]);
  })(t);
});
