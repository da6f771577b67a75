// Stock players on a page of their own: what an integrator writes from each project's front page, and no
// more. The page comes from another origin than the media, as it would there.
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';

import { whenOver } from '../../line/lib.mjs';

const require = createRequire(import.meta.url);

// start() runs in the page; statistics() is what the probe's report carries along.
export const players = {
  'hls.js': {
    script: require.resolve('hls.js/dist/hls.min.js'),
    start(video, url, errors) {
      const hls = new window.Hls();  // lowLatencyMode is on by default
      hls.on(window.Hls.Events.ERROR, (_, data) => errors.push(`${data.type} ${data.details}`));
      hls.loadSource(url);
      hls.attachMedia(video);
      return () => ({
        latency: hls.latency, target: hls.targetLatency, buffered: hls.mainForwardBufferInfo?.len,
      });
    },
  },
  Shaka: {
    script: require.resolve('shaka-player/dist/shaka-player.compiled.js'),
    start(video, url, errors) {
      window.shaka.polyfill.installAll();
      const player = new window.shaka.Player();
      const tell = (error) => errors.push(`${error} ${JSON.stringify(error.data)}`);
      player.addEventListener('error', ({ detail }) => tell(detail));
      player.configure('streaming.lowLatencyMode', true);
      const loaded = player.attach(video).then(() => player.load(url));
      loaded.catch(tell);
      return () => {
        const { liveLatency, stallsDetected, gapsJumped } = player.getStats();
        const delay = player.getManifest()?.presentationTimeline?.getDelay();
        return { latency: liveLatency, target: delay, stallsDetected, gapsJumped };
      };
    },
  },
};

// One tile, as probe.mjs looks for it; window.mirror.statistics is what its report asks for.
function pageOf(name, url) {
  return `<!doctype html><meta charset="utf-8"><title>${name}</title>
<div class="tile" data-key="${name}"><video class="showing" autoplay muted playsinline></video></div>
<script src="player.js"></script>
<script>
  const errors = [];
  const start = ${players[name].start.toString().replace(/^start/, 'function')};
  const own = start(document.querySelector('video'), ${JSON.stringify(url)}, errors);
  window.mirror = { statistics: () => ({ ...own(), errors: errors.slice(-20), faults: errors.length }) };
</script>`;
}

// Serves a page for each player: {'hls.js': 'http://…', …}. `url` is the multivariant playlist.
export async function servePages(t, url) {
  const answers = new Map();
  for (const [name, { script }] of Object.entries(players)) {
    answers.set(`/${name}/`, ['text/html; charset=utf-8', pageOf(name, url)]);
    answers.set(`/${name}/player.js`, ['text/javascript', fs.readFileSync(script)]);
  }
  const server = http.createServer((request, response) => {
    const answer = answers.get(request.url);
    response.writeHead(answer ? 200 : 404, { 'content-type': answer?.[0] ?? 'text/plain' });
    response.end(answer?.[1]);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  whenOver(t, () => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address();
  return Object.fromEntries(
    Object.keys(players).map((name) => [name, `http://127.0.0.1:${port}/${name}/`]),
  );
}
