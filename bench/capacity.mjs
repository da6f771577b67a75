// How many viewers this machine serves before they are late, of each protocol: steps of viewers until
// the 99th percentile of lateness passes 50 ms, or something worse happens.
//
//   node bench/capacity.mjs [--carriers push-webtransport,push-h3,push-h2,push-h1,hls-h3,hls-h2,hls-h1]
//     [--from 250] [--step 250] [--most 4000] [--seconds 20] [--bitrate 400000] [--loops 1] [--bin DIR]
//
// One tile of one stream over TLS. The server, one network loop unless said otherwise, and mirror-load,
// one thread, share the machine's processors as the kernel gives them. Late is, of push, the last byte
// behind the part's publication, and of LL-HLS behind the fastest viewer. Each step has a server of
// its own. The CPU is that of the network loops' threads (/proc/PID/task/*/schedstat) while measured.
// Prints a Markdown table with the last step that was in time and the first that was not. Run it with
// nothing else to do.
import os from 'node:os';
import { parseArgs } from 'node:util';

import { measuredLoad, pause, Scope } from './scope.mjs';

const { values: options } = parseArgs({
  options: {
    carriers: { type: 'string', default: 'push-webtransport,push-h3,push-h2,push-h1,hls-h3,hls-h2,hls-h1' },
    from: { type: 'string', default: '250' },
    step: { type: 'string', default: '250' },
    most: { type: 'string', default: '4000' },
    seconds: { type: 'string', default: '20' },
    bitrate: { type: 'string', default: '400000' },
    loops: { type: 'string', default: '1' },
    bin: { type: 'string' },
  },
});
if (options.bin) process.env.MIRROR_BIN_DIR = options.bin;
const { binary, Child, Server, testCard } = await import('../tests/line/lib.mjs');

const kLateMs = 50;
const kHttp = { h1: ['--http', '1.1'], h2: ['--http', '2'], h3: ['--http', '3'], webtransport: ['--webtransport'] };

async function step(carrier, viewers, clip) {
  const scope = new Scope();
  try {
    const server = await Server.start(scope, {
      MIRROR_NETWORK_LOOPS: options.loops, MIRROR_TRANSCODE_VIDEO_BITRATE: options.bitrate,
    });
    const source = new Child(binary('mirror-source'), [
      '--url', server.srtUrl('bench'), '--loop-file', clip, '--reconnect',
    ]);
    scope.after(() => source.stop());
    await server.untilLive('bench');
    await pause(2);
    const [kind, http] = carrier.split('-');
    const push = kind === 'push';
    const child = new Child(binary('mirror-load'), [
      '--quiet', '--ndjson', '-', '--insecure', ...kHttp[http], '--viewers', String(viewers),
      '--seconds', options.seconds, ...(push ? ['--push', '--subscribe', 'bench/v360'] : []),
      `https://127.0.0.1:${server.httpsPort}${push ? '/push' : '/live/bench/index.m3u8'}`,
    ]);
    const summary = await measuredLoad(child, server.pid);
    const late = push ? summary.part_behind_published_ms : summary.part_behind_fastest_ms;
    const cores = summary.cores.net;
    const faults = Object.values(summary.faults).reduce((sum, count) => sum + count, 0);
    const inTime = late.p99 <= kLateMs && faults === 0 && summary.dropped_parts === 0 &&
      summary.viewers_playing === viewers;
    const result = {
      viewers, late, cores, faults, inTime, dropped: summary.dropped_parts, stalls: summary.stalls,
      client: summary.client_busiest_thread, perViewer: (1e3 * cores) / viewers,
      partBytes: summary.bytes / summary.parts,
    };
    console.error(
      `${carrier} ${viewers}: p50 ${late.p50} p99 ${late.p99} max ${late.max} ms, loops ${cores.toFixed(2)} cores ` +
        `(${result.perViewer.toFixed(3)} ms per viewer-second), client ${result.client.toFixed(2)}, dropped ` +
        `${result.dropped}, stalls ${result.stalls}, ${JSON.stringify(summary.faults)}, load ${os.loadavg()[0].toFixed(2)}`,
    );
    return result;
  } finally {
    await scope.end();
  }
}

const clip = await testCard({
  seconds: 10, codec: 'h264', size: '640x360', args: ['--bitrate', '2M', '--grain', '20'],
});
const rows = [];
for (const carrier of options.carriers.split(',')) {
  let last;
  let first;
  for (let viewers = Number(options.from); viewers <= Number(options.most) && !first; viewers += Number(options.step)) {
    const result = await step(carrier, viewers, clip);
    if (result.inTime) last = result;
    else first = result;
  }
  rows.push({ carrier, last, first });
}

const kHeads = [
  'carrier', 'viewers in time', 'p50 / p99, ms', 'CPU of the loop per viewer-second, ms', 'loop, cores', 'client, cores',
  'the next step', 'its p99, ms', 'dropped, stalls, faults',
];
console.log(
  `\n${os.cpus()[0].model}, ${os.cpus().length} processors, load at the end ${os.loadavg()[0].toFixed(2)}; ` +
    `${options.seconds} s each\n`,
);
for (const cells of [kHeads, kHeads.map(() => '---')]) console.log(`| ${cells.join(' | ')} |`);
for (const { carrier, last, first } of rows) {
  console.log(`| ${[
    carrier, last?.viewers ?? 'none', last ? `${last.late.p50.toFixed(1)} / ${last.late.p99.toFixed(1)}` : '',
    last?.perViewer.toFixed(3) ?? '', last?.cores.toFixed(2) ?? '', last?.client.toFixed(2) ?? '',
    first?.viewers ?? 'not reached', first?.late.p99.toFixed(1) ?? '',
    first ? `${first.dropped}, ${first.stalls}, ${first.faults}` : '',
  ].join(' | ')} |`);
}
