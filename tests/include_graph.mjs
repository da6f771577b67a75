// Holds the includes under src/ and tools/ to the arrows of ARCHITECTURE.md, and prints the graph.
//
//   node tests/include_graph.mjs [SOURCE_DIR]
//
// A module may include itself and what its line names, nothing further down. Tests beside the source
// are held to the same arrows. A tool includes its own files by their bare names.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

// The arrows, downwards. A change here is a change of the architecture: say why in an ADR.
const ARROWS = {
  base: [],
  media: ['base'],
  codec: ['media', 'base'],
  mpegts: ['codec', 'media', 'base'],
  transcode: ['codec', 'media', 'base'],
  cmaf: ['codec', 'media', 'base'],
  hls: ['cmaf', 'media', 'base'],
  push: ['hls', 'cmaf', 'media', 'base'],
  rtp: ['codec', 'media', 'base'],
  ingest: ['rtp', 'mpegts', 'media', 'base'],
  admission: ['media', 'base'],
  stream: ['transcode', 'hls', 'media', 'base'],
  net: ['base'],
  quic: ['net', 'base'],
  http: ['quic', 'net', 'base'],
  api: ['http', 'net', 'stream', 'push', 'hls', 'media', 'base'], // net for the loop alone
};
ARROWS.app = Object.keys(ARROWS); // the wiring sees everything

// Programs beside the server. What judges it takes as little of it as can be.
const TOOLS = {
  'mirror-source': ['base'],
  'mirror-lint': ['codec', 'base'],
  'mirror-load': ['http', 'quic', 'push', 'net', 'base'], // the client's side, and the reader of frames
};

const root = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..'));
const source = join(root, 'src');
const tools = join(root, 'tools');

function filesOf(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesOf(path);
    return /\.(h|cc)$/.test(entry.name) ? [path] : [];
  });
}

const faults = [];
const edges = new Map(); // "from to" → number of includes
const modules = readdirSync(source, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

// Holds what is in `folder`, called `name`, to `allowed`.
function check(folder, name, allowed, bareNames) {
  for (const file of filesOf(folder)) {
    readFileSync(file, 'utf8').split('\n').forEach((line, index) => {
      const target = /^\s*#\s*include\s*"([^"]+)"/.exec(line)?.[1];
      if (target === undefined || (bareNames && !target.includes('/'))) return;
      const where = `${file.slice(root.length + 1)}:${index + 1}`;
      const to = target.includes('/') ? target.slice(0, target.indexOf('/')) : null;
      if (to === null || !(to in ARROWS)) {
        faults.push(`${where}: "${target}" does not begin with a module's name`);
      } else if (to !== name) {
        edges.set(`${name} ${to}`, (edges.get(`${name} ${to}`) ?? 0) + 1);
        if (!allowed.includes(to)) faults.push(`${where}: ${name} must not include ${to} ("${target}")`);
      }
    });
  }
}

for (const module of modules) {
  if (module in ARROWS) {
    check(join(source, module), module, ARROWS[module], false);
  } else {
    faults.push(`src/${module}: a module that the table in tests/include_graph.mjs does not know`);
  }
}
for (const entry of readdirSync(tools, { withFileTypes: true })) {
  if (!entry.isDirectory()) continue;
  if (entry.name in TOOLS) {
    check(join(tools, entry.name), entry.name, TOOLS[entry.name], true);
  } else {
    faults.push(`tools/${entry.name}: a tool that the table in tests/include_graph.mjs does not know`);
  }
}

for (const module of [...Object.keys(TOOLS), ...Object.keys(ARROWS).reverse()]) {
  const out = [...edges].filter(([edge]) => edge.startsWith(`${module} `));
  const names = out.map(([edge, count]) => `${edge.split(' ')[1]} (${count})`);
  console.log(`${module.padEnd(13)} → ${names.join(', ') || 'nothing'}`);
}
if (faults.length > 0) {
  console.error(`\n${faults.length} against the arrows:\n${faults.join('\n')}`);
  process.exit(1);
}
console.log('\nEvery include follows the arrows.');
