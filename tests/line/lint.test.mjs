// mirror-lint: finds nothing to say about Mirror, and names what a worse server does.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { lint, rulesOf, wrongIn } from './lib/lint.mjs';
import { Origin } from './lib/origin.mjs';
import { whenOver } from './lib/cleanup.mjs';
import { binary, publishWithSource, run, Server, stepsOf } from './lib.mjs';

function assertClean(report) {
  const wrong = wrongIn(report);
  assert.deepEqual(wrong, [], JSON.stringify(wrong, null, 1));
}

test('Mirror breaks no rule', { timeout: 180_000 }, async (t) => {
  const server = await Server.start(t);
  publishWithSource(t, server, 'cam', ['--size', '320x180', '--bitrate', '300k']);
  await server.untilLive('cam');
  const step = stepsOf(t, server);
  const plain = `http://127.0.0.1:${server.httpPort}/live/cam/`;
  const secure = `https://127.0.0.1:${server.httpsPort}/live/cam/`;

  for (const [name, url, args, version] of [
    ['HTTP/1.1', `${plain}index.m3u8`, ['--http', '1.1'], 1],
    ['HTTP/2 over TLS', `${secure}index.m3u8`, ['--http', '2', '--insecure'], 2],
  ]) {
    await step(`${name}: 15 s`, async () => {
      const { report } = await lint(url, ['--seconds', '15', ...args]);
      assertClean(report);
      assert.equal(report.http, version);
      assert.deepEqual(report.renditions.map((each) => each.name).sort(), ['audio/media.m3u8', 'v360/media.m3u8']);
      // Silence would prove nothing if it had not looked.
      for (const kind of [
        'multivariant', 'plain', 'reload', 'segment_reload', 'part_alone', 'far_ahead', 'past', 'part_past_end',
        'init', 'part', 'hint', 'segment', 'again',
      ]) {
        assert.ok(report.exchanges[kind] > 0, `${kind}: ${JSON.stringify(report.exchanges)}`);
      }
    });
  }

  await step('a Media Playlist alone', async () => {
    const { report } = await lint(`${plain}v360/media.m3u8`, ['--seconds', '3']);
    assertClean(report);
    assert.deepEqual(report.renditions.map((each) => each.name), ['media']);
  });
});

// Each lie, and the rules that it breaks besides those that this small server breaks anyway.
const kLies = [
  ['parts longer than PART-TARGET',
    { playlist: (text) => text.replace(/DURATION=0\.1,URI="(\d+)\.2\.m4s"/g, 'DURATION=0.12,URI="$1.2.m4s"') },
    ['part-target-exceeded', 'parts-sum']],
  ['another PART-TARGET with each part',
    { playlist: (text, origin) => text.replace('PART-TARGET=0.1', `PART-TARGET=0.1${origin.published % 2}`) },
    ['part-target-changed']],
  ['parts that are not there yet',
    { part: (turn, response) => {
      if (turn < 5) return undefined;
      response.writeHead(404);
      response.end();
      return true;
    } },
    ['part-unavailable']],
  ['a hint of another part than comes',
    { playlist: (text, origin) => `${text}#EXT-X-PRELOAD-HINT:TYPE=PART,URI="wrong-${origin.published}.m4s"\n` },
    ['hint-mismatch']],
];

test('a worse server is found out', { timeout: 180_000 }, async (t) => {
  for (const [name, lies, rules] of kLies) {
    await t.test(name, async (each) => {
      const origin = await Origin.start(each, lies);
      const { code, report } = await lint(origin.url, ['--seconds', '3']);
      assert.equal(code, 1);
      const found = rulesOf(report);
      for (const rule of rules) assert.ok(found.has(rule), `${rule}: ${[...found].join(' ')}`);
      // It tells no dates, compresses nothing, and has a map without tracks.
      for (const rule of ['pdt-missing', 'gzip-missing', 'media-structure']) assert.ok(found.has(rule), rule);
    });
  }

  await t.test('and an honest one breaks none of these', async (each) => {
    const origin = await Origin.start(each);
    const { report } = await lint(origin.url, ['--seconds', '3']);
    const found = rulesOf(report);
    for (const [name, , rules] of kLies) {
      for (const rule of rules) assert.ok(!found.has(rule), `${name}: ${rule}`);
    }
  });
});

test('what cannot be judged', { timeout: 60_000 }, async (t) => {
  const server = http.createServer((request, response) => {
    response.writeHead(request.url === '/page' ? 200 : 404, { 'content-type': 'text/html' });
    response.end('<html>');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  whenOver(t, () => server.close());
  const base = `http://127.0.0.1:${server.address().port}`;
  for (const [args, why] of [
    [[`${base}/page`], /not a playlist/],
    [[`${base}/nothing.m3u8`], /status 404/],
    [['http://127.0.0.1:1/x.m3u8'], /127\.0\.0\.1/],
    [[], /which URL/],
    [['--http', '9', `${base}/page`], /--http/],
  ]) {
    const { code, stderr } = await run(binary('mirror-lint'), args, { codes: [0, 1, 2] });
    assert.equal(code, 2, args.join(' '));
    assert.match(stderr, why);
  }
});

test('the page about it has the rules that it knows', async () => {
  const { stdout } = await run(binary('mirror-lint'), ['--rules']);
  const page = fs.readFileSync(fileURLToPath(new URL('../../docs/mirror-lint.md', import.meta.url)), 'utf8');
  assert.ok(page.includes(stdout), 'docs/mirror-lint.md: put in what mirror-lint --rules prints');
});
