// Hundreds of short publications: some end in order, some are killed, some are refused. Ten minutes in
// all (MIRROR_RECONNECT_SECONDS), clear and encrypted, with MIRROR_LONG=1 alone. What the process holds
// does not grow, and a stream beside them loses nothing.
//
// OvenMediaEngine 989, 1811 and MediaMTX 5674: memory without bound. OvenMediaEngine 2160: zombies
// after a kill. mistserver 283: one stream's end ends its siblings.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  checkUndisturbed, eventually, footprint, publishWithSource, Server, telling, testCard, tinyProxies, watch,
} from './lib.mjs';

const kSeconds = Number(process.env.MIRROR_RECONNECT_SECONDS ?? 600) / 2;  // clear, then encrypted
const skip = process.env.MIRROR_LONG === '1' ? false : 'long: set MIRROR_LONG=1';
const kPassphrase = 'correct horse battery';
const kAtOnce = 4;
const kPerRound = 24;
const kKeys = 20;  // so many that nobody takes over from the one killed a moment ago

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// One of each kind in turn; each resolves when its publisher has ended.
function kinds(t, server, file, secret) {
  const publish = (key, args = []) =>
    publishWithSource(t, server, key, ['--loop-file', file, ...secret, ...args]);
  const wrong = secret.length ? [] : ['--passphrase', kPassphrase];
  return {
    ends: async (key) => {
      const { code } = await publish(key, ['--duration', '1']).ended;
      return code === 0;
    },
    killed: async (key) => {
      const child = publish(key);
      await eventually('it publishes, or is refused', async () =>
        child.result || /publishing/.test(child.stderr));
      await pause(500);
      await child.stop('SIGKILL');
      return true;
    },
    killedInHandshake: async (key, number) => {
      const child = publish(key);
      await pause(10 + ((7 * number) % 60));
      await child.stop('SIGKILL');
      return true;
    },
    badKey: async () => (await publish('no/slash').ended).code === 1,
    unauthorised: async (key) => {
      const url = ['--loop-file', file, ...wrong];
      return (await publishWithSource(t, server, key, url).ended).code === 1;
    },
    contested: async () => {
      // Refused, or displaces the one before it: both are ends.
      await publish('both', ['--duration', '1']).ended;
      return true;
    },
  };
}

async function publishOnAndOn(t, secret) {
  const server = await Server.start(t, {
    ...tinyProxies,
    MIRROR_HLS_WINDOW_SECONDS: '6',
    MIRROR_HLS_RECONNECT_HOLD_SECONDS: '1',
    MIRROR_SRT_PEER_IDLE_TIMEOUT_MS: '2000',  // so long the killed linger
    ...(secret.length ? { MIRROR_SRT_PASSPHRASE: kPassphrase } : {}),
  });
  const file = await testCard({ seconds: 10, args: ['--bitrate', '1M', '--gop', '1'] });
  await telling(server, async () => {
    publishWithSource(t, server, 'beside', ['--loop-file', file, ...secret]);
    await server.untilLive('beside');
    const witness = watch(t, server, 'beside', 'audio');
    const acts = Object.entries(kinds(t, server, file, secret));
    const footprints = [];
    let published = 0;
    const began = Date.now();
    while (Date.now() - began < kSeconds * 1000) {
      let left = kPerRound;
      await Promise.all(Array.from({ length: kAtOnce }, async () => {
        while (left > 0) {
          --left;
          const number = published++;
          const [name, act] = acts[number % acts.length];
          assert.ok(await act(`cam${number % kKeys}`, number), `${name}: it ended as it should`);
        }
      }));
      await eventually('they are all gone', async () => {
        const { streams } = await server.json('/api/v1/streams');
        return streams.length === 1 && (await server.metric('mirror_srt_connections')) === 1;
      }, { seconds: 60 });
      await pause(1_500);  // libsrt buries its closed sockets once a second
      footprints.push(footprint(server.pid));
    }
    const fifth = Math.max(1, Math.floor(footprints.length / 5));
    const early = footprints.slice(fifth, 2 * fifth);
    const late = footprints.slice(-fifth);
    const mean = (list, key) => list.reduce((sum, each) => sum + each[key], 0) / list.length;
    const most = (list, key) => Math.max(...list.map((each) => each[key]));
    t.diagnostic(`${published} publications in ${footprints.length} rounds; RSS ${footprints[0].rssKb} kB after the ` +
      `first, ${mean(early, 'rssKb') | 0} in the second fifth, ${mean(late, 'rssKb') | 0} kB in the last; threads ` +
      `${most(early, 'threads')}, ${most(late, 'threads')}; files ${most(early, 'files')}, ${most(late, 'files')}`);
    t.diagnostic(`RSS in MB, by round: ${footprints.map(({ rssKb }) => Math.round(rssKb / 1024)).join(' ')}`);
    assert.ok(footprints.length >= 5, 'enough rounds to judge by');
    assert.ok(mean(late, 'rssKb') < mean(early, 'rssKb') * 1.05 + 1024, 'memory is flat');
    assert.ok(most(late, 'threads') <= most(early, 'threads'), 'threads are flat');
    assert.ok(most(late, 'files') <= most(early, 'files'), 'file descriptors are flat');
    await checkUndisturbed(server, 'beside', await witness.end());
  })(t);
}

const options = { skip, timeout: (kSeconds + 180) * 1000 };
test('publishers come and go, clear', options, (t) => publishOnAndOn(t, []));
test('publishers come and go, encrypted', options, (t) =>
  publishOnAndOn(t, ['--passphrase', kPassphrase]));
