// CPU per request of Mirror's HTTP/3 against nginx: its HTTP/1.1 over TLS in the same run, and the
// HTTP/3 of the nginx in --nginx-root, a Debian 13 (tests/interop/chroot makes one; needs root).
//
//   node bench/pair-h3.mjs [--pairs 5] [--requests 100000] [--connections 100] [--bytes 3000]
//       [--nginx-root /var/tmp/mirror-debian-13]
//
// Needs a build with -DMIRROR_BENCH=ON, nginx, h2load and two cores with nothing else to do: the
// server on one, the client on the other. nginx serves the bytes as a static file, Mirror from
// mirror-bench-http. HTTP/3 is asked for by mirror-bench-h3, HTTP/1.1 by h2load, each with one
// request in flight on a connection. The CPU is user + system time of the server process,
// handshakes included, over the requests.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { binary, Child, eventually, freeTcpPort, run } from '../tests/line/lib.mjs';
import { cpuSeconds } from './scope.mjs';

const { values: options } = parseArgs({
  options: {
    pairs: { type: 'string', default: '5' },
    requests: { type: 'string', default: '100000' },
    connections: { type: 'string', default: '100' },
    bytes: { type: 'string', default: '3000' },
    'nginx-root': { type: 'string', default: '' },
  },
});
const kServerCore = '0';
const kClientCore = '1';
const pinned = (core, program, args, settings) =>
  new Child('taskset', ['-c', core, program, ...args], settings);

// The file and the configurations, under one name outside and inside of the changed root.
const root = options['nginx-root'];
const folder = path.join(os.tmpdir(), `mirror-pair-h3-${process.pid}`);
fs.mkdirSync(root + folder, { recursive: true, mode: 0o755 });
if (root) fs.symlinkSync(root + folder, folder);

const cpuMicroseconds = (pid) => 1e6 * cpuSeconds(pid);

async function startMirror(certificate, key) {
  const child = pinned(
    kServerCore, binary('mirror-bench-http'), [path.join(folder, 'body'), certificate, key],
    { stdin: 'pipe' },
  );
  const port = await eventually('mirror-bench-http serves', async () => {
    assert.ok(!child.result, child.stderr);
    return /port (\d+)/.exec(child.stdout)?.[1];
  });
  return { name: 'Mirror, HTTP/3', h3: true, pid: child.pid, port, stop: () => child.stop('SIGTERM') };
}

const childrenOf = (pid) =>
  fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);

async function startNginx(name, command, h3, certificate, key) {
  const port = await freeTcpPort();
  const file = path.join(folder, `nginx-${h3 ? 'h3' : 'h1'}.conf`);
  const listen = h3 ? `listen 127.0.0.1:${port} quic reuseport; quic_gso on;` : `listen 127.0.0.1:${port} ssl;`;
  fs.writeFileSync(file, `
    ${process.getuid() === 0 ? 'user root;' : ''}
    daemon off; worker_processes 1; pid ${folder}/nginx-${h3}.pid; error_log ${folder}/error.log;
    events { worker_connections 4096; }
    http {
      access_log off; sendfile on; tcp_nopush on; open_file_cache max=100;
      default_type application/vnd.apple.mpegurl; keepalive_requests 1000000000;
      client_body_temp_path ${folder}/tmp;
      server {
        ${listen} root ${folder};
        ssl_certificate ${certificate}; ssl_certificate_key ${key}; ssl_protocols TLSv1.3;
        add_header cache-control "public, max-age=6";
        add_header access-control-allow-origin "*";
      }
    }`);
  const [program, ...args] = command;
  const child = pinned(kServerCore, program, [...args, '-p', folder, '-c', file, '-e', `${folder}/error.log`]);
  const worker = await eventually(`${name} serves`, async () => {
    assert.ok(!child.result, child.stderr);
    let pid = String(child.pid);
    // Down to the worker, past whatever changed the root.
    for (let next = childrenOf(pid); next.length === 1; next = childrenOf(pid)) [pid] = next;
    return pid !== String(child.pid) && pid;
  });
  return { name, h3, pid: worker, port, stop: () => child.stop('SIGTERM') };
}

async function costOf(server) {
  const { requests, connections } = options;
  const before = cpuMicroseconds(server.pid);
  const url = `https://127.0.0.1:${server.port}/body`;
  const child = server.h3
    ? pinned(kClientCore, binary('mirror-bench-h3'), [server.port, '/body', requests, connections].map(String))
    : pinned(kClientCore, 'h2load', ['--h1', '-t1', '-n', requests, '-c', connections, url]);
  const { code } = await child.ended;
  assert.equal(code, 0, `${server.name}: ${child.stderr}`);
  const all = server.h3
    ? child.stdout.includes(`requests ${requests} `) &&
      child.stdout.includes(`bytes ${Number(requests) * Number(options.bytes)}`)
    : child.stdout.includes(` ${requests} succeeded, 0 failed, 0 errored`);
  assert.ok(all, child.stdout);
  return (cpuMicroseconds(server.pid) - before) / Number(requests);
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

const servers = [];
try {
  fs.writeFileSync(path.join(folder, 'body'), '#EXTM3U\n'.padEnd(Number(options.bytes), '#EXT-X-PART\n'));
  const certificate = path.join(folder, 'cert.pem');
  const key = path.join(folder, 'key.pem');
  await run('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-keyout', key, '-out', certificate,
  ]);
  servers.push(await startMirror(certificate, key));
  servers.push(await startNginx('nginx, HTTP/1.1 over TLS', ['nginx'], false, certificate, key));
  if (root) {
    const command = ['chroot', root, 'nginx'];
    servers.push(await startNginx('nginx, HTTP/3', command, true, certificate, key));
  }
  const costs = new Map(servers.map((server) => [server, []]));
  for (let i = 0; i < Number(options.pairs); ++i) {
    const order = i % 2 === 0 ? servers : servers.toReversed();
    for (const server of order) {
      costs.get(server).push(await costOf(server));
      console.error(`${server.name}: ${costs.get(server).at(-1).toFixed(2)} µs, load ${os.loadavg()[0].toFixed(2)}`);
    }
  }
  console.log(`${options.bytes} bytes, ${options.requests} requests, ${options.connections} connections; ` +
    `medians of ${options.pairs}, µs of server CPU per request\n`);
  console.log('| | µs (range) | Mirror is |\n| --- | --- | --- |');
  for (const [server, list] of costs) {
    const ratio = median(list.map((_, i) => costs.get(servers[0])[i] / list[i]));
    console.log(`| ${server.name} | ${median(list).toFixed(2)} (${Math.min(...list).toFixed(2)}-` +
      `${Math.max(...list).toFixed(2)}) | ${server === servers[0] ? '' : `${ratio.toFixed(2)}x`} |`);
  }
} finally {
  for (const server of servers) await server.stop();
  if (root) fs.rmSync(folder);
  fs.rmSync(root + folder, { recursive: true, force: true });
}
