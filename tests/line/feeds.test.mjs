// Feeds whose timestamps run over their 33 bits while the picture changes its size and the clock runs wrong: what
// viewers get goes on without a break.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { publishWithSource, Server, Viewer } from './lib.mjs';

test('a feed goes on over the wrap, new parameter sets and a wrong clock', { timeout: 120_000 }, async (t) => {
  const server = await Server.start(t);
  const args = [
    '--codec', 'h264', '--size', '640x360', '--bitrate', '500k',
    '--wrap-soon', '6', '--drift', '100', '--change-resolution-every', '2',
  ];
  publishWithSource(t, server, 'cam', args);
  await server.untilLive('cam');
  const viewer = new Viewer(t, server, 'cam');
  const recording = await viewer.record('v360', ({ seconds }) => seconds >= 10);
  recording.checkStructure({ discontinuities: 0 });
  const { counters } = await server.json('/api/v1/streams/cam');
  assert.equal(counters.discontinuities, 0);
  assert.equal(counters.decode_errors, 0);
  assert.equal(counters.continuity_errors, 0);
});
