// HLS playlists as objects (RFC 8216bis): enough to follow a live stream.

function attributes(text) {
  const found = {};
  for (const match of text.matchAll(/([A-Z0-9-]+)=("[^"]*"|[^",]*)(,|$)/g)) {
    found[match[1]] = match[2].startsWith('"') ? match[2].slice(1, -1) : match[2];
  }
  return found;
}

export function parseMultivariant(text) {
  const lines = text.trimEnd().split('\n');
  if (lines[0] !== '#EXTM3U') throw new Error(`no playlist: ${text.slice(0, 80)}`);
  const playlist = { variants: [], media: [] };
  lines.forEach((line, at) => {
    if (line.startsWith('#EXT-X-STREAM-INF:')) {
      playlist.variants.push({ ...attributes(line.slice(18)), uri: lines[at + 1] });
    } else if (line.startsWith('#EXT-X-MEDIA:')) {
      playlist.media.push(attributes(line.slice(13)));
    }
  });
  return playlist;
}

// {partTarget, partTargetText, targetDuration, mediaSequence, discontinuitySequence, map, hint,
//  ended, reports, segments: [{number, uri, duration, date, discontinuity, complete,
//  parts: [{index, uri, duration, independent}]}]}
export function parseMedia(text) {
  const lines = text.trimEnd().split('\n');
  if (lines[0] !== '#EXTM3U') throw new Error(`no playlist: ${text.slice(0, 80)}`);
  const playlist = { text, segments: [], reports: [], ended: false, discontinuitySequence: 0 };
  let open = null;
  let duration = null;
  const segment = () => {
    open ??= {
      number: playlist.mediaSequence + playlist.segments.length,
      parts: [],
      discontinuity: false,
      complete: false,
    };
    return open;
  };
  const tags = {
    '#EXT-X-TARGETDURATION': (value) => (playlist.targetDuration = Number(value)),
    '#EXT-X-MEDIA-SEQUENCE': (value) => (playlist.mediaSequence = Number(value)),
    '#EXT-X-DISCONTINUITY-SEQUENCE': (value) => (playlist.discontinuitySequence = Number(value)),
    '#EXT-X-MAP': (value) => (playlist.map = attributes(value).URI),
    '#EXT-X-SERVER-CONTROL': (value) => (playlist.control = attributes(value)),
    '#EXT-X-RENDITION-REPORT': (value) => playlist.reports.push(attributes(value)),
    '#EXT-X-PRELOAD-HINT': (value) => (playlist.hint = attributes(value).URI),
    '#EXT-X-ENDLIST': () => (playlist.ended = true),
    '#EXT-X-DISCONTINUITY': () => (segment().discontinuity = true),
    '#EXT-X-PROGRAM-DATE-TIME': (value) => (segment().date = new Date(value)),
    '#EXTINF': (value) => (duration = Number(value.replace(/,.*/, ''))),
    '#EXT-X-PART-INF': (value) => {
      playlist.partTargetText = attributes(value)['PART-TARGET'];
      playlist.partTarget = Number(playlist.partTargetText);
    },
    '#EXT-X-PART': (value) => {
      const found = attributes(value);
      segment().parts.push({
        index: segment().parts.length,
        uri: found.URI,
        duration: Number(found.DURATION),
        independent: found.INDEPENDENT === 'YES',
      });
    },
  };
  for (const line of lines) {
    if (line.startsWith('#')) {
      const colon = line.indexOf(':');
      const tag = colon < 0 ? line : line.slice(0, colon);
      tags[tag]?.(colon < 0 ? '' : line.slice(colon + 1));
    } else if (line !== '') {
      playlist.segments.push({ ...segment(), uri: line, duration, complete: true });
      open = null;
    }
  }
  if (open) playlist.segments.push(open);
  return playlist;
}

// Where the next part of a playlist will be, as delivery directives say it.
export function nextPosition(playlist) {
  const last = playlist.segments.at(-1);
  if (!last) return { msn: playlist.mediaSequence, part: 0 };
  return last.complete
    ? { msn: last.number + 1, part: 0 }
    : { msn: last.number, part: last.parts.length };
}
