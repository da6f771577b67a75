// A stream that is watched while others are ill-treated, and what it may not have lost.
import assert from 'node:assert/strict';

import { Viewer } from './viewer.mjs';

// For servers of which the ingest is on trial: proxies that cost next to nothing, and what the
// rendition of their pictures is called.
export const tinyProxies = {
  MIRROR_TRANSCODE_WIDTH: '160',
  MIRROR_TRANSCODE_HEIGHT: '90',
  MIRROR_TRANSCODE_PRESET: 'ultrafast',
};
export const kTinyVideo = 'v90';

// Records a rendition of `key` until end() is called, which gives the recording.
export function watch(t, server, key, rendition = kTinyVideo) {
  let over = false;
  const recorded = new Viewer(t, server, key).record(rendition, () => over);
  recorded.catch(() => {});  // end() tells; an earlier failure must not end the process
  return {
    end() {
      over = true;
      return recorded;
    },
  };
}

export function checkGapless(recording) {
  const numbers = recording.segments.map((segment) => segment.number);
  numbers.forEach((number, at) => assert.equal(number, numbers[0] + at, 'no segment is missing'));
}

// What is nought in the API's object of a stream whose feed came whole.
const kDamage = [
  'continuity_errors', 'damaged_access_units', 'decode_errors', 'discontinuities',
  'queue_dropped_units', 'sync_losses',
];

export function checkUndamaged(stream, where = stream.key) {
  for (const name of kDamage) assert.equal(stream.counters[name], 0, `${where}: ${name}`);
  assert.equal(stream.source.packets_dropped, 0, `${where}: packets_dropped`);
}

// Every part was there in time, whole and undamaged.
export async function checkUndisturbed(server, key, recording) {
  recording.checkStructure({ discontinuities: 0 });
  checkGapless(recording);
  assert.equal(recording.timeOuts, 0, `${key}: every blocking reload was answered with news`);
  checkUndamaged(await server.json(`/api/v1/streams/${key}`));
}
