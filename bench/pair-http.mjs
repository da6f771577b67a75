// CPU per request of Mirror's HTTP server, against nginx serving the same bytes as a static file:
// alternating runs on one core over TLS 1.3, h2load on another. And how long it takes to answer
// 1,000 requests that wait for the same.
//
//   node bench/pair-http.mjs [--pairs 5] [--requests 200000] [--connections 100] [--bytes 3000]
//       [--releases 50] [--only h1|m1|m10] [--json]
//
// Needs a build with -DMIRROR_BENCH=ON, nginx, h2load and two cores with nothing else to do. The
// CPU is the time on the core of all threads (/proc/PID/task/*/schedstat), handshakes included.
// Mirror serves from mirror-bench-http: one http::Prepared, the real server, TLS and loop.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { binary, Child, eventually, freeTcpPort, run } from '../tests/line/lib.mjs';

const { values: options } = parseArgs({
  options: {
    pairs: { type: 'string', default: '5' },
    requests: { type: 'string', default: '200000' },
    connections: { type: 'string', default: '100' },
    bytes: { type: 'string', default: '3000' },
    releases: { type: 'string', default: '50' },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
});

const kServerCore = '0';
const kClientCore = '1';
const kCipher = 'TLS_AES_128_GCM_SHA256';
const kWorkloads = [
  { name: 'HTTP/1.1, keep-alive', args: ['--h1'] },
  { name: 'HTTP/2, -m1', args: ['-m1'] },
  { name: 'HTTP/2, -m10', args: ['-m10'] },
].filter(({ args }) => Number(options.pairs) > 0 && `${args}`.slice(1).includes(options.only));

// What looks like a playlist to whoever compresses or counts it.
function playlist(bytes) {
  let text = '#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:1\n';
  for (let i = 0; text.length < bytes; ++i) {
    text += `#EXT-X-PART:DURATION=0.10000,URI="7f3a/${1000 + Math.floor(i / 5)}.${i % 5}.m4s"\n`;
  }
  return text.slice(0, bytes);
}

async function makeCertificate(folder) {
  const certificate = path.join(folder, 'cert.pem');
  const key = path.join(folder, 'key.pem');
  await run('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-keyout', key, '-out', certificate,
  ]);
  return { certificate, key };
}

const pinned = (core, program, args, settings) =>
  new Child('taskset', ['-c', core, program, ...args], settings);

async function startMirror(folder, { certificate, key }) {
  const child = pinned(
    kServerCore, binary('mirror-bench-http'),
    [path.join(folder, 'body'), certificate, key], { stdin: 'pipe' },
  );
  const port = await eventually('mirror-bench-http serves', async () => {
    assert.ok(!child.result, child.stderr);
    return /port (\d+)/.exec(child.stdout)?.[1];
  });
  return { name: 'mirror', child, pid: () => child.pid, port, stop: () => child.stop('SIGTERM') };
}

async function startNginx(folder, { certificate, key }) {
  const port = await freeTcpPort();
  const file = path.join(folder, 'nginx.conf');
  fs.writeFileSync(file, `
    ${process.getuid() === 0 ? 'user root;' : ''}
    daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
    events { worker_connections 4096; }
    http {
      access_log off; sendfile on; tcp_nopush on; open_file_cache max=100;
      types { application/vnd.apple.mpegurl m3u8; } default_type application/vnd.apple.mpegurl;
      keepalive_requests 1000000000; client_body_temp_path ${folder}/tmp;
      server {
        listen 127.0.0.1:${port} ssl http2; root ${folder};
        ssl_certificate ${certificate}; ssl_certificate_key ${key};
        ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites ${kCipher};
        add_header cache-control "public, max-age=6";
        add_header access-control-allow-origin "*";
      }
    }`);
  const log = path.join(folder, 'error.log');
  const child = pinned(kServerCore, 'nginx', ['-p', folder, '-c', file, '-e', log]);
  const children = () =>
    fs.readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim();
  await eventually('nginx serves', async () => {
    assert.ok(!child.result, child.stderr);
    return /^\d+$/.test(children());
  });
  const worker = Number(children());
  return { name: 'nginx', child, pid: () => worker, port, stop: () => child.stop('SIGTERM') };
}

