// Ten minutes (MIRROR_SOAK_SECONDS) of 1,000 push viewers of one 400 kbps tile, then of 200 walls
// of six tiles, on this machine with the load tool beside the server: nothing late, nothing dropped,
// no fault, and memory that does not grow. Needs the machine to itself. Runs only with MIRROR_LONG=1.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { binary, Child, publishWithSource, run, Server, temporaryFolder } from './lib.mjs';

const kSeconds = Number(process.env.MIRROR_SOAK_SECONDS ?? 600);
const skip = process.env.MIRROR_LONG === '1' ? false : 'long: set MIRROR_LONG=1';
const kLateMs = 50;  // p99, from published to the last byte
const kCarrier = process.env.MIRROR_PUSH_CARRIER ?? 'webtransport';  // or 1.1, 2, 3
const carrier = kCarrier === 'webtransport' ? ['--webtransport'] : ['--http', kCarrier];

const residentKb = (pid) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);

async function watched(t, { streams, tiles, viewers }) {
  const server = await Server.start(t);
  // Encoded once, sent as it is: the sources' own CPU is no part of this.
  const clip = `${temporaryFolder(t)}/clip.ts`;
  await run(binary('mirror-source'), [
    '--output', clip, '--duration', '10', '--size', '640x360', '--codec', 'h264', '--bitrate', '1M', '--grain', '20',
  ]);
  const keys = Array.from({ length: streams }, (_, i) => `cam${i + 1}`);
  for (const key of keys) publishWithSource(t, server, key, ['--loop-file', clip, '--reconnect']);
  for (const key of keys) await server.untilLive(key);
  const child = new Child(binary('mirror-load'), [
    '--quiet', '--ndjson', '-', '--insecure', '--push', ...carrier, '--tiles', String(tiles),
    ...keys.flatMap((key) => ['--subscribe', `${key}/v360`]), '--viewers', String(viewers),
    '--seconds', String(kSeconds), `https://127.0.0.1:${server.httpsPort}/push`,
  ]);
  const memory = [];
  const sampling = setInterval(() => memory.push(residentKb(server.pid)), 1000);
  const { code } = await child.ended;
  clearInterval(sampling);
  const summary = JSON.parse(child.stdout.trimEnd().split('\n').at(-1));
  assert.equal(summary.type, 'summary', child.stderr);
  const late = summary.part_behind_published_ms;
  // The first quarter is joining and filling.
  const quarter = memory.slice(memory.length >> 2);
  t.diagnostic(
    `${viewers} × ${tiles} over ${kCarrier}, ${summary.seconds.toFixed(0)} s: ${summary.parts} parts of ` +
      `${(summary.bytes / summary.parts).toFixed(0)} bytes, behind publication p50 ${late.p50} p99 ${late.p99} max ` +
      `${late.max} ms, ${summary.late_parts} later than ${kLateMs} ms, ${summary.dropped_parts} dropped, ` +
      `${summary.stalls} stalls, RSS ${quarter[0]} then ${quarter.at(-1)} kB, client ` +
      `${summary.client_busiest_thread.toFixed(2)} cores`,
  );
  assert.deepEqual(summary.faults, {}, summary.examples.join('\n'));
  assert.equal(code, 0);
  assert.equal(summary.viewers_playing, viewers);
  assert.equal(summary.dropped_parts, 0);
  assert.equal(summary.stalls, 0);
  assert.ok(late.p99 <= kLateMs, `p99 ${late.p99} ms`);
  assert.ok(quarter.at(-1) < quarter[0] * 1.05 + 1024, 'memory is flat');
}

const options = { skip, timeout: (kSeconds + 300) * 1000 };
test('1,000 viewers of one tile', options, (t) => watched(t, { streams: 1, tiles: 1, viewers: 1000 }));
test('200 walls of six tiles', options, (t) => watched(t, { streams: 6, tiles: 6, viewers: 200 }));
