// Bad networks between a publisher and the server, and a stream beside it that must not notice.
// The link is a relay of our own (lib/impaired_link.mjs). MIRROR_LONG=1 adds the outages.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ImpairedLink } from './lib/impaired_link.mjs';
import { eventually, patience, publishWithSource, Server, telling } from './lib.mjs';

const kLong = process.env.MIRROR_LONG === '1';
const kSmall = ['--size', '320x180', '--bitrate', '500k'];
const kBusy = ['--size', '320x180', '--bitrate', '2M', '--grain', '30'];
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// Publishes `key` through `link`, and "beside" directly. `check` is given {server, link, source}.
async function withStreamBeside(t, { settings = {}, env = {} }, check) {
  const server = await Server.start(t, env);
  await telling(server, async () => {
    const link = await ImpairedLink.open(t, server.srtPort, settings);
    publishWithSource(t, server, 'beside', kSmall);
    await server.untilLive('beside');
    const far = {
      srtUrl: (id) => `srt://127.0.0.1:${link.port}?streamid=${id}`,
    };
    const publish = () => publishWithSource(t, far, 'cam', kBusy);
    await check({ server, link, publish });
    const { source, counters, state } = await server.json('/api/v1/streams/beside');
    t.diagnostic(`beside: ${source.packets} packets, ${counters.access_units} access units`);
    assert.equal(state, 'live');
    assert.equal(source.packets_lost, 0);
    assert.equal(counters.damaged_access_units, 0);
    assert.equal(counters.continuity_errors, 0);
    assert.equal(counters.queue_dropped_units, 0);
    assert.equal(counters.discontinuities, 0);
  })(t);
}

const connectionsOf = (server, key) =>
  server.log().filter((line) => line.message === 'publisher connected' && line.stream === key);

async function goesOn(server, units) {
  const before = await server.untilLive('cam');
  return server.untilStream('cam', 'goes on', (stream) =>
    stream.counters.access_units >= before.counters.access_units + units);
}

// OvenMediaEngine 2234: what is lost and comes out of order is repaired, or clean again by the next
// IDR.
for (const [percent, only] of [[3, true], [1, kLong], [5, kLong]]) {
  test(`${percent} % of loss and of reordering`, { timeout: 120_000, skip: !only }, async (t) => {
    const share = percent / 100;
    const settings = { loss: share, reorder: share, delayMs: 5, seed: percent };
    await withStreamBeside(t, { settings }, async ({ server, link, publish }) => {
      publish();
      const seen = await goesOn(server, kLong ? 3000 : 600);
      t.diagnostic(`cam: ${JSON.stringify(link.counts)}, ${seen.source.packets_lost} seen missing, ` +
        `${seen.source.packets_retransmitted} sent again, ${seen.source.packets_dropped} given up, ` +
        `${seen.counters.damaged_access_units} of ${seen.counters.access_units} units damaged`);
      assert.ok(link.counts.lost > 0 && link.counts.reordered > 0, 'there was something to repair');
      assert.ok(seen.source.packets_retransmitted > 0);
      assert.ok(seen.source.packets_dropped <= link.counts.lost / 4, 'most of it was repaired');
      link.loss = 0;
      link.reorder = 0;
      await pause(2);  // at least an IDR later
      const clean = await server.json('/api/v1/streams/cam');
      const after = await goesOn(server, 100);
      assert.equal(after.counters.damaged_access_units, clean.counters.damaged_access_units);
      assert.equal(connectionsOf(server, 'cam').length, 1);
    });
  });
}

// MediaMTX 3756, 5369: above 250 ms the caller repeats its handshake, which must not displace it.
test('a round trip of 300 ms', { timeout: 120_000 }, async (t) => {
  await withStreamBeside(t, { settings: { delayMs: 150 } }, async ({ server, publish }) => {
    publish();
    await goesOn(server, 300);
    assert.equal(connectionsOf(server, 'cam').length, 1, 'it was let in once');
    assert.equal(await server.metric('mirror_srt_refusals_total'), 0);
    const warning = await server.logged('the latency is short', (line) =>
      /below three round trips/.test(line.message));
    assert.equal(warning.stream, 'cam');
    assert.ok(warning.rtt_ms > 250 && warning.rtt_ms < 600, `${warning.rtt_ms} ms`);
  });
});

// MediaMTX 5489, 2214: the encoder calls again when it notices; the playlists go on.
for (const seconds of [5, 30]) {
  test(`an outage of ${seconds} s`, { timeout: 180_000, skip: !kLong }, async (t) => {
    const env = { MIRROR_HLS_RECONNECT_HOLD_SECONDS: '120' };
    await withStreamBeside(t, { env }, async ({ server, link, publish }) => {
      let source = publish();
      const before = await goesOn(server, 60);
      link.dark = true;
      let over = false;
      const encoder = (async () => {
        while (!over) {
          await Promise.race([source.ended, pause(0.2)]);
          if (!over && source.result) source = publish();
        }
      })();
      await pause(seconds);
      const wasAway = connectionsOf(server, 'cam').length;
      link.dark = false;
      const ended = Date.now();
      const after = await server.untilStream('cam', 'is back', (stream) =>
        stream.state === 'live' && stream.counters.access_units !== before.counters.access_units);
      await goesOn(server, 60);
      over = true;
      await encoder;
      t.diagnostic(`back ${((Date.now() - ended) / 1000).toFixed(1)} s after the outage; ` +
        `${wasAway} then ${connectionsOf(server, 'cam').length} connections`);
      assert.equal(after.epoch, before.epoch, 'the same presentation');
    });
  });
}

// OvenMediaEngine 2160: no zombie keeps the returning encoder out.
test('kill -9 and a return', { timeout: 120_000, skip: !kLong }, async (t) => {
  await withStreamBeside(t, {}, async ({ server, publish }) => {
    const first = publish();
    await goesOn(server, 60);
    await first.stop('SIGKILL');
    const began = Date.now();
    publish();
    await eventually('it is let in', async () => connectionsOf(server, 'cam').length === 2,
      { everyMs: 10 });
    const seconds = (Date.now() - began) / 1000;
    t.diagnostic(`let in ${seconds.toFixed(2)} s after it was started again`);
    assert.ok(seconds < 2 * patience, `${seconds} s`);
    await goesOn(server, 60);
  });
});

// OvenMediaEngine 1811: whoever of the two is heard, the memory does not grow and nobody else sees it.
test('a second publisher with the same key', { timeout: 120_000, skip: !kLong }, async (t) => {
  await withStreamBeside(t, {}, async ({ server, publish }) => {
    publish();
    await goesOn(server, 60);
    publish();
    await pause(5);
    await goesOn(server, 60);
    assert.equal(await server.metric('mirror_srt_connections'), 2, 'one of them, and beside');
  });
});
