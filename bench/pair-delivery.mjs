// What a viewer costs: CPU of a whole mirror process per viewer-second of LL-HLS over TLS, and how
// late its parts come, over HTTP/1.1 and HTTP/2 from the same server in the same run.
//
//   node bench/pair-delivery.mjs [--viewers 200,500,1000] [--seconds 20] [--repeats 3]
//     [--http 1.1,2] [--server-cpu 0] [--client-cpu 1] [--delta] [--viewers-per-connection 1]
//     [--bin DIR]
//
// One network loop, the server on one processor; mirror-load and the source (a file, sent as it is)
// on the other. The CPU is what all the server's threads had (/proc/PID/task/*/schedstat) while
// mirror-load measures, less what the same server took without viewers for as long, before. With few
// viewers that difference is small beside what it is taken from; the network loop's own CPU, which
// is next to nothing without viewers, stands beside it. Prints a Markdown table. Run it on a machine
// with nothing else to do.
import os from 'node:os';
import { parseArgs } from 'node:util';

import { clockOf, coresBetween, measuredLoad, median, pause, Scope } from './scope.mjs';

const { values: options } = parseArgs({
  options: {
    viewers: { type: 'string', default: '200,500,1000' },
    seconds: { type: 'string', default: '20' },
    repeats: { type: 'string', default: '3' },
    http: { type: 'string', default: '1.1,2' },
    'server-cpu': { type: 'string', default: '0' },
    'client-cpu': { type: 'string', default: '1' },
    'viewers-per-connection': { type: 'string', default: '1' },
    delta: { type: 'boolean', default: false },
    bin: { type: 'string' },
  },
});
if (options.bin) process.env.MIRROR_BIN_DIR = options.bin;

const { binary, Child, run, Server, testCard } = await import('../tests/line/lib.mjs');

const kSeconds = Number(options.seconds);
const kWindowSeconds = 30;  // hls.window_seconds
const kTargetMs = 0.4;  // CPU per viewer-second
const kTargetLateMs = 50;  // p99, of 1,000 viewers

async function idle(pid) {
  const before = clockOf(pid);
  await pause(kSeconds);
  return coresBetween(before, clockOf(pid)).all;
}

// mirror-load's last word, and the server's cores between the end of the joining and that.
async function load(server, http, viewers) {
  const carrier = ['--http', http];
  if (http === '2') carrier.push('--viewers-per-connection', options['viewers-per-connection']);
  if (options.delta) carrier.push('--delta');
  const child = new Child('taskset', [
    '-c', options['client-cpu'], binary('mirror-load'), '--quiet', '--ndjson', '-', '--insecure',
    '--viewers', String(viewers), '--seconds', String(kSeconds), ...carrier,
    `https://127.0.0.1:${server.httpsPort}/live/bench/index.m3u8`,
  ]);
  const result = await measuredLoad(child, server.pid);
  return { ...result, cores: result.cores.all, loopCost: (1000 * result.cores.net) / viewers };
}

async function repeat(turn, clip, results) {
  const scope = new Scope();
  try {
    const server = await Server.start(scope, { MIRROR_NETWORK_LOOPS: '1' });
    await run('taskset', ['-a', '-c', '-p', options['server-cpu'], String(server.pid)]);
    const source = new Child('taskset', [
      '-c', options['client-cpu'], binary('mirror-source'), '--url', server.srtUrl('bench'),
      '--loop-file', clip, '--reconnect',
    ]);
    scope.after(() => source.stop());
    await server.untilLive('bench');
    // Playlists grow until the window is full.
    await pause(Math.max(1, kWindowSeconds + 2 - kSeconds));
    const baseline = await idle(server.pid);
    // Who goes first alternates, so that what drifts does not favour one of them.
    const versions = options.http.split(',');
    if (turn % 2 === 1) versions.reverse();
    for (const viewers of options.viewers.split(',').map(Number)) {
      for (const http of versions) {
        const result = await load(server, http, viewers);
        result.idle = baseline;
        result.cost = (1000 * (result.cores - baseline)) / viewers;
        results.get(`${http} ${viewers}`).push(result);
        console.error(
          `repeat ${turn + 1}, HTTP/${http}, ${viewers} viewers: ${result.cost.toFixed(3)} ms per ` +
            `viewer-second (${result.loopCost.toFixed(3)} in the loop), part p99 ${result.part_behind_fastest_ms.p99.toFixed(1)} ms behind the ` +
            `fastest, ${JSON.stringify(result.faults)}, load ${os.loadavg()[0].toFixed(2)}`,
        );
      }
    }
  } finally {
    await scope.end();
  }
}

