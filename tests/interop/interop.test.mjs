// HTTP/3 and server push as programs see them that we did not write: curl with OpenSSL's QUIC, ngtcp2's own
// client behind a bad network, aioquic. They come from a Debian 13 beside this system (chroot); runs only with
// MIRROR_LONG=1, as root.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { eventually, makeCertificate, publishWithSource, run, Server, stepsOf, temporaryFolder, Viewer } from '../line/lib.mjs';

const skip = process.env.MIRROR_LONG === '1' ? false : 'long: set MIRROR_LONG=1';
const kChroot = fileURLToPath(new URL('chroot', import.meta.url));
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

async function inDebian13(...command) {
  const { stdout } = await run(kChroot, command);
  return stdout;
}

const aioquic = async (...args) => JSON.parse(await inDebian13('python3', 'client.py', ...args));

test('strangers over HTTP/3', { skip, timeout: 900_000 }, async (t) => {
  const root = (await run(kChroot, [])).stdout.trim().split('\n').pop();
  const server = await Server.start(t);
  publishWithSource(t, server, 'cam', ['--size', '320x180', '--bitrate', '300k']);
  await server.untilLive('cam');
  const step = stepsOf(t, server);
  const viewer = new Viewer(t, server, 'cam');
  const base = `https://127.0.0.1:${server.httpsPort}`;
  const { map } = await viewer.playlist('v360');
  const init = (await viewer.get(`v360/${map}`)).body;

  await step('curl (OpenSSL\'s QUIC)', async () => {
    const url = `${base}/live/cam/v360/${map}`;
    const words = await inDebian13('curl', '--http3-only', '-sk', '-o', '/mirror/init.mp4', '-w', '%{http_version} %{http_code} %{size_download}', url);
    assert.equal(words, `3 200 ${init.length}`);
    assert.ok(fs.readFileSync(path.join(root, 'mirror/init.mp4')).equals(init));
    // A held request, and one that is refused.
    const { mediaSequence } = await viewer.playlist('v360');
    const held = await inDebian13('curl', '--http3-only', '-sk', `${base}/live/cam/v360/media.m3u8?_HLS_msn=${mediaSequence + 70}`);
    assert.match(held, /#EXTM3U|too far ahead/);
    const refused = await inDebian13('curl', '--http3-only', '-sk', '-w', ' %{http_code}', `${base}/live/cam/v360/media.m3u8?_HLS_part=1`);
    assert.match(refused, / 400$/);
  });

  await step('gtlsclient (ngtcp2) loses 3 % of the packets each way', async () => {
    let segments;
    await eventually('twelve segments', async () => {
      ({ segments } = await viewer.playlist('v360'));
      return segments.length > 12;
    });
    const names = segments.slice(-12, -2).map(({ uri }) => uri);
    await inDebian13('gtlsclient', '-q', '-t', '0.03', '-r', '0.03', '--exit-on-all-streams-close', '--no-quic-dump', '--no-http-dump',
      '--download=/mirror', '127.0.0.1', String(server.httpsPort), ...names.map((name) => `${base}/live/cam/v360/${name}`));
    for (const name of names) {
      const { body } = await viewer.get(`v360/${name}`);
      assert.ok(fs.readFileSync(path.join(root, 'mirror', path.basename(name))).equals(body), name);
    }
  });

  await step('aioquic asks', async () => {
    const answer = await aioquic('get', `${base}/live/cam/v360/${map}`);
    assert.equal(answer.headers[':status'], '200');
    assert.equal(answer.sha256, sha256(init));
  });

  await step('aioquic is pushed the parts of the playlist that it follows', async () => {
    const { reloads, pushes } = await aioquic('follow', `${base}/live/cam/v360/media.m3u8`, '5');
    assert.ok(reloads > 30, `${reloads} reloads in 5 s`);
    assert.ok(pushes.length >= reloads - 1, `${pushes.length} pushes for ${reloads} reloads`);
    for (const push of pushes) {
      assert.equal(push.status, '200', push.path);
      const part = await server.get(push.path);
      assert.equal(push.sha256, sha256(part.body), push.path);
    }
  });

  await step('aioquic has a push session over WebTransport', async () => {
    const { headers, streams } = await aioquic('webtransport', `${base}/push?subscribe=cam/v360&subscribe=cam/audio`, '4');
    assert.equal(headers[':status'], '200');
    const [frames, ...parts] = streams;
    assert.deepEqual(frames.types.filter((type) => type === 2).length, 2, 'two TRACK frames');
    const inits = frames.frames.filter(({ type }) => type === 3);
    assert.equal(inits.length, 2);
    assert.ok(parts.length > 60, `${parts.length} parts in 4 s`);
    for (const { types, rest, ended } of parts.slice(0, -2)) assert.deepEqual([types, rest, ended], [[4], 0, true]);
  });
});

test('a certificate loaded anew, over HTTP/3', { skip, timeout: 120_000 }, async (t) => {
  const root = (await run(kChroot, [])).stdout.trim().split('\n').pop();
  const folder = temporaryFolder(t);
  const [cert, key] = await makeCertificate(folder, 'first');
  const server = await Server.start(t, { MIRROR_HTTPS_CERTIFICATE: cert, MIRROR_HTTPS_KEY: key });
  const [nextCert, nextKey] = await makeCertificate(folder, 'next');
  fs.copyFileSync(cert, path.join(root, 'mirror/first.pem'));
  fs.copyFileSync(nextCert, path.join(root, 'mirror/next.pem'));
  // curl's exit status: 0, or 60 for a certificate that it does not trust.
  const trusts = async (name) => {
    const { code } = await run(kChroot, ['curl', '--http3-only', '-s', '-o', '/dev/null', '--cacert', `/mirror/${name}.pem`,
      `https://127.0.0.1:${server.httpsPort}/healthz`], { codes: [0, 60] });
    return code === 0;
  };
  assert.deepEqual([await trusts('first'), await trusts('next')], [true, false]);
  fs.copyFileSync(nextKey, key);
  fs.copyFileSync(nextCert, cert);
  server.child.kill('SIGHUP');
  await server.logged('the new certificate', (line) => line.message === 'certificate loaded');
  assert.deepEqual([await trusts('first'), await trusts('next')], [false, true]);
});
