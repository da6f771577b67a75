// Three parsers that we did not write, each made to say in one common form what a playlist holds:
//
//   media         {version, targetDuration, partTarget, partHoldBack, holdBack, canSkipUntil,
//                  mediaSequence, discontinuitySequence, skipped, segments: [{uri, duration, date,
//                  discontinuity, map, parts: [{uri, duration, independent, gap}]}], openParts, hint,
//                  reports: [{uri, msn, part}], start, ended}
//   multivariant  {version, variants: [{uri, bandwidth, averageBandwidth, codecs, resolution,
//                  frameRate, audio}], audio: [{group, name, uri, language, default, autoselect}]}
//
// Dates are milliseconds since 1970; what a playlist does not say is null. Each gives
// {playlist, complaints}.
import { fileURLToPath } from 'node:url';

import HLS from 'hls-parser';
import { Parser } from 'm3u8-parser';

import { run } from '../../line/lib.mjs';

const kDebianPython = '/usr/bin/python3';  // the one that Debian's packages belong to
const script = fileURLToPath(new URL('parsers.py', import.meta.url));

// hls-parser counts three segments where RFC 8216bis (4.4.4.9) says three target durations.
const kOfHlsParserItself = /Remove EXT-X-PART tags from the Playlist/;

const resolutionText = (resolution) =>
  resolution ? `${resolution.width}x${resolution.height}` : null;
const time = (date) => (date ? date.getTime() : null);
const partOf = ({ uri, duration, independent, gap }) => ({
  uri, duration, independent: Boolean(independent), gap: Boolean(gap),
});

function fromM3u8Parser(text) {
  const parser = new Parser();
  const complaints = [];
  for (const event of ['warn', 'error']) {
    parser.on(event, ({ message }) => complaints.push(message));
  }
  parser.push(text);
  parser.end();
  const { manifest } = parser;
  if (manifest.playlists) {
    return { complaints, playlist: {
      version: manifest.version,
      variants: manifest.playlists.map(({ uri, attributes }) => ({
        uri,
        bandwidth: attributes.BANDWIDTH,
        averageBandwidth: Number(attributes['AVERAGE-BANDWIDTH']),
        codecs: attributes.CODECS,
        resolution: resolutionText(attributes.RESOLUTION),
        frameRate: attributes['FRAME-RATE'] ?? null,
        audio: attributes.AUDIO ?? null,
      })),
      audio: Object.entries(manifest.mediaGroups.AUDIO).flatMap(([group, renditions]) =>
        Object.entries(renditions).map(([name, rendition]) => ({
          group,
          name,
          uri: rendition.uri,
          language: rendition.language ?? null,
          default: rendition.default,
          autoselect: rendition.autoselect,
        })),
      ),
    } };
  }
  return { complaints, playlist: {
    version: manifest.version,
    targetDuration: manifest.targetDuration,
    partTarget: manifest.partInf?.partTarget ?? null,
    partHoldBack: manifest.serverControl?.partHoldBack ?? null,
    holdBack: manifest.serverControl?.holdBack ?? null,
    canSkipUntil: manifest.serverControl?.canSkipUntil ?? null,
    mediaSequence: manifest.mediaSequence,
    discontinuitySequence: manifest.discontinuitySequence,
    skipped: manifest.skip?.skippedSegments ?? 0,
    segments: manifest.segments.map((segment) => ({
      uri: segment.uri,
      duration: segment.duration,
      date: time(segment.dateTimeObject),
      discontinuity: Boolean(segment.discontinuity),
      map: segment.map?.uri ?? null,
      parts: (segment.parts ?? []).map(partOf),
    })),
    openParts: (manifest.preloadSegment?.parts ?? []).map(partOf),
    hint: manifest.preloadSegment?.preloadHints?.[0]?.uri ?? null,
    reports: (manifest.renditionReports ?? []).map(({ uri, lastMsn, lastPart }) => ({
      uri, msn: lastMsn, part: lastPart,
    })),
    start: manifest.start?.timeOffset ?? null,
    ended: Boolean(manifest.endList),
  } };
}

// hls-parser says what it minds on the console, and goes on.
function parseWithHlsParser(text) {
  const complaints = [];
  const { error } = console;
  console.error = (message) => complaints.push(String(message));
  try {
    const playlist = HLS.parse(text);
    return { playlist, complaints: complaints.filter((each) => !kOfHlsParserItself.test(each)) };
  } finally {
    console.error = error;
  }
}

function fromHlsParser(text) {
  const { playlist, complaints } = parseWithHlsParser(text);
  if (playlist.isMasterPlaylist) {
    const audio = new Map(
      playlist.variants.flatMap((variant) => variant.audio).map((each) => [each.uri, each]),
    );
    return { complaints, playlist: {
      version: playlist.version,
      variants: playlist.variants.map((variant) => ({
        uri: variant.uri,
        bandwidth: variant.bandwidth,
        averageBandwidth: variant.averageBandwidth,
        codecs: variant.codecs,
        resolution: resolutionText(variant.resolution),
        frameRate: variant.frameRate ?? null,
        audio: variant.audio[0]?.groupId ?? null,
      })),
      audio: [...audio.values()].map((rendition) => ({
        group: rendition.groupId,
        name: rendition.name,
        uri: rendition.uri,
        language: rendition.language ?? null,
        default: rendition.isDefault,
        autoselect: rendition.autoselect,
      })),
    } };
  }
  const segments = playlist.segments.map((segment) => ({
    uri: segment.uri,
    duration: segment.duration,
    date: time(segment.programDateTime),
    discontinuity: Boolean(segment.discontinuity),
    map: segment.map?.uri ?? null,
    parts: segment.parts.filter((part) => !part.hint).map(partOf),
  }));
  const hints = playlist.segments.flatMap((segment) => segment.parts.filter((part) => part.hint));
  const open = segments.at(-1)?.uri ? null : segments.pop();
  const control = playlist.lowLatencyCompatibility;
  return { complaints, playlist: {
    version: playlist.version,
    targetDuration: playlist.targetDuration,
    partTarget: playlist.partTargetDuration ?? null,
    partHoldBack: control?.partHoldBack ?? null,
    holdBack: control?.holdBack ?? null,
    canSkipUntil: control?.canSkipUntil ?? null,
    mediaSequence: playlist.mediaSequenceBase,
    discontinuitySequence: playlist.discontinuitySequenceBase,
    skipped: playlist.skip,
    segments,
    openParts: open?.parts ?? [],
    hint: hints[0]?.uri ?? null,
    reports: playlist.renditionReports.map(({ uri, lastMSN, lastPart }) => ({
      uri, msn: lastMSN, part: lastPart,
    })),
    start: playlist.start?.offset ?? null,
    ended: playlist.endlist,
  } };
}

async function fromPython(texts) {
  const { stdout, stderr } = await run(kDebianPython, [script], { input: JSON.stringify(texts) });
  const complaints = stderr.split('\n').filter((line) => line !== '');
  return JSON.parse(stdout).map((playlist) => ({ playlist, complaints }));
}

// [{'m3u8-parser': {playlist, complaints}, 'hls-parser': …, 'python3-m3u8': …}], one for each text.
export async function parseWithAll(texts) {
  const python = await fromPython(texts);
  return texts.map((text, at) => ({
    'm3u8-parser': fromM3u8Parser(text),
    'hls-parser': fromHlsParser(text),
    'python3-m3u8': python[at],
  }));
}
