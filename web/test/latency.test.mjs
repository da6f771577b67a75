import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const load = async (file) => {
  const result = await build({
    entryPoints: [join(here, '../src', file)], bundle: true, write: false, format: 'esm',
  });
  return import(`data:text/javascript;base64,${Buffer.from(result.outputFiles[0].contents).toString('base64')}`);
};
const { LatencyController, kMaxRateChange } = await load('latency.ts');
const { ServerClock } = await load('api.ts');

// A viewer in virtual time: a part of 100 ms arrives each 100 ms, `jitter()` late.
function simulate({ seconds, startReserve, jitter = () => 0 }) {
  const controller = new LatencyController();
  controller.configure({ part: 0.1, holdBack: 0.3 });
  let playhead = 0;
  let buffered = startReserve;
  let rate = 1;
  let stalls = 0;
  let last = 0;
  for (let n = 0; n < seconds * 10; ++n) {
    const now = n * 0.1 + jitter(n);
    playhead += (now - last) * rate;
    last = now;
    if (playhead > buffered) {
      playhead = buffered;
      ++stalls;
      controller.stalled(now);
    }
    controller.observe(buffered - playhead, now);
    buffered += 0.1;
    rate = controller.rate(now);
    assert.ok(Math.abs(rate - 1) <= kMaxRateChange + 1e-9, `rate ${rate}`);
  }
  return { reserve: controller.smallestReserve(), target: controller.target(last), stalls };
}

test('far behind: catches up to the target and stays', () => {
  const end = simulate({ seconds: 60, startReserve: 0.9 });
  assert.ok(Math.abs(end.reserve - end.target) < 0.05, JSON.stringify(end));
  assert.equal(end.stalls, 0);
});

test('too near: backs off before it stalls', () => {
  const end = simulate({ seconds: 60, startReserve: 0.03 });
  assert.ok(end.reserve > 0.07, JSON.stringify(end));
  assert.equal(end.stalls, 0);
});

test('jitter is held off: the smallest reserve is what counts', () => {
  const end = simulate({ seconds: 60, startReserve: 0.4, jitter: (n) => (n % 7 === 0 ? 0.06 : 0) });
  assert.equal(end.stalls, 0);
  assert.ok(Math.abs(end.reserve - end.target) < 0.05, JSON.stringify(end));
});

test('a stall buys reserve, which is given back later', () => {
  const controller = new LatencyController();
  const calm = controller.target(0);
  controller.stalled(0);
  assert.ok(controller.target(0) > calm + 0.05);
  assert.ok(controller.target(300) < calm + 0.01);
  for (let n = 0; n < 1000; ++n) controller.stalled(n * 0.01);
  assert.ok(controller.target(10) <= calm + 0.4 + 1e-9);
});

test('the clock believes the fastest answer until it is old', () => {
  const clock = new ServerClock();
  clock.observe(1_000_500, 1_000_000, 1_000_020);
  clock.observe(1_002_000, 1_001_000, 1_001_900);  // slow: not believed
  assert.ok(Math.abs(clock.now() - Date.now() - 490) < 50);
  clock.observe(1_100_000, 1_099_000, 1_099_900);  // a minute later: better than nothing
  assert.ok(Math.abs(clock.now() - Date.now() - 550) < 50);
});
