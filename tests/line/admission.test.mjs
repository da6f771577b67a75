// Who may publish: token, takeover and reject, as many as are allowed, and what a webhook says.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import { test } from 'node:test';

import {
  accessControl, eventually, publishTone, publishWithFfmpeg, Server, telling, testCard, Viewer,
  whenOver,
} from './lib.mjs';

const kSecret = 'a secret that both sides know';

const refused = (server, reason, remoteOrId) =>
  server.logged(`refused: ${reason}`, (line) =>
    line.message === 'publisher refused' && line.reason === reason && line.stream_id.includes(remoteOrId));

const gone = (server, stream, why) =>
  server.logged(`${stream}: ${why}`, (line) =>
    line.message === 'publisher gone' && line.stream === stream && why.test(line.why));

test('a publish token must be said, and right', { timeout: 120_000 }, async (t) => {
  const server = await Server.start(t, { MIRROR_PUBLISH_TOKEN: 'for-everybody' }, `
streams:
  rules:
    own: { token: for-own-alone }
`);
  await telling(server, async () => {
    const ended = async (child) => assert.notEqual((await child.ended).code, 0);
    await ended(publishTone(t, server, 'plain'));
    await refused(server, 'unauthorized', 'plain');
    await ended(publishTone(t, server, accessControl('none')));
    await refused(server, 'unauthorized', 'r=none');
    await ended(publishTone(t, server, accessControl('wrong', { token: 'for-nobody-1' })));
    await refused(server, 'unauthorized', 'r=wrong');
    await ended(publishTone(t, server, accessControl('own', { token: 'for-everybody' })));
    await refused(server, 'unauthorized', 'r=own');
    publishTone(t, server, accessControl('right', { token: 'for-everybody' }));
    publishTone(t, server, accessControl('own', { token: 'for-own-alone' }));
    for (const key of ['right', 'own']) {
      await server.untilStream(key, 'has tracks', (stream) => stream.source.tracks.length > 0);
    }
    const { streams } = await server.json('/api/v1/streams');
    assert.deepEqual(streams.map((stream) => stream.key), ['own', 'right']);
    assert.equal(await server.metric('mirror_srt_refusals_total', 'unauthorized'), 4);
  })(t);
});

test('a second publisher takes the key over, and viewers go on', { timeout: 180_000 }, async (t) => {
  const server = await Server.start(t);
  const file = await testCard({ seconds: 40, args: ['--bitrate', '500k'] });
  const first = publishWithFfmpeg(t, server, 'cam', file);
  await telling(server, async () => {
    const before = await server.untilLive('cam');
    const viewer = new Viewer(t, server, 'cam');
    let tookOver = false;
    const watching = viewer.record('v360', (recording) =>
      tookOver && recording.segments.some((segment) => segment.discontinuity));
    watching.catch(() => {});
    await viewer.record('v360', (recording) => recording.seconds >= 1);
    publishWithFfmpeg(t, server, 'cam', file);
    await gone(server, 'cam', /another publisher took its place/);
    tookOver = true;
    await first.ended;
    const recording = await watching;
    recording.checkStructure({ discontinuities: 1 });
    const after = await server.untilLive('cam');
    assert.equal(after.epoch, before.epoch, 'the presentation is the same one');
    assert.notEqual(after.source.remote, before.source.remote);
    assert.equal(after.why, null);
  })(t);
});

test('reject: a second publisher is refused', { timeout: 120_000 }, async (t) => {
  const server = await Server.start(t, { MIRROR_PUBLISH_POLICY: 'reject', MIRROR_PUBLISH_SILENCE_MS: '30000' });
  publishTone(t, server, 'cam');
  await telling(server, async () => {
    const before = await server.untilStream('cam', 'has tracks', (stream) => stream.source.tracks.length > 0);
    const second = publishTone(t, server, 'cam');
    assert.notEqual((await second.ended).code, 0);
    const line = await refused(server, 'conflict', 'cam');
    assert.match(line.why, /'cam' is already live/);
    const after = await server.json('/api/v1/streams/cam');
    assert.equal(after.source.remote, before.source.remote);
  })(t);
});

test('number 26 is refused', { timeout: 180_000 }, async (t) => {
  const server = await Server.start(t);
  await telling(server, async () => {
    for (let i = 1; i <= 25; ++i) publishTone(t, server, `cam${i}`);
    await eventually('25 streams', async () => {
      const { streams } = await server.json('/api/v1/streams');
      return streams.length === 25;
    }, { seconds: 90 });
    const one = publishTone(t, server, 'cam26');
    assert.notEqual((await one.ended).code, 0);
    await refused(server, 'overload', 'cam26');
    assert.equal((await server.get('/api/v1/streams/cam26')).status, 404);
    const { streams } = await server.json('/api/v1/streams');
    assert.equal(streams.length, 25, 'the others are undisturbed');
  })(t);
});

