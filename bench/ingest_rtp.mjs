// What receiving MPEG-TS over RTP costs: the real RtpListener and demuxers, with a sink that counts
// in place of the media threads, against senders in a process of their own.
//
//   node bench/ingest_rtp.mjs [--feeds 25] [--mbps 50] [--seconds 10] [--runs 5] [--port 21004]
//
// Prints each run and the median of the receiver's whole-process CPU, in cores. MIRROR_BIN_DIR says
// where mirror-bench-rtp is (build with -DMIRROR_BENCH=ON).
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    feeds: { type: 'string', default: '25' },
    mbps: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '10' },
    runs: { type: 'string', default: '5' },
    port: { type: 'string', default: '21004' },
  },
});
const program = path.join(process.env.MIRROR_BIN_DIR ?? 'build/release/bin', 'mirror-bench-rtp');
const seconds = Number(values.seconds);

// Noise, so that the encoder has use for so many bits: 1080p30 H.264 with MPEG audio, four seconds.
function clip(folder) {
  const file = path.join(folder, 'clip.ts');
  const rate = `${values.mbps}M`;
  execFileSync('ffmpeg', [
    '-hide_banner', '-loglevel', 'error', '-nostdin', '-y',
    '-f', 'lavfi', '-i', 'testsrc2=size=1920x1080:rate=30,noise=alls=60:allf=t',
    '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000',
    '-t', '4', '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '30', '-pix_fmt', 'yuv420p',
    '-b:v', `${Number(values.mbps) * 0.93}M`, '-maxrate', `${Number(values.mbps) * 0.93}M`,
    '-bufsize', '4M', '-c:a', 'aac', '-b:a', '128k', '-muxrate', rate, '-f', 'mpegts', file,
  ]);
  return file;
}

function start(args) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  const ready = new Promise((resolve) => {
    child.stdout.on('data', (bytes) => {
      text += bytes;
      if (text.includes('ready')) resolve();
    });
  });
  const result = new Promise((resolve, reject) => {
    child.on('close', (code) => {
      if (code !== 0) return reject(new Error(`${args[0]} ended with ${code}`));
      return resolve(JSON.parse(text.trim().split('\n').at(-1)));
    });
  });
  return { ready, result };
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'mirror-bench-'));
try {
  const file = clip(folder);
  const cores = [];
  for (let run = 0; run < Number(values.runs); ++run) {
    const receiver = start(['receive', values.port, values.feeds, values.seconds]);
    await receiver.ready;
    const bps = String(Number(values.mbps) * 1e6);
    const sender = start(['send', file, values.port, values.feeds, bps, String(seconds + 2)]);
    const [got, sent] = await Promise.all([receiver.result, sender.result]);
    cores.push(got.cores);
    const missing = sent.packets - got.packets;
    console.log(
      `run ${run + 1}: ${got.cores.toFixed(3)} core (senders ${sent.cores.toFixed(2)}); sent ${sent.packets}, ` +
        `received ${got.packets}, missing ${missing} (kernel drops ${got.kernel_dropped}, lost ${got.lost}); ` +
        `${got.units} access units, ${got.damaged} damaged`,
    );
  }
  console.log(`median of ${cores.length}: ${median(cores).toFixed(3)} core; ` +
    `${values.feeds} x ${values.mbps} Mbps`);
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
