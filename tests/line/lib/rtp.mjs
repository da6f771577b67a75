// RTP in tests: ports of an input, a relay that loses what it is told to, and who sends.
import { spawnSync } from 'node:child_process';
import dgram from 'node:dgram';

import { Child } from './process.mjs';
import { whenOver } from './cleanup.mjs';

function bound(port) {
  const socket = dgram.createSocket('udp4');
  return new Promise((resolve) => {
    socket.on('error', () => resolve(null));
    socket.bind(port, '127.0.0.1', () => resolve(socket));
  });
}

const kTaken = new Set();

// A port with the five above it free: media, RTCP, and parity on the second and the fourth. Below
// those that the system gives to others.
export async function freeRtpPort() {
  for (;;) {
    const port = 20_000 + 6 * Math.floor(Math.random() * 2_000);
    if (kTaken.has(port)) continue;
    const sockets = await Promise.all([0, 1, 2, 3, 4, 5].map((offset) => bound(port + offset)));
    for (const socket of sockets) socket?.close();
    if (!sockets.every(Boolean)) continue;
    kTaken.add(port);
    return port;
  }
}

// Passes what comes to `from` and the ports beside it on to `to` and those; `loses(sequence)` says
// which media packets it loses, once it has passed on enough for parity to be known of. `lost` of
// what it gives counts them.
export async function lossyRelay(t, from, to, loses) {
  const relay = { lost: 0, passed: 0 };
  for (const offset of [0, 1, 2, 4]) {
    const socket = await bound(from + offset);
    whenOver(t, () => socket.close());
    const out = dgram.createSocket('udp4');
    whenOver(t, () => out.close());
    out.on('error', () => {});
    socket.on('message', (datagram) => {
      if (offset === 0 && relay.passed > 100 && loses(datagram.readUInt16BE(2))) {
        ++relay.lost;
        return;
      }
      if (offset === 0) ++relay.passed;
      out.send(datagram, to + offset, '127.0.0.1');
    });
  }
  return relay;
}

function started(t, program, args) {
  const child = new Child(program, args);
  whenOver(t, () => child.stop());
  return child;
}

// ffmpeg reads `file` at its own rate; `outputs` are the arguments behind.
export const ffmpegSends = (t, file, outputs) =>
  started(t, 'ffmpeg', ['-hide_banner', '-loglevel', 'warning', '-nostdin', '-y', '-re', '-i', file, ...outputs]);

export const gstreamerSends = (t, pipeline) => started(t, 'gst-launch-1.0', ['-q', ...pipeline]);

// Why a test that needs these GStreamer elements cannot run; false when it can.
export function withoutElements(...names) {
  const missing = names.filter(
    (name) => spawnSync('gst-inspect-1.0', ['--exists', name]).status !== 0,
  );
  return missing.length ? `this GStreamer has no ${missing.join(', ')}` : false;
}
