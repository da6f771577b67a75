// Playlist parsers that we did not write read what Mirror serves and what it is held to
// (src/hls/testdata), mind nothing, and agree with each other on what it says.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { parseMedia, patience, publishWithSource, Server, stepsOf, Viewer } from '../line/lib.mjs';
import { parseWithAll } from './lib/parsers.mjs';

const golden = fileURLToPath(new URL('../../src/hls/testdata', import.meta.url));

function agreed(name, verdicts) {
  const [first, ...others] = Object.entries(verdicts);
  for (const [parser, { complaints }] of [first, ...others]) {
    assert.deepEqual(complaints, [], `${name}: ${parser}`);
  }
  for (const [parser, { playlist }] of others) {
    assert.deepEqual(playlist, first[1].playlist, `${name}: + ${parser}, - ${first[0]}`);
  }
  return first[1].playlist;
}

async function parse(name, text) {
  const [verdicts] = await parseWithAll([text]);
  return agreed(name, verdicts);
}

test('the golden playlists', async (t) => {
  const names = fs.readdirSync(golden).filter((name) => name.endsWith('.m3u8')).sort();
  assert.ok(names.length > 0);
  const texts = names.map((name) => fs.readFileSync(path.join(golden, name), 'utf8'));
  const verdicts = await parseWithAll(texts);
  for (const [at, name] of names.entries()) {
    await t.test(name, () => {
      const playlist = agreed(name, verdicts[at]);
      if (playlist.variants) return;
      // The parser of the tests of the line, by the same measure.
      const own = parseMedia(texts[at]);
      assert.equal(own.mediaSequence, playlist.mediaSequence);
      assert.equal(own.discontinuitySequence, playlist.discontinuitySequence);
      assert.equal(own.segments.filter(({ complete }) => complete).length, playlist.segments.length);
      assert.equal(own.hint ?? null, playlist.hint);
      assert.equal(own.ended, playlist.ended);
    });
  }
});

test('what Mirror serves', { timeout: 120_000 * patience }, async (t) => {
  const server = await Server.start(t, { MIRROR_HLS_WINDOW_SECONDS: '12' });
  const step = stepsOf(t, server);
  publishWithSource(t, server, 'cam', ['--codec', 'h264', '--size', '320x180', '--bitrate', '300k']);
  await server.untilLive('cam');
  const viewer = new Viewer(t, server, 'cam');
  const text = async (target) => (await viewer.fetch(target)).toString();

  await step('the multivariant playlist', async () => {
    const playlist = await parse('index', await text('index.m3u8'));
    const [variant] = playlist.variants;
    assert.equal(playlist.variants.length, 1);
    assert.deepEqual(
      [variant.uri, variant.resolution, variant.frameRate, variant.audio],
      ['v360/media.m3u8', '640x360', 30, playlist.audio[0].group],
    );
    assert.match(variant.codecs, /^avc1\.[0-9A-F]{6},mp4a\.40\.2$/);
    assert.ok(variant.averageBandwidth <= variant.bandwidth);
    assert.equal(playlist.audio[0].uri, 'audio/media.m3u8');
  });

  // Long enough for a delta update to leave something out: CAN-SKIP-UNTIL is six seconds.
  await viewer.record('v360', (recording) => recording.seconds >= 8);

  for (const rendition of ['v360', 'audio']) {
    await step(`the media playlist of ${rendition}`, async () => {
      const playlist = await parse(rendition, await text(`${rendition}/media.m3u8`));
      assert.ok(playlist.segments.length > 0);
      assert.equal(playlist.reports.length, 1);
      assert.ok(playlist.hint);
      assert.ok(playlist.segments.every(({ date, map }) => date !== null && map !== null));
    });

    await step(`a delta update of ${rendition}`, async () => {
      const before = await parse(rendition, await text(`${rendition}/media.m3u8`));
      const delta = await parse('delta', await text(`${rendition}/media.m3u8?_HLS_skip=YES`));
      assert.ok(delta.skipped > 0, 'something was skipped');
      // Also who reads the delta alone, as Shaka does, can start on its segments.
      assert.ok(delta.segments.every(({ map }) => map !== null));
      const base = delta.mediaSequence + delta.skipped;
      const known = delta.segments.filter((segment, at) => {
        const earlier = before.segments[base + at - before.mediaSequence];
        if (earlier) assert.equal(segment.uri, earlier.uri, `segment ${base + at}`);
        return earlier;
      });
      assert.ok(known.length > 0, 'what was not skipped was listed before');
    });

    await step(`the playlist of ${rendition} for players without low latency`, async () => {
      const legacy = await parse('legacy', await text(`${rendition}/media.m3u8?_HLS_legacy=YES`));
      assert.ok(legacy.segments.length > 0);
      assert.ok(legacy.segments.every(({ parts }) => parts.length === 0));
      assert.deepEqual(
        [legacy.partTarget, legacy.partHoldBack, legacy.hint, legacy.openParts],
        [null, null, null, []],
      );
    });
  }

  await step('the multivariant playlist for players without low latency', async () => {
    const playlist = await parse('index', await text('index.m3u8?_HLS_legacy=YES'));
    for (const { uri } of [...playlist.variants, ...playlist.audio]) {
      const legacy = await parse(uri, await text(uri));
      assert.equal(legacy.partTarget, null, `${uri} is a playlist without parts`);
    }
  });
});
