// Child processes of a test: started here, ended by pid, never left behind.
import { spawn } from 'node:child_process';

const running = new Set();

function endAll() {
  for (const child of running) child.kill('SIGKILL');
}

process.on('exit', endAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => process.exit(1));
}

const kTextBytesMax = 4 * 1024 * 1024;

// A program at work. `stderr` and `stdout` hold its text so far; `ended` resolves to
// {code, signal}.
export class Child {
  constructor(program, args, { env, stdin = 'ignore', cwd } = {}) {
    this.name = program.split('/').pop();
    this.stdout = '';
    this.stderr = '';
    this.process = spawn(program, args, { env, cwd, stdio: [stdin, 'pipe', 'pipe'] });
    this.lineListeners = [];
    running.add(this.process);
    for (const stream of ['stdout', 'stderr']) {
      this.process[stream].setEncoding('utf8');
      this.process[stream].on('data', (text) => {
        this[stream] = (this[stream] + text).slice(-kTextBytesMax);
      });
    }
    this.ended = new Promise((resolve) => {
      this.process.on('error', (error) => {
        running.delete(this.process);
        this.result = { code: null, signal: null, error };
        resolve(this.result);
      });
      this.process.on('close', (code, signal) => {
        running.delete(this.process);
        this.result = { code, signal };
        resolve(this.result);
      });
    });
  }

  get pid() {
    return this.process.pid;
  }

  kill(signal = 'SIGTERM') {
    if (!this.result) this.process.kill(signal);
  }

  async stop(signal = 'SIGKILL') {
    this.kill(signal);
    return this.ended;
  }
}

// Runs a program to its end; throws with its words unless it exits with one of `codes`.
export async function run(program, args, { input, env, codes = [0] } = {}) {
  const child = new Child(program, args, { env, stdin: input === undefined ? 'ignore' : 'pipe' });
  if (input !== undefined) {
    child.process.stdin.on('error', () => {});  // it may end before it has read everything
    child.process.stdin.end(input);
  }
  const { code, signal, error } = await child.ended;
  if (error) throw new Error(`${program}: ${error.message}`);
  if (!codes.includes(code)) {
    const words = (child.stderr || child.stdout).slice(-2000);
    throw new Error(`${program} ${args.join(' ')}: ended with ${code ?? signal}: ${words}`);
  }
  return { code, stdout: child.stdout, stderr: child.stderr };
}

const turn = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Asks `question` again and again until it gives something true, and gives that back. The limit is
// there to end a broken run, not to judge speed.
export async function eventually(why, question, { seconds = 30, everyMs = 50 } = {}) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s in vain: ${why}`);
    await turn(everyMs);
  }
}
