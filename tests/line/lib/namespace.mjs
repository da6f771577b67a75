// Links that the kernel makes bad: a network namespace of the test's own, and another one behind a
// pair of virtual Ethernet devices, whose far end is shaped with tc or unplugged. Needs no root
// where the machine lets everybody have user namespaces.
import { spawnSync } from 'node:child_process';

import { whenOver } from './cleanup.mjs';
import { Child, eventually, run } from './process.mjs';
import { binary, environment, patience, sourceEnvironment } from './server.mjs';

const kInside = 'LINE_TEST_NAMESPACE';  // set in the process that lives in the test's namespace
const unshare = process.getuid() === 0 ? ['--net'] : ['--user', '--map-root-user', '--net'];

export const insideNamespace = process.env[kInside] === '1';

// Why there can be none here; false where there can.
export function noNamespaces() {
  const tried = spawnSync('unshare', [...unshare, 'sh', '-c',
    'ip link set lo up && ip link add near type veth peer name far && tc qdisc add dev far root tbf rate 1mbit burst 16kb latency 50ms'],
  { encoding: 'utf8' });
  if (tried.status === 0) return false;
  return `no network namespaces here: ${(tried.stderr || String(tried.error ?? '')).trim().split('\n')[0]}`;
}

// Runs a test file again, within a namespace of its own, and fails with its words; gives what its tests
// had to say.
export async function runInNamespace(file) {
  const env = { ...process.env, [kInside]: '1' };
  delete env.NODE_TEST_CONTEXT;  // it reports to people, not to the runner that started us
  // A shell stays between, so that whatever ends it lets the test end its own children.
  const inside = 'ip link set lo up && setpriv --pdeathsig TERM "$0" "$@"; exit $?';
  const child = new Child('unshare', [...unshare, 'sh', '-c', inside, process.execPath, '--test-reporter=tap', file], { env });
  const { code, signal, error } = await child.ended;
  if (error) throw error;
  if (code !== 0) throw new Error(`ended with ${code ?? signal}:\n${child.stdout.slice(-20_000)}${child.stderr.slice(-2000)}`);
  return child.stdout.split('\n').map((line) => line.trim())
    .filter((line) => /^(# (?!Subtest|(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) )|ok)/.test(line))
    .map((line) => line.replace(/^# /, ''));
}

const kNear = '198.18.0.1';  // RFC 2544: of no network
const kFar = '198.18.0.2';

// The place beyond a link; within the test's namespace only.
export class FarEnd {
  static async make(t) {
    const end = new FarEnd();
    end.holder = new Child('unshare', ['--net', 'sleep', 'infinity'], { env: environment });
    whenOver(t, () => end.holder.stop());
    const own = spawnSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' }).stdout;
    await eventually('the far namespace is there', async () => {
      const there = spawnSync('readlink', [`/proc/${end.holder.pid}/ns/net`], { encoding: 'utf8' }).stdout;
      return there !== '' && there !== own;
    }, { seconds: 10 * patience, everyMs: 5 });
    await run('ip', ['link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far', 'netns', String(end.holder.pid)]);
    await run('ip', ['address', 'add', `${kNear}/30`, 'dev', 'near']);
    await run('ip', ['link', 'set', 'near', 'up']);
    await end.do('ip', 'address', 'add', `${kFar}/30`, 'dev', 'far');
    await end.plug();
    return end;
  }

  // Runs a program there, to its end.
  do(program, ...args) {
    return run('nsenter', ['--net', '--target', String(this.holder.pid), program, ...args]);
  }

  plug() {
    return this.do('ip', 'link', 'set', 'far', 'up');
  }
  unplug() {
    return this.do('ip', 'link', 'set', 'far', 'down');
  }

  // What leaves it goes through this, in tc's words ("tbf rate 500kbit …"), from now on; '' for nothing.
  async shape(words) {
    await this.do('tc', 'qdisc', 'replace', 'dev', 'far', 'root', ...(words ? words.split(' ') : ['pfifo']));
  }

  publish(t, server, streamId, args = []) {
    const url = `srt://${kNear}:${server.srtPort}?streamid=${streamId}`;
    const child = new Child('nsenter', ['--net', '--target', String(this.holder.pid), binary('mirror-source'),
      '--url', url, ...args], { env: sourceEnvironment });
    whenOver(t, () => child.stop());
    return child;
  }
}
