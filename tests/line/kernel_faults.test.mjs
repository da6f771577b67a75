// A bad network as the kernel makes it (network_faults.test.mjs has more kinds, made by a relay, with
// seeds): a link too narrow for its feed, a cable that is pulled, and netem where the kernel has it. The
// publisher stands in a namespace behind a link that is shaped with tc; a stream that does not use that
// link loses nothing. With MIRROR_LONG=1 the link is narrow for a minute, and the cable out for half.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import {
  checkGapless, checkUndisturbed, eventually, FarEnd, footprint, insideNamespace, noNamespaces, patience, publishWithSource,
  runInNamespace, Server, stepsOf, testCard, tinyProxies, watch,
} from './lib.mjs';

const kLong = process.env.MIRROR_LONG === '1';
const kNarrowSeconds = kLong ? 60 : 0;
const kPulledSeconds = kLong ? 30 : 0;
const turn = (seconds) => new Promise((resolve) => { setTimeout(resolve, seconds * 1000); });

if (!insideNamespace) {
  test('bad links of the kernel', { skip: noNamespaces(), timeout: 300_000 }, async (t) => {
    for (const line of await runInNamespace(fileURLToPath(import.meta.url))) t.diagnostic(line);
  });
} else {
  test('the publisher is behind a bad link', { timeout: 280_000 }, stage);
}

async function stage(t) {
  const server = await Server.start(t, {
    ...tinyProxies, MIRROR_SRT_ADDRESS: '*', MIRROR_HLS_RECONNECT_HOLD_SECONDS: '60',
  });
  const step = stepsOf(t, server);
  const feed = ['--loop-file', await testCard({ seconds: 10, args: ['--bitrate', '1M', '--gop', '1'] })];
  const far = await FarEnd.make(t);
  publishWithSource(t, server, 'beside', feed);
  await server.untilLive('beside');
  const witness = watch(t, server, 'beside');
  far.publish(t, server, 'away', [...feed, '--reconnect', '--latency', '300']);
  const before = await server.untilStream('away', 'has shown two seconds', ({ state, counters }) =>
    state === 'live' && counters.pictures_decoded >= 60);
  const watched = watch(t, server, 'away');
  const whole = (why) => untilWhole(server, 'away', why);

  await step('a link too narrow', (s) => narrow(s, server, far, whole));
  await step('a pulled cable', (s) => pulled(s, server, far, whole));
  await step('loss, delay and disorder', (s) => disorder(s, server, far, whole));

  await step('viewers waited and went on in the same playlist', async () => {
    const recording = await watched.end();
    const breaks = recording.segments.filter(({ discontinuity }) => discontinuity).length;
    recording.checkStructure({ discontinuities: breaks });
    checkGapless(recording);
    const after = await server.json('/api/v1/streams/away');
    assert.equal(after.epoch, before.epoch, 'the presentation is the same one');
  });
  await step('the stream beside it lost nothing', async () =>
    checkUndisturbed(server, 'beside', await witness.end()));
}

// Two seconds of pictures in a row of which none was damaged.
async function untilWhole(server, key, why) {
  let from;
  return server.untilStream(key, why, (stream) => {
    const { counters, state } = stream;
    const damaged = counters.damaged_access_units + counters.continuity_errors;
    if (!from || state !== 'live' || from.damaged !== damaged) from = { damaged, shown: counters.pictures_decoded };
    return counters.pictures_decoded >= from.shown + 60;
  }, { seconds: 60 });
}

// Half of what the feed needs. What does not fit is lost, and said to be lost by everything that tells of
// it; what the server holds does not grow with it.
async function narrow(t, server, far, whole) {
  const total = (what) => server.metric(`mirror_srt_${what}_packets_total`);
  const before = { rssKb: footprint(server.pid).rssKb, lost: await total('lost'), dropped: await total('dropped') };
  await far.shape('tbf rate 500kbit burst 16kb latency 100ms');
  await server.untilStream('away', 'tells what it lost', ({ source, counters }) =>
    source.packets_lost > 0 && source.packets_dropped > 0 && counters.damaged_access_units > 0);
  const early = footprint(server.pid).rssKb;
  await turn(kNarrowSeconds);
  const late = footprint(server.pid).rssKb;
  const stream = await server.json('/api/v1/streams/away');
  const after = { lost: await total('lost'), dropped: await total('dropped') };
  t.diagnostic(`narrow: ${stream.source.packets_lost} lost, ${stream.source.packets_dropped} dropped, ` +
    `${stream.source.packets_retransmitted} retransmitted, RTT ${stream.source.rtt_ms} ms, ` +
    `RSS ${before.rssKb} kB before, ${early} and ${late} kB in it`);
  assert.ok(after.lost > before.lost && after.dropped > before.dropped, 'the metrics tell it, too');
  // The feed of a minute is 7.5 MB; sanitizers keep what is freed.
  if (patience === 1) assert.ok(late - early < 8192, `RSS went from ${early} to ${late} kB`);
  await far.shape('');
  await whole('is whole on the wide link');
}

// Out for so long that the connection is given up; the encoder dials again until it is heard.
async function pulled(t, server, far, whole) {
  const told = (words) => server.log().filter(({ stream, message }) => stream === 'away' && message === words).length;
  const before = { gone: told('publisher gone'), connected: told('publisher connected') };
  await far.unplug();
  await eventually('its connection is given up', async () => told('publisher gone') > before.gone, { seconds: 40 * patience });
  await server.untilStream('away', 'is reconnecting', ({ state }) => state === 'reconnecting');
  await turn(kPulledSeconds);
  await far.plug();
  await eventually('it connected again', async () => told('publisher connected') > before.connected,
    { seconds: 60 * patience });
  await server.untilLive('away');
  await whole('is whole with its cable');
}

async function disorder(t, server, far, whole) {
  try {
    await far.shape('netem delay 20ms 5ms reorder 5% loss 2%');
  } catch (error) {
    t.skip(`this kernel has no netem: ${error.message.split('\n')[0]}`);
    return;
  }
  const { source: { packets_retransmitted: before } } = await server.json('/api/v1/streams/away');
  await server.untilStream('away', 'had something repaired', ({ source }) => source.packets_retransmitted > before + 20);
  await whole('is whole by retransmission');
  await far.shape('');
}
