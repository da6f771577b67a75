// What the origin offers beyond the plain case: delta updates, gzip, conditions and ranges, parts
// that can be read while they are made, a form for old players, and who watches.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';

import {
  eventually, nextPosition, parseMedia, publishWithSource, readPart, Server, stepsOf, Viewer,
} from './lib.mjs';

// A media playlist as {header lines, segments by number without their parts, tail, skipped}.
function dissect(text) {
  const list = { segments: new Map(), skipped: 0, parts: [] };
  let number = 0;
  let pending = [];
  for (const line of text.split('\n').filter(Boolean)) {
    const skip = /^#EXT-X-SKIP:SKIPPED-SEGMENTS=(\d+)/.exec(line);
    const sequence = /^#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(line);
    if (sequence) list.first = number = Number(sequence[1]);
    else if (skip) number += (list.skipped = Number(skip[1]));
    else if (line.startsWith('#EXT-X-PART:')) list.parts.push(line);
    else if (/^#(EXTINF|EXT-X-PROGRAM-DATE-TIME|EXT-X-DISCONTINUITY$|EXT-X-GAP)/.test(line)) pending.push(line);
    else if (!line.startsWith('#')) {
      list.segments.set(number++, [...pending, line]);
      pending = [];
    }
  }
  return list;
}

test('the origin', { timeout: 180_000 }, async (t) => {
  const server = await Server.start(t, { MIRROR_CORS_ALLOW_ORIGINS: 'https://wall.example' });
  const step = stepsOf(t, server);
  publishWithSource(t, server, 'cam', ['--size', '320x180', '--bitrate', '300k']);
  await server.untilLive('cam');
  const viewer = new Viewer(t, server, 'cam');
  const ask = (query, headers = {}) => viewer.get(`v360/media.m3u8${query}`, { headers });
  const next = async () => nextPosition(await viewer.playlist('v360'));

  await step('media sequence numbers begin at the clock\'s half seconds since 2026', async () => {
    const { mediaSequence } = await viewer.playlist('v360');
    const now = (Date.now() - Date.UTC(2026, 0, 1)) / 500;
    assert.ok(Math.abs(now - mediaSequence) < 300, `${mediaSequence} at ${now}`);
  });

  await step('a viewer of the first seconds gets a valid playlist', async () => {
    const list = await viewer.playlist('v360', '?_HLS_skip=YES');
    assert.ok(list.segments.length > 0, 'there is nothing to skip yet');
  });

  await step('a gzipped playlist is the plain one', async () => {
    const { msn, part } = await next();
    const query = `?_HLS_msn=${msn}&_HLS_part=${part}`;
    await ask(query, { 'accept-encoding': 'gzip' });  // from now on they are made
    await eventually('gzip', async () => {
      const ahead = await next();
      const at = `?_HLS_msn=${ahead.msn}&_HLS_part=${ahead.part}`;
      const [packed, plain] = await Promise.all([ask(at, { 'accept-encoding': 'gzip' }), ask(at)]);
      if (packed.headers['content-encoding'] !== 'gzip') return false;
      assert.equal(gunzipSync(packed.body).toString(), plain.body.toString());
      for (const { headers } of [packed, plain]) assert.match(headers.vary, /accept-encoding/);
      assert.notEqual(packed.headers.etag, plain.headers.etag);
      assert.match(plain.headers['cache-control'], /max-age=6/);
      return true;
    });
  });

  await step('an unchanged playlist is not sent again', async () => {
    await eventually('304', async () => {
      const first = await ask('');
      const again = await ask('', { 'if-none-match': first.headers.etag });
      if (again.status === 200) return false;  // it had changed
      assert.equal(again.status, 304);
      assert.equal(again.body.length, 0);
      assert.equal(again.headers.etag, first.headers.etag);
      return true;
    });
  });

  await step('ranges and validators of media', async () => {
    const target = await eventually('a whole segment', async () => {
      const { segments } = await viewer.playlist('v360');
      const newest = segments.filter((segment) => segment.complete).at(-1);
      return newest && `v360/${newest.uri}`;
    });
    const whole = await viewer.get(target);
    assert.equal(whole.headers['accept-ranges'], 'bytes');
    const some = await viewer.get(target, { headers: { range: 'bytes=10-99' } });
    assert.equal(some.status, 206);
    assert.equal(some.headers['content-range'], `bytes 10-99/${whole.body.length}`);
    assert.ok(some.body.equals(whole.body.subarray(10, 100)));
    const beyond = await viewer.get(target, { headers: { range: `bytes=${whole.body.length}-` } });
    assert.equal(beyond.status, 416);
    const same = await viewer.get(target, { headers: { 'if-none-match': whole.headers.etag } });
    assert.equal(same.status, 304);
  });

  await step('the hinted part flows while it is made', async () => {
    // Told by their arrival, so not every try sees more than one piece: a busy machine delivers
    // them together.
    await eventually('a part in pieces', async () => {
      const { hint } = await viewer.playlist('v360');
      const pieces = [];
      const headers = await new Promise((resolve, reject) => {
        http.get({ port: server.httpPort, host: '127.0.0.1', path: `/live/cam/v360/${hint}` }, (answer) => {
          answer.on('data', (piece) => pieces.push(piece));
          answer.on('end', () => resolve(answer.headers));
          answer.on('error', reject);
        }).on('error', reject);
      });
      const whole = await viewer.get(`v360/${hint}`);
      assert.ok(Buffer.concat(pieces).equals(whole.body), 'the pieces are the part');
      readPart(whole.body);
      return pieces.length > 1 && headers['transfer-encoding'] === 'chunked';
    });
  });

  await step('HEAD and a range of the hinted part wait for the whole', async () => {
    const { hint } = await viewer.playlist('v360');
    const [head, range] = await Promise.all([
      viewer.get(`v360/${hint}`, { method: 'HEAD' }),
      viewer.get(`v360/${hint}`, { headers: { range: 'bytes=0-7' } }),
    ]);
    assert.equal(head.status, 200);
    assert.equal(range.status, 206);
    assert.equal(range.headers['content-range'], `bytes 0-7/${head.headers['content-length']}`);
  });

  await step('the form for old players knows no low latency', async () => {
    const { body } = await viewer.get('index.m3u8?_HLS_legacy=YES');
    const uri = body.toString().split('\n').find((line) => line && !line.startsWith('#'));
    assert.match(uri, /\?_HLS_legacy=YES$/);
    const list = (await viewer.get(uri)).body.toString();
    assert.doesNotMatch(list, /PART|SERVER-CONTROL|PRELOAD|SKIP/);
    assert.match(list, /#EXTINF/);
  });

  await step('refusals say what they are, to the origins that may read them', async () => {
    const { msn } = await next();
    const headers = { origin: 'https://wall.example' };
    for (const [target, status, cache] of [
      ['v360/media.m3u8?_HLS_part=1', 400, /max-age=1/],
      [`v360/media.m3u8?_HLS_msn=${msn + 3}`, 400, /no-store/],
      ['v9/media.m3u8', 404, /max-age=1/],
      [`v360/${(await viewer.playlist('v360')).map.split('/')[0]}/${msn + 9}.m4s`, 404, /no-store/],
      ['v360/other-epoch/1.m4s', 404, /max-age=1/],
    ]) {
      const answer = await viewer.get(target, { headers });
      assert.equal(answer.status, status, target);
      assert.match(answer.headers['cache-control'], cache, target);
      assert.equal(answer.headers['access-control-allow-origin'], headers.origin, target);
      assert.match(answer.headers.vary, /origin/, target);
    }
    const stranger = await viewer.get('v360/media.m3u8', { headers: { origin: 'https://evil.example' } });
    assert.equal(stranger.headers['access-control-allow-origin'], undefined);
  });

  await step('a delta merges to the full playlist', async () => {
    await eventually('something to skip', async () => dissect((await ask('?_HLS_skip=YES')).body.toString()).skipped > 0);
    for (let i = 0; i < 20; ++i) {
      const old = dissect((await ask('')).body.toString());
      const { msn, part } = await next();
      const query = `?_HLS_msn=${msn}&_HLS_part=${part}`;
      const [full, delta] = (await Promise.all([ask(query), ask(`${query}&_HLS_skip=YES`)]))
        .map(({ body }) => dissect(body.toString()));
      assert.ok(delta.skipped > 0);
      for (let n = delta.first; n < delta.first + delta.skipped; ++n) delta.segments.set(n, old.segments.get(n));
      if (delta.parts.join() !== full.parts.join()) continue;  // another part came between the two
      assert.deepEqual([...delta.segments].sort(([a], [b]) => a - b), [...full.segments]);
    }
  });

  await step('viewers are estimated, and what players report is summed up', async () => {
    await ask('?CMCD=bl%3D400%2Cbs%2Cmtp%3D8000');
    await eventually('the report', async () => await server.metric('mirror_cmcd_starvations_total') === 1);
    assert.equal(await server.metric('mirror_cmcd_buffer_seconds_total'), 0.4);
    let watching = true;
    const viewers = Array.from({ length: 3 }, async () => {
      const own = new Viewer(t, server, 'cam');
      await own.record('v360', () => !watching);
    });
    await server.untilStream('cam', 'has about three viewers', ({ viewers: count }) => count >= 2 && count <= 4);
    watching = false;
    await Promise.all(viewers);
  });

  await step('a HEAD of a playlist and its GET agree', async () => {
    const head = await viewer.get('v360/media.m3u8', { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(head.body.length, 0);
    assert.ok(parseMedia((await ask('')).body.toString()).segments.length > 0);
  });
});

// Caches may hold what was said before a restart; nothing of it may be asked for again.
test('another run has other names and higher numbers', { timeout: 120_000 }, async (t) => {
  const seen = [];
  for (let run = 0; run < 2; ++run) {
    const server = await Server.start(t);
    publishWithSource(t, server, 'cam', ['--size', '320x180', '--bitrate', '300k']);
    await server.untilLive('cam');
    const list = await new Viewer(t, server, 'cam').playlist('v360');
    seen.push({ map: list.map, next: nextPosition(list).msn, first: list.mediaSequence });
    await server.stop();
  }
  assert.notEqual(seen[0].map, seen[1].map);
  assert.ok(seen[1].first > seen[0].next, JSON.stringify(seen));
});
