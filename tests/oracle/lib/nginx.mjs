// nginx with the configuration that Mirror ships (deploy/nginx), in front of a test's server: only what
// names this machine is replaced.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { Child, eventually, freeTcpPort, patience, temporaryFolder, whenOver } from '../../line/lib.mjs';

const program = '/usr/sbin/nginx';
const hopPorts = ['8091', '8092', '8093', '8094', '8095', '8096', '8097'];
const shipped = fileURLToPath(new URL('../../../deploy/nginx/', import.meta.url));

// Every replacement has to find its text: the shipped file and this one are to stay together.
function replaced(text, replacements) {
  for (const [from, to] of replacements) {
    if (!text.includes(from)) throw new Error(`the shipped configuration has no "${from}"`);
    text = text.replaceAll(from, to);
  }
  return text;
}

// The most that a process here may have open: nginx may raise its own limit so far.
function openFilesMax() {
  const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(fs.readFileSync('/proc/self/limits', 'utf8'));
  return hard === 'unlimited' ? 1 << 20 : Number(hard);
}

// Gives {port, errors()}. The certificate is Mirror's own.
export async function startNginx(t, server) {
  const folder = temporaryFolder(t);
  const port = await freeTcpPort();
  const own = (name) => path.join(folder, name);
  fs.mkdirSync(own('snippets'));
  fs.copyFileSync(path.join(shipped, 'mirror-proxy.conf'), own('snippets/mirror-proxy.conf'));
  const sites = replaced(fs.readFileSync(path.join(shipped, 'mirror-cache.conf'), 'utf8'), [
    ['/var/cache/nginx/mirror', own('cache')],
    ['server 127.0.0.1:8080;', `server 127.0.0.1:${server.httpPort};`],
    ['listen 443 ', `listen 127.0.0.1:${port} `],
    ...(await Promise.all(hopPorts.map(async (hop) => [hop, String(await freeTcpPort())]))),
    ['/etc/ssl/certs/mirror.pem', path.join(server.stateDir, 'tls-cert.pem')],
    ['/etc/ssl/private/mirror.key', path.join(server.stateDir, 'tls-key.pem')],
  ]);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${own(kind)};`)
    .join('\n');
  fs.writeFileSync(own('mirror-cache.conf'), sites);
  fs.writeFileSync(own('nginx.conf'), `
${process.getuid() === 0 ? 'user root;' : ''}
worker_processes 2;
worker_rlimit_nofile ${openFilesMax()};
daemon off;
pid ${own('pid')};
events { worker_connections 16384; }
http {
  access_log off;
  ${temporary}
  include mirror-cache.conf;
}
`);
  const nginx = new Child(program, ['-e', own('error.log'), '-p', folder, '-c', own('nginx.conf')]);
  whenOver(t, () => nginx.stop('SIGTERM'));
  const errors = () =>
    fs.existsSync(own('error.log'))
      ? fs.readFileSync(own('error.log'), 'utf8').split('\n').filter((line) => line !== '')
      : [];
  await eventually(
    'nginx listens',
    () => {
      if (nginx.result) throw new Error(`nginx ended\n${nginx.stderr}\n${errors().join('\n')}`);
      return fs.existsSync(own('pid'));
    },
    { seconds: 20 * patience },
  );
  return { port, errors };
}
