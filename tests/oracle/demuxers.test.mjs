// The HLS demuxers of ffmpeg and GStreamer on a live stream: nothing to complain about, and every
// frame in its place, also when the publisher goes and returns.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  eventually, patience, publishUntilAccepted, publishWithSource, Server, stepsOf, Viewer,
} from '../line/lib.mjs';
import { demux, gaps } from './lib/demuxers.mjs';

const kPrograms = ['ffmpeg', 'hlsdemux', 'hlsdemux2'];
const kPlaylists = { 'index.m3u8': ['video', 'audio'], 'v360/media.m3u8': ['video'] };
const kToleranceSeconds = 0.002;
const kFrameSeconds = 1 / 30;  // of mirror-source, which is longer than an AAC frame
const kSeconds = 4;  // of media that each has to decode

const secondsOf = (frames) => frames.reduce((sum, frame) => sum + frame.duration, 0);

function start(t, server) {
  return kPrograms.flatMap((program) =>
    Object.entries(kPlaylists).map(([playlist, kinds]) => {
      const url = `http://127.0.0.1:${server.httpPort}/live/cam/${playlist}`;
      return { name: `${program} on ${playlist}`, kinds, program: demux(t, program, kinds, url) };
    }),
  );
}

// Until each of them has decoded `seconds` of each kind, counted from `since` (of their own time).
async function untilDecoded(runs, seconds, since = () => -Infinity) {
  for (const run of runs) {
    const enough = () => {
      if (run.program.child.result) throw new Error(`${run.name} ended by itself\n${words(run)}`);
      const frames = run.program.frames();
      return run.kinds.every((kind) => {
        const wanted = frames.filter((each) => each.kind === kind && each.time > since(run, kind));
        return secondsOf(wanted) >= seconds;
      });
    };
    const why = `${run.name} decodes ${seconds} s`;
    await eventually(why, enough, { seconds: 30 * patience, everyMs: 200 }).catch((error) => {
      throw new Error(`${error.message}\n${words(run)}`);
    });
  }
}

const words = (run) => `${run.program.child.stdout.slice(-1500)}\n${run.program.child.stderr.slice(-3000)}`;

const last = (run, kind) => run.program.frames().filter((each) => each.kind === kind).at(-1).time;

const gapsOf = (runs) =>
  runs.flatMap((run) => {
    const frames = run.program.frames();
    return run.kinds.map((kind) => {
      const own = frames.filter((frame) => frame.kind === kind);
      return { run: run.name, kind, gaps: gaps(own, kToleranceSeconds) };
    });
  });

test('demuxers that we did not write', { timeout: 180_000 * patience }, async (t) => {
  const server = await Server.start(t);
  const step = stepsOf(t, server);
  const publish = () => publishWithSource(t, server, 'cam', ['--codec', 'h264', '--size', '640x360']);
  let publisher = publish();
  await server.untilLive('cam');
  await new Viewer(t, server, 'cam').record('v360', (recording) => recording.seconds >= 1);

  await step('a live stream', async () => {
    const runs = start(t, server);
    await untilDecoded(runs, kSeconds);
    for (const run of runs) assert.deepEqual(run.program.complaints(), [], run.name);
    const none = runs.flatMap((run) => run.kinds.map((kind) => ({ run: run.name, kind, gaps: [] })));
    assert.deepEqual(gapsOf(runs), none);
  });

  await step('the publisher returns', async (t) => {
    const runs = start(t, server);
    await untilDecoded(runs, 1);
    await publisher.stop();
    ({ child: publisher } = await publishUntilAccepted(server, 'cam', publish));
    const left = new Map(runs.map((run) => [run, run.kinds.map((kind) => last(run, kind))]));
    await untilDecoded(runs, kSeconds, (run, kind) => left.get(run)[run.kinds.indexOf(kind)]);

    for (const run of runs) assert.deepEqual(run.program.complaints(), [], run.name);
    const found = gapsOf(runs);
    const told = JSON.stringify(found, null, 1);
    // The timeline goes on at the next segment boundary: one gap of less than a segment, or none, and
    // more than one if the machine starved the encoder. All have to read the same from it.
    for (const { kind, gaps } of found) {
      const expected = found.find((each) => each.kind === kind).gaps;
      assert.equal(gaps.length, expected.length, `the same for all\n${told}`);
      for (const [at, gap] of gaps.entries()) {
        assert.ok(gap.by > 0, `time goes forward\n${told}`);
        // A decoder may keep the last frame of sound before a discontinuity to itself.
        for (const end of ['from', 'to']) {
          const apart = Math.abs(gap[end] - expected[at][end]);
          assert.ok(apart < kFrameSeconds, `the same for all\n${told}`);
        }
      }
    }
    const [picture, sound] = ['video', 'audio'].map((kind) => found.find((each) => each.kind === kind));
    for (const { to } of picture.gaps) {
      const together = sound.gaps.some((gap) => Math.abs(gap.to - to) < kFrameSeconds);
      assert.ok(together, `sound and picture go on together\n${told}`);
    }
    t.diagnostic(`gaps in the timeline, in the eyes of all: ${picture.gaps.map(({ by }) => by.toFixed(3))}`);
  });
});
