// Many viewers behind one program: requests over HTTP/2 and TLS, spread over a few connections.
import http2 from 'node:http2';

import { whenOver } from '../../line/lib.mjs';

const kStreamsPerConnection = 100;  // nginx allows 128

export class Crowd {
  constructor(t, port) {
    this.origin = `https://127.0.0.1:${port}`;
    this.sessions = [];
    whenOver(t, () => this.sessions.forEach((session) => session.destroy()));
  }

  session(at) {
    const wanted = Math.floor(at / kStreamsPerConnection);
    while (this.sessions.length <= wanted) {
      const session = http2.connect(this.origin, { rejectUnauthorized: false });
      session.setMaxListeners(0);
      session.on('error', () => {});  // each request tells
      this.sessions.push(session);
    }
    return this.sessions[wanted];
  }

  // One viewer's request: {status, headers, body, at}; `at` is when the last byte had come.
  get(target, { viewer = 0, headers = {} } = {}) {
    return new Promise((resolve, reject) => {
      const stream = this.session(viewer).request({ ':path': target, ...headers });
      const chunks = [];
      let head;
      stream.on('response', (response) => (head = response));
      stream.on('data', (chunk) => chunks.push(chunk));
      stream.on('error', reject);
      stream.on('end', () =>
        resolve({
          status: head[':status'],
          headers: head,
          body: Buffer.concat(chunks),
          at: performance.now(),
        }),
      );
      stream.end();
    });
  }
}
