// mirror-load: clean against Mirror over every carrier, and not to be lied to by another server.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { Origin } from './lib/origin.mjs';
import {
  binary, Child, patience, publishWithSource, run, Server, stepsOf, temporaryFolder,
} from './lib.mjs';

// {code, summary, intervals, table}
async function load(t, url, args) {
  const file = path.join(temporaryFolder(t), 'load.ndjson');
  const { code, stdout, stderr } = await run(
    binary('mirror-load'), ['--ndjson', file, ...args, url], { codes: [0, 1] });
  assert.equal(stderr, '');
  const lines = fs.readFileSync(file, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line));
  const summary = lines.pop();
  assert.equal(summary.type, 'summary');
  return { code, summary, intervals: lines, table: stdout };
}

async function refusal(args) {
  const { code, stderr } = await run(binary('mirror-load'), args, { codes: [0, 1, 2] });
  assert.equal(code, 2, args.join(' '));
  return stderr;
}

test('viewers of Mirror', { timeout: 300_000 }, async (t) => {
  const server = await Server.start(t);
  publishWithSource(t, server, 'cam', ['--size', '320x180', '--bitrate', '300k', '--codec', 'h264']);
  await server.untilLive('cam');
  const step = stepsOf(t, server);
  const plain = `http://127.0.0.1:${server.httpPort}/live/cam/index.m3u8`;
  const secure = `https://127.0.0.1:${server.httpsPort}/live/cam/index.m3u8`;

  for (const [name, url, args] of [
    ['HTTP/1.1', plain, []],
    ['HTTP/1.1 over TLS', secure, ['--insecure']],
    ['HTTP/2 over TLS', secure, ['--insecure', '--http', '2']],
    ['HTTP/2, shared connections, two threads', secure,
      ['--insecure', '--http', '2', '--viewers-per-connection', '5', '--threads', '2']],
    ['HTTP/3', secure, ['--insecure', '--http', '3']],
    ['HTTP/3, shared connections, two threads', secure,
      ['--insecure', '--http', '3', '--viewers-per-connection', '5', '--threads', '2']],
    ['two connections each, audio, delta updates', plain,
      ['--connections-per-viewer', '2', '--rendition', 'audio', '--delta']],
  ]) {
    await step(`${name}: clean`, async (each) => {
      const { code, summary, intervals, table } = await load(
        each, url, ['--viewers', '20', '--seconds', '5', ...args]);
      assert.deepEqual(summary.faults, {}, summary.examples.join('\n'));
      assert.equal(code, 0);
      assert.equal(summary.viewers_playing, 20);
      assert.equal(summary.restarts, 0);
      const connections = { '--viewers-per-connection': 4, '--connections-per-viewer': 40 };
      const option = args.find((arg) => arg in connections);
      assert.equal(summary.connections, connections[option] ?? 20);
      assert.ok(summary.parts > 0 && summary.reloads > 0);
      // What is asked for in one interval may be answered in the next.
      assert.ok(Math.abs(summary.requests - summary.parts - summary.reloads) <= 40);
      assert.equal(summary.part_behind_capture_ms.count, summary.parts, 'each part has a prft');
      assert.ok(summary.part_behind_capture_ms.min > 0);
      assert.equal(intervals.filter(({ phase }) => phase === 'measured').length, 5);
      assert.match(table, /part late, behind the fastest viewer/);
      assert.match(table, /faults +none/);
    });
  }

  const pushed = secure.replace(/live.*/, 'push');
  for (const [name, args] of [
    ['HTTP/1.1', ['--http', '1.1']],
    ['HTTP/2', ['--http', '2']],
    ['HTTP/2 in chunks, shared connections', ['--http', '2', '--viewers-per-connection', '5', '--chunks']],
    ['HTTP/3', ['--http', '3']],
    ['WebTransport', ['--webtransport']],
    ['WebTransport in chunks, walls that come and go', ['--webtransport', '--chunks', '--leave-after', '2']],
  ]) {
    await step(`push walls over ${name}: clean`, async (each) => {
      const { code, summary, table } = await load(each, pushed, [
        '--insecure', '--push', '--subscribe', 'cam/v360', '--subscribe', 'cam/audio',
        '--viewers', '10', '--seconds', '4', ...args,
      ]);
      assert.deepEqual(summary.faults, {}, summary.examples.join('\n'));
      assert.equal(code, 0);
      assert.equal(summary.tiles, 2);
      assert.equal(summary.dropped_parts, 0);
      if (!args.includes('--leave-after')) assert.equal(summary.viewers_playing, 10);
      // Two tiles of ten parts a second, ten walls, four seconds.
      assert.ok(summary.parts > 400, `${summary.parts} parts`);
      assert.ok(summary.part_behind_published_ms.count > 400);
      assert.ok(summary.part_behind_published_ms.min >= 0);
      assert.match(table, /part late, behind its publication/);
    });
  }

  for (const [name, args] of [
    ['HTTP/1.1', ['--http', '1.1']],
    ['HTTP/2', ['--http', '2']],
    ['HTTP/3', ['--http', '3']],
    ['WebTransport', ['--webtransport']],
  ]) {
    await step(`slow readers over ${name} lose parts, and nobody else does`, async (each) => {
      // 300 kbps are pushed; the slow ones take a tenth of it.
      const { code, summary, table } = await load(each, pushed, [
        '--insecure', '--push', '--subscribe', 'cam/v360', '--viewers', '10', '--seconds', '12',
        '--slow', '3', '--slow-rate', '4000', ...args,
      ]);
      assert.deepEqual(summary.faults, {}, summary.examples.join('\n'));
      assert.equal(code, 0);
      assert.equal(summary.dropped_parts, 0);
      assert.equal(summary.slow.viewers, 3);
      // Seven who get all of it: ten parts a second.
      assert.ok(summary.parts > 7 * 100, `${summary.parts} parts`);
      assert.ok(summary.slow.parts < 3 * 100, `${summary.slow.parts} parts of the slow ones`);
      assert.match(table, /slow viewers +3 at 4000 bytes a second/);
    });
  }

  for (const [name, url, args] of [
    ['WebTransport', pushed, ['--push', '--webtransport', '--subscribe', 'cam/v360']],
    ['a streamed response', pushed, ['--push', '--http', '3', '--subscribe', 'cam/v360']],
    ['LL-HLS over HTTP/3', secure, ['--http', '3']],
  ]) {
    await step(`two percent lost each way, ${name}: whole all the same`, async (each) => {
      const { code, summary } = await load(
        each, url, ['--insecure', '--viewers', '10', '--seconds', '4', '--loss', '2', ...args]);
      assert.deepEqual(summary.faults, {}, summary.examples.join('\n'));
      assert.equal(code, 0);
      assert.ok(summary.parts > 300, `${summary.parts} parts`);
    });
  }

  for (const args of [['--http', '1.1'], ['--http', '2'], ['--http', '3'],
    ['--http', '2', '--viewers-per-connection', '5']]) {
    await step(`LL-HLS viewers who come and go, ${args.join(' ')}`, async (each) => {
      const { code, summary } = await load(
        each, secure, ['--insecure', '--viewers', '10', '--seconds', '5', '--leave-after', '1', ...args]);
      assert.deepEqual(summary.faults, {}, summary.examples.join('\n'));
      assert.equal(code, 0);
      assert.equal(summary.restarts, 0);
      if (args.length === 2) assert.ok(summary.reconnects > 20, `${summary.reconnects} reconnects`);
    });
  }

  await step('options that make no sense together', async () => {
    assert.match(await refusal(['--loss', '1', '--http', '2', secure]), /--loss/);
    assert.match(await refusal(['--viewers', '3', '--slow', '3', secure]), /--slow 3 of 3/);
    assert.match(await refusal(['--slow', '1', '--http', '2', '--viewers-per-connection', '5', secure]),
      /connections of their own/);
  });

  await step('what cannot be pushed is a fault', async () => {
    assert.match(await refusal([
      '--insecure', '--push', '--subscribe', 'cam/..', '--http', '3', pushed]), /400/);
  });

  await step('a certificate that nobody vouches for is refused', async () => {
    assert.match(await refusal([secure]), /certificate.*--insecure/);
    assert.match(await refusal(['--http', '3', secure]), /connect|tls/);
  });

  await step('a stream that is not there is no load', async () => {
    assert.match(await refusal([plain.replace('cam', 'none')]), /404/);
  });

  await step('an end of the stream is no fault', async (each) => {
    const second = publishWithSource(each, server, 'short', ['--size', '320x180', '--duration', '4']);
    await server.untilLive('short');
    const url = plain.replace('cam', 'short');
    const child = new Child(binary('mirror-load'), ['--viewers', '5', '--seconds', '600', url]);
    await second.ended;
    // The stream waits for its publisher's return until the server goes, and then ends in order.
    await server.stop();
    const { code } = await child.ended;
    assert.equal(code, 0, child.stdout.slice(-2000));
    assert.match(child.stdout, /5 have ended/);
  });
});

