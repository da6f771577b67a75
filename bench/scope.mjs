// What the benches share: what a test framework would give them, and how a server's processors are
// counted while mirror-load measures.
import fs from 'node:fs';

const kTicksPerSecond = 100;  // USER_HZ
export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// What a test framework would do at the end of a test, done at the end of a run.
export class Scope {
  #endings = [];
  after(ending) {
    this.#endings.push(ending);
  }
  diagnostic() {}
  async end() {
    for (const ending of this.#endings.reverse()) await ending();
  }
}

// User and system time of a process, in seconds, in steps of a tick.
export function cpuSeconds(pid) {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / kTicksPerSecond;  // utime, stime
}

// What the threads of a process have had of processors, in seconds (/proc/PID/task/*/schedstat): all of
// them, and those of its network loops (net-*).
export function clockOf(pid) {
  const clock = { at: performance.now() / 1000, all: 0, net: 0 };
  for (const task of fs.readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${task}`;
    const seconds = Number(fs.readFileSync(`${folder}/schedstat`, 'utf8').split(' ')[0]) / 1e9;
    clock.all += seconds;
    if (fs.readFileSync(`${folder}/comm`, 'utf8').startsWith('net-')) clock.net += seconds;
  }
  return clock;
}

export function coresBetween(before, after) {
  const seconds = after.at - before.at;
  return { all: (after.all - before.all) / seconds, net: (after.net - before.net) / seconds };
}

// The last word of a mirror-load (`--ndjson -`) that runs as `child`, and the cores that the server
// `pid` had between the end of the joining and that. `meanwhile` is called once a second.
export async function measuredLoad(child, pid, meanwhile = () => {}) {
  let joined;
  let measured;
  let summary;
  let rest = '';
  child.process.stdout.on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    for (const line of lines.map((each) => JSON.parse(each))) {
      if (line.type === 'summary') {
        summary = line;
      } else if (line.phase === 'joining') {
        joined = clockOf(pid);
      } else {
        measured = clockOf(pid);
        meanwhile();
      }
    }
  });
  const { code } = await child.ended;
  if (!summary) throw new Error(`mirror-load ended with ${code}: ${child.stderr}`);
  if (code !== 0) console.error(child.stderr);
  return { ...summary, cores: coresBetween(joined, measured) };
}

export function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
