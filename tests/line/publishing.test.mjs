// A real encoder publishes, and ffprobe, which knows nothing of us, judges what viewers get.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  blipTimes, decodeComplaints, flashTimes, nalUnitTypes, noisyCard, probe, publishWithFfmpeg,
  Server, stepsOf, testCard, Viewer, write,
} from './lib.mjs';

test('ffmpeg publishes over SRT and viewers get a true proxy', { timeout: 240_000 }, async (t) => {
  const noisy = await noisyCard(22);
  const card = await testCard({ seconds: 14, size: '640x360' });
  const server = await Server.start(t);
  const step = stepsOf(t, server);
  publishWithFfmpeg(t, server, 'cam1', noisy);
  publishWithFfmpeg(t, server, 'sync', card);
  await Promise.all([server.untilLive('cam1'), server.untilLive('sync')]);

  const cam1 = new Viewer(t, server, 'cam1');
  const sync = new Viewer(t, server, 'sync');
  const [video, audio, flashes, blips] = await Promise.all([
    cam1.record('v360', (recording) => recording.seconds >= 12),
    cam1.record('audio', (recording) => recording.seconds >= 12),
    sync.record('v360', (recording) => recording.seconds >= 6),
    sync.record('audio', (recording) => recording.seconds >= 6),
  ]);
  const files = {};
  for (const [name, recording] of Object.entries({ video, audio, flashes, blips })) {
    files[name] = write(t, `${name}.mp4`, recording.file());
  }

  await step('the multivariant playlist describes it', async () => {
    const { variants, media } = await cam1.multivariant();
    assert.equal(variants.length, 1);
    assert.match(variants[0].CODECS, /^avc1\.[0-9a-fA-F]{6},mp4a\.40\.2$/);
    assert.equal(variants[0].RESOLUTION, '640x360');
    assert.equal(variants[0]['FRAME-RATE'], '30.000');
    const average = Number(variants[0]['AVERAGE-BANDWIDTH']);
    assert.ok(average > 350_000 && average < 600_000, `AVERAGE-BANDWIDTH ${average}`);
    assert.ok(Number(variants[0].BANDWIDTH) >= average);
    assert.equal(variants[0].uri, 'v360/media.m3u8');
    assert.equal(media[0].URI, 'audio/media.m3u8');
    assert.equal(media[0]['GROUP-ID'], variants[0].AUDIO);
    const playlist = await cam1.playlist('v360');
    assert.equal(playlist.targetDuration, 1);
    assert.equal(playlist.control['CAN-BLOCK-RELOAD'], 'YES');
    assert.ok(Number(playlist.control['PART-HOLD-BACK']) > 3 * playlist.partTarget - 1e-9);
    assert.ok(playlist.reports.some((report) => report.URI === '../audio/media.m3u8'));
  });

  await step('parts are their segment, tfdt is continuous, prft is there', () => {
    for (const recording of [video, audio, flashes, blips]) recording.checkStructure();
  });

  await step('prft tells when the picture was captured', () => {
    const now = Date.now();
    for (const recording of [video, audio]) {
      const age = (now - recording.parts.at(-1).chunk.prft.time) / 1000;
      assert.ok(age > 0 && age < 60, `the newest part was captured ${age} s ago`);
      const first = recording.parts[0].chunk;
      const last = recording.parts.at(-1).chunk;
      const media = (last.decodeTime - first.decodeTime) / recording.timescale;
      const wall = (last.prft.time - first.prft.time) / 1000;
      assert.ok(Math.abs(wall - media) < 0.2, `${media} s of media were captured within ${wall} s`);
    }
  });

  await step('ffprobe sees 640x360 H.264 with an IDR at each segment start', async () => {
    const { streams, packets, complaints } = await probe(files.video, { countFrames: true });
    assert.equal(complaints, '');
    assert.equal(streams.length, 1);
    assert.equal(streams[0].codec_name, 'h264');
    assert.deepEqual([streams[0].width, streams[0].height], [640, 360]);
    assert.equal(streams[0].has_b_frames, 0);
    assert.equal(streams[0].pix_fmt, 'yuv420p');
    const samples = video.parts.flatMap((part) => part.chunk.samples);
    assert.equal(Number(streams[0].nb_read_frames), samples.length, 'each sample is a picture');
    packets.forEach((packet, at) => {
      assert.equal(packet.flags.includes('K'), at % 15 === 0, `picture ${at} is ${packet.flags}`);
    });
    // Those flags are the container's; the bitstream says the same.
    const pictures = video.parts.flatMap((part) => nalUnitTypes(part.chunk));
    pictures.forEach((types, at) => {
      assert.equal(types.includes(5), at % 15 === 0, `picture ${at} holds NAL units ${types}`);
    });
    assert.equal(await decodeComplaints(files.video), '');
  });

  await step('the picture takes 400 kbps', () => {
    const bitrate = video.bitrate();
    t.diagnostic(`video: ${Math.round(bitrate / 1000)} kbps`);
    assert.ok(bitrate > 360_000 && bitrate < 440_000, `${bitrate} bit/s`);
  });

  await step('ffprobe hears AAC-LC, 48 kHz, stereo', async () => {
    const { streams, complaints } = await probe(files.audio);
    assert.equal(complaints, '');
    assert.equal(streams[0].codec_name, 'aac');
    assert.equal(streams[0].profile, 'LC');
    assert.equal(streams[0].sample_rate, '48000');
    assert.equal(streams[0].channels, 2);
    const bitrate = audio.bitrate();
    assert.ok(bitrate > 40_000 && bitrate < 80_000, `${bitrate} bit/s`);
    assert.equal(await decodeComplaints(files.audio), '');
  });

  await step('sound and picture are within 20 ms', async () => {
    const seen = await flashTimes(files.flashes);
    const heard = await blipTimes(files.blips);
    assert.ok(seen.length >= 3, `flashes at ${seen}`);
    const offsets = [];
    for (const flash of seen) {
      const blip = heard.find((time) => Math.abs(time - flash) < 0.4);
      if (blip !== undefined) offsets.push((blip - flash) * 1000);
    }
    assert.ok(offsets.length >= 3, `flashes at ${seen}, blips at ${heard}`);
    t.diagnostic(`blip after flash, ms: ${offsets.map((offset) => offset.toFixed(1)).join(' ')}`);
    for (const offset of offsets) assert.ok(Math.abs(offset) < 20, `${offset} ms`);
  });
});
