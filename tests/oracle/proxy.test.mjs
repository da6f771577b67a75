// nginx, as deploy/nginx configures it, as a caching proxy in front of Mirror: a crowd of held requests is
// one request at the origin, and nothing is kept longer than it is true.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';

import {
  eventually, nextPosition, parseMedia, patience, publishWithSource, Server, stepsOf, Viewer,
} from '../line/lib.mjs';
import { Crowd } from './lib/crowd.mjs';
import { startNginx } from './lib/nginx.mjs';

const kCrowd = 1000;
const kViewers = 20;
const kRounds = 40;  // playlists that each of them asks for, one behind the other
const kSource = ['--codec', 'h264', '--size', '320x180', '--bitrate', '300k'];
const playlistUrl = '/live/cam/v360/media.m3u8';

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

// How many requests the origin answered while `body` ran. (The metrics page itself is one.)
async function requestsAtOrigin(server, body) {
  const before = await server.metric('mirror_http_requests_total');
  await body();
  return (await server.metric('mirror_http_requests_total')) - before - 1;
}

async function startLive(t, env) {
  const server = await Server.start(t, env);
  const publisher = publishWithSource(t, server, 'cam', kSource);
  await server.untilLive('cam');
  const viewer = new Viewer(t, server, 'cam');
  await viewer.record('v360', (recording) => recording.seconds >= 1);
  return { server, publisher, viewer };
}

