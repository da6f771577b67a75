// What runs in the page beside the player: a stop-watch, not a part of Mirror.
//
// installProbe() is sent to the browser as text, so it uses nothing from outside itself. For each
// tile it keeps
//   glass   glass-to-glass of the pictures whose burned clock could be read, in ms: when the
//           compositor says the frame is shown, minus the wall clock that the source drew into it
//           (tools/mirror-source/burned_clock.h has the layout)
//   gaps    times in which the media did not move on although it should have
//
// What counts as a stall. Between presented frames there may be a gap because the media path ran
// dry, or because this machine had no time to draw. Only the first is a stall. So the judge is the
// media clock: every 20 ms the probe looks at video.currentTime, and time in which it stands is
// added up, but only over looks that came on time (within 60 ms of the one before): a late look means
// that the page itself did not run. That the media ran dry is confirmed by the element: readyState
// below HAVE_FUTURE_DATA, a `waiting` event, or playbackRate 0 (the player refilling).
export function installProbe() {
  const kLookMs = 20;
  const kLateLookMs = 60;
  const tiles = new Map();
  const state = { startedAt: performance.now(), lateLooks: 0, worstLookMs: 0, looks: 0 };
  const canvas = document.createElement('canvas');
  canvas.width = 340;
  canvas.height = 60;
  const context = canvas.getContext('2d', { willReadFrequently: true });

  const crc8 = (bytes) => {
    let crc = 0;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; ++bit) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : (crc << 1) & 0xff;
    }
    return crc ^ 0x55;
  };

  const readClock = (video) => {
    // The upper quarter of the picture: 34 columns, 6 rows of which 1-2 and 3-4 hold cells.
    context.drawImage(video, 0, 0, video.videoWidth, video.videoHeight / 4, 0, 0, 340, 60);
    const { data } = context.getImageData(0, 0, 340, 60);
    const means = [];
    for (let i = 0; i < 64; ++i) {
      const left = 10 * (1 + (i % 32));
      const top = 10 * (1 + 2 * Math.floor(i / 32));
      let sum = 0;
      for (let y = top + 5; y < top + 15; ++y) {
        for (let x = left + 3; x < left + 7; ++x) {
          const at = 4 * (y * 340 + x);
          sum += 0.2126 * data[at] + 0.7152 * data[at + 1] + 0.0722 * data[at + 2];
        }
      }
      means.push(sum / 40);
    }
    const start = [1, 0, 1, 1, 0, 0, 1, 0];
    const mean = (wanted) => means.slice(0, 8).filter((_, i) => start[i] === wanted).reduce((a, b) => a + b) / 4;
    const white = mean(1);
    const black = mean(0);
    if (white - black < 40) return undefined;
    const bits = means.map((value) => (value > (white + black) / 2 ? 1 : 0));
    if (start.some((bit, i) => bits[i] !== bit)) return undefined;
    const bytes = [];
    for (let i = 8; i < 64; i += 8) bytes.push(bits.slice(i, i + 8).reduce((a, b) => a * 2 + b, 0));
    const crc = bytes.pop();
    return crc8(bytes) === crc ? bytes.reduce((a, b) => a * 256 + b, 0) : undefined;
  };

  const follow = (tile, video) => {
    tile.video = video;
    tile.frames = 0;
    video.addEventListener('waiting', () => {
      tile.waiting += 1;
      tile.waitingAt = performance.now();
    });
    const onFrame = (_, metadata) => {
      if (tile.video !== video) return;
      tile.presented += 1;
      if (tile.presented % 3 === 0) {
        const burned = readClock(video);
        if (burned === undefined) tile.unread += 1;
        else tile.glass.push(performance.timeOrigin + metadata.expectedDisplayTime - burned);
      }
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
  };

  let lookedAt = performance.now();
  setInterval(() => {
    const now = performance.now();
    const sinceMs = now - lookedAt;
    lookedAt = now;
    state.looks += 1;
    state.worstLookMs = Math.max(state.worstLookMs, sinceMs);
    const late = sinceMs > kLateLookMs;
    if (late) state.lateLooks += 1;
    for (const element of document.querySelectorAll('.tile')) {
      const key = element.dataset.key;
      const video = element.querySelector('video.showing');
      if (!video) continue;
      let tile = tiles.get(key);
      if (!tile) {
        tile = { glass: [], gaps: [], waiting: 0, waitingAt: -1e9, presented: 0, unread: 0, stoodMs: 0, dry: false };
        tiles.set(key, tile);
      }
      if (tile.video !== video) {
        follow(tile, video);
        tile.lastTime = undefined;
      }
      if (tile.lastTime !== undefined && video.currentTime === tile.lastTime) {
        if (!late) tile.stoodMs += sinceMs;
        tile.dry ||= video.readyState < 3 || video.playbackRate === 0 || now - tile.waitingAt < 500;
      } else {
        if (tile.stoodMs > 100) {
          tile.gaps.push({ at: performance.timeOrigin + now, ms: Math.round(tile.stoodMs), dry: tile.dry });
        }
        tile.stoodMs = 0;
        tile.dry = false;
      }
      tile.lastTime = video.currentTime;
    }
  }, kLookMs);

  window.mirrorProbe = {
    reset() {
      tiles.clear();
      Object.assign(state, { startedAt: performance.now(), lateLooks: 0, worstLookMs: 0, looks: 0 });
    },
    report() {
      const seconds = (performance.now() - state.startedAt) / 1000;
      return {
        ...state,
        seconds,
        tiles: Object.fromEntries([...tiles].map(([key, tile]) => {
          const quality = tile.video.getVideoPlaybackQuality();
          return [key, {
            glass: tile.glass, unread: tile.unread, presented: tile.presented, waiting: tile.waiting,
            gaps: tile.stoodMs > 100
              ? [...tile.gaps, { at: Date.now(), ms: Math.round(tile.stoodMs), dry: tile.dry, open: true }] : tile.gaps,
            dropped: quality.droppedVideoFrames, total: quality.totalVideoFrames,
            currentTime: tile.video.currentTime, player: window.mirror?.statistics(key),
          }];
        })),
      };
    },
  };
}
