// A Mirror of its own for a test: free ports, a state directory that goes away, its log at hand.
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { Child, eventually, run } from './process.mjs';
import { whenOver } from './cleanup.mjs';

const root = fileURLToPath(new URL('../../../', import.meta.url));

export const binDir = path.resolve(root, process.env.MIRROR_BIN_DIR ?? 'build/release/bin');
export const binary = (name) => path.join(binDir, name);

// Sanitizers make everything slower; limits that only end broken runs are stretched.
export const patience = Number(process.env.MIRROR_TEST_PATIENCE ?? 1);

const kSanitizerReport =
  /(ERROR|WARNING): (Address|Thread|Leak|Memory)Sanitizer|runtime error:|Assertion .* failed/;

// The environment without Mirror's own variables: only what a test says configures its server.
export const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('MIRROR_')),
);

// For mirror-source: under LeakSanitizer its encoder's library would fail it.
const suppressions = path.join(root, 'tests/line/lsan.supp');
export const sourceEnvironment = {
  ...environment,
  LSAN_OPTIONS: `suppressions=${suppressions}:print_suppressions=0`,
};

export async function freeTcpPort() {
  const server = net.createServer();
  await new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

// A port that is free for TCP and for UDP: HTTP/3 listens beside HTTP/2.
export async function freePort() {
  for (;;) {
    const port = await freeTcpPort();
    const socket = dgram.createSocket('udp4');
    const free = await new Promise((resolve) => {
      socket.on('error', () => resolve(false));
      socket.bind(port, '0.0.0.0', () => resolve(true));
    });
    await new Promise((resolve) => socket.close(resolve));
    if (free) return port;
  }
}

export async function freeUdpPort() {
  const socket = dgram.createSocket('udp4');
  await new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.bind(0, '0.0.0.0', resolve);
  });
  const { port } = socket.address();
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

export function temporaryFolder(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'mirror-line-'));
  whenOver(t, () => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

// A self-signed certificate for 127.0.0.1 in `folder`: the paths of [certificate, key].
export async function makeCertificate(folder, name) {
  const [cert, key] = ['cert', 'key'].map((kind) => path.join(folder, `${name}-${kind}.pem`));
  await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key,
    '-out', cert, '-days', '13', '-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']);
  return [cert, key];
}

// One plain HTTP request, whole answer: {status, headers, body}.
export function request(port, target, { method = 'GET', headers, agent, signal } = {}) {
  return new Promise((resolve, reject) => {
    const outgoing = http.request(
      { host: '127.0.0.1', port, path: target, method, headers, agent, signal },
      (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode,
            headers: response.headers,
            body: Buffer.concat(chunks),
          }),
        );
      },
    );
    outgoing.setTimeout(30_000 * patience, () =>
      outgoing.destroy(new Error(`${method} ${target}: no answer in time`)),
    );
    outgoing.on('error', reject);
    outgoing.end();
  });
}

export class Server {
  // Starts `mirror serve` and waits until it serves. `env` adds to or replaces settings, `config` is
  // the text of a configuration file, for what the environment cannot say. What it holds ends with the test `t`, which fails if the server did not end in order, or if a sanitizer
  // has something to say.
  static async start(t, env = {}, config = '') {
    const server = await Server.launch(t, env, config);
    await eventually(
      'the server serves',
      async () => {
        if (server.child.result) throw new Error(`the server ended at once\n${server.excerpt()}`);
        return server.log().some((line) => line.message === 'serving');
      },
      { seconds: 30 * patience, everyMs: 20 },
    );
    const ready = await request(server.httpPort, '/readyz');
    assert.equal(ready.status, 200, 'a server that serves is ready');
    return server;
  }

  // The same without waiting: for servers that are not meant to start.
  static async launch(t, env = {}, config = '') {
    const server = new Server();
    server.httpPort = Number(env.MIRROR_HTTP_PORT ?? (await freeTcpPort()));
    server.httpsPort = Number(env.MIRROR_HTTPS_PORT ?? (await freePort()));
    server.srtPort = Number(env.MIRROR_SRT_PORT ?? (await freeUdpPort()));
    server.stateDir = temporaryFolder(t);
    const settings = {
      MIRROR_SRT_PORT: String(server.srtPort),
      MIRROR_SRT_ADDRESS: '127.0.0.1',
      MIRROR_HTTPS_PORT: String(server.httpsPort),
      MIRROR_HTTPS_ADDRESS: '127.0.0.1',
      MIRROR_HTTP_PORT: String(server.httpPort),
      MIRROR_STATE_DIR: server.stateDir,
      MIRROR_LOG_FORMAT: 'json',
      // A busy machine makes a test's server late, and does not make it skip pictures.
      MIRROR_TRANSCODE_QUEUE_MILLISECONDS: '8000',
      ...env,
    };
    const args = ['serve'];
    if (config) {
      const file = path.join(server.stateDir, 'mirror.yaml');
      fs.writeFileSync(file, config);
      args.push('-c', file);
    }
    server.child = new Child(binary('mirror'), args, { env: { ...environment, ...settings } });
    whenOver(t, () => server.end(t));
    return server;
  }

