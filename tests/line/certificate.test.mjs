// SIGHUP loads the certificate anew: for connections that begin afterwards; nobody is dropped, and one
// that cannot be used changes nothing.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import tls from 'node:tls';

import { eventually, makeCertificate, run, Server, stepsOf, temporaryFolder } from './lib.mjs';

// A connection that is asked, and asked again.
class Asker {
  constructor(server) {
    this.socket = tls.connect({ host: '127.0.0.1', port: server.httpsPort, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
    this.socket.on('error', () => {});
    this.text = '';
    this.socket.on('data', (bytes) => { this.text += bytes; });
  }

  async ask() {
    this.text = '';
    this.socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await eventually('an answer', async () => /^HTTP\/1.1 200 [^]*\r\n\r\n/.test(this.text));
    return this.socket.getPeerCertificate().subject.CN;
  }
}

test('a certificate loaded anew', { timeout: 120_000 }, async (t) => {
  const folder = temporaryFolder(t);
  const [cert, key] = await makeCertificate(folder, 'first');
  const server = await Server.start(t, { MIRROR_HTTPS_CERTIFICATE: cert, MIRROR_HTTPS_KEY: key, MIRROR_NETWORK_LOOPS: '2' });
  const step = stepsOf(t, server);
  const loaded = (message) => server.log().filter((line) => line.message === message);
  const opened = [];
  t.after(() => opened.forEach((asker) => asker.socket.destroy()));
  const connect = () => opened[opened.push(new Asker(server)) - 1];
  const reload = async (message) => {
    const before = loaded(message).length;
    server.child.kill('SIGHUP');
    await eventually(message, async () => loaded(message).length > before);
    return loaded(message).at(-1);
  };
  const early = connect();
  assert.equal(await early.ask(), 'first');

  await step('new connections see the new one on every loop, old ones go on', async () => {
    const [nextCert, nextKey] = await makeCertificate(folder, 'next');
    fs.copyFileSync(nextKey, key);
    fs.copyFileSync(nextCert, cert);
    assert.ok((await reload('certificate loaded')).expires);
    for (let i = 0; i < 8; ++i) assert.equal(await connect().ask(), 'next');
    const { stdout } = await run('openssl', ['s_client', '-connect', `127.0.0.1:${server.httpsPort}`, '-tls1_2'], { codes: [0, 1] });
    assert.match(stdout, /CN ?= ?next/);
    assert.equal(await early.ask(), 'first');
  });

  await step('one that cannot be used is said, and the old one stays', async () => {
    const good = fs.readFileSync(key);
    fs.writeFileSync(key, 'no key\n');
    const error = await reload('the certificate cannot be loaded, the old one stays');
    assert.equal(error.level, 'error');
    assert.match(JSON.stringify(error), /first-key\.pem/);
    assert.equal(await connect().ask(), 'next');
    fs.writeFileSync(key, good);
    await reload('certificate loaded');
    assert.equal(await connect().ask(), 'next');
    assert.equal(await early.ask(), 'first');
  });
});
