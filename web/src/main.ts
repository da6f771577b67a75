// The page: asks what is live, tells the wall, and says in words what cannot be seen.
import { fetchStreams } from './api';
import type { Stream } from './api';
import { StreamPlayer } from './player';
import { Wall } from './wall';

const kPollMs = 1_000;
const kPollHiddenMs = 10_000;
const kPollFailedMs = 2_000;
const kRenderMs = 500;

const wall = new Wall(byId('wall'));
const summary = byId('summary');
const notice = byId('notice');
const empty = byId('empty');
let reachable = true;
let known = false;
let timer: number | undefined;

function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

function chosen(): string | undefined {
  try {
    return decodeURIComponent(location.hash.slice(1)) || undefined;
  } catch {
    return undefined;
  }
}

async function poll(): Promise<void> {
  clearTimeout(timer);
  let next = document.hidden ? kPollHiddenMs : kPollMs;
  try {
    const streams = await fetchStreams();
    reachable = known = true;
    wall.update(streams);
    summarize(streams);
  } catch (error) {
    reachable = false;
    next = kPollFailedMs;
    console.warn('streams:', error);
  }
  explain();
  timer = window.setTimeout(poll, next);
}

function summarize(streams: Stream[]): void {
  const live = streams.filter((stream) => stream.state === 'live').length;
  const text = streams.length === 0 ? 'No streams'
    : live === streams.length ? `${live} live` : `${live} of ${streams.length} live`;
  if (summary.textContent !== text) summary.textContent = text;
  document.title = live > 0 ? `Mirror · ${live} live` : 'Mirror';
  empty.hidden = streams.length > 0;
  byId('keys').hidden = streams.length === 0;
}

function explain(): void {
  const key = chosen();
  let text = '';
  if (!StreamPlayer.supported()) text = 'This browser has no Media Source Extensions, so it cannot play these streams here.';
  else if (!reachable) text = 'Mirror does not answer. Trying again; what still plays goes on.';
  else if (known && key !== undefined && !wall.has(key)) text = `There is no stream named “${key}” now.`;
  notice.hidden = text === '';
  if (notice.textContent !== text) notice.textContent = text;
}

function showPublishCommand(): void {
  const host = location.hostname.includes(':') ? `[${location.hostname}]` : location.hostname || 'HOST';
  const command = `ffmpeg -re -i input.ts -c copy -f mpegts 'srt://${host.replace('[[', '[').replace(']]', ']')}:6000?streamid=cam1'`;
  byId('publish').textContent = command;
  const copy = byId('copy');
  copy.hidden = !navigator.clipboard;
  copy.addEventListener('click', () => {
    void navigator.clipboard.writeText(command).then(() => {
      copy.textContent = 'Copied';
      setTimeout(() => (copy.textContent = 'Copy the command'), 2_000);
    });
  });
}

window.addEventListener('hashchange', () => {
  wall.enlarge(chosen());
  explain();
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) void poll();
});
setInterval(() => {
  if (!document.hidden) wall.render();
}, kRenderMs);

showPublishCommand();
wall.enlarge(chosen());
void poll();

// For tests and for whoever opens the console: mirror.statistics('cam1').
Object.assign(window, {
  mirror: { statistics: (key: string) => wall.tile(key)?.player.statistics() },
});
