// 25 publishers at once on one port, from 25 processes; the 26th is told that there is no room. Only
// with MIRROR_LONG=1. (bench/ has the same at 50 Mbps each, without pictures.)
//
// OvenMediaEngine 452, 520: only 3 or 4 SRT inputs of 20 are stable. mistserver 283: one stream's
// disconnect ends its siblings.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  checkUndamaged, eventually, kTinyVideo, parseMedia, publishWithSource, Server, telling, testCard,
  tinyProxies, watch,
} from './lib.mjs';

const skip = process.env.MIRROR_LONG === '1' ? false : 'long: set MIRROR_LONG=1';
const kStreams = 25;
const kKilled = 5;

const keys = Array.from({ length: kStreams }, (_, at) => `cam${at + 1}`);

test('25 publishers on one port, and no room for another', { skip, timeout: 300_000 }, async (t) => {
  const server = await Server.start(t, {
    ...tinyProxies,
    MIRROR_HLS_WINDOW_SECONDS: '60',
    MIRROR_HLS_RECONNECT_HOLD_SECONDS: '3',
  });
  const size = { size: '192x108', fps: '25' };
  const file = await testCard({ seconds: 10, codec: 'h264', ...size, args: ['--bitrate', '300k', '--gop', '1'] });
  const publish = (key) => publishWithSource(t, server, key, ['--loop-file', file]);
  const streamsNow = async () => new Map(
    (await server.json('/api/v1/streams')).streams.map((stream) => [stream.key, stream]),
  );

  // What `some` lost while `act` ran: nothing, and their playlists went on as the clock did.
  const undisturbed = async (some, act) => {
    const ends = async () => new Map(await Promise.all(some.map(async (key) => {
      const { body } = await server.get(`/live/${key}/${kTinyVideo}/media.m3u8`);
      return [key, { at: Date.now(), ...parseMedia(body.toString()) }];
    })));
    const before = await ends();
    await act();
    const after = await ends();
    const streams = await streamsNow();
    for (const key of some) {
      checkUndamaged(streams.get(key), key);
      assert.equal(streams.get(key).state, 'live');
      const [was, is] = [before.get(key), after.get(key)];
      assert.equal(is.map, was.map, `${key}: the same presentation`);
      assert.ok(!is.text.includes('#EXT-X-DISCONTINUITY\n'), key);
      const next = was.segments.at(-1).number;
      const seconds = is.segments.filter(({ number, complete }) => complete && number >= next)
        .reduce((sum, { duration }) => sum + duration, 0);
      const passed = (is.at - was.at) / 1000;
      assert.ok(Math.abs(seconds - passed) < 2.5, `${key}: ${seconds} s of media in ${passed} s`);
    }
  };

  await telling(server, async () => {
    const publishers = new Map(keys.map((key) => [key, publish(key)]));
    await Promise.all(keys.map((key) => server.untilStream(key, 'is live', ({ state }) => state === 'live',
      { seconds: 90 })));
    const witnesses = [keys[0], keys.at(-1)].map((key) => watch(t, server, key));

    await undisturbed(keys, async () => {
      const { code, stderr } = await (async () => {
        const child = publish('cam26');
        return { ...(await child.ended), stderr: child.stderr };
      })();
      assert.equal(code, 1);
      assert.match(stderr, /overloaded/);
      const line = await server.logged('number 26 was refused', ({ stream_id: id }) => id === 'cam26');
      assert.equal(line.reason, 'overload');
      const { counters: { pictures_decoded: shown } } = (await streamsNow()).get(keys[0]);
      await server.untilStream(keys[0], 'has gone on for twenty seconds', ({ counters }) =>
        counters.pictures_decoded >= shown + 500, { seconds: 60 });
    });

    const dying = keys.slice(10, 10 + kKilled);
    await undisturbed(keys.filter((key) => !dying.includes(key)), async () => {
      await Promise.all(dying.map((key) => publishers.get(key).stop('SIGKILL')));
      await eventually('the killed are gone', async () => (await streamsNow()).size === kStreams - kKilled,
        { seconds: 60 });
      publish('cam26');
      for (const key of dying.slice(1)) publish(key);
      await eventually('there are 25 again', async () => {
        const streams = [...(await streamsNow()).values()];
        return streams.filter(({ state }) => state === 'live').length === kStreams;
      }, { seconds: 60 });
    });
    for (const witness of witnesses) {
      const recording = await witness.end();
      recording.checkStructure();
      assert.equal(recording.timeOuts, 0);
    }
  })(t);
});
