// Ten minutes (MIRROR_SOAK_SECONDS) of two streams, watched throughout: no part is missing, and
// the process neither grows nor collects files. Runs only with MIRROR_LONG=1.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { footprint, publishWithSource, Server, telling, Viewer } from './lib.mjs';

const kSeconds = Number(process.env.MIRROR_SOAK_SECONDS ?? 600);
const skip = process.env.MIRROR_LONG === '1' ? false : 'long: set MIRROR_LONG=1';

test('it goes on and on', { skip, timeout: (kSeconds + 120) * 1000 }, async (t) => {
  const server = await Server.start(t, { MIRROR_HLS_WINDOW_SECONDS: '10' });
  const args = ['--size', '640x360', '--bitrate', '1M'];
  publishWithSource(t, server, 'h264', [...args, '--codec', 'h264', '--fps', '25']);
  publishWithSource(t, server, 'hevc', args);
  await telling(server, async () => {
    await Promise.all([server.untilLive('hevc'), server.untilLive('h264')]);
    const footprints = [];
    let told = 0;
    const watch = async (stream, rendition) => {
      const viewer = new Viewer(t, server, stream);
      let worst = 0;
      let seen = 0;
      const recording = await viewer.record(rendition, (each) => {
        seen = each.parts.length;
        const newest = each.parts.at(-1);
        worst = Math.max(worst, Date.now() - newest.chunk.prft.time);
        if (stream === 'hevc' && rendition === 'v360' && each.seconds - told >= 5) {
          told = each.seconds;
          footprints.push(footprint(server.pid));
        }
        return each.seconds >= kSeconds;
      });
      recording.checkStructure();
      assert.equal(recording.timeOuts, 0, 'every blocking reload was answered with news');
      const numbers = recording.segments.map((segment) => segment.number);
      numbers.forEach((number, at) => assert.equal(number, numbers[0] + at));
      t.diagnostic(`${stream} ${rendition}: ${seen} parts, at worst ${worst} ms after capture`);
    };
    await Promise.all([
      watch('hevc', 'v360'), watch('hevc', 'audio'), watch('h264', 'v360'), watch('h264', 'audio'),
    ]);
    // Compares the second fifth with the last one: caches and windows are full by then.
    const fifth = Math.max(1, Math.floor(footprints.length / 5));
    const mean = (list, key) => list.reduce((sum, each) => sum + each[key], 0) / list.length;
    const early = footprints.slice(fifth, 2 * fifth);
    const late = footprints.slice(-fifth);
    t.diagnostic(`RSS ${mean(early, 'rssKb') | 0} kB, then ${mean(late, 'rssKb') | 0} kB`);
    assert.ok(mean(late, 'rssKb') < mean(early, 'rssKb') * 1.05 + 1024, 'memory is flat');
    assert.ok(mean(late, 'files') <= mean(early, 'files') + 1, 'file descriptors are flat');
    for (const key of ['hevc', 'h264']) {
      const { counters } = await server.json(`/api/v1/streams/${key}`);
      assert.equal(counters.queue_dropped_units, 0);
      assert.equal(counters.discontinuities, 0);
      assert.equal(counters.decode_errors, 0);
    }
  })(t);
});
