// What Debian's Chromium makes of Mirror over QUIC: it speaks HTTP/3 with it, and is pushed parts by
// WebTransport and by one streamed response; without QUIC it falls back to HTTP/2, without that to 1.1.
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { openBrowser } from '../e2e/browser.mjs';
import { publishWithSource, run, Server, stepsOf, temporaryFolder } from '../line/lib.mjs';
import { collectPush } from './lib/push_page.mjs';

const kName = 'mirror.test';
const kParts = 30;  // of each track that a page collects

// serverCertificateHashes takes ECDSA certificates of at most 14 days only.
async function certificate(t) {
  const folder = temporaryFolder(t);
  const [cert, key] = ['cert.pem', 'key.pem'].map((name) => path.join(folder, name));
  await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
    '-keyout', key, '-out', cert, '-days', '13', '-subj', `/CN=${kName}`, '-addext', `subjectAltName=DNS:${kName},IP:127.0.0.1`]);
  const x509 = new X509Certificate(fs.readFileSync(cert));
  const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
  return {
    cert,
    key,
    hash: [...sha256(x509.raw)],
    spki: sha256(x509.publicKey.export({ type: 'spki', format: 'der' })).toString('base64'),
  };
}

test('Chromium over QUIC', { timeout: 240_000 }, async (t) => {
  const { cert, key, hash, spki } = await certificate(t);
  const server = await Server.start(t, { MIRROR_HTTPS_CERTIFICATE: cert, MIRROR_HTTPS_KEY: key });
  publishWithSource(t, server, 'cam', ['--size', '320x180', '--bitrate', '300k']);
  await server.untilLive('cam');
  const step = stepsOf(t, server);
  const origin = `https://${kName}:${server.httpsPort}`;
  const args = [`--host-resolver-rules=MAP ${kName} 127.0.0.1`, `--ignore-certificate-errors-spki-list=${spki}`];
  const quic = [...args, `--origin-to-force-quic-on=${kName}:${server.httpsPort}`];

  const inBrowser = async (options, use) => {
    const { browser, page } = await openBrowser((text) => t.diagnostic(text), options);
    try {
      await page.goto(`${origin}/healthz`);
      return await use(page);
    } finally {
      await browser.close();
    }
  };
  // What the protocol of each answer was, as the page is told.
  const protocols = (page) => page.evaluate(async () => {
    await Promise.all(['index.m3u8', 'v360/media.m3u8', 'audio/media.m3u8'].map((name) => fetch(`/live/cam/${name}`).then((it) => it.text())));
    return [...new Set(performance.getEntries().map((entry) => entry.nextHopProtocol).filter(Boolean))];
  });

  await step('it speaks HTTP/3', async () => {
    assert.deepEqual(await inBrowser({ quic: true, args: quic }, protocols), ['h3']);
  });
  await step('without QUIC HTTP/2, without that HTTP/1.1', async () => {
    assert.deepEqual(await inBrowser({ args }, protocols), ['h2']);
    assert.deepEqual(await inBrowser({ args: [...args, '--disable-http2'] }, protocols), ['http/1.1']);
  });

  for (const carrier of ['webtransport', 'response']) {
    await step(`parts are pushed by ${carrier}`, async () => {
      const seen = await inBrowser({ quic: true, args: quic }, (page) => page.evaluate(collectPush, {
        carrier, hash, url: `${origin}/push?subscribe=cam/v360&subscribe=cam/audio`, parts: kParts, seconds: 30,
      }));
      assert.equal(seen.error, undefined);
      const tracks = Object.values(seen.tracks);
      assert.deepEqual(tracks.map((track) => track.rendition).sort(), ['audio', 'v360']);
      for (const track of tracks) {
        assert.ok(track.parts.length >= kParts, `${track.rendition}: ${track.parts.length} parts in time`);
        track.parts.reduce((last, next) => {
          const follows = next.msn === last.msn ? next.part === last.part + 1 : next.msn === last.msn + 1 && next.part === 0;
          assert.ok(follows, `${track.rendition}: ${next.msn}.${next.part} after ${last.msn}.${last.part}`);
          return next;
        });
        for (const { msn, part, sha256 } of track.parts.slice(0, -2)) {
          const served = await server.get(`/live/cam/${track.rendition}/${track.epoch}/${msn}.${part}.m4s`);
          assert.equal(sha256, createHash('sha256').update(served.body).digest('hex'), `${track.rendition} ${msn}.${part}`);
        }
        t.diagnostic(`${carrier} ${track.rendition}: published to received ${track.parts.map((part) => part.delayMs).sort((a, b) => a - b)[track.parts.length >> 1].toFixed(1)} ms (median)`);
      }
    });
  }
});