test('what other servers do', { timeout: 300_000 }, async (t) => {
  const viewers = ['--viewers', '8', '--seconds', '2', '--ramp', '0'];
  const kThen = 10;  // the turn from which on, or in which, it lies
  const lying = async (each, lies, args = [], options = {}) => {
    const origin = await Origin.start(each, lies, options);
    return load(each, origin.url, [...viewers, ...args]);
  };

  await t.test('an honest one is clean', async (each) => {
    const { code, summary } = await lying(each, {});
    assert.deepEqual(summary.faults, {}, summary.examples.join('\n'));
    assert.equal(code, 0);
    assert.equal(summary.part_behind_capture_ms.count, 0, 'there is no prft');
  });

  await t.test('connections that end in order are opened anew', async (each) => {
    const { code, summary } = await lying(each, { headers: { connection: 'close' } });
    assert.deepEqual(summary.faults, {}, summary.examples.join('\n'));
    assert.equal(code, 0);
    assert.ok(summary.reconnects > 100);
  });

  await t.test('so are those of HTTP/2', async (each) => {
    const origin = await Origin.start(each, {}, { version: '2' });
    const timer = setInterval(() => origin.sessions.forEach((session) => session.close()), 500);
    const result = await load(each, origin.url, [...viewers, '--http', '2']);
    clearInterval(timer);
    assert.deepEqual(result.summary.faults, {}, result.summary.examples.join('\n'));
    assert.ok(result.summary.reconnects > 0);
  });

  // Each of these is told by its name, and nothing else is.
  const once = (lie) => {
    let asked = 0;
    // Not to the first who asks: what that one gets counts as right.
    return (turn, ...rest) => (turn === kThen && ++asked === 2 ? lie(turn, ...rest) : undefined);
  };
  const cases = {
    mismatch: { part: once((turn, _response, origin) => {
      const bytes = origin.partOf(turn);
      bytes[bytes.length - 1] ^= 1;
      return bytes;
    }) },
    gap: { part: (turn, _, origin) => (turn >= kThen ? origin.partOf(turn + 1) : undefined) },
    repeat: { part: (turn, _, origin) => (turn >= kThen ? origin.partOf(turn - 1) : undefined) },
    media: { part: (turn) => (turn === kThen ? Buffer.from('<html>sorry</html>') : undefined) },
    short_body: { part: once((turn, response, origin) => {
      const bytes = origin.partOf(turn);
      response.writeHead(200, { 'content-length': bytes.length + 10 });
      response.write(bytes, () => response.socket.destroy());
      return true;
    }) },
    // Each time: an end between two answers is no fault, and the request is sent once more.
    closed: { part: (turn, response) => {
      if (turn === kThen) response.socket.destroy();
      return turn === kThen ? true : undefined;
    } },
    status: { part: once((_turn, response) => {
      response.writeHead(404).end();
      return true;
    }) },
  };
  for (const [fault, lies] of Object.entries(cases)) {
    await t.test(`${fault} is found`, async (each) => {
      const { code, summary, table } = await lying(each, lies);
      assert.deepEqual(Object.keys(summary.faults), [fault], summary.examples.join('\n'));
      assert.equal(code, 1);
      assert.match(table, new RegExp(`faults +${fault} \\d+`));
    });
  }

  // The segment that begins behind the turn kThen.
  const segmentOf = (origin) => Math.floor((origin.firstPart + kThen) / 5) + 1;

  await t.test('a segment whose parts were never listed is a gap', async (each) => {
    const { summary } = await lying(each, {
      playlist: (text, origin) => {
        if (origin.firstPart === null) return text;
        const lost = `#EXT-X-PART:[^\\n]*"${segmentOf(origin)}\\.[^\\n]*\\n`;
        return text.replace(new RegExp(lost, 'g'), '');
      },
    });
    assert.ok(summary.faults.gap > 0, JSON.stringify(summary.faults));
  });

  await t.test('a reload answered without what was asked for is stale', async (each) => {
    let kept = null;
    const { summary } = await lying(each, {
      playlist: (text, origin) => {
        if (origin.firstPart === null) return text;
        if (text.includes(`URI="${segmentOf(origin)}.0.m4s"`)) kept ??= text;
        return kept ?? text;
      },
    });
    assert.deepEqual(Object.keys(summary.faults), ['stale'], summary.examples.join('\n'));
  });
});

test('what it will not do', { timeout: 60_000 * patience }, async () => {
  for (const host of ['192.0.2.1', '[2001:db8::1]', '[::ffff:192.0.2.1]', '0.0.0.0']) {
    assert.match(await refusal([`http://${host}/live/index.m3u8`]), /--i-own-this-host/);
  }
  const url = 'http://127.0.0.1:1/live/index.m3u8';
  assert.match(await refusal([url]), /Connection refused/);
  assert.match(await refusal(['ftp://127.0.0.1/']), /http/);
  assert.match(await refusal([]), /URL/);
  for (const args of [
    ['--viewers', '0'], ['--viewers', '20001'], ['--seconds', '0'], ['--threads', '65'],
    ['--http', '4'], ['--http', '3'], ['--viewers-per-connection', '2'], ['--push'],
    ['--webtransport'], ['--push', '--subscribe', 'a/v', '--tiles', '2'], ['--ndjson', '/nonexistent/file'],
  ]) {
    assert.notEqual(await refusal([...args, url]), '');
  }
});
