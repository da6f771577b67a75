// Watches live streams as a player would: LL-HLS with blocking reloads, every part downloaded.
//
//   node tests/watch_streams.mjs --probe URL                          0 when URL answers 200
//   node tests/watch_streams.mjs --base URL --wait SECONDS KEY…       0 once every stream has parts
//   node tests/watch_streams.mjs --base URL --seconds SECONDS KEY…    0 if all were playable throughout
//
// Playable throughout: every playlist answers, sequence numbers and parts only advance, each part
// downloads and is a CMAF chunk, and a player that starts one second behind never runs dry.
import http from 'node:http';
import https from 'node:https';

const kStartBehindSeconds = 1.0;
const kRequestTimeoutMs = 5000;

const options = { base: '', probe: '', wait: 0, seconds: 0 };
const keys = [];
for (let i = 2; i < process.argv.length; i += 1) {
  const name = process.argv[i].startsWith('--') ? process.argv[i].slice(2) : null;
  if (name === null) keys.push(process.argv[i]);
  else options[name] = process.argv[(i += 1)];
}

const agents = {
  'http:': new http.Agent({ keepAlive: true, maxSockets: 256 }),
  // The certificate is made by the server itself.
  'https:': new https.Agent({ keepAlive: true, maxSockets: 256, rejectUnauthorized: false }),
};

function get(url) {
  const { protocol } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = (protocol === 'https:' ? https : http).get(url, { agent: agents[protocol] }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks));
        else reject(new Error(`${url}: status ${response.statusCode}`));
      });
    });
    request.setTimeout(kRequestTimeoutMs, () => request.destroy(new Error(`${url}: no answer in ${kRequestTimeoutMs} ms`)));
    request.on('error', reject);
  });
}

const attribute = (line, name) => new RegExp(`[:,]${name}=(?:"([^"]*)"|([^,]*))`).exec(line)?.slice(1).find(Boolean);

// The media playlists that a multivariant playlist names, by what they carry.
async function renditionsOf(base, key) {
  const url = `${base}/live/${key}/index.m3u8`;
  const lines = (await get(url)).toString().split('\n');
  const found = [];
  lines.forEach((line, i) => {
    const uri = line.startsWith('#EXT-X-STREAM-INF') ? lines[i + 1]?.trim()
      : line.startsWith('#EXT-X-MEDIA:') ? attribute(line, 'URI') : undefined;
    if (uri) found.push(new URL(uri, url).href);
  });
  if (found.length === 0) throw new Error(`${url}: names no rendition`);
  return [...new Set(found)];
}

// Parts in order, each with its place; and the place that comes next.
function parse(text, url) {
  const parts = [];
  let segment = 0;
  let part = 0;
  let map = null;
  for (const line of text.split('\n')) {
    if (line.startsWith('#EXT-X-MEDIA-SEQUENCE:')) segment = Number(line.split(':')[1]);
    else if (line.startsWith('#EXT-X-SKIP:')) segment += Number(attribute(line, 'SKIPPED-SEGMENTS'));
    else if (line.startsWith('#EXT-X-MAP:')) map = new URL(attribute(line, 'URI'), url).href;
    else if (line.startsWith('#EXT-X-PART:')) {
      parts.push({ segment, part, seconds: Number(attribute(line, 'DURATION')), url: new URL(attribute(line, 'URI'), url).href });
      part += 1;
    } else if (line !== '' && !line.startsWith('#')) {
      segment += 1;
      part = 0;
    }
  }
  return { parts, map, next: { segment, part } };
}

const isAfter = (a, b) => a.segment > b.segment || (a.segment === b.segment && a.part > b.part);

function boxTypes(bytes) {
  const types = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const size = bytes.readUInt32BE(at);
    types.push(bytes.toString('latin1', at + 4, at + 8));
    if (size < 8) break;
    at += size;
  }
  return types;
}

// One rendition, until `end` (milliseconds). Throws what made it unplayable.
async function watch(url, end, report) {
  let playlist = parse((await get(url)).toString(), url);
  if (!boxTypes(await get(playlist.map)).includes('moov')) throw new Error(`${playlist.map}: no moov box`);
  let last = playlist.parts.at(-1);
  if (last === undefined) throw new Error(`${url}: has no part`);
  const began = performance.now();
  let received = kStartBehindSeconds;
  let least = received;
  while (performance.now() < end) {
    const { segment, part } = playlist.next;
    playlist = parse((await get(`${url}?_HLS_msn=${segment}&_HLS_part=${part}`)).toString(), url);
    const fresh = playlist.parts.filter((candidate) => isAfter(candidate, last));
    if (fresh.length === 0) throw new Error(`${url}: a blocking reload for ${segment}.${part} brought no new part`);
    for (const each of fresh) {
      const types = boxTypes(await get(each.url));
      if (!types.includes('moof') || !types.includes('mdat')) throw new Error(`${each.url}: boxes ${types} are not a chunk`);
      const ahead = received - (performance.now() - began) / 1000;
      least = Math.min(least, ahead);
      if (ahead < 0) throw new Error(`${url}: ran dry at part ${each.segment}.${each.part}, after ${((performance.now() - began) / 1000).toFixed(1)} s`);
      received += each.seconds;
      report.parts += 1;
    }
    last = fresh.at(-1);
  }
  report.least = Math.min(report.least, least);
}

async function watchStream(base, key, end) {
  const report = { parts: 0, least: Infinity };
  try {
    const urls = await renditionsOf(base, key);
    await Promise.all(urls.map((url) => watch(url, end, report)));
    console.log(`  ${key}: ok, ${report.parts} parts of ${urls.length} renditions, never less than ${Math.round(report.least * 1000)} ms ahead`);
    return true;
  } catch (error) {
    console.log(`  ${key}: NOT playable: ${error.message}`);
    return false;
  }
}

async function isPlayable(base, key) {
  try {
    const urls = await renditionsOf(base, key);
    const texts = await Promise.all(urls.map(get));
    return texts.every((text, i) => parse(text.toString(), urls[i]).parts.length > 0);
  } catch {
    return false;
  }
}

async function waitFor(base, end) {
  let missing = keys;
  while (missing.length > 0 && performance.now() < end) {
    const ready = await Promise.all(missing.map((key) => isPlayable(base, key)));
    missing = missing.filter((_, i) => !ready[i]);
    if (missing.length > 0) await new Promise((resolve) => setTimeout(resolve, 200));
  }
  if (missing.length > 0) console.log(`  not playable yet: ${missing.join(' ')}`);
  return missing.length === 0;
}

let good;
if (options.probe) {
  good = await get(options.probe).then(() => true, () => false);
} else if (options.wait) {
  good = await waitFor(options.base, performance.now() + Number(options.wait) * 1000);
} else {
  const end = performance.now() + Number(options.seconds) * 1000;
  good = (await Promise.all(keys.map((key) => watchStream(options.base, key, end)))).every(Boolean);
}
process.exit(good ? 0 : 1);