// What an operator's webhook would do: docs/admission.md is its whole knowledge.
class AdmissionServer {
  static async start(t, answer) {
    const self = new AdmissionServer();
    self.asked = [];
    self.seen = new Set();
    self.server = http.createServer((request, response) => {
      const chunks = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks);
        const notice = self.check(request, body);
        self.asked.push(notice);
        answer(notice, response);
      });
    });
    await new Promise((resolve) => self.server.listen(0, '127.0.0.1', resolve));
    self.url = `http://127.0.0.1:${self.server.address().port}/admission`;
    whenOver(t, () => {
      self.server.closeAllConnections?.();
      self.server.close();
    });
    return self;
  }

  check(request, body) {
    assert.equal(request.method, 'POST');
    assert.equal(request.url, '/admission');
    assert.equal(request.headers['content-type'], 'application/json');
    const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(request.headers['mirror-signature']);
    const expected = crypto.createHmac('sha256', kSecret).update(`${t}.`).update(body).digest();
    assert.ok(crypto.timingSafeEqual(expected, Buffer.from(v1, 'hex')), 'the signature is right');
    assert.ok(Math.abs(Date.now() / 1000 - t) < 300);
    const notice = JSON.parse(body);
    assert.equal(notice.time, Number(t));
    assert.equal(notice.action, 'publish');
    assert.match(notice.id, /^[0-9a-f]{32}$/);
    assert.ok(!this.seen.has(notice.id), 'no id comes twice');
    this.seen.add(notice.id);
    return notice;
  }
}

test('a webhook allows, denies, or is silent', { timeout: 180_000 }, async (t) => {
  const faults = [];
  const hook = await AdmissionServer.start(t, (notice, response) => {
    if (notice.stream === 'silent') return;
    if (notice.stream === 'denied') response.statusCode = 403;
    if (notice.stream === 'broken') response.statusCode = 500;
    response.end(notice.stream === 'denied' ? '{"reason": "not on air today"}' : '');
  });
  hook.server.on('error', (error) => faults.push(error));
  const server = await Server.start(t, {
    MIRROR_PUBLISH_WEBHOOK_URL: hook.url,
    MIRROR_PUBLISH_WEBHOOK_SECRET: kSecret,
    MIRROR_PUBLISH_WEBHOOK_TIMEOUT_MS: '3000',
  });
  await telling(server, async () => {
    const silent = publishTone(t, server, 'silent');
    const denied = publishTone(t, server, 'denied');
    const broken = publishTone(t, server, 'broken');
    publishTone(t, server, accessControl('allowed', { user: 'studio', token: 'sesame-open' }));
    const stream = await server.untilStream('allowed', 'has tracks', (each) => each.source.tracks.length > 0);
    assert.equal(stream.source.protocol, 'srt');
    await gone(server, 'denied', /the webhook refuses it: not on air today/);
    await gone(server, 'broken', /the webhook answered with status 500/);
    await gone(server, 'silent', /the webhook did not answer in time/);
    for (const child of [silent, denied, broken]) await child.ended;
    const { streams } = await server.json('/api/v1/streams');
    assert.deepEqual(streams.map((each) => each.key), ['allowed'], 'who was refused left no stream');
    const notice = hook.asked.find((each) => each.stream === 'allowed');
    assert.equal(notice.user, 'studio');
    assert.equal(notice.token, 'sesame-open');
    assert.equal(notice.protocol, 'srt');
    assert.equal(notice.remote, stream.source.remote);
    assert.equal(await server.metric('mirror_admission_webhook_total', 'allowed'), 1);
    assert.equal(await server.metric('mirror_admission_webhook_total', 'denied'), 1);
    assert.equal(await server.metric('mirror_admission_webhook_total', 'failed'), 2);
    assert.equal(await server.metric('mirror_admission_waiting'), 0);
    assert.deepEqual(faults, []);
  })(t);
});

const kSeconds = Number(process.env.MIRROR_RECONNECT_SECONDS ?? 240);
const skip = process.env.MIRROR_LONG === '1' ? false : 'long: set MIRROR_LONG=1';

function rssKb(pid) {
  return Number(/VmRSS:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

test('publishers come and go, and memory stays', { skip, timeout: (kSeconds + 120) * 1000 }, async (t) => {
  const server = await Server.start(t, { MIRROR_HLS_RECONNECT_HOLD_SECONDS: '1', MIRROR_HLS_WINDOW_SECONDS: '6' });
  const file = await testCard({ seconds: 14, args: ['--bitrate', '500k', '--size', '320x180'] });
  await telling(server, async () => {
    const footprints = [];
    const began = Date.now();
    for (let i = 0; Date.now() - began < kSeconds * 1000; ++i) {
      // One key comes back to its stream, the other one's stream has ended meanwhile; one is killed.
      const children = ['returns', `new${i % 3}`].map((key) => publishWithFfmpeg(t, server, key, file));
      await server.untilLive(`new${i % 3}`);
      await children[0].stop('SIGKILL');
      await children[1].stop(i % 2 ? 'SIGTERM' : 'SIGKILL');
      footprints.push(rssKb(server.pid));
    }
    const fifth = Math.max(1, Math.floor(footprints.length / 5));
    const mean = (list) => list.reduce((sum, each) => sum + each, 0) / list.length;
    const early = mean(footprints.slice(fifth, 2 * fifth));
    const late = mean(footprints.slice(-fifth));
    t.diagnostic(`${footprints.length} rounds: RSS ${early | 0} kB, then ${late | 0} kB`);
    assert.ok(late < early * 1.05 + 4096, 'memory is flat');
  })(t);
});
