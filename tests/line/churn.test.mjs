// Viewers of every kind who come and go at once, a new certificate in the middle, SIGTERM while all
// of them watch: nothing wrong reaches anybody, and what the server held is let go. The load that
// sanitizers are run under (MIRROR_CHURN_SECONDS; 60 with MIRROR_LONG=1).
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import {
  binary, Child, eventually, makeCertificate, patience, publishWithSource, Server, temporaryFolder,
} from './lib.mjs';

const kSeconds = Number(process.env.MIRROR_CHURN_SECONDS ?? (process.env.MIRROR_LONG === '1' ? 60 : 10));
const kViewers = 8;

// A sanitized server is slow, and lateness is not the matter here.
const kRenditions = ['--subscribe', 'one/v360', '--subscribe', 'one/audio', '--subscribe', 'two/v360'];
const kKinds = {
  'LL-HLS, HTTP/1.1': { path: '/live/one/index.m3u8', args: ['--http', '1.1'] },
  'LL-HLS, HTTP/2': { path: '/live/one/index.m3u8', args: ['--http', '2', '--delta'] },
  'LL-HLS, HTTP/3': { path: '/live/two/index.m3u8', args: ['--http', '3', '--loss', '1'] },
  'push, HTTP/1.1': { path: '/push', args: ['--push', ...kRenditions, '--http', '1.1'] },
  'push, HTTP/2': { path: '/push', args: ['--push', ...kRenditions, '--http', '2', '--slow', '1', '--slow-rate', '8000'] },
  'push, HTTP/3': { path: '/push', args: ['--push', ...kRenditions, '--http', '3', '--chunks'] },
  'push, WebTransport': {
    path: '/push',
    args: ['--push', ...kRenditions, '--webtransport', '--loss', '1', '--slow', '1', '--slow-rate', '8000'],
  },
};

test('viewers who come and go', { timeout: (kSeconds + 120) * 1000 * patience }, async (t) => {
  const folder = temporaryFolder(t);
  const [certificate, key] = await makeCertificate(folder, 'first');
  const server = await Server.start(t, {
    MIRROR_HTTPS_CERTIFICATE: certificate, MIRROR_HTTPS_KEY: key, MIRROR_NETWORK_LOOPS: '2',
  });
  const args = ['--size', '320x180', '--bitrate', '300k', '--codec', 'h264'];
  publishWithSource(t, server, 'one', args);
  publishWithSource(t, server, 'two', args);
  await Promise.all([server.untilLive('one'), server.untilLive('two')]);

  const crowds = Object.entries(kKinds).map(([name, kind]) => ({
    name,
    child: new Child(binary('mirror-load'), [
      '--insecure', '--ndjson', '-', '--quiet', '--viewers', String(kViewers), '--leave-after', '3',
      '--seconds', String(kSeconds), ...kind.args, `https://127.0.0.1:${server.httpsPort}${kind.path}`,
    ]),
  }));
  // A certificate in the middle; who is there stays, who comes gets the new one.
  await new Promise((resolve) => setTimeout(resolve, (kSeconds * 1000) / 2));
  const [next, nextKey] = await makeCertificate(folder, 'second');
  await Promise.all([[next, certificate], [nextKey, key]].map(([from, to]) =>
    new Child('cp', [from, to]).ended));
  server.child.kill('SIGHUP');

  for (const { name, child } of crowds) {
    const { code } = await child.ended;
    const lines = child.stdout.trimEnd().split('\n');
    const summary = JSON.parse(lines.at(-1));
    assert.equal(summary.type, 'summary', `${name}: ${child.stderr}`);
    const { faults, parts, connections, examples } = summary;
    t.diagnostic(`${name}: ${parts} parts, ${connections} connections, ${JSON.stringify(faults)}`);
    assert.deepEqual(faults, {}, `${name}: ${examples.join('\n')}`);
    assert.equal(code, 0, name);
    assert.ok(parts > 0, name);
  }
  await eventually('everybody is gone', async () => {
    const left = await server.metric('mirror_push_sessions') + await server.metric('mirror_quic_connections');
    return left === 0;
  }, { seconds: 30 * patience });

  // The end, with somebody there.
  const last = Object.values(kKinds).map((kind) => new Child(binary('mirror-load'), [
    '--insecure', '--quiet', '--viewers', '2', '--seconds', '600',
    ...kind.args.filter((each) => !['--slow', '--slow-rate', '1', '8000', '--loss'].includes(each)),
    `https://127.0.0.1:${server.httpsPort}${kind.path}`,
  ]));
  await eventually('they watch', async () => (await server.metric('mirror_push_sessions')) >= 8,
    { seconds: 30 * patience });
  const { seconds } = await server.stop();
  t.diagnostic(`ended in ${seconds} s`);
  for (const child of last) {
    child.kill('SIGTERM');
    await child.ended;
  }
});
