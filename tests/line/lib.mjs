// What the tests of the whole line share; see lib/ for each part.
export * from './lib/cleanup.mjs';
export * from './lib/footprint.mjs';
export * from './lib/media.mjs';
export * from './lib/mp4.mjs';
export * from './lib/namespace.mjs';
export * from './lib/playlist.mjs';
export * from './lib/process.mjs';
export * from './lib/publishers.mjs';
export * from './lib/relay.mjs';
export * from './lib/rtp.mjs';
export * from './lib/server.mjs';
export * from './lib/viewer.mjs';
export * from './lib/witness.mjs';
