// Sources for the tests, made once by programs we did not write and kept beside the build; and
// ffprobe and ffmpeg as judges of what Mirror made of them.
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

import { run } from './process.mjs';
import { binary, binDir, sourceEnvironment, temporaryFolder } from './server.mjs';

const folder = path.join(binDir, '..', 'line-media');

// The file that `make(output)` writes, named after `description`; made once, used by many tests,
// also by several at a time.
async function made(description, suffix, make) {
  fs.mkdirSync(folder, { recursive: true });
  const name = createHash('sha256').update(JSON.stringify(description)).digest('hex').slice(0, 16);
  const file = path.join(folder, name + suffix);
  if (fs.existsSync(file)) return file;
  const draft = `${file}.${randomBytes(4).toString('hex')}${suffix}`;
  await make(draft);
  fs.renameSync(draft, file);
  return file;
}

const ffmpeg = (args) =>
  run('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-nostdin', '-y', ...args]);

// What mirror-source draws, as a .ts: burned clock, flash and blip each second.
export function testCard({ seconds, codec = 'hevc', size = '320x180', fps = '30', args = [] }) {
  const kind = ['--codec', codec, '--size', size, '--fps', fps];
  const all = ['--duration', String(seconds), ...kind, ...args];
  return made(['mirror-source', all], '.ts', (output) =>
    run(binary('mirror-source'), [...all, '--output', output], { env: sourceEnvironment }),
  );
}

// A .ts with the sound of `file` in another codec ("mp2", "ac3", "libopus"), or without.
export function withSound(file, codec) {
  const audio = codec === 'none' ? ['-an'] : ['-c:a', codec, '-b:a', '128k', '-ac', '2'];
  return made(['sound', path.basename(file), codec], '.ts', (output) =>
    ffmpeg([
      '-i', file, '-map', '0:v', '-map', '0:a?', '-c:v', 'copy', ...audio, '-f', 'mpegts', output,
    ]),
  );
}

// A moving, noisy picture that no encoder finds easy, 640x360 at 30 fps, with stereo sound.
export function noisyCard(seconds) {
  return made(['noisy 2', seconds], '.ts', (output) =>
    ffmpeg([
      '-f', 'lavfi', '-i', 'testsrc2=s=640x360:r=30,noise=c0s=16:c0f=t',
      '-f', 'lavfi', '-i', 'sine=440:r=48000', '-t', String(seconds), '-pix_fmt', 'yuv420p',
      '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '30', '-bf', '0', '-b:v', '4M',
      '-c:a', 'aac', '-ac', '2', '-b:a', '128k', '-f', 'mpegts', output,
    ]),
  );
}

// A codec that Mirror does not decode.
export function mpeg2Card(seconds) {
  return made(['mpeg2', seconds], '.ts', (output) =>
    ffmpeg([
      '-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25', '-t', String(seconds), '-pix_fmt', 'yuv420p',
      '-c:v', 'mpeg2video', '-b:v', '800k', '-f', 'mpegts', output,
    ]),
  );
}

// What a contribution encoder sends: grainy 1080p30 HEVC with B-pictures and stereo sound, a few
// seconds of it, for measurements.
export function contributionClip({ mbps, seconds = 6 }) {
  const rate = `${mbps * 1000}k`;
  const grain = mbps <= 4 ? 2 : mbps <= 15 ? 8 : 24;
  return made(['contribution', mbps, seconds, grain], '.ts', (output) =>
    ffmpeg([
      '-f', 'lavfi', '-i', `testsrc2=s=1920x1080:r=30,noise=c0s=${grain}:c0f=t`,
      '-f', 'lavfi', '-i', 'sine=440:r=48000', '-t', String(seconds), '-pix_fmt', 'yuv420p',
      '-c:v', 'libx265', '-preset', 'ultrafast', '-b:v', rate, '-maxrate', rate, '-bufsize', rate,
      '-x265-params', 'log-level=error:keyint=30:bframes=2:scenecut=0',
      '-c:a', 'aac', '-ac', '2', '-b:a', '128k', '-f', 'mpegts', output,
    ]),
  );
}

