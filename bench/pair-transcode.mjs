// CPU of a whole mirror process per stream, against ONE ffmpeg process that does the same decode,
// scale and encode of the same feed: paired, alternating runs over real SRT in real time.
//
//   node bench/pair-transcode.mjs [--bitrates 2,10,50] [--pairs 5] [--seconds 12] [--bin DIR]
//
// Prints a Markdown table. The CPU is user + system time of all threads from /proc/PID/stat, over
// the same time of a feed that both must keep up with. Run it on a machine with nothing else to do.
import fs from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';

import { cpuSeconds, pause, Scope } from './scope.mjs';

const { values: options } = parseArgs({
  options: {
    bitrates: { type: 'string', default: '2,10' },
    pairs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '12' },
    'settle-seconds': { type: 'string', default: '6' },
    bin: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
if (options.bin) process.env.MIRROR_BIN_DIR = options.bin;

const { binary, Child, contributionClip, eventually, freeUdpPort, run, Server } = await import(
  '../tests/line/lib.mjs'
);

const kSeconds = Number(options.seconds);
const kSettle = Number(options['settle-seconds']);
const kFps = 30;

function rssMb(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
}

// ffmpeg probes for seconds and then catches up with what came meanwhile, which must not count.
async function keepsPace(pictures) {
  await eventually('ffmpeg has caught up', async () => {
    const before = { at: performance.now(), pictures: pictures() };
    await pause(2);
    const seconds = (performance.now() - before.at) / 1000;
    return (pictures() - before.pictures) / kFps < seconds + 0.2;
  });
}

// CPU seconds per second of media: both are given a feed in real time. `pictures()` counts what was
// encoded, to see that this one kept up.
async function measure(pid, pictures) {
  await pause(kSettle);
  const before = { at: performance.now(), cpu: cpuSeconds(pid), pictures: await pictures() };
  await pause(kSeconds);
  const after = { at: performance.now(), cpu: cpuSeconds(pid), pictures: await pictures() };
  const seconds = (after.at - before.at) / 1000;
  const encoded = (after.pictures - before.pictures) / kFps;
  // Counters are up to half a second old when they are read.
  if (Math.abs(encoded - seconds) > 1) {
    throw new Error(`${encoded.toFixed(1)} s were encoded in ${seconds.toFixed(1)} s`);
  }
  return { cores: (after.cpu - before.cpu) / seconds, rssMb: rssMb(pid) };
}

const source = (scope, url, clip) => {
  const args = ['--url', url, '--loop-file', clip, '--reconnect'];
  const child = new Child(binary('mirror-source'), args);
  scope.after(() => child.stop());
  return child;
};

async function publishDelay(server) {
  const { body } = await server.get('/metrics');
  const buckets = [];
  for (const [, le, count] of body
    .toString()
    .matchAll(/mirror_stream_publish_delay_seconds_bucket\{[^}]*le="([^"]+)"\} (\d+)/g)) {
    buckets.push({ le: le === '+Inf' ? Infinity : Number(le), count: Number(count) });
  }
  return buckets;
}

// By linear interpolation within the bucket, as histogram_quantile() does.
function quantileMs(before, after, quantile) {
  const since = (at) => after[at].count - (before[at]?.count ?? 0);
  const counts = after.map(({ le }, at) => ({ le, count: since(at) }));
  const rank = quantile * counts.at(-1).count;
  const at = counts.findIndex(({ count }) => count >= rank);
  const low = at === 0 ? { le: 0, count: 0 } : counts[at - 1];
  if (counts[at].le === Infinity) return low.le * 1000;
  const share = (rank - low.count) / (counts[at].count - low.count || 1);
  return 1000 * (low.le + (counts[at].le - low.le) * share);
}

async function runMirror(clip) {
  const scope = new Scope();
  try {
    const server = await Server.start(scope);
    source(scope, server.srtUrl('bench'), clip);
    await server.untilLive('bench');
    const pictures = () => server.metric('mirror_stream_frames_encoded_total');
    const dropped = () => server.metric('mirror_stream_queue_dropped_units_total');
    const before = await publishDelay(server);
    const droppedBefore = await dropped();
    const result = await measure(server.pid, pictures);
    const after = await publishDelay(server);
    const lost = (await dropped()) - droppedBefore;
    // What was dropped was not decoded, so this run cannot be compared.
    if (lost > 0) throw new Error(`mirror fell behind: ${lost} units dropped; a busy machine?`);
    return { ...result, p50: quantileMs(before, after, 0.5), p99: quantileMs(before, after, 0.99) };
  } finally {
    await scope.end();
  }
}

export const ffmpegCommand = (port) => [
  '-hide_banner', '-loglevel', 'error', '-nostdin',
  '-threads', '1', '-analyzeduration', '1000000', '-i', `srt://127.0.0.1:${port}?mode=listener&latency=120000`,
  '-map', '0:v:0', '-map', '0:a:0',
  '-vf', 'scale=640:360:flags=area', '-pix_fmt', 'yuv420p', '-filter_threads', '1',
  '-c:v', 'libx264', '-threads:v', '1', '-preset', 'superfast', '-tune', 'zerolatency',
  '-b:v', '400k', '-maxrate', '400k', '-bufsize', '200k',
  '-g', '15', '-keyint_min', '15', '-bf', '0',
  '-x264-params', 'scenecut=0:rc-lookahead=0:sliced-threads=0:lookahead-threads=1',
  '-c:a', 'aac', '-b:a', '64k', '-ac', '2', '-ar', '48000',
  '-f', 'mp4', '-movflags', '+frag_keyframe+empty_moov+default_base_moof', '-y',
  '-progress', 'pipe:1', '-stats_period', '0.1', '/dev/null',
];

async function runFfmpeg(clip) {
  const scope = new Scope();
  try {
    const port = await freeUdpPort();
    const ffmpeg = new Child('ffmpeg', ffmpegCommand(port));
    scope.after(() => ffmpeg.stop());
    source(scope, `srt://127.0.0.1:${port}?streamid=bench`, clip);
    const pictures = () => Number([...ffmpeg.stdout.matchAll(/^frame=(\d+)$/gm)].at(-1)?.[1] ?? 0);
    await eventually('ffmpeg encodes', async () => {
      if (ffmpeg.result) throw new Error(`ffmpeg ended: ${ffmpeg.stderr}`);
      return pictures() > 0;
    });
    await keepsPace(pictures);
    return await measure(ffmpeg.pid, pictures);
  } finally {
    await scope.end();
  }
}

// A run that something else on the machine spoilt is done again, three times at most.
async function patiently(runOnce, clip) {
  for (let turn = 1; ; ++turn) {
    try {
      return await runOnce(clip);
    } catch (error) {
      if (turn === 3) throw error;
      console.error(`again: ${error.message}`);
    }
  }
}

const median = (list) => {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
};
const spread = (list, digits) => {
  const [middle, low, high] = [median(list), Math.min(...list), Math.max(...list)];
  return `${middle.toFixed(digits)} (${low.toFixed(digits)}-${high.toFixed(digits)})`;
};

const both = (a, b, digits) => `${median(a).toFixed(digits)} / ${median(b).toFixed(digits)}`;

const rows = [];
for (const bitrate of options.bitrates.split(',')) {
  const clip = await contributionClip({ mbps: Number(bitrate) });
  const pairs = [];
  for (let i = 0; i < Number(options.pairs); ++i) {
    // Who goes first alternates, so that what drifts does not favour one of them.
    const order = i % 2 === 0 ? ['mirror', 'ffmpeg'] : ['ffmpeg', 'mirror'];
    const pair = {};
    for (const who of order) {
      pair[who] = await patiently(who === 'mirror' ? runMirror : runFfmpeg, clip);
    }
    pairs.push(pair);
    const load = os.loadavg()[0].toFixed(2);
    console.error(
      `${bitrate} Mbps, pair ${i + 1}: mirror ${pair.mirror.cores.toFixed(3)}, ffmpeg ` +
        `${pair.ffmpeg.cores.toFixed(3)} cores, load ${load}`,
    );
  }
  const of = (who, key) => pairs.map((pair) => pair[who][key]);
  rows.push({
    bitrate,
    mirror: spread(of('mirror', 'cores'), 3),
    ffmpeg: spread(of('ffmpeg', 'cores'), 3),
    ratio: spread(pairs.map((pair) => pair.mirror.cores / pair.ffmpeg.cores), 2),
    rss: both(of('mirror', 'rssMb'), of('ffmpeg', 'rssMb'), 0),
    delay: both(of('mirror', 'p50'), of('mirror', 'p99'), 1),
  });
}

const version = (await run('ffmpeg', ['-version'])).stdout.split(' ')[2];
const machine = `${os.cpus()[0].model}, ${os.cpus().length} processors`;
console.log(
  `\n${machine}, ffmpeg ${version}, load at the end ${os.loadavg()[0].toFixed(2)}; ` +
    `medians of ${options.pairs} pairs of ${kSeconds} s (range)\n`,
);
const table = [
  ['1080p30 HEVC, Mbps', 'mirror, cores', 'ffmpeg, cores', 'ratio'],
  ['---', '---', '---', '---'],
  ...rows.map((row) => [row.bitrate, row.mirror, row.ffmpeg, row.ratio]),
];
const more = [
  ['RSS, MB (mirror / ffmpeg)', 'publish delay, ms (p50 / p99)'],
  ['---', '---'],
  ...rows.map((row) => [row.rss, row.delay]),
];
table.forEach((cells, at) => console.log(`| ${[...cells, ...more[at]].join(' | ')} |`));
