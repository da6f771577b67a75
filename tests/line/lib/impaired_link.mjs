// A bad network between a publisher and a server, for where the kernel has no netem: a UDP relay
// that loses, delays and reorders datagrams, or goes dark. Both ways alike; drawn from a seed.
import dgram from 'node:dgram';

import { whenOver } from './cleanup.mjs';

// mulberry32: small, and good enough to draw losses.
function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const kCallersMax = 64;
const kReceiveBufferBytes = 4 << 20;

export class ImpairedLink {
  // May be changed at any time. Shares of 1; milliseconds each way.
  loss = 0;
  reorder = 0;      // of so many, each comes reorderMs later than its neighbours
  reorderMs = 10;
  delayMs = 0;
  dark = false;     // nothing passes
  counts = { passed: 0, lost: 0, reordered: 0, swallowed: 0 };

  #callers = new Map();  // "address:port" → the socket by which its datagrams go on

  // Relays to 127.0.0.1:`port`; call `this.port` instead.
  static async open(t, port, settings = {}) {
    const link = new ImpairedLink();
    Object.assign(link, settings);
    link.random = randomOf(settings.seed ?? 1);
    link.target = port;
    link.socket = await bound();
    link.port = link.socket.address().port;
    link.socket.on('message', (bytes, from) => link.#carry(bytes, () => link.#forward(bytes, from)));
    whenOver(t, () => link.close());
    return link;
  }

  close() {
    this.closed = true;
    this.socket.close();
    for (const { socket } of this.#callers.values()) socket.close();
  }

  #carry(bytes, pass) {
    if (this.dark) {
      ++this.counts.swallowed;
      return;
    }
    if (this.random() < this.loss) {
      ++this.counts.lost;
      return;
    }
    let wait = this.delayMs;
    if (this.random() < this.reorder) {
      ++this.counts.reordered;
      wait += this.reorderMs;
    }
    ++this.counts.passed;
    if (wait === 0) return pass();
    setTimeout(pass, wait);
  }

  async #forward(bytes, from) {
    const name = `${from.address}:${from.port}`;
    if (!this.#callers.has(name)) {
      if (this.#callers.size >= kCallersMax) return;
      const caller = { socket: dgram.createSocket('udp4') };
      this.#callers.set(name, caller);
      caller.socket.on('error', () => {});  // nobody listens there: as on any network
      caller.socket.on('message', (back) =>
        this.#carry(back, () => {
          if (!this.closed) this.socket.send(back, from.port, from.address);
        }),
      );
    }
    if (!this.closed) this.#callers.get(name).socket.send(bytes, this.target, '127.0.0.1');
  }
}

function bound() {
  const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: kReceiveBufferBytes });
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.bind(0, '127.0.0.1', () => resolve(socket));
  });
}