export function write(t, name, bytes) {
  const file = path.join(temporaryFolder(t), name);
  fs.writeFileSync(file, bytes);
  return file;
}

// ffprobe's word on a file: {streams, packets}.
export async function probe(file, { countFrames = false } = {}) {
  const args = ['-loglevel', 'error', '-show_streams', '-show_packets', '-of', 'json', file];
  if (countFrames) args.unshift('-count_frames');
  const { stdout, stderr } = await run('ffprobe', args);
  return { ...JSON.parse(stdout), complaints: stderr };
}

// Decodes the whole file; what the decoder complained about, empty when nothing.
export async function decodeComplaints(file) {
  const { stderr } = await run('ffmpeg', [
    '-hide_banner', '-loglevel', 'error', '-nostdin', '-i', file, '-f', 'null', '-',
  ]);
  return stderr;
}

async function decodeRaw(file, args) {
  const output = `${file}.raw`;
  await ffmpeg(['-i', file, ...args, output]);
  const bytes = fs.readFileSync(output);
  fs.rmSync(output);
  return bytes;
}

const kThumbnail = { width: 32, height: 18 };

// Every picture of a file in grey, 32x18: enough to tell a torn one from a whole one, too small for
// what an encoder changes.
export async function thumbnails(file) {
  const { width, height } = kThumbnail;
  const scale = `scale=${width}:${height}:flags=area,format=gray`;
  const raw = await decodeRaw(file, ['-map', '0:v', '-vf', scale, '-vsync', 'passthrough', '-f', 'rawvideo']);
  const bytes = width * height;
  return Array.from({ length: raw.length / bytes }, (_, at) => raw.subarray(at * bytes, (at + 1) * bytes));
}

// How far each picture is from the one of `originals` that it is likest: the most that any pixel
// differs, of 255.
export function strangeness(pictures, originals) {
  const apart = (a, b, limit) => {
    let most = 0;
    for (let i = 0; i < a.length && most < limit; ++i) most = Math.max(most, Math.abs(a[i] - b[i]));
    return most;
  };
  return pictures.map((picture) =>
    originals.reduce((least, original) => Math.min(least, apart(picture, original, least)), 255),
  );
}

// Seconds, on the file's own timeline, at which the test card's flash begins (burned_clock.h says
// where it is).
export async function flashTimes(file) {
  const { packets } = await probe(file);
  const crop = 'crop=iw/34:ih*2/24:iw*31.5/34:ih*7.5/24,scale=1:1:flags=area,format=gray';
  const luma = await decodeRaw(file, ['-vf', crop, '-vsync', 'passthrough', '-f', 'rawvideo']);
  const times = [];
  for (let i = 1; i < luma.length; ++i) {
    if (luma[i] > 125 && luma[i - 1] <= 125) times.push(Number(packets[i].pts_time));
  }
  return times;
}

// Seconds at which the test card's loud blip begins in the decoded sound.
export async function blipTimes(file) {
  const { packets } = await probe(file);
  const raw = await decodeRaw(file, ['-f', 'f32le', '-ac', '1', '-ar', '48000']);
  const samples = new Float32Array(raw.buffer, raw.byteOffset, raw.length >> 2);
  const start = Number(packets[0].pts_time);
  const times = [];
  const kQuiet = 9_600;  // 200 ms
  let lastLoud = -kQuiet;
  for (let i = 0; i < samples.length; ++i) {
    if (Math.abs(samples[i]) < 0.15) continue;
    // A recording may begin within a blip, which then says nothing about when it began.
    if (i - lastLoud > kQuiet && i > kQuiet) times.push(start + i / 48_000);
    lastLoud = i;
  }
  return times;
}
