// Half an hour (MIRROR_LINT_SECONDS) of mirror-lint on every frame rate at once: through a publisher's
// return, jumps of the source's timestamps both ways, and a source without sound. Runs only with MIRROR_LONG=1.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { lint, wrongIn } from './lib/lint.mjs';
import { eventually, publishWithSource, Server, stepsOf, testCard } from './lib.mjs';

const kSeconds = Number(process.env.MIRROR_LINT_SECONDS ?? 1800);
const skip = process.env.MIRROR_LONG === '1' ? false : 'long: set MIRROR_LONG=1';

// Short files, played for ever: drawing six feeds would starve what is tested.
const kFeeds = {
  film: { fps: '24', args: ['--loop-jump', '-4s'], breaks: 'jumps back' },
  pal: { fps: '25', args: ['--no-audio'] },
  ntsc: { fps: '29.97', args: ['--loop-jump', '50000s'], breaks: 'jumps ahead' },
  cam: { fps: '30', args: [], breaks: 'returns' },
  fast: { fps: '50', args: [] },
  sport: { fps: '59.94', args: [] },
};
const kFileSeconds = { 'jumps back': 60, 'jumps ahead': 60 };

test('no rule is broken for long', { skip, timeout: (kSeconds + 300) * 1000 }, async (t) => {
  const server = await Server.start(t);
  const step = stepsOf(t, server);
  const publish = async (key, { fps, args, breaks }) => {
    const seconds = kFileSeconds[breaks] ?? 20;
    const file = await testCard({ seconds, codec: 'h264', fps, args: ['--bitrate', '300k'] });
    return publishWithSource(t, server, key, ['--loop-file', file, ...args]);
  };
  const publishers = {};
  for (const [key, feed] of Object.entries(kFeeds)) publishers[key] = await publish(key, feed);
  await Promise.all(Object.keys(kFeeds).map((key) => server.untilLive(key)));

  const linting = Object.keys(kFeeds).map((key) =>
    lint(`http://127.0.0.1:${server.httpPort}/live/${key}/index.m3u8`, ['--seconds', String(kSeconds)]));

  await step('a publisher goes and comes back', async () => {
    await publishers.cam.stop();
    await eventually('cam is missed', async () => (await server.json('/api/v1/streams/cam')).state !== 'live');
    await publish('cam', kFeeds.cam);
    await server.untilLive('cam');
  });

  const reports = await Promise.all(linting);
  for (const [at, [key, { breaks }]] of Object.entries(kFeeds).entries()) {
    await step(`${key}: ${kSeconds} s, ${breaks ?? 'undisturbed'}`, async (t) => {
      const { report } = reports[at];
      const late = report.findings.filter(({ severity }) => severity !== 'note').length;
      const { counters } = await server.json(`/api/v1/streams/${key}`);
      t.diagnostic(`${JSON.stringify(report.exchanges)}; ${late} findings of lateness; ${counters.discontinuities} discontinuities`);
      assert.deepEqual(wrongIn(report), [], JSON.stringify(wrongIn(report), null, 1));
      if (breaks) assert.ok(counters.discontinuities > 0, 'there was a break to be judged');
    });
  }
});
