// A small reader of ISO BMFF boxes (ISO/IEC 14496-12): what a CMAF init segment and chunk say.

const kContainers = new Set([
  'moov', 'trak', 'mdia', 'minf', 'stbl', 'mvex', 'moof', 'traf',
]);

// [{type, start, size, body, children}]; throws where sizes do not add up.
export function boxes(bytes, start = 0, end = bytes.length) {
  const found = [];
  for (let at = start; at < end; ) {
    if (end - at < 8) throw new Error(`a box needs 8 bytes, ${end - at} are left`);
    const size = bytes.readUInt32BE(at);
    const type = bytes.toString('latin1', at + 4, at + 8);
    if (size < 8 || at + size > end) throw new Error(`box ${type} of ${size} bytes does not fit`);
    const box = { type, start: at, size, body: bytes.subarray(at + 8, at + size) };
    if (kContainers.has(type)) box.children = boxes(bytes, at + 8, at + size);
    found.push(box);
    at += size;
  }
  return found;
}

export function find(list, ...path) {
  let box;
  for (const type of path) {
    box = list?.find((each) => each.type === type);
    list = box?.children;
  }
  return box;
}

// {timescale} of an init segment's only track.
export function readInit(bytes) {
  const mdhd = find(boxes(bytes), 'moov', 'trak', 'mdia', 'mdhd').body;
  return { timescale: mdhd.readUInt32BE(mdhd[0] === 1 ? 20 : 12) };
}

const kNonSyncSample = 0x0001_0000;

function readTrun(trun, defaults) {
  const flags = trun.readUInt32BE(0) & 0xff_ffff;
  const count = trun.readUInt32BE(4);
  let at = 8 + (flags & 0x1 ? 4 : 0);
  let firstFlags = null;
  if (flags & 0x4) {
    firstFlags = trun.readUInt32BE(at);
    at += 4;
  }
  const samples = [];
  for (let i = 0; i < count; ++i) {
    const sample = { ...defaults };
    if (i === 0 && firstFlags !== null) sample.flags = firstFlags;
    for (const [bit, name] of [
      [0x100, 'duration'], [0x200, 'size'], [0x400, 'flags'], [0x800, 'cts'],
    ]) {
      if (!(flags & bit)) continue;
      sample[name] = name === 'cts' ? trun.readInt32BE(at) : trun.readUInt32BE(at);
      at += 4;
    }
    sample.sync = (sample.flags & kNonSyncSample) === 0;
    samples.push(sample);
  }
  return samples;
}

// One part: {decodeTime, samples: [{duration, size, sync}], duration, media, mediaBytes, prft}, where
// prft is {time: Date, mediaTime} or null. A part is one or more chunks that follow each other.
export function readPart(bytes) {
  const list = boxes(bytes);
  const order = list.map((box) => box.type).join(' ');
  if (!/^(styp )?(prft )?moof mdat( moof mdat)*$/.test(order)) throw new Error(`a part holds: ${order}`);
  const moofs = list.filter((box) => box.type === 'moof');
  const mdats = list.filter((box) => box.type === 'mdat');
  const chunks = moofs.map((moof, i) => readChunk(moof, mdats[i]));
  chunks.slice(1).forEach((chunk, i) => {
    const end = chunks[i].decodeTime + chunks[i].duration;
    if (chunk.decodeTime !== end) throw new Error(`a chunk at ${chunk.decodeTime} follows ${end}`);
  });
  const sum = (of) => chunks.reduce((total, chunk) => total + of(chunk), 0);
  const prft = find(list, 'prft');
  return {
    decodeTime: chunks[0].decodeTime,
    samples: chunks.flatMap((chunk) => chunk.samples),
    duration: sum((chunk) => chunk.duration),
    media: Buffer.concat(chunks.map((chunk) => chunk.media)),
    mediaBytes: sum((chunk) => chunk.media.length),
    sampleBytes: sum((chunk) => chunk.sampleBytes),
    prft: prft ? readPrft(prft.body) : null,
  };
}

function readChunk(moof, mdat) {
  const traf = find([moof], 'moof', 'traf').children;
  const tfhd = find(traf, 'tfhd').body;
  const tfhdFlags = tfhd.readUInt32BE(0) & 0xff_ffff;
  const defaults = { duration: 0, size: 0, flags: 0, cts: 0 };
  let at = 8;
  for (const [bit, name, width] of [
    [0x1, null, 8], [0x2, null, 4], [0x8, 'duration', 4], [0x10, 'size', 4], [0x20, 'flags', 4],
  ]) {
    if (!(tfhdFlags & bit)) continue;
    if (name) defaults[name] = tfhd.readUInt32BE(at);
    at += width;
  }
  const tfdt = find(traf, 'tfdt').body;
  const decodeTime = tfdt[0] === 1 ? Number(tfdt.readBigUInt64BE(4)) : tfdt.readUInt32BE(4);
  const samples = readTrun(find(traf, 'trun').body, defaults);
  return {
    decodeTime,
    samples,
    duration: samples.reduce((sum, sample) => sum + sample.duration, 0),
    media: mdat.body,
    sampleBytes: samples.reduce((sum, sample) => sum + sample.size, 0),
  };
}

// The NAL unit types of each sample of an H.264 chunk: [[5], [1], …] (ISO/IEC 14496-10, 7.4.1).
export function nalUnitTypes(chunk) {
  let at = 0;
  return chunk.samples.map(({ size }) => {
    const types = [];
    for (const end = at + size; at < end; ) {
      types.push(chunk.media[at + 4] & 0x1f);
      at += 4 + chunk.media.readUInt32BE(at);
    }
    return types;
  });
}

function readPrft(body) {
  const ntp = body.readBigUInt64BE(8);
  const ms = Number(ntp >> 32n) * 1000 + (Number(ntp & 0xffff_ffffn) * 1000) / 2 ** 32;
  return {
    time: new Date(ms - 2_208_988_800_000),
    mediaTime: body[0] === 1 ? Number(body.readBigUInt64BE(16)) : body.readUInt32BE(16),
  };
}
