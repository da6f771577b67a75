// A viewer of Low-Latency HLS over plain HTTP: blocking reloads on one connection, parts on others.
import assert from 'node:assert/strict';
import http from 'node:http';

import { readPart, readInit } from './mp4.mjs';
import { nextPosition, parseMedia, parseMultivariant } from './playlist.mjs';
import { request } from './server.mjs';
import { whenOver } from './cleanup.mjs';

export class Viewer {
  constructor(t, server, stream) {
    this.server = server;
    this.base = `/live/${stream}/`;
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
    whenOver(t, () => this.agent.destroy());
  }

  get(target, options = {}) {
    return request(this.server.httpPort, this.base + target, { agent: this.agent, ...options });
  }

  async fetch(target) {
    const { status, body } = await this.get(target);
    assert.equal(status, 200, `${target}: ${status} ${body.toString().slice(0, 200)}`);
    return body;
  }

  async multivariant() {
    return parseMultivariant((await this.fetch('index.m3u8')).toString());
  }

  async playlist(rendition, query = '') {
    return parseMedia((await this.fetch(`${rendition}/media.m3u8${query}`)).toString());
  }

  media(rendition, uri) {
    return this.fetch(`${rendition}/${uri}`);
  }

  // Follows a rendition live until `until(recording)` is true, and gives back the recording:
  // every part and, beside them, every segment that was complete meanwhile.
  async record(rendition, until) {
    const recording = new Recording(this, rendition);
    await recording.follow(until);
    return recording;
  }
}

export class Recording {
  constructor(viewer, rendition) {
    this.viewer = viewer;
    this.rendition = rendition;
    this.init = null;
    this.parts = [];  // {segment, index, independent, duration, bytes, chunk}
    this.bySegment = new Map();  // the same by media sequence number
    this.seconds = 0;  // of media in complete segments
    this.segments = [];  // {number, duration, discontinuity, date, bytes}
    this.playlist = null;
    this.reloads = 0;
    this.timeOuts = 0;  // 503: nothing was published within the server's hold
    this.firstSegment = null;
  }

  partsOf(number) {
    return this.bySegment.get(number) ?? [];
  }

  // The bytes of a file that players and ffprobe read.
  file() {
    return Buffer.concat([this.init, ...this.parts.map((part) => part.bytes)]);
  }

  async follow(until) {
    let playlist = await this.viewer.playlist(this.rendition);
    await this.absorb(playlist);
    while (!playlist.ended && !until(this)) {
      const { msn, part } = nextPosition(playlist);
      const answer = await this.viewer.get(
        `${this.rendition}/media.m3u8?_HLS_msn=${msn}&_HLS_part=${part}`,
      );
      ++this.reloads;
      if (answer.status === 503) {
        ++this.timeOuts;
        continue;
      }
      assert.equal(answer.status, 200, `blocking reload ${msn}/${part}: ${answer.body}`);
      const next = parseMedia(answer.body.toString());
      this.check(playlist, next, { msn, part });
      playlist = next;
      await this.absorb(playlist);
    }
  }

  // What must hold between one playlist and the next (RFC 8216bis, 6.2.1).
  check(before, after, asked) {
    if (before.map !== after.map) return;
    assert.ok(after.mediaSequence >= before.mediaSequence, 'media sequence went back');
    assert.ok(after.discontinuitySequence >= before.discontinuitySequence);
    assert.equal(after.partTargetText, before.partTargetText);
    const reached = nextPosition(after);
    const beyond =
      reached.msn > asked.msn || (reached.msn === asked.msn && reached.part > asked.part);
    const got = `asked for ${asked.msn}/${asked.part}, got ${JSON.stringify(reached)}`;
    assert.ok(after.ended || beyond, got);
  }