  get pid() {
    return this.child.pid;
  }

  // The log's lines so far, as objects; what is no JSON (a sanitizer's words) is left out.
  log() {
    const lines = [];
    for (const line of this.child.stderr.split('\n')) {
      try {
        if (line.startsWith('{')) lines.push(JSON.parse(line));
      } catch {
        // the last line may be half written
      }
    }
    return lines;
  }

  excerpt() {
    const { code, signal } = this.child.result ?? {};
    const end = this.child.result ? `; it ended with ${signal ?? code}` : '';
    return `--- the server's last words${end} ---\n${this.child.stderr.slice(-6000)}\n---`;
  }

  // The first log line that `predicate` takes.
  logged(why, predicate) {
    return eventually(`a log line: ${why}`, async () => this.log().find(predicate), {
      seconds: 20 * patience,
    });
  }

  get(target, options) {
    return request(this.httpPort, target, options);
  }

  async json(target) {
    const { status, body } = await this.get(target);
    assert.equal(status, 200, `${target}: ${body}`);
    return JSON.parse(body.toString());
  }

  // Waits until the API's object of a stream is as `predicate` wants it.
  async untilStream(key, why, predicate, { seconds = 30 } = {}) {
    let last = 'no such stream';
    try {
      return await eventually(
        `stream ${key}: ${why}`,
        async () => {
          const { status, body } = await this.get(`/api/v1/streams/${key}`);
          if (status !== 200) return false;
          last = JSON.parse(body.toString());
          return predicate(last) ? last : false;
        },
        { seconds: seconds * patience },
      );
    } catch (error) {
      error.message += `\nlast seen: ${JSON.stringify(last, null, 1)}`;
      throw error;
    }
  }

  untilLive(key) {
    return this.untilStream(key, 'is live', (stream) => stream.state === 'live');
  }

  // Sum of a metric's samples whose labels hold `labels` (text); 0 when there is none.
  async metric(name, labels = '') {
    const { body } = await this.get('/metrics');
    let sum = 0;
    for (const line of body.toString().split('\n')) {
      const match = /^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)$/.exec(line);
      if (match && match[1] === name && (match[2] ?? '').includes(labels)) sum += Number(match[3]);
    }
    return sum;
  }

  srtUrl(streamId, options = '') {
    return `srt://127.0.0.1:${this.srtPort}?streamid=${streamId}${options}`;
  }

  // Ends the server as an operator does, and holds it to its promises.
  async stop() {
    const began = Date.now();
    this.child.kill('SIGTERM');
    const limit = setTimeout(() => this.child.kill('SIGKILL'), 30_000 * patience);
    const { code, signal } = await this.child.ended;
    clearTimeout(limit);
    this.checked = true;
    assert.doesNotMatch(this.child.stderr, kSanitizerReport);
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, this.excerpt());
    return { seconds: (Date.now() - began) / 1000 };
  }

  async end(t) {
    if (this.checked) return;
    try {
      if (this.child.result) {
        assert.doesNotMatch(this.child.stderr, kSanitizerReport);
        // What a test ended itself with SIGKILL is its own affair; a crash never is.
        const { signal } = this.child.result;
        assert.ok(signal === null || signal === 'SIGKILL', `crashed: ${signal}\n${this.excerpt()}`);
      } else {
        await this.stop();
      }
    } finally {
      this.child.kill('SIGKILL');
      if (process.env.MIRROR_TEST_LOG) t.diagnostic(this.excerpt());
    }
  }
}

// Wraps a test's body so that a failure shows what the server had to say.
export function telling(server, body) {
  return async (t) => {
    try {
      await body(t);
    } catch (error) {
      error.message += `\n${server.excerpt()}`;
      throw error;
    }
  };
}

// For tests whose steps share a server: `await step('what it shows', async () => { … })`.
export function stepsOf(t, server) {
  return (name, body) => t.test(name, telling(server, body));
}
