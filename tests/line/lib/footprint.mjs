// What a process holds, as /proc tells it.
import fs from 'node:fs';

export function footprint(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  const number = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)[1]);
  return {
    rssKb: number('VmRSS'),
    threads: number('Threads'),
    files: fs.readdirSync(`/proc/${pid}/fd`).length,
  };
}
