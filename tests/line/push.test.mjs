// Push sessions of the real program: two feeds, viewers over HTTP/1.1 and HTTP/2, and what they get
// compared with what LL-HLS serves of the same parts.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

import { eventually, publishWithSource, Server, stepsOf, Viewer } from './lib.mjs';
import { control, FrameLog, pushOverHttp1, pushOverHttp2 } from './lib/push.mjs';

const kLive = 1;
const kDroppedForAge = [1, 2];

// Joins chunks, and checks that what came of a rendition is each part once, in order, without a hole
// beside those that were told.
function wholeParts(log, stream, rendition) {
  const parts = [];
  let open = null;
  for (const frame of log.partsOf(stream, rendition)) {
    if (frame.offset === 0) {
      open = { ...frame, pieces: [], duration: 0 };
      parts.push(open);
    }
    assert.equal(frame.offset, Buffer.concat(open.pieces).length, 'chunks follow each other');
    assert.deepEqual([frame.msn, frame.part], [open.msn, open.part]);
    open.pieces.push(frame.bytes);
    open.duration += frame.duration;
    open.last = frame.last;
    open.published = frame.published;
  }
  if (parts.length && !parts.at(-1).last) parts.pop();
  for (const part of parts) part.bytes = Buffer.concat(part.pieces);
  return parts;
}

function assertConsecutive(parts) {
  for (let i = 1; i < parts.length; ++i) {
    const [before, { msn, part, decodeTime }] = [parts[i - 1], parts[i]];
    const next = msn === before.msn ? part === before.part + 1 : msn === before.msn + 1 && part === 0;
    assert.ok(next, `${before.msn}.${before.part} → ${msn}.${part}`);
    if (!parts[i].discontinuity) assert.equal(decodeTime, before.decodeTime + before.duration, 'no hole');
  }
}

async function assertServedAlike(viewer, log, stream, rendition) {
  const track = log.of('track', (t) => t.stream === stream && t.rendition === rendition).at(-1);
  const parts = wholeParts(log, stream, rendition);
  assert.ok(parts.length > 10, `${parts.length} parts`);
  assert.ok(parts[0].independent, 'it begins with an independent part');
  assertConsecutive(parts);
  for (const { msn, part, bytes, gap } of parts) {
    if (gap) continue;
    const served = await viewer.fetch(`${rendition}/${track.epoch}/${msn}.${part}.m4s`);
    assert.ok(served.equals(bytes), `${stream}/${rendition} ${msn}.${part} is what LL-HLS serves`);
  }
  const init = await viewer.fetch(`${rendition}/${track.epoch}/init.mp4`);
  assert.ok(log.of('init', (frame) => frame.track === track.track)[0].bytes.equals(init), 'init.mp4');
}