// Microseconds that the threads of a process were on a core.
function cpuMicroseconds(pid) {
  let sum = 0;
  for (const thread of fs.readdirSync(`/proc/${pid}/task`)) {
    sum += Number(fs.readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  }
  return sum / 1000;
}

async function load(server, target, args, { requests, connections }) {
  const child = pinned(kClientCore, 'h2load', [
    ...args, '-t1', '-n', String(requests), '-c', String(connections),
    `https://127.0.0.1:${server.port}${target}`,
  ]);
  const { code } = await child.ended;
  assert.equal(code, 0, child.stderr);
  const allWell = ` ${requests} succeeded, 0 failed, 0 errored`;
  assert.ok(child.stdout.includes(allWell), `${server.name}: ${child.stdout}`);
  assert.ok(child.stdout.includes(`TLSv1.3\nCipher: ${kCipher}`), child.stdout);
  return { rate: Number(/, ([\d.]+) req\/s/.exec(child.stdout)[1]) };
}

async function costOf(server, workload) {
  const requests = Number(options.requests);
  const connections = Number(options.connections);
  const before = cpuMicroseconds(server.pid());
  const { rate } = await load(server, '/body', workload.args, { requests, connections });
  return { us: (cpuMicroseconds(server.pid()) - before) / requests, rate };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const quantile = (numbers, q) =>
  numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * q))];

async function pairs(servers, workload) {
  const costs = { mirror: [], nginx: [] };
  const ratios = [];
  for (let i = 0; i < Number(options.pairs); ++i) {
    const order = i % 2 === 0 ? servers : servers.toReversed();
    for (const server of order) costs[server.name].push(await costOf(server, workload));
    ratios.push(costs.mirror.at(-1).us / costs.nginx.at(-1).us);
  }
  const us = (name) => median(costs[name].map((cost) => cost.us));
  return {
    workload: workload.name, mirror: us('mirror'), nginx: us('nginx'), ratio: median(ratios),
  };
}

async function releases(mirror, name, args, connections) {
  const count = Number(options.releases);
  const before = mirror.child.stdout.length;
  const requests = 1000 * count;
  await load(mirror, '/held', args, { requests, connections });
  const lines = [...mirror.child.stdout.slice(before).matchAll(/release (\d+) (\d+)/g)];
  assert.equal(lines.length, count);
  const times = lines.map(([, wall]) => wall / 1000);
  return {
    workload: name, releases: count, cpu: median(lines.map(([, , cpu]) => cpu / 1000)),
    p50: quantile(times, 0.5), p99: quantile(times, 0.99), max: Math.max(...times),
  };
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'mirror-pair-http-'));
const servers = [];
try {
  fs.writeFileSync(path.join(folder, 'body'), playlist(Number(options.bytes)));
  const tls = await makeCertificate(folder);
  servers.push(await startMirror(folder, tls), await startNginx(folder, tls));
  const costs = [];
  for (const workload of kWorkloads) costs.push(await pairs(servers, workload));
  const held = [];
  if (Number(options.releases) > 0) {
    held.push(await releases(servers[0], 'HTTP/1.1, 1,000 connections', ['--h1'], 1000));
    held.push(await releases(servers[0], 'HTTP/2, 1,000 connections', ['-m1'], 1000));
    held.push(await releases(servers[0], 'HTTP/2, 100 connections, -m10', ['-m10'], 100));
  }
  if (options.json) {
    console.log(JSON.stringify({ costs, held }));
  } else {
    console.log(`${options.bytes} bytes, ${options.connections} connections, ${kCipher}; ` +
      `medians of ${options.pairs} pairs, µs of CPU per request\n`);
    console.log('| | Mirror | nginx | ratio |\n| --- | --- | --- | --- |');
    for (const { workload, mirror, nginx, ratio } of costs) {
      console.log(
        `| ${workload} | ${mirror.toFixed(2)} | ${nginx.toFixed(2)} | ${ratio.toFixed(2)} |`,
      );
    }
    console.log('\n| 1,000 held requests, last one sent after | p50 | p99 | worst | CPU, median |');
    console.log('| --- | --- | --- | --- | --- |');
    for (const { workload, p50, p99, max, cpu } of held) {
      const ms = [p50, p99, max, cpu].map((value) => `${value.toFixed(1)} ms`);
      console.log(`| ${workload} | ${ms.join(' | ')} |`);
    }
  }
} finally {
  for (const server of servers) await server.stop();
  fs.rmSync(folder, { recursive: true, force: true });
}
