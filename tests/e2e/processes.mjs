// The programs that the test starts: free ports, a log that can be shown, and an end for each.
import { spawn } from 'node:child_process';
import dgram from 'node:dgram';
import net from 'node:net';

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function freePort(protocol) {
  const socket = protocol === 'udp' ? dgram.createSocket('udp4') : net.createServer();
  await new Promise((resolve, reject) => {
    socket.once('error', reject);
    if (protocol === 'udp') socket.bind(0, '127.0.0.1', resolve);
    else socket.listen(0, '127.0.0.1', resolve);
  });
  const { port } = socket.address();
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

export class Program {
  constructor(name, path, args, env = process.env) {
    this.name = name;
    this.log = '';
    this.exit = undefined;  // { code, signal } once it has ended
    this.child = spawn(path, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on('data', (bytes) => {
        this.log = (this.log + bytes).slice(-200_000);
      });
    }
    this.ended = new Promise((resolve) => {
      this.child.once('error', (error) => resolve((this.exit = { code: -1, signal: String(error) })));
      this.child.once('exit', (code, signal) => resolve((this.exit = { code, signal })));
    });
  }

  excerpt(lines = 30) {
    return `--- ${this.name}, last lines ---\n${this.log.trimEnd().split('\n').slice(-lines).join('\n')}\n---`;
  }

  mustRun() {
    if (this.exit) throw new Error(`${this.name} ended (${JSON.stringify(this.exit)})\n${this.excerpt()}`);
  }

  async stop(withinMs = 10_000) {
    if (this.exit) return this.exit;
    this.child.kill('SIGTERM');
    await Promise.race([this.ended, sleep(withinMs)]);
    if (!this.exit) {
      this.child.kill('SIGKILL');
      await this.ended;
      return { code: -1, signal: `killed: did not end within ${withinMs} ms` };
    }
    return this.exit;
  }
}

export async function until(what, timeoutMs, probe, programs = []) {
  const deadline = Date.now() + timeoutMs;
  let last;
  while (Date.now() < deadline) {
    for (const program of programs) program.mustRun();
    try {
      last = await probe();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    await sleep(200);
  }
  throw new Error(`waited ${timeoutMs / 1000} s for ${what}; last: ${last}\n`
    + programs.map((program) => program.excerpt()).join('\n'));
}
