// Delivery directives, held parts and refusals over real HTTP (RFC 8216bis, 6.2.5).
import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  nextPosition, parseMedia, publishWithSource, readPart, run, Server, stepsOf, Viewer,
} from './lib.mjs';

test('requests to a live stream', { timeout: 120_000 }, async (t) => {
  const server = await Server.start(t, { MIRROR_HLS_WINDOW_SECONDS: '6' });
  const step = stepsOf(t, server);

  await step('the multivariant playlist waits for a stream that has just come', async () => {
    assert.equal((await server.get('/live/cam/index.m3u8')).status, 404);
    publishWithSource(t, server, 'cam', ['--size', '320x180', '--bitrate', '300k']);
    await server.untilStream('cam', 'exists', () => true);
    const { status, body } = await server.get('/live/cam/index.m3u8');
    assert.equal(status, 200, body.toString());
    assert.match(body.toString(), /^#EXTM3U\n/);
  });

  await server.untilLive('cam');
  const viewer = new Viewer(t, server, 'cam');
  await viewer.record('v360', (recording) => recording.seconds >= 1);
  const ask = (query, options) => viewer.get(`v360/media.m3u8${query}`, options);

  await step('_HLS_part without _HLS_msn is refused', async () => {
    const { status, body } = await ask('?_HLS_part=1');
    assert.equal(status, 400);
    assert.match(body.toString(), /_HLS_part/);
  });

  for (const msn of ['x', '-1', '1&_HLS_msn=2', '', '99999999999999999999']) {
    const query = `?_HLS_msn=${msn}`;
    await step(`${query} is refused`, async () => {
      const { status, body } = await ask(query);
      assert.equal(status, 400);
      assert.match(body.toString(), /_HLS_msn/);
    });
  }

  await step('far ahead is refused', async () => {
    const { msn } = nextPosition(await viewer.playlist('v360'));
    const { status } = await ask(`?_HLS_msn=${msn + 1000}&_HLS_part=0`);
    assert.equal(status, 400);
  });

  await step('the past is answered at once', async () => {
    const list = await viewer.playlist('v360');
    for (const msn of ['0', '0&_HLS_part=0', list.mediaSequence]) {
      const { status, body } = await ask(`?_HLS_msn=${msn}`);
      assert.equal(status, 200);
      assert.ok(parseMedia(body.toString()).segments.length > 0);
    }
  });

  await step('a part index past a segment\'s end is the next one\'s first', async () => {
    const list = await viewer.playlist('v360');
    const complete = list.segments.filter((segment) => segment.complete).at(-1);
    const { status, body } = await ask(`?_HLS_msn=${complete.number}&_HLS_part=50`);
    assert.equal(status, 200);
    const reached = nextPosition(parseMedia(body.toString()));
    assert.ok(reached.msn > complete.number + 1 || reached.part > 0, JSON.stringify(reached));
  });

  await step('a blocking reload is answered with what was asked for', async () => {
    for (let i = 0; i < 20; ++i) {
      const { msn, part } = nextPosition(await viewer.playlist('v360'));
      const { status, body, headers } = await ask(`?_HLS_msn=${msn}&_HLS_part=${part}`);
      assert.equal(status, 200);
      assert.match(headers['content-type'], /^application\/vnd\.apple\.mpegurl/);
      const list = parseMedia(body.toString());
      const segment = list.segments.find(({ number }) => number === msn);
      assert.ok(segment, `segment ${msn} is listed`);
      assert.ok(segment.complete || segment.parts.length > part, `part ${msn}.${part} is listed`);
    }
    const { msn } = nextPosition(await viewer.playlist('v360'));
    const { body } = await ask(`?_HLS_msn=${msn}`);
    const whole = parseMedia(body.toString()).segments.find(({ number }) => number === msn);
    assert.ok(whole.complete, 'without a part the whole segment is waited for');
  });

  await step('_HLS_skip may be ignored', async () => {
    const { status, body } = await ask('?_HLS_skip=YES');
    assert.equal(status, 200);
    assert.ok(parseMedia(body.toString()).segments.length > 0);
  });

  await step('the hinted part is held and then comes', async () => {
    for (let i = 0; i < 10; ++i) {
      const { hint } = await viewer.playlist('v360');
      const { status, body, headers } = await viewer.get(`v360/${hint}`);
      assert.equal(status, 200, hint);
      assert.match(headers['content-type'], /^video\/mp4/);
      assert.match(headers['cache-control'], /immutable/);
      assert.ok(readPart(body).samples.length > 0);
    }
  });

  await step('many wait for the same part and get the same bytes', async () => {
    const { hint } = await viewer.playlist('v360');
    const answers = await Promise.all(Array.from({ length: 8 }, () => viewer.get(`v360/${hint}`)));
    for (const { status, body } of answers) {
      assert.equal(status, 200);
      assert.ok(body.equals(answers[0].body));
    }
  });

  await step('parts that nobody promised are not found', async () => {
    const { map } = await viewer.playlist('v360');
    const epoch = map.split('/')[0];
    const { msn } = nextPosition(await viewer.playlist('v360'));
    const future = [`${msn + 50}.0.m4s`, `${msn + 50}.m4s`, `${msn}.99.m4s`];
    for (const name of [...future, '01.m4s', 'x.m4s', '..%2f..', '']) {
      const { status } = await viewer.get(`v360/${epoch}/${name}`);
      assert.equal(status, 404, name);
    }
    assert.equal((await viewer.get(`v360/another-epoch/${msn}.0.m4s`)).status, 404);
    assert.equal((await viewer.get('v720/media.m3u8')).status, 404);
    assert.equal((await server.get('/live/none/index.m3u8')).status, 404);
    assert.equal((await server.get('/live/cam')).status, 404);
  });

  await step('what slid out of the window goes after a while', async () => {
    const { map, mediaSequence } = await viewer.playlist('v360');
    const epoch = map.split('/')[0];
    const first = await viewer.get(`v360/${epoch}/${mediaSequence}.m4s`);
    assert.equal(first.status, 200);
    assert.equal(first.body.length, Number(first.headers['content-length']));
  });

  await step('HEAD says what GET would', async () => {
    const list = await viewer.playlist('v360');
    const uri = list.segments.filter((segment) => segment.complete).at(-1).uri;
    for (const target of [`v360/${list.map}`, `v360/${uri}`]) {
      const get = await viewer.get(target);
      const head = await viewer.get(target, { method: 'HEAD' });
      assert.equal(head.status, 200);
      assert.equal(head.body.length, 0);
      for (const name of ['content-type', 'content-length', 'cache-control']) {
        assert.equal(head.headers[name], get.headers[name], name);
      }
    }
  });

  await step('other methods are not allowed', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const { status, headers } = await ask('', { method });
      assert.equal(status, 405, method);
      assert.match(headers.allow, /GET/);
    }
    const { status, headers } = await ask('', {
      method: 'OPTIONS',
      headers: { origin: 'https://example.org', 'access-control-request-method': 'GET' },
    });
    assert.ok(status === 204 || status === 200);
    assert.equal(headers['access-control-allow-origin'], '*');
  });

  await step('curl reads it over HTTPS with HTTP/2 and HTTP/1.1', async () => {
    const { hint } = await viewer.playlist('v360');
    for (const [option, version] of [['--http2', '2'], ['--http1.1', '1.1']]) {
      const url = (target) => `https://127.0.0.1:${server.httpsPort}${target}`;
      const { stdout } = await run('curl', [
        '-sSk', option, '-o', '/dev/null', '-w', '%{http_version} %{http_code} %{size_download}\n',
        url('/live/cam/index.m3u8'), '-o', '/dev/null', url('/live/cam/v360/media.m3u8'),
        '-o', '/dev/null', url(`/live/cam/v360/${hint}`), '-o', '/dev/null', url('/nothing'),
      ]);
      const lines = stdout.trim().split('\n').map((line) => line.split(' '));
      assert.deepEqual(lines.map(([each, code]) => [each, code]), [
        [version, '200'], [version, '200'], [version, '200'], [version, '404'],
      ]);
      for (const [, , size] of lines) assert.ok(Number(size) > 0);
    }
  });
});
