// Stock hls.js and stock Shaka Player in a real Chromium, from a real SRT feed with a burned clock:
// no stall, and the latency from glass to glass.
//
//   MIRROR_LONG=1           five minutes of each and five fresh starts, whose median is judged
//   MIRROR_PLAYERS_SECONDS  how long to play each (default 30, long 300)
//   MIRROR_PLAYERS_STARTS   how many fresh starts to measure (default 0, long 5)
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { openBrowser } from '../e2e/browser.mjs';
import { kFull, Machine, percentile } from '../e2e/machine.mjs';
import { sleep } from '../e2e/processes.mjs';
import { eventually, patience, publishWithSource, Server, stepsOf, whenOver } from '../line/lib.mjs';
import { players, servePages } from './lib/players.mjs';

const long = process.env.MIRROR_LONG === '1';
const kSeconds = Number(process.env.MIRROR_PLAYERS_SECONDS ?? (long ? 300 : 30));
const kStarts = Number(process.env.MIRROR_PLAYERS_STARTS ?? (long ? 5 : 0));
const kGlassMsMax = { 'hls.js': 900, Shaka: 750 };  // the median of the fresh starts, when long

const rounded = (values) => values.map((value) => value.toFixed(0)).join(' ');

// How a player's distance from live moves: stock players keep what a stall cost them.
function tenths(values) {
  const size = Math.ceil(values.length / 10);
  return Array.from({ length: Math.ceil(values.length / size) }, (_, i) => percentile(values.slice(i * size, (i + 1) * size), 0.5));
}

async function playing(page, name) {
  await eventually(
    `${name} plays`,
    () => page.evaluate((key) => window.mirrorProbe.report().tiles[key]?.glass.length > 0, name),
    { seconds: 30 * patience, everyMs: 200 },
  );
}

// What says that the feed itself was hurt: a machine that starves the encoder decides nothing about players.
async function interruptions(server) {
  const { counters } = await server.json('/api/v1/streams/cam');
  return counters.discontinuities + counters.queue_dropped_units;
}

const report = async (page, name) => {
  const whole = await page.evaluate(() => window.mirrorProbe.report());
  return { ...whole, tile: whole.tiles[name] };
};

test('stock players', { timeout: (kSeconds + kStarts * 40 + 120) * 2000 * patience }, async (t) => {
  const server = await Server.start(t);
  const step = stepsOf(t, server);
  const source = ['--codec', 'h264', '--size', '1280x720', '--fps', '30', '--bitrate', '3M',
    '--latency', '120'];
  const publisher = publishWithSource(t, server, 'cam', source);
  await server.untilLive('cam');

  const pages = await servePages(t, `https://127.0.0.1:${server.httpsPort}/live/cam/index.m3u8`);
  const { browser, page } = await openBrowser((text) => t.diagnostic(text));
  whenOver(t, () => browser.close());
  const machine = new Machine();
  whenOver(t, () => machine.stop());

  for (const name of Object.keys(players)) {
    await step(`${name} plays for ${kSeconds} s without a stall`, async (t) => {
      await page.goto(pages[name]);
      await playing(page, name);
      await sleep(3_000);  // "after start": the player has found its distance from live
      const jumped = (await report(page, name)).tile.player.gapsJumped;
      await page.evaluate(() => window.mirrorProbe.reset());
      const before = await interruptions(server);
      const began = Date.now();
      while (Date.now() - began < kSeconds * 1000) {
        await sleep(1_000);
        assert.equal(publisher.result, undefined, publisher.stderr);
      }
      const { tile, seconds, lateLooks, looks } = await report(page, name);
      const { counted, dry, stalledMs } = machine.stallsOf(tile);
      t.diagnostic(`machine: ${machine.since(began)}; ${lateLooks} of ${looks} looks late`);
      t.diagnostic(`${tile.presented} pictures in ${seconds.toFixed(0)} s, ${tile.dropped} dropped; `
        + `${counted.length} stalls, ${dry.length - counted.length} more while the machine was full, `
        + `${stalledMs} ms in all; the player says ${JSON.stringify(tile.player)}`);
      t.diagnostic(`glass-to-glass of ${tile.glass.length} pictures in ms: `
        + `p50 ${percentile(tile.glass, 0.5).toFixed(0)}, p95 ${percentile(tile.glass, 0.95).toFixed(0)}, `
        + `worst ${Math.max(...tile.glass).toFixed(0)}; median of each tenth ${rounded(tenths(tile.glass))}`);
      const hurt = (await interruptions(server)) - before;
      if (hurt > 0) return t.skip(`the feed itself was interrupted, ${hurt} times`);
      if (machine.fullSince(began)) return t.skip(kFull);
      assert.ok(tile.glass.length > 20, `the burned clock was read ${tile.glass.length} times`);
      assert.ok(tile.presented > seconds * 10, `${tile.presented} pictures in ${seconds} s`);
      assert.deepEqual(counted, [], 'stalls');
      // Shaka jumps where dates and media advance unequally, too.
      assert.equal(tile.player.gapsJumped, jumped, 'gaps that the player jumped over');
    });

    if (kStarts === 0) continue;
    await step(`${kStarts} fresh starts of ${name}`, async (t) => {
      const before = await interruptions(server);
      const medians = [];
      for (let n = 0; n < kStarts; ++n) {
        await page.goto('about:blank');
        await page.goto(pages[name]);
        await playing(page, name);
        await page.evaluate(() => window.mirrorProbe.reset());
        await sleep(10_000);
        const { tile } = await report(page, name);
        // What the start itself does to the player's distance from live is over by then.
        medians.push(percentile(tile.glass.slice(Math.floor(tile.glass.length / 2)), 0.5));
        t.diagnostic(`start ${n + 1}: ${JSON.stringify(tile.player)}`);
      }
      const median = percentile(medians, 0.5);
      t.diagnostic(`glass-to-glass in ms, the median of each: ${rounded(medians)}; `
        + `of all ${median.toFixed(0)}`);
      t.diagnostic(`the feed was interrupted ${(await interruptions(server)) - before} times`);
      if (long) assert.ok(median <= kGlassMsMax[name], `${median} ms, at most ${kGlassMsMax[name]}`);
    });
  }
});
