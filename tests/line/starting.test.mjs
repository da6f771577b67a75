// What keeps a server from starting is said in words, with exit status 1; a bad file with 2.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';

import { binary, environment, run, Server, temporaryFolder, write } from './lib.mjs';

const mirror = (args, codes) => run(binary('mirror'), args, { codes, env: environment });

async function failsToStart(t, env, words) {
  const server = await Server.launch(t, env);
  const { code, signal } = await server.child.ended;
  assert.deepEqual({ code, signal }, { code: 1, signal: null }, server.excerpt());
  const error = server.log().filter((line) => line.level === 'error');
  assert.equal(error.length, 1, `one line says why\n${server.excerpt()}`);
  for (const word of words) assert.match(JSON.stringify(error[0]), word);
}

async function taken(t) {
  const holder = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => holder.on('listening', resolve));
  t.after(() => holder.close());
  return holder.address().port;
}

test('mirror --version tells what it runs with', async () => {
  const { stdout } = await mirror(['--version']);
  assert.match(stdout, /^mirror \d+\.\d+\.\d+/i);
  for (const library of ['libsrt', 'libavcodec', 'GnuTLS', 'nghttp2']) {
    assert.match(stdout, new RegExp(`^  ${library} +\\d+\\.\\d+`, 'im'));
  }
});

test('mirror check names every fault of a bad file at its place, exit 2', async (t) => {
  const srt = 'srt:\n  port: 99999\n  prt: 1\n';
  const bad = write(t, 'bad.yaml', `${srt}http:\n  enabled: perhaps\nhls: {}\nhls: {}\n`);
  const { stdout, stderr } = await mirror(['check', '-c', bad], [2]);
  const words = stdout + stderr;
  for (const place of ['2:9: srt.port', '3:3: srt.prt', '5:12: http.enabled', '7:1: hls']) {
    assert.ok(words.includes(`bad.yaml:${place}: `), `${place} in ${words}`);
  }
  const good = write(t, 'good.yaml', 'srt:\n  port: 7000\n');
  await mirror(['check', '-c', good], [0]);
  const missing = await mirror(['check', '-c', path.join(temporaryFolder(t), 'none.yaml')], [2]);
  assert.match(missing.stdout + missing.stderr, /none\.yaml/);
});

test('serve refuses a bad configuration with exit 2', async (t) => {
  const bad = write(t, 'bad.yaml', 'srt:\n  port: maybe\n');
  const { stderr } = await mirror(['serve', '-c', bad], [2]);
  assert.match(stderr, /bad\.yaml:2:9: srt\.port: /);
});

test('a TCP port in use is named', async (t) => {
  const port = await taken(t);
  await failsToStart(t, { MIRROR_HTTP_PORT: String(port) }, [new RegExp(String(port)), /in use/i]);
  await failsToStart(t, { MIRROR_HTTPS_PORT: String(port) }, [new RegExp(String(port)), /in use/i]);
});

test('a UDP port in use is named', async (t) => {
  const holder = dgram.createSocket('udp4');
  await new Promise((resolve) => holder.bind(0, '127.0.0.1', resolve));
  t.after(() => holder.close());
  const { port } = holder.address();
  await failsToStart(t, { MIRROR_SRT_PORT: String(port) }, [new RegExp(String(port)), /srt/i]);
});

test('an unreadable certificate is named', async (t) => {
  const folder = temporaryFolder(t);
  const none = path.join(folder, 'none.pem');
  await failsToStart(t, { MIRROR_HTTPS_CERTIFICATE: none, MIRROR_HTTPS_KEY: none }, [/none\.pem/]);
  const rubbish = write(t, 'rubbish.pem', 'this is no certificate\n');
  await failsToStart(t, { MIRROR_HTTPS_CERTIFICATE: rubbish, MIRROR_HTTPS_KEY: rubbish }, [
    /rubbish\.pem/,
  ]);
  await failsToStart(t, { MIRROR_HTTPS_CERTIFICATE: folder, MIRROR_HTTPS_KEY: folder }, [
    new RegExp(path.basename(folder)),
  ]);
});

test('a state directory that cannot be made is named', async (t) => {
  const file = write(t, 'file', 'in the way');
  await failsToStart(t, { MIRROR_STATE_DIR: path.join(file, 'state') }, [/state/]);
});

test('a full disk under the state directory is named', async (t) => {
  const folder = temporaryFolder(t);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', folder], { stdio: 'pipe' });
  } catch (error) {
    return t.skip(`no tmpfs can be mounted here: ${error.message.split('\n')[0]}`);
  }
  try {
    fs.writeFileSync(path.join(folder, 'ballast'), Buffer.alloc(4096));
    const words = [new RegExp(path.basename(folder)), /space/i];
    await failsToStart(t, { MIRROR_STATE_DIR: folder }, words);
    // Nothing half-written is left to be taken for a certificate by the next start.
    assert.deepEqual(fs.readdirSync(folder).filter((name) => name !== 'ballast'), []);
  } finally {
    execFileSync('umount', [folder]);
  }
});

test('the generated certificate is kept, private, for the next start', async (t) => {
  const first = await Server.start(t);
  const folder = first.stateDir;
  const files = fs.readdirSync(folder);
  const keys = files.filter((name) => /key|secret/.test(name));
  assert.equal(keys.length, 2, files.join());  // of the certificate, of QUIC's tokens and resets
  for (const name of keys) {
    assert.equal(fs.statSync(path.join(folder, name)).mode & 0o077, 0, `${name} is private`);
  }
  const read = (name) => fs.readFileSync(path.join(folder, name), 'latin1');
  const content = () => files.map(read);
  const before = content();
  await first.stop();
  const second = await Server.start(t, { MIRROR_STATE_DIR: folder });
  assert.deepEqual(content(), before);
  await second.stop();
});
