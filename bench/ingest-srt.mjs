// What SRT ingest costs: the real listener and demuxer behind one UDP port, with a gate that counts
// access units in place of media threads; and the same load on srt-live-transmit, run in turn.
//
//   cmake --preset release -DMIRROR_BENCH=ON && ninja -C build/release mirror-bench-srt
//   node bench/ingest-srt.mjs [--streams 25] [--pair-streams 10] [--runs 5] [--seconds 5]
//                             [--only bursts|pair|smooth]
//
// Senders write in bursts of 2 ms or in ticks of 150 us ("smooth"), in a process of their own, whose
// CPU is shown apart. Prints Markdown tables of medians (range). The CPU of srt-live-transmit is user
// and system time of all its processes from /proc/PID/stat, over the same seconds of the same load.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { Child } from '../tests/line/lib/process.mjs';
import { cpuSeconds, pause } from './scope.mjs';

const { values: options } = parseArgs({
  options: {
    streams: { type: 'string', default: '25' },
    'pair-streams': { type: 'string', default: '10' },
    runs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    only: { type: 'string' },
    program: { type: 'string' },
  },
});
const kRuns = Number(options.runs);
const kSeconds = Number(options.seconds);
const kSettleSeconds = 2;  // as the receiver does
const root = fileURLToPath(new URL('..', import.meta.url));
const program = options.program ??
  ['build/release/bin', 'build/release/bench']
    .map((folder) => path.join(root, folder, 'mirror-bench-srt')).find(fs.existsSync);

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const show = (values, digits = 3) =>
  `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)}-${Math.max(...values).toFixed(digits)})`;

let port = 21_000 + Math.floor(Math.random() * 10_000);  // libsrt frees a port late: a new one each run

async function jsonOf(child) {
  const { code } = await child.ended;
  if (code !== 0) throw new Error(`${child.name} ended with ${code}: ${child.stderr}`);
  return JSON.parse(child.stdout);
}

const send = (streams, tickUs, portsApart) =>
  new Child(program, ['send', '--port', String(port), '--ports-apart', String(portsApart),
    '--streams', String(streams), '--tick-us', String(tickUs),
    '--seconds', String(kSeconds + kSettleSeconds + 2)]);

async function runOurs(streams, tickUs) {
  ++port;
  const receiver = new Child(program, ['receive', '--port', String(port), '--streams', String(streams),
    '--seconds', String(kSeconds)]);
  await pause(0.5);
  const sent = await jsonOf(send(streams, tickUs, 0));
  const got = await jsonOf(receiver);
  return { ...got, sent: sent.pictures, unsent: sent.unsent, senderDropped: sent.dropped,
    senderCores: sent.cores, load: os.loadavg()[0] };
}

async function runTheirs(streams, tickUs) {
  port += streams;
  const receivers = [];
  for (let i = 0; i < streams; ++i) {
    // A child whose output nobody reads would stand still, so a shell gives it /dev/null and is gone.
    receivers.push(new Child('sh', ['-c',
      `exec srt-live-transmit -q 'srt://127.0.0.1:${port + i}?mode=listener' file://con >/dev/null`]));
  }
  await pause(1);
  const sender = send(streams, tickUs, 1);
  await pause(kSettleSeconds);
  const cpu = () => receivers.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
  const before = { at: performance.now(), cpu: cpu() };
  await pause(kSeconds);
  const cores = (cpu() - before.cpu) / ((performance.now() - before.at) / 1000);
  const sent = await jsonOf(sender);
  await Promise.all(receivers.map((receiver) => receiver.stop()));
  return { cores, unsent: sent.unsent, senderDropped: sent.dropped };
}

function tell(name, streams, runs) {
  console.log(`\n${name}: ${streams} streams of 50 Mbps, ${runs.length} runs of ${kSeconds} s, ` +
    `load average ${runs[0].load.toFixed(1)}-${runs.at(-1).load.toFixed(1)}\n`);
  console.log('| run | cores | senders, cores | pictures sent | came | missing | damaged | SRT lost / dropped | kernel drops |');
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- |');
  runs.forEach((run, at) => console.log(
    `| ${at + 1} | ${run.cores.toFixed(3)} | ${run.senderCores.toFixed(2)} | ${run.sent} | ${run.pictures} | ` +
    `${run.missing} | ${run.damaged} | ${run.lost} / ${run.dropped} | ${run.kernel_drops} |`));
  console.log(`\ncores: ${show(runs.map((run) => run.cores))}`);
}

const wants = (name) => options.only === undefined || options.only === name;

if (wants('bursts')) {
  const runs = [];
  for (let i = 0; i < kRuns; ++i) runs.push(await runOurs(Number(options.streams), 2000));
  tell('bursts of 2 ms', options.streams, runs);
}
for (const [name, tickUs] of [['pair', 2000], ['smooth', 150]]) {
  if (!wants(name)) continue;
  const streams = Number(options['pair-streams']);
  const ours = [];
  const theirs = [];
  for (let i = 0; i < kRuns; ++i) {
    ours.push(await runOurs(streams, tickUs));
    theirs.push(await runTheirs(streams, tickUs));
  }
  tell(name === 'pair' ? 'bursts of 2 ms' : 'smooth, 150 us', streams, ours);
  console.log(`\nsrt-live-transmit, ${streams} processes, cores: ${show(theirs.map((run) => run.cores))}`);
  console.log(`ratio: ${show(ours.map((run, at) => run.cores / theirs[at].cores), 2)}`);
}