test('push sessions', { timeout: 180_000 }, async (t) => {
  const server = await Server.start(t, { MIRROR_NETWORK_LOOPS: '2' });
  const step = stepsOf(t, server);
  publishWithSource(t, server, 'one', ['--size', '320x180', '--bitrate', '300k']);
  publishWithSource(t, server, 'two', ['--size', '320x180', '--bitrate', '300k']);
  await Promise.all([server.untilLive('one'), server.untilLive('two')]);
  const viewers = { one: new Viewer(t, server, 'one'), two: new Viewer(t, server, 'two') };
  const wall = ['one/v360:10', 'one/audio:200', 'two/v360:9', 'two/audio:100'].map((s) => `subscribe=${s}`).join('&');

  for (const [version, open, chunks] of [
    ['HTTP/1.1', pushOverHttp1, 0], ['HTTP/2', pushOverHttp2, 0],
    ['HTTP/1.1, in chunks', pushOverHttp1, 1], ['HTTP/2, in chunks', pushOverHttp2, 1],
  ]) {
    await step(`a wall over ${version} gets every part once, as LL-HLS serves it`, async () => {
      const log = await open(t, server, `${wall}&chunks=${chunks}`);
      await log.until('three seconds of parts', () => log.partsOf('two', 'v360').filter(({ last }) => last).length > 30);
      assert.equal(log.frames[0].type, 'hello');
      assert.equal(log.hello.version, 1);
      for (const stream of ['one', 'two']) {
        for (const rendition of ['v360', 'audio']) {
          await assertServedAlike(viewers[stream], log, stream, rendition);
        }
      }
      assert.equal(log.of('dropped').length, 0);
      assert.equal(log.of('state', ({ state }) => state === kLive).length, 4);
      if (chunks) assert.ok(log.of('part', (part) => part.chunk && !part.last).length > 30);
      for (const part of log.of('part')) {
        const { captured, ingested, encoded, published, arrived } = part;
        assert.ok(captured > 0 && captured <= encoded, 'captured before it was encoded');
        assert.ok(ingested <= encoded && encoded <= published, 'ingested, encoded, published');
        assert.ok(published <= arrived + 1_000, 'published before it arrived');
        assert.ok(published - captured < 60_000_000, 'and not ages before');
      }
      log.close();
    });
  }

  await step('fetch and a stranger\'s curl read it, too', async () => {
    const aborter = new AbortController();
    const response = await fetch(`http://127.0.0.1:${server.httpPort}/push?subscribe=one%2Fv360%3A5`, { signal: aborter.signal });
    assert.equal(response.headers.get('content-type'), 'application/vnd.mirror.push');
    assert.equal(response.headers.get('cache-control'), 'no-store');
    assert.equal(response.headers.get('access-control-allow-origin'), '*');
    const log = new FrameLog();
    const reader = response.body.getReader();
    while (log.of('part').length < 8) log.take(Buffer.from((await reader.read()).value));
    aborter.abort();
    let bytes;
    try {
      bytes = execFileSync('curl', ['-sk', '--http2', '--max-time', '2', `https://127.0.0.1:${server.httpsPort}/push?subscribe=one/audio`]);
    } catch (error) {
      assert.equal(error.status, 28, 'curl ends because its time is up');
      bytes = error.stdout;
    }
    const curl = new FrameLog();
    curl.take(bytes);
    assertConsecutive(wholeParts(curl, 'one', 'audio'));
    assert.ok(curl.of('part').length > 5);
  });

  await step('POST changes a session from any connection', async () => {
    const log = await pushOverHttp2(t, server, 'subscribe=one/v360&subscribe=one/audio:200');
    await log.until('parts', () => log.of('part').length > 4);
    const ask = async (...messages) => {
      const answer = await control(server, log.hello.session, messages);
      assert.equal(answer.status, 202, answer.body);
      assert.ok(Math.abs(JSON.parse(answer.body).now_us - Date.now() * 1000) < 5e6);
    };
    // Several connections land on both loops.
    for (let i = 0; i < 8; ++i) await ask({ type: 'priority', stream: 'one', rendition: 'v360', priority: i });
    // Sound from the other stream.
    const asked = Date.now() * 1000;
    await ask({ type: 'switch', stream: 'one', rendition: 'audio', to_stream: 'two' });
    await log.until('the other sound', () => log.partsOf('two', 'audio').length > 3);
    t.diagnostic(`sound switched after ${(log.partsOf('two', 'audio')[0].arrived - asked) / 1000} ms`);
    const before = log.partsOf('one', 'audio').length;
    await ask({ type: 'subscribe', stream: 'two', rendition: 'v360', chunks: true });
    await log.until('two tiles', () => log.partsOf('two', 'v360').length > 10);
    assert.equal(log.partsOf('one', 'audio').length, before, 'the old sound is gone');
    await ask({ type: 'pause', stream: 'two', rendition: 'v360' });
    const paused = log.partsOf('two', 'v360').length;
    await log.until('half a second', () => log.partsOf('one', 'v360').length > 20);
    assert.ok(log.partsOf('two', 'v360').length <= paused + 6);
    await ask({ type: 'resume', stream: 'two', rendition: 'v360' });
    await log.until('it goes on', () => log.partsOf('two', 'v360').length > paused + 20);
    await ask({ type: 'subscribe', stream: 'three', rendition: 'v360' }, { type: 'unsubscribe', stream: 'four', rendition: 'v360' });
    await log.until('told', () => log.of('state', ({ state, stream }) => state === 0 && stream === 'three').length === 1);
    assert.equal(log.of('error').at(-1).code, 1);
    log.close();
    await eventually('the session is gone', async () => (await control(server, log.hello.session, [])).status === 404);
  });

  await step('what makes no sense is refused', async () => {
    const log = await pushOverHttp1(t, server, '');
    await log.until('hello', () => log.hello);
    for (const [session, raw, status] of [
      [log.hello.session, '{"type":"fly"}', 400], [log.hello.session, '{', 400], ['0-0', '', 404], ['x', '', 404],
      ['99999999999999999999-1', '', 404], [`7-${'0'.repeat(32)}`, '', 404], [`1-${'0'.repeat(32)}`, '', 404],
      [log.hello.session, '\n'.repeat(200), 400], [log.hello.session, 'x'.repeat(70_000), 413],
    ]) {
      const answer = await control(server, session, [], { raw });
      assert.equal(answer.status, status, `${session} ${raw.slice(0, 40)}: ${answer.body}`);
    }
    const line = JSON.stringify({ type: 'pause', stream: 'a', rendition: 'b' });
    const statuses = [];
    for (let i = 0; i < 3; ++i) {
      statuses.push((await control(server, log.hello.session, [], { raw: `${line}\n`.repeat(128) })).status);
    }
    assert.ok(statuses.includes(429), statuses.join());
    assert.equal((await server.get('/push?subscribe=nonsense')).status, 400);
    assert.equal((await server.get('/push', { method: 'HEAD' })).status, 200);
    assert.equal((await server.get(`/push/${log.hello.session}`)).status, 405);
    const preflight = await server.get(`/push/${log.hello.session}`, {
      method: 'OPTIONS', headers: { origin: 'https://a.example', 'access-control-request-method': 'POST' },
    });
    assert.match(preflight.headers['access-control-allow-methods'], /POST/);
    log.close();
  });

  await step('pushed viewers are counted, and what they saw', async () => {
    const logs = await Promise.all([1, 2, 3].map(() => pushOverHttp1(t, server, 'subscribe=two/v360')));
    await server.untilStream('two', 'has three viewers', ({ viewers: count }) => count === 3);
    assert.equal(await server.metric('mirror_push_sessions'), 3);
    const part = logs[0].of('part').at(-1);
    const rendered = { type: 'rendered', track: part.track, msn: part.msn, part: part.part,
      captured_us: part.captured, rendered_us: part.captured + 450_000 };
    await control(server, logs[0].hello.session, [rendered, { ...rendered, rendered_us: 1 }]);
    await eventually('the report', async () =>
      await server.metric('mirror_stream_glass_to_glass_seconds_count', 'two') === 1);
    await eventually('the other one', async () => await server.metric('mirror_push_reports_refused_total') === 1);
    for (const log of logs) log.close();
    await server.untilStream('two', 'has none', ({ viewers: count }) => count === 0);
  });

  await step('who reads slowly loses parts and goes on', async () => {
    const log = await pushOverHttp1(t, server, `${wall}&chunks=1`);
    await log.until('parts', () => log.of('part').length > 4);
    log.response.pause();
    await eventually('something is dropped', async () => await server.metric('mirror_push_dropped_parts_total') > 20, { seconds: 40 });
    assert.ok(await server.metric('mirror_push_queue_age_seconds') < 3);
    log.response.resume();
    await log.until('it is told', () => log.of('dropped').length > 0);
    const at = log.frames.length;
    await log.until('it goes on', () => log.frames.length > at + 100);
    for (const { reason } of log.of('dropped')) assert.ok(kDroppedForAge.includes(reason));
    for (const dropped of log.of('dropped')) {
      const index = log.frames.indexOf(dropped);
      const next = log.frames.slice(index).find(({ type, track }) => type === 'part' && track === dropped.track);
      if (next && next.offset === 0) assert.ok(next.independent, 'behind a loss comes an independent part');
    }
    log.close();
  });

  await step('a stream that appears later, and the end of everything', async () => {
    const log = await pushOverHttp2(t, server, 'subscribe=later/v360');
    await log.until('absent', () => log.of('state', ({ state }) => state === 0).length === 1);
    publishWithSource(t, server, 'later', ['--size', '320x180', '--bitrate', '300k', '--duration', '4']);
    await log.until('it appears', () => log.partsOf('later', 'v360').length > 5, 30);
    await log.until('its publisher leaves', () => log.of('state', ({ state }) => state === 2).length === 1, 30);
    const all = await pushOverHttp1(t, server, 'subscribe=one/v360');
    await all.until('parts', () => all.of('part').length > 4);
    await server.stop();
    await all.until('the end is told', () => all.of('state', ({ state }) => state === 3).length === 1);
    await all.until('and the response ends', () => all.ended);
  });
});
