// The main job, end to end: a feed over real SRT becomes a live picture in a real browser.
//
// One feed comes from mirror-source (its clock is burned into the picture: glass-to-glass), one from
// ffmpeg, which sends a file as encoders do. The page plays both for a minute over HTTPS and h2.
//
//   MIRROR_BIN_DIR      where mirror and mirror-source are (default build/release/bin)
//   MIRROR_E2E_OUT      where screenshots and logs go (default build/e2e)
//   MIRROR_E2E_SECONDS  how long to play (default 60)
//   MIRROR_E2E_STARTS   how many fresh starts to measure (default 3; 10 for a report)
//   MIRROR_CHROMIUM     default /usr/bin/chromium
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openBrowser } from './browser.mjs';
import { kFull, Machine, percentile } from './machine.mjs';
import { freePort, Program, sleep, until } from './processes.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const bin = resolve(process.env.MIRROR_BIN_DIR ?? join(root, 'build/release/bin'));
const out = resolve(process.env.MIRROR_E2E_OUT ?? join(root, 'build/e2e'));
const seconds = Number(process.env.MIRROR_E2E_SECONDS ?? 60);
const starts = Number(process.env.MIRROR_E2E_STARTS ?? 3);

const kStalledShareMax = 0.05;  // the picture must be there nearly always, unless the machine was full most of the time

const clock = 'clock';  // by mirror-source, with the burned clock
const file = 'file';    // by ffmpeg
let server, browser, page, machine, url, srtPort, stateDir;
const publishers = [];
const say = (text) => console.log(text);

async function listStreams() {
  const response = await page.request.get(`${url}api/v1/streams`);
  return (await response.json()).streams;
}

async function playing(keys, timeoutMs) {
  await until(`a picture in ${keys.join(' and ')}`, timeoutMs, async () => {
    const states = await page.evaluate((wanted) => wanted.map((key) => window.mirror?.statistics(key)?.state), keys);
    return states.every((state) => state === 'playing') || undefined;
  }, [server, ...publishers]);
}

before(async () => {
  for (const path of [join(bin, 'mirror'), join(bin, 'mirror-source')]) {
    assert.ok(existsSync(path), `${path} is missing: build the release preset first`);
  }
  mkdirSync(out, { recursive: true });
  stateDir = mkdtempSync(join(os.tmpdir(), 'mirror-e2e-'));
  const [httpsPort, httpPort] = [await freePort('tcp'), await freePort('tcp')];
  srtPort = await freePort('udp');
  url = `https://127.0.0.1:${httpsPort}/`;

  // What is not Mirror's configuration must not look like it: an unknown MIRROR_ variable is an error.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MIRROR_')));
  server = new Program('mirror', join(bin, 'mirror'), ['serve'], {
    ...env,
    MIRROR_SRT_PORT: String(srtPort),
    MIRROR_HTTPS_PORT: String(httpsPort),
    MIRROR_HTTP_PORT: String(httpPort),
    MIRROR_STATE_DIR: stateDir,
  });
  await until('mirror to be ready', 15_000,
    async () => (await fetch(`http://127.0.0.1:${httpPort}/readyz`)).ok || undefined, [server]);

  const feed = join(out, 'feed.ts');
  if (!existsSync(feed)) {
    const maker = new Program('mirror-source --output', join(bin, 'mirror-source'),
      ['--output', feed, '--name', file, '--codec', 'hevc', '--size', '640x360', '--fps', '30',
        '--bitrate', '1500k', '--duration', '20'], env);
    const ended = await maker.ended;
    if (ended.code !== 0) {
      rmSync(feed, { force: true });
      assert.fail(`mirror-source could not write a file\n${maker.excerpt()}`);
    }
  }
  const srt = (key) => `srt://127.0.0.1:${srtPort}?streamid=${key}`;
  publishers.push(
    new Program('mirror-source', join(bin, 'mirror-source'),
      ['--url', srt(clock), '--codec', 'h264', '--size', '1280x720', '--fps', '30', '--bitrate', '3M'], env),
    new Program('ffmpeg', 'ffmpeg', ['-nostdin', '-hide_banner', '-loglevel', 'warning', '-re', '-stream_loop', '-1',
      '-i', feed, '-c', 'copy', '-f', 'mpegts', srt(file)], env));

  ({ browser, page } = await openBrowser(say));
  machine = new Machine();
});

after(async () => {
  machine?.stop();
  await browser?.close();
  for (const publisher of publishers) await publisher.stop();
  await server?.stop();
  if (server) writeFileSync(join(out, 'server.log'), server.log);
  if (stateDir) rmSync(stateDir, { recursive: true, force: true });
});

test('both feeds are listed as live', { timeout: 60_000 }, async () => {
  await page.goto(url);
  const protocol = await page.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol);
  assert.equal(protocol, 'h2');
  const streams = await until('two live streams', 30_000, async () => {
    const list = await listStreams();
    const live = list.filter((stream) => stream.state === 'live' && stream.playlist);
    return live.length === 2 ? live : undefined;
  }, [server, ...publishers]);
  for (const stream of streams) {
    const video = stream.renditions.find((rendition) => rendition.height);
    assert.deepEqual([video.width, video.height], [640, 360]);
  }
});