  async absorb(playlist) {
    this.playlist = playlist;
    if (this.init === null) {
      this.init = await this.viewer.media(this.rendition, playlist.map);
      this.timescale = readInit(this.init).timescale;
      this.map = playlist.map;
      // Only whole segments: the first one whose parts are all listed or still to come.
      this.firstSegment = playlist.segments.find((segment) => segment.parts.length > 0)?.number;
    }
    assert.equal(playlist.map, this.map, 'another presentation took the place of this one');
    const fetches = [];
    for (const segment of playlist.segments) {
      if (segment.number < (this.firstSegment ?? 0)) continue;
      const known = this.partsOf(segment.number).length;
      for (const part of segment.parts.slice(known)) fetches.push(this.fetchPart(segment, part));
    }
    await Promise.all(fetches);
    for (const segment of playlist.segments) {
      if (segment.number < (this.firstSegment ?? 0) || !segment.complete) continue;
      if (segment.number <= (this.segments.at(-1)?.number ?? -1)) continue;
      const bytes = await this.viewer.media(this.rendition, segment.uri);
      this.segments.push({ ...segment, bytes });
      this.seconds += segment.duration;
    }
  }

  async fetchPart(segment, part) {
    const entry = { ...part, segment: segment.number, discontinuity: segment.discontinuity };
    this.parts.push(entry);
    if (!this.bySegment.has(segment.number)) this.bySegment.set(segment.number, []);
    this.bySegment.get(segment.number).push(entry);
    entry.bytes = await this.viewer.media(this.rendition, part.uri);
    entry.chunk = readPart(entry.bytes);
  }

  // What holds for every rendition that Mirror writes; `discontinuities` as many as are expected.
  checkStructure({ discontinuities = 0 } = {}) {
    assert.ok(this.parts.length > 0, 'parts were recorded');
    assert.equal(this.segments.filter((segment) => segment.discontinuity).length, discontinuities);
    let expected = null;
    this.parts.forEach((part, at) => {
      const where = `${this.rendition} part ${part.segment}.${part.index}`;
      const { chunk } = part;
      assert.equal(chunk.sampleBytes, chunk.mediaBytes, `${where}: mdat holds its samples`);
      assert.ok(chunk.prft, `${where}: prft`);
      assert.equal(chunk.prft.mediaTime, chunk.decodeTime, `${where}: prft speaks of its chunk`);
      assert.equal(part.independent, chunk.samples[0].sync, `${where}: INDEPENDENT`);
      const starts = at === 0 || this.parts[at - 1].segment !== part.segment;
      if (starts) assert.ok(chunk.samples[0].sync, `${where}: a segment begins with a sync sample`);
      assert.ok(part.duration <= this.playlist.partTarget, `${where}: not above PART-TARGET`);
      const seconds = chunk.duration / this.timescale;
      // Cut to 10 us; the first of a segment is told that much longer (ADR 5).
      const excess = part.duration - seconds - (starts ? 1e-5 : 0);
      assert.ok(Math.abs(excess) < 1.001e-5, `${where}: DURATION ${part.duration}`);
      if (expected !== null && !(starts && part.discontinuity)) {
        assert.equal(chunk.decodeTime, expected, `${where}: tfdt is continuous`);
      }
      expected = chunk.decodeTime + chunk.duration;
    });
    this.segments.forEach((segment, at) => {
      const parts = this.partsOf(segment.number);
      const joined = Buffer.concat(parts.map((part) => part.bytes));
      assert.ok(joined.equals(segment.bytes), `segment ${segment.number} is its parts`);
      const prft = parts[0].chunk.prft;
      const behind = Math.abs(prft.time - segment.date);
      assert.ok(behind <= 350, `PROGRAM-DATE-TIME is ${behind} ms from the first prft`);
      const last = this.segments[at - 1];
      if (!last || segment.discontinuity || last.number !== segment.number - 1) return;
      // The date advances as the media does (prft follows the source's clock), to the rounding of
      // both dates; but one that is far from the source's clock steps there.
      const astray = Math.abs(segment.date - last.date - last.duration * 1000);
      assert.ok(astray <= 1 || astray > 99, `segment ${segment.number}: dated ${astray} ms astray`);
    });
  }

  // Bits a second of media over the complete segments.
  bitrate() {
    const numbers = new Set(this.segments.map((segment) => segment.number));
    const parts = this.parts.filter((part) => numbers.has(part.segment));
    const bytes = parts.reduce((sum, part) => sum + part.chunk.mediaBytes, 0);
    const seconds = parts.reduce((sum, part) => sum + part.chunk.duration, 0) / this.timescale;
    return (8 * bytes) / seconds;
  }
}
