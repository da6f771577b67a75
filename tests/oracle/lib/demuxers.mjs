// Demuxers at work on a live stream: each is a program that prints what it decodes, and here is
// what it printed, as [{kind: 'video' | 'audio', time, duration}] in seconds, and what it
// complained about.
import { fileURLToPath } from 'node:url';

import { Child, whenOver } from '../../line/lib.mjs';

function complaintsBut(known, child) {
  return child.stderr.split('\n').filter((line) => line !== '' && !known.test(line));
}

// ffmpeg's HLS demuxer and its decoders. Every reload of a live playlist makes it read the init
// segment again, of which its MP4 demuxer tells: that is its way with any live fMP4.
const kOfFfmpegItself = /Found duplicated MOOV Atom|Last message repeated/;

class Ffmpeg {
  constructor(url) {
    const entries = 'frame=media_type,pts_time,pkt_duration_time,duration_time';
    this.child = new Child('ffprobe', [
      '-v', 'warning', '-show_entries', entries, '-of', 'csv=p=0', url,
    ]);
  }

  frames() {
    const found = [];
    for (const line of this.child.stdout.split('\n').slice(0, -1)) {
      const [kind, time, duration] = line.split(',');
      found.push({ kind, time: Number(time), duration: Number(duration) });
    }
    return found;
  }

  complaints() {
    return complaintsBut(kOfFfmpegItself, this.child);
  }
}

// Of GStreamer: errors of every element, warnings also of the HLS demuxers themselves.
const kGstDebug = '1,hlsdemux:2,hlsdemux2:2,adaptivedemux:2,adaptivedemux2:2';
// hlsdemux2 measures sound by the picture's timeline, and tells when sound comes first: in the first
// second of a stream, where it begins up to a frame earlier, and when its fetches run ahead over a
// discontinuity.
const kOfHlsdemux2Itself =
  /Clamping segment and buffer position to 0|new discont sequence on a rendition stream/;
const kDebianPython = '/usr/bin/python3';  // the one that Debian's bindings belong to
const script = fileURLToPath(new URL('gstreamer.py', import.meta.url));

class GStreamer {
  constructor(demuxer, kinds, url) {
    this.child = new Child(kDebianPython, [script, demuxer, url, ...kinds], {
      env: { ...process.env, GST_DEBUG: kGstDebug, GST_DEBUG_NO_COLOR: '1' },
    });
  }

  frames() {
    const found = [];
    for (const line of this.child.stdout.split('\n').slice(0, -1)) {
      const [kind, time, duration] = line.split(',');
      found.push({ kind, time: Number(time) / 1e9, duration: Number(duration) / 1e9 });
    }
    return found;
  }

  complaints() {
    return complaintsBut(kOfHlsdemux2Itself, this.child);
  }
}

// Starts `name` ("ffmpeg", "hlsdemux", "hlsdemux2") on the playlist at `url`; it ends with the test.
export function demux(t, name, kinds, url) {
  const program = name === 'ffmpeg' ? new Ffmpeg(url) : new GStreamer(name, kinds, url);
  whenOver(t, () => program.child.stop());
  return program;
}

// [{from, to, by}]: where the frames of one kind do not follow each other; `by` seconds are missing
// (below 0: told twice). `tolerance` is what timestamps printed by a program may be rounded by.
export function gaps(frames, tolerance) {
  const found = [];
  for (let i = 1; i < frames.length; ++i) {
    const from = frames[i - 1].time + frames[i - 1].duration;
    const to = frames[i].time;
    if (!(Math.abs(to - from) <= tolerance)) found.push({ from, to, by: to - from });
  }
  return found;
}