test(`both play for ${seconds} s without a stall`, { timeout: (seconds + 90) * 1000 }, async (t) => {
  await playing([clock, file], 30_000);
  await sleep(3_000);  // "after start": the player has found its distance from live
  await page.evaluate(() => window.mirrorProbe.reset());
  const began = Date.now();
  while (Date.now() - began < seconds * 1000) {
    await sleep(1_000);
    for (const program of [server, ...publishers]) program.mustRun();
  }
  const report = await page.evaluate(() => window.mirrorProbe.report());
  await page.screenshot({ path: join(out, 'wall.png') });
  await page.evaluate((key) => (location.hash = key), clock);
  await sleep(2_500);
  await page.screenshot({ path: join(out, 'one.png') });
  await page.evaluate(() => (location.hash = ''));
  writeFileSync(join(out, 'report.json'), JSON.stringify(report, null, 1));

  say(`machine: ${machine.since(began)}; page: ${report.lateLooks} of ${report.looks} looks late, worst ${report.worstLookMs.toFixed(0)} ms`);
  const faults = [];
  for (const key of [clock, file]) {
    const tile = report.tiles[key];
    assert.ok(tile, `${key} has no picture\n${server.excerpt()}`);
    const { counted, dry, stalledMs } = machine.stallsOf(tile);
    say(`${key}: ${tile.presented} pictures shown in ${report.seconds.toFixed(0)} s, ${tile.dropped} of ${tile.total} dropped; `
      + `${counted.length} stalls, ${dry.length - counted.length} more while the machine was full, `
      + `${stalledMs} ms in all; ${tile.waiting} waiting events; reserve ${tile.player.reserveMs?.toFixed(0)} ms, `
      + `rate ${tile.player.rate}, latency shown ${tile.player.latencyMs?.toFixed(0)} ms`);
    if (counted.length > 0) faults.push(`${key}: ${JSON.stringify(counted)}`);
    if (stalledMs > report.seconds * 1000 * kStalledShareMax) faults.push(`${key}: stood for ${stalledMs} ms in all`);
    if (tile.presented < report.seconds * 10) faults.push(`${key}: ${tile.presented} pictures in ${report.seconds} s`);
  }
  if (faults.length > 0 && machine.fullSince(began)) return t.skip(`${kFull}: ${faults.join('; ')}`);
  const { glass, unread } = report.tiles[clock];
  assert.ok(glass.length > 20, `the burned clock was read ${glass.length} times, not read ${unread} times`);
  say(`glass-to-glass of ${clock}, ${glass.length} pictures (${unread} not read): `
    + `p50 ${percentile(glass, 0.5).toFixed(0)} ms, p95 ${percentile(glass, 0.95).toFixed(0)} ms, worst ${Math.max(...glass).toFixed(0)} ms`);
  assert.deepEqual(faults, [], server.excerpt());
});

test(`${starts} fresh starts`, { timeout: (starts * 30 + 30) * 1000 }, async (t) => {
  const medians = [];
  const firsts = [];
  for (let n = 0; n < starts; ++n) {
    await page.goto('about:blank');
    const began = Date.now();
    await page.goto(url);
    await playing([clock], 15_000);
    firsts.push(Date.now() - began);
    await sleep(5_000);
    const report = await page.evaluate(() => window.mirrorProbe.report());
    const glass = report.tiles[clock]?.glass ?? [];
    if (glass.length <= 5 && machine.fullSince(began)) return t.skip(kFull);
    assert.ok(glass.length > 5, 'the burned clock could not be read');
    medians.push(percentile(glass.slice(Math.floor(glass.length / 2)), 0.5));
  }
  const list = (values) => values.map((value) => value.toFixed(0)).join(' ');
  say(`fresh starts, glass-to-glass in ms (median of each): ${list(medians)}; `
    + `median ${percentile(medians, 0.5).toFixed(0)}, worst ${Math.max(...medians).toFixed(0)}`);
  say(`page asked for to first picture, in ms (seen each 200 ms): ${list(firsts)}`);
  assert.ok(Math.max(...medians) < 5_000, 'a start that stays seconds behind is what the player must not do');
});

test('a publisher killed with -9 is shown as gone, and its sibling plays on', { timeout: 60_000 }, async (t) => {
  const began = Date.now();
  publishers[1].child.kill('SIGKILL');
  await publishers[1].ended;
  const gone = publishers.splice(1, 1);
  assert.equal(gone.length, 1);
  await until(`${file} to be no longer live`, 20_000, async () => {
    const stream = (await listStreams()).find((each) => each.key === file);
    return stream === undefined || stream.state !== 'live' || undefined;
  }, [server, ...publishers]);
  await sleep(2_000);
  await page.screenshot({ path: join(out, 'gone.png') });
  await page.evaluate(() => window.mirrorProbe.reset());
  await sleep(3_000);
  const report = await page.evaluate(() => window.mirrorProbe.report());
  const shown = report.tiles[clock]?.presented ?? 0;
  if (shown <= 30 && machine.fullSince(began)) return t.skip(kFull);
  assert.ok(shown > 30, 'the sibling stands');
});

test('SIGTERM: the server ends by itself within 10 s', { timeout: 20_000 }, async () => {
  const ended = await server.stop(10_000);
  assert.deepEqual(ended, { code: 0, signal: null }, server.excerpt());
});

// For who reads a failure later.
process.on('exit', (code) => {
  if (code !== 0 && existsSync(join(out, 'server.log'))) {
    say(`server log: ${join(out, 'server.log')}\n${readFileSync(join(out, 'server.log'), 'utf8').split('\n').slice(-15).join('\n')}`);
  }
});