test('nginx in front of Mirror', { timeout: 180_000 * patience }, async (t) => {
  const { server, publisher, viewer } = await startLive(t);
  const nginx = await startNginx(t, server);
  const step = stepsOf(t, server);
  const crowd = new Crowd(t, nginx.port);

  await step(`${kCrowd} held requests are one at the origin`, async (t) => {
    // A segment ahead: all of them are there before it is.
    const { msn } = nextPosition(await viewer.playlist('v360'));
    const target = `${playlistUrl}?_HLS_msn=${msn + 1}&_HLS_part=0`;
    let answers;
    const requests = await requestsAtOrigin(server, async () => {
      const each = Array.from({ length: kCrowd }, (_, n) => {
        // Every other viewer reports (CTA-5004), as players do: each something else.
        const cmcd = `CMCD=bl%3D${n}%2Csid%3D%22viewer-${n}%22`;
        const url = [target, target.replace('?', `?${cmcd}&`), target, `${target}&${cmcd}`][n % 4];
        return crowd.get(url, { viewer: n, headers: n % 3 ? { 'accept-encoding': 'gzip, br' } : {} });
      });
      answers = await Promise.all(each);
    });
    assert.equal(requests, 1);
    const forms = new Map();
    for (const { status, headers, body } of answers) {
      assert.equal(status, 200);
      const form = headers['content-encoding'] ?? 'plain';
      if (!forms.has(form)) forms.set(form, body);
      assert.ok(body.equals(forms.get(form)), `one body for all that take it ${form}`);
      assert.match(headers['cache-control'], /max-age=6\b/);
    }
    // Mirror gzips where somebody has lately asked for it, nginx unpacks for who does not take it.
    const plain = forms.get('plain');
    if (forms.has('gzip')) assert.ok(gunzipSync(forms.get('gzip')).equals(plain));
    const reached = nextPosition(parseMedia(plain.toString()));
    assert.ok(reached.msn > msn + 1 || reached.part > 0, 'it lists what was asked for');
    const times = answers.map((answer) => answer.at).sort((a, b) => a - b);
    t.diagnostic(`from the first answer to the last: ${(times.at(-1) - times[0]).toFixed(0)} ms`);
  });

  await step(`${kViewers} viewers, part by part`, async (t) => {
    const first = nextPosition(await viewer.playlist('v360'));
    // Part by part through the positions that a playlist tells of, from the same one for all.
    const follow = async (get) => {
      const times = new Map();
      let position = first;
      for (let round = 0; round < kRounds; ++round) {
        const { msn, part } = position;
        const answer = await get(`${playlistUrl}?_HLS_msn=${msn}&_HLS_part=${part}`);
        assert.equal(answer.status, 200, answer.body.toString());
        times.set(`${msn}.${part}`, answer.at);
        position = part === 4 ? { msn: msn + 1, part: 0 } : { msn, part: part + 1 };
      }
      return times;
    };
    const origin = new Crowd(t, server.httpsPort);
    const late = [];
    const requests = await requestsAtOrigin(server, async () => {
      const [direct, ...others] = await Promise.all([
        follow((target) => origin.get(target, { headers: { 'accept-encoding': 'gzip' } })),
        ...Array.from({ length: kViewers }, (_, n) =>
          follow((target) => crowd.get(target, { viewer: n })),
        ),
      ]);
      for (const times of others) {
        for (const [position, time] of times) late.push(time - direct.get(position));
      }
    });
    late.sort((a, b) => a - b);
    t.diagnostic(`behind a viewer without the proxy, in ms: p50 ${at(late, 0.5).toFixed(0)}, `
      + `p90 ${at(late, 0.9).toFixed(0)}, p99 ${at(late, 0.99).toFixed(0)}; `
      + `${requests - kRounds} requests at the origin for ${kViewers * kRounds}`);
    // One for each playlist, and one more where nobody had asked for it within its lifetime.
    assert.ok(requests - kRounds <= 2 * kRounds, `${requests - kRounds} requests`);
  });

  await step('a playlist without directives comes from the origin each time', async () => {
    const requests = await requestsAtOrigin(server, async () => {
      for (let n = 0; n < 5; ++n) assert.equal((await crowd.get(playlistUrl)).status, 200);
    });
    assert.equal(requests, 5);
  });

  await step('media: once from the origin, ranges from the cache', async () => {
    const playlist = await viewer.playlist('v360');
    const { uri } = playlist.segments.filter((segment) => segment.complete).at(-1);
    const whole = await viewer.media('v360', uri);
    const requests = await requestsAtOrigin(server, async () => {
      for (let n = 0; n < 10; ++n) {
        const { status, body } = await crowd.get(`/live/cam/v360/${uri}?CMCD=bl%3D${n}`);
        assert.equal(status, 200);
        assert.ok(body.equals(whole));
      }
      const range = { range: 'bytes=100-199' };
      const { status, body } = await crowd.get(`/live/cam/v360/${uri}`, { headers: range });
      assert.equal(status, 206);
      assert.ok(body.equals(whole.subarray(100, 200)));
    });
    assert.equal(requests, 1);
  });

  await step('an error is not kept for long', async (t) => {
    const target = '/live/later/v360/media.m3u8?_HLS_msn=0&_HLS_part=0';
    const refused = await crowd.get(target);
    assert.equal(refused.status, 404);
    publishWithSource(t, server, 'later', kSource);
    await server.untilLive('later');
    await eventually('the stream, through nginx', async () => (await crowd.get(target)).status === 200);
  });

  await step('a wrong request is refused, as without the proxy', async () => {
    assert.equal((await crowd.get(`${playlistUrl}?_HLS_part=1`)).status, 400);
    assert.equal((await crowd.get('/metrics')).status, 404);
  });

  await step('while the publisher is away, a crowd is told so by one request', async (t) => {
    await publisher.stop('SIGTERM');
    await server.untilStream('cam', 'has lost its publisher', ({ state }) => state !== 'live');
    // What was in the line has been published when a request runs into its time-out.
    const { playlist } = await viewer.record('v360', (recording) => recording.timeOuts > 0);
    const { msn, part } = nextPosition(playlist);
    const target = `${playlistUrl}?_HLS_msn=${msn}&_HLS_part=${part}`;
    let answers;
    const requests = await requestsAtOrigin(server, async () => {
      const each = Array.from({ length: 200 }, (_, n) => crowd.get(target, { viewer: n }));
      answers = await Promise.all(each);
    });
    for (const { status, headers } of answers) {
      assert.equal(status, 503);
      assert.ok(headers['retry-after'], 'it may be asked again');
    }
    // One, if the machine lets them all look within the second for which the answer is kept.
    t.diagnostic(`${requests} requests at the origin for ${answers.length}`);
    assert.ok(requests < answers.length / 10, `${requests} requests`);
  });

  await step('a new run of Mirror is not answered with the old one', async (t) => {
    const before = await viewer.playlist('v360');
    const { msn } = nextPosition(before);
    const old = await crowd.get(`${playlistUrl}?_HLS_msn=${msn - 1}`);
    assert.equal(old.status, 200);
    await server.stop();

    const again = await startLive(t, {
      MIRROR_HTTP_PORT: String(server.httpPort), MIRROR_SRT_PORT: String(server.srtPort),
    });
    const plain = parseMedia((await crowd.get(playlistUrl)).body.toString());
    assert.notEqual(plain.map, before.map, 'another epoch');
    assert.ok(plain.mediaSequence > msn, `${plain.mediaSequence} follows ${msn}: no URL comes twice`);
    for (let round = 0, position = nextPosition(plain); round < 10; ++round) {
      const query = `?_HLS_msn=${position.msn}&_HLS_part=${position.part}`;
      const answer = await crowd.get(playlistUrl + query);
      assert.equal(answer.status, 200, again.server.excerpt());
      const playlist = parseMedia(answer.body.toString());
      assert.equal(playlist.map, plain.map);
      position = nextPosition(playlist);
    }
  });

  assert.deepEqual(nginx.errors().filter((line) => /\[(crit|alert|emerg)\]/.test(line)), []);
});
