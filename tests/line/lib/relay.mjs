// A bad link between a publisher and the server (tests/udp-relay), as tests use it.
import { whenOver } from './cleanup.mjs';
import { Child, eventually } from './process.mjs';
import { binary, patience } from './server.mjs';

export class Relay {
  #answers = 0;

  // Takes the place of `server` for publishers, which only ask for srtUrl(). Conditions are those of
  // tests/udp-relay/command.h: Relay.start(t, server, { both: 'loss=2% delay=10ms' }).
  static async start(t, server, { seed = 1, ...conditions } = {}) {
    const relay = new Relay();
    const args = ['--to', `127.0.0.1:${server.srtPort}`, '--seed', String(seed)];
    relay.child = new Child(binary('udp-relay'), args, { stdin: 'pipe' });
    relay.child.process.stdin.on('error', () => {});
    whenOver(t, () => relay.child.stop('SIGTERM'));
    relay.port = (await relay.#answer()).listening;
    for (const [direction, words] of Object.entries(conditions)) await relay.set(direction, words);
    return relay;
  }

  srtUrl(streamId, options = '') {
    return `srt://127.0.0.1:${this.port}?streamid=${streamId}${options}`;
  }

  // From now on; `direction` is up (from the publisher), down or both.
  set(direction, words) {
    return this.#ask(`${direction} ${words}`);
  }

  // {up, down: {received, lost, lost_in_outage, forwarded, …}, flows, …} since the start.
  counts() {
    return this.#ask('counts');
  }

  async #ask(line) {
    this.child.process.stdin.write(`${line}\n`);
    const answer = await this.#answer();
    if (answer.error) throw new Error(`udp-relay: ${line}: ${answer.error}`);
    return answer;
  }

  // The next line that it says. Questions are asked one after the other.
  async #answer() {
    const at = this.#answers++;
    const line = () => this.child.stdout.split('\n').slice(0, -1)[at];
    return eventually('udp-relay answers', async () => {
      if (this.child.result) throw new Error(`udp-relay ended: ${this.child.stderr}`);
      return line() !== undefined && JSON.parse(line());
    }, { seconds: 10 * patience, everyMs: 5 });
  }
}
