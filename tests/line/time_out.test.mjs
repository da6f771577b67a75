// A publisher falls silent while viewers wait for what they were promised: what each is told, and that
// they go on when it speaks again. MIRROR_UPDATE_GOLDEN=1 writes testdata/ anew.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { test } from 'node:test';

import { eventually, nextPosition, publishRaw, Server, stepsOf, testCard, Viewer } from './lib.mjs';

const kGolden = new URL('testdata/blocked_request_times_out.txt', import.meta.url);
const kHoldMs = 3_000;  // three target durations (RFC 8216bis, 6.2.5.2)

// The answer as lines, and how long it took; `broken` when it ended before it was whole.
function ask(server, path, headers = {}) {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const request = http.get({ host: '127.0.0.1', port: server.httpPort, path, headers }, (response) => {
      const lines = [`HTTP/1.1 ${response.statusCode}`];
      for (const [name, value] of Object.entries(response.headers).sort()) {
        lines.push(`${name}: ${name === 'date' ? '{now}' : value}`);
      }
      const headMs = performance.now() - began;
      let body = '';
      const done = (broken) => {
        // Of a part, the pictures that were made before; which they are is chance.
        if (body && response.statusCode !== 200) lines.push('', body.trimEnd());
        resolve({ lines, headMs, ms: performance.now() - began, broken, status: response.statusCode });
      };
      response.on('data', (chunk) => { body += chunk; });
      response.on('end', () => done(false));
      request.off('error', reject);
      for (const each of [request, response]) each.on('error', () => done(true));
    });
    request.on('error', reject);
  });
}

test('a publisher falls silent', { timeout: 120_000 }, async (t) => {
  const server = await Server.start(t);
  const step = stepsOf(t, server);
  const clip = await testCard({ seconds: 30, args: ['--bitrate', '300k'] });
  const publisher = publishRaw(t, server, 'cam', fs.readFileSync(clip));
  await server.untilLive('cam');
  const viewer = new Viewer(t, server, 'cam');

  publisher.silent = true;
  let next;
  await eventually('nothing is published any more', async () => {
    const before = nextPosition(await viewer.playlist('v360'));
    await new Promise((resolve) => { setTimeout(resolve, 1_000); });
    next = nextPosition(await viewer.playlist('v360'));
    return before.msn === next.msn && before.part === next.part;
  });
  const { hint } = await viewer.playlist('v360');
  const rendition = '/live/cam/v360/';

  await step('who waits is told so after three target durations', async () => {
    const questions = [
      ['the next part, by a playlist', `media.m3u8?_HLS_msn=${next.msn}&_HLS_part=${next.part}`],
      ['the end of the segment, by a playlist', `media.m3u8?_HLS_msn=${next.msn}`],
      ['the next part, by its delta', `media.m3u8?_HLS_msn=${next.msn}&_HLS_part=${next.part}&_HLS_skip=YES`],
      ['the segment', `${hint.slice(0, hint.indexOf('/'))}/${next.msn}.m4s`],
      ['a range of the hinted part', hint, { range: 'bytes=0-99' }],
      ['the hinted part, as it is made', hint],
    ];
    const answers = await Promise.all(questions.map(([, path, headers]) => ask(server, rendition + path, headers)));
    let text = '';
    questions.forEach(([what, path, headers = {}], at) => {
      const { lines, headMs, ms, broken, status } = answers[at];
      assert.ok(ms >= kHoldMs, `${what}: held for ${ms} ms`);
      const shown = path.replace(hint.slice(0, hint.indexOf('/')), '{epoch}')
        .replaceAll(next.msn, '{msn}').replace(`part=${next.part}`, 'part={part}').replace(`.${next.part}.`, '.{part}.');
      const asked = Object.entries(headers).map(([name, value]) => `\n> ${name}: ${value}`).join('');
      // The head of what grows is sent at once, or its first bytes could not be either.
      const head = headMs < kHoldMs ? ' (the head at once)' : '';
      text += `# ${what}\n> GET ${rendition}${shown}${asked}\n`
        + `... three target durations${status === 200 ? head : ''}\n`
        + lines.map((line) => (line ? `< ${line}` : '<')).join('\n') + (broken ? '\n< (broken off)' : '') + '\n\n';
    });
    if (process.env.MIRROR_UPDATE_GOLDEN) fs.writeFileSync(kGolden, text);
    assert.equal(text, fs.readFileSync(kGolden, 'utf8'));
  });

  await step('and goes on when it speaks again', async () => {
    publisher.silent = false;
    await eventually('new parts', async () => nextPosition(await viewer.playlist('v360')).msn > next.msn);
  });
});
