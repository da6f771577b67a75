// Did the machine have time to run at all? Idle time of all cores, a row each 250 ms, beside what a
// page's probe (probe.mjs) saw.
import os from 'node:os';

const kStallMs = 100;
const kBusyIdle = 0.05;  // a machine with less idle time than this decides nothing about a stall
const kRowsMax = 4_000;

// Why a judgement was left out.
export const kFull = 'the machine was full, which decides nothing';

export function percentile(values, p) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))];
}

export class Machine {
  constructor() {
    this.rows = [];
    let before = os.cpus();
    this.timer = setInterval(() => {
      const now = os.cpus();
      let total = 0;
      let free = 0;
      now.forEach((cpu, i) => {
        for (const kind of Object.keys(cpu.times)) total += cpu.times[kind] - before[i].times[kind];
        free += cpu.times.idle - before[i].times.idle;
      });
      before = now;
      this.rows.push({ at: Date.now(), share: total > 0 ? free / total : 1 });
      if (this.rows.length > kRowsMax) this.rows.shift();
    }, 250);
  }

  stop() {
    clearInterval(this.timer);
  }

  leastIdle(from, to) {
    const rows = this.rows.filter((row) => row.at >= from - 300 && row.at <= to + 300);
    return rows.length === 0 ? 1 : Math.min(...rows.map((row) => row.share));
  }

  idleSince(began) {
    return this.rows.filter((row) => row.at >= began).map((row) => row.share);
  }

  // Whether it was full most of the time: then no player's fault can be told from the machine's.
  fullSince(began) {
    return percentile(this.idleSince(began), 0.5) < kBusyIdle;
  }

  // A line for the reader of a report.
  since(began) {
    const free = this.idleSince(began);
    return `load ${os.loadavg()[0].toFixed(1)} on ${os.cpus().length} cores, idle p50 `
      + `${(100 * percentile(free, 0.5)).toFixed(0)} % p5 ${(100 * percentile(free, 0.05)).toFixed(0)} %`;
  }

  // The stalls of a tile of the probe's report: {counted: gaps while the machine had time, dry: all
  // gaps in which the media ran dry, stalledMs: their sum}.
  stallsOf(tile) {
    const dry = tile.gaps.filter((gap) => gap.dry && gap.ms > kStallMs);
    return {
      counted: dry.filter((gap) => this.leastIdle(gap.at - gap.ms, gap.at) >= kBusyIdle),
      dry,
      stalledMs: dry.reduce((sum, gap) => sum + gap.ms, 0),
    };
  }
}
