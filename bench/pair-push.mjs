// What pushing costs: CPU of a mirror process per part and viewer, its memory per viewer, and how late
// parts come, over each carrier of push sessions, from the same server in the same run.
//
//   node bench/pair-push.mjs [--viewers 100,300] [--seconds 10] [--repeats 1]
//     [--carriers webtransport,h3,h2,h1] [--bitrate 800k] [--size 640x360] [--server-cpu 0]
//     [--client-cpu 1] [--bin DIR]
//
// The part's size follows from --bitrate, of the encoded rendition, and stands in the table.
// One network loop, the server on one processor; mirror-load and the source (a file, sent as it is)
// on the other. Everything is over TLS. The CPU is the time that the server's threads were on a
// processor (/proc/PID/task/*/schedstat) while mirror-load measures, less what the same threads took
// without viewers for as long, before, over the parts that came: once of all threads, once of the
// network loop's (net-*) alone, whose figure the transcoder's mood does not change. What the kernel
// does for loopback, up to the receiver's socket, is in it. Memory is the growth of the server's RSS from before
// the first viewer of a run to its end, over the viewers: of the carrier that is first with a server,
// since what is freed stays with the allocator; the carriers take turns at that. Prints a Markdown table. Run it with nothing else to do.
import fs from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';

import { clockOf, coresBetween, measuredLoad, median, pause, Scope } from './scope.mjs';

const { values: options } = parseArgs({
  options: {
    viewers: { type: 'string', default: '100,300' },
    seconds: { type: 'string', default: '10' },
    repeats: { type: 'string', default: '1' },
    carriers: { type: 'string', default: 'webtransport,h3,h2,h1' },
    bitrate: { type: 'string', default: '800000' },
    size: { type: 'string', default: '640x360' },
    'server-cpu': { type: 'string', default: '0' },
    'client-cpu': { type: 'string', default: '1' },
    bin: { type: 'string' },
  },
});
if (options.bin) process.env.MIRROR_BIN_DIR = options.bin;

const { binary, Child, run, Server, testCard } = await import('../tests/line/lib.mjs');

const kSeconds = Number(options.seconds);
const kCarriers = {
  webtransport: { args: ['--webtransport'], goal: 30 },
  h3: { args: ['--http', '3'], goal: 25 },
  h2: { args: ['--http', '2'], goal: 25 },
  h1: { args: ['--http', '1.1'], goal: 25 },
};
const kLateMs = 50;  // p99

const residentKb = (pid) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);

// mirror-load's last word, the server's cores meanwhile, and its memory.
async function load(server, carrier, viewers) {
  const before = residentKb(server.pid);
  const child = new Child('taskset', [
    '-c', options['client-cpu'], binary('mirror-load'), '--quiet', '--ndjson', '-', '--insecure',
    '--push', '--subscribe', 'bench/v360', '--viewers', String(viewers), '--seconds', String(kSeconds),
    ...kCarriers[carrier].args, `https://127.0.0.1:${server.httpsPort}/push`,
  ]);
  let resident = 0;
  const result = await measuredLoad(child, server.pid, () => {
    resident = Math.max(resident, residentKb(server.pid));
  });
  return { ...result, kb: (resident - before) / viewers };
}

async function repeat(turn, clip, results) {
  const all = options.carriers.split(',');
  const first = turn % all.length;
  const carriers = [...all.slice(first), ...all.slice(0, first)];
  const scope = new Scope();
  try {
    const server = await Server.start(scope, {
      MIRROR_NETWORK_LOOPS: '1', MIRROR_TRANSCODE_VIDEO_BITRATE: options.bitrate,
    });
    await run('taskset', ['-a', '-c', '-p', options['server-cpu'], String(server.pid)]);
    const source = new Child('taskset', [
      '-c', options['client-cpu'], binary('mirror-source'), '--url', server.srtUrl('bench'),
      '--loop-file', clip, '--reconnect',
    ]);
    scope.after(() => source.stop());
    await server.untilLive('bench');
    await pause(3);
    const from = clockOf(server.pid);
    await pause(kSeconds);
    const idle = coresBetween(from, clockOf(server.pid));
    for (const viewers of options.viewers.split(',').map(Number)) {
      for (const carrier of carriers) {
        const result = await load(server, carrier, viewers);
        if (carrier !== carriers[0]) result.kb = NaN;
        const rate = result.parts / result.seconds;
        result.cost = (1e6 * (result.cores.all - idle.all)) / rate;
        result.netCost = (1e6 * (result.cores.net - idle.net)) / rate;
        result.partBytes = result.bytes / result.parts;
        results.get(`${carrier} ${viewers}`).push(result);
        console.error(
          `repeat ${turn + 1}, ${carrier}, ${viewers} viewers: ${result.netCost.toFixed(1)} µs per part ` +
            `of ${result.partBytes.toFixed(0)} bytes (all threads ${result.cost.toFixed(1)}), server ` +
            `${result.cores.all.toFixed(2)} cores (idle ${idle.all.toFixed(2)}), ` +
            `${result.kb.toFixed(0)} KB, published p50 ${result.part_behind_published_ms.p50} p99 ` +
            `${result.part_behind_published_ms.p99} ms, ${JSON.stringify(result.faults)} ` +
            `${result.examples.slice(0, 2).join('; ')}, load ${os.loadavg()[0].toFixed(2)}`,
        );
      }
    }
  } finally {
    await scope.end();
  }
}

const kHeads = [
  'carrier', 'viewers', 'part, bytes', 'CPU per part and viewer, µs: network loop', 'all threads',
  'goal, µs', 'server, cores',
  'late behind publication, ms (p50 / p99)', 'parts over 50 ms', 'dropped', 'stalls', 'faults',
  'memory per viewer, KB', 'client, cores',
];
const results = new Map();
for (const carrier of options.carriers.split(',')) {
  for (const viewers of options.viewers.split(',')) results.set(`${carrier} ${viewers}`, []);
}
const clip = await testCard({
  seconds: 10, codec: 'h264', size: options.size, args: ['--bitrate', '3M', '--grain', '40'],
});
for (let turn = 0; turn < Number(options.repeats); ++turn) await repeat(turn, clip, results);

console.log(
  `\n${os.cpus()[0].model}, ${os.cpus().length} processors, load at the end ` +
    `${os.loadavg()[0].toFixed(2)}; medians of ${options.repeats} runs of ${kSeconds} s\n`,
);
for (const cells of [kHeads, kHeads.map(() => '---')]) console.log(`| ${cells.join(' | ')} |`);
for (const [key, list] of results) {
  const [carrier, viewers] = key.split(' ');
  const of = (pick) => median(list.map(pick));
  const late = of((each) => each.part_behind_published_ms.p99);
  const memory = list.map((each) => each.kb).filter((kb) => !Number.isNaN(kb));
  console.log(`| ${[
    carrier, viewers, of((each) => each.partBytes).toFixed(0), of((each) => each.netCost).toFixed(1),
    of((each) => each.cost).toFixed(1), kCarriers[carrier].goal, of((each) => each.cores.all).toFixed(2),
    `${of((each) => each.part_behind_published_ms.p50).toFixed(1)} / ${late.toFixed(1)}${late > kLateMs ? ' (missed)' : ''}`,
    of((each) => each.late_parts), of((each) => each.dropped_parts), of((each) => each.stalls),
    of((each) => Object.values(each.faults).reduce((sum, count) => sum + count, 0)),
    memory.length > 0 ? median(memory).toFixed(0) : 'never first',
    of((each) => each.client_busiest_thread).toFixed(2),
  ].join(' | ')} |`);
}
