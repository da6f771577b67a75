// nginx with the configuration that Mirror ships (deploy/nginx), in front of a test's server: only what
// names this machine is replaced.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { Child, eventually, freeTcpPort, patience, temporaryFolder, whenOver } from '../../line/lib.mjs';

const program = '/usr/sbin/nginx';
const shipped = fileURLToPath(new URL('../../../deploy/nginx/', import.meta.url));

// Every replacement has to find its text: the shipped file and this one are to stay together.
function replaced(text, replacements) {
  for (const [from, to] of replacements) {
    if (!text.includes(from)) throw new Error(`the shipped configuration has no "${from}"`);
    text = text.replaceAll(from, to);
  }
  return text;
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
    ['unix:/run/', `unix:${folder}/`],
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