const spread = (list, digits) => {
  const [middle, low, high] = [median(list), Math.min(...list), Math.max(...list)];
  return `${middle.toFixed(digits)} (${low.toFixed(digits)}-${high.toFixed(digits)})`;
};

function rowOf(key, results) {
  const [http, viewers] = key.split(' ');
  const of = (pick) => results.map(pick);
  const late = (name, at) => spread(of((each) => each[name][at]), 1);
  const faults = of((each) => Object.values(each.faults).reduce((sum, count) => sum + count, 0));
  return [
    http,
    viewers,
    spread(of((each) => each.cost), 3),
    spread(of((each) => each.loopCost), 3),
    spread(of((each) => each.cores), 2),
    median(of((each) => each.requests_per_second)).toFixed(0),
    (median(of((each) => each.bytes_per_second)) / 1e6).toFixed(1),
    `${late('part_behind_fastest_ms', 'p50')} / ${late('part_behind_fastest_ms', 'p99')}`,
    late('part_behind_least_capture_ms', 'p99'),
    median(of((each) => each.stalls)).toFixed(0),
    String(Math.max(...faults)),
    median(of((each) => each.client_busiest_thread)).toFixed(2),
  ];
}

const kHeads = [
  'HTTP', 'viewers', 'server CPU, ms per viewer-second', 'of it the network loop alone',
  'server, cores', 'requests/s', 'MB/s',
  'part behind the fastest viewer, ms (p50 / p99)', 'part behind its capture beyond the least, p99 ms',
  'stalls', 'faults', 'client, cores',
];

const results = new Map();
for (const viewers of options.viewers.split(',')) {
  for (const http of options.http.split(',')) results.set(`${http} ${viewers}`, []);
}
// Little to decode: the source is not what is measured.
const clip = await testCard({ seconds: 10, codec: 'h264', size: '320x180' });
for (let turn = 0; turn < Number(options.repeats); ++turn) await repeat(turn, clip, results);

const rows = [...results].map(([key, list]) => rowOf(key, list));
const baselines = [...results.values()].flat().map((each) => each.idle);
console.log(
  `\n${os.cpus()[0].model}, ${os.cpus().length} processors, load at the end ` +
    `${os.loadavg()[0].toFixed(2)}; medians of ${options.repeats} runs of ${kSeconds} s (range); ` +
    `without viewers ${spread(baselines, 3)} cores\n`,
);
for (const cells of [kHeads, kHeads.map(() => '---'), ...rows]) console.log(`| ${cells.join(' | ')} |`);
for (const [key, list] of results) {
  const [http, viewers] = key.split(' ');
  const cost = median(list.map((each) => each.cost));
  const late = median(list.map((each) => each.part_behind_fastest_ms.p99));
  const missed = [];
  if (cost > kTargetMs) missed.push(`${cost.toFixed(3)} ms of CPU, the target is ${kTargetMs}`);
  if (viewers === '1000' && late > kTargetLateMs) {
    missed.push(`p99 ${late.toFixed(1)} ms late, the target is ${kTargetLateMs}`);
  }
  if (missed.length) console.log(`\nHTTP/${http}, ${viewers} viewers: ${missed.join('; ')}`);
}
