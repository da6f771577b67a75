// Tile: one stream's place on the wall. Owns its element and its player; told by the wall what the
// API says of the stream and whether it is the one enlarged.
import { hasAudio, videoPlaylist, videoRendition } from './api';
import type { Stream, StreamState } from './api';
import { StreamPlayer } from './player';

const kBadge: Record<StreamState, string> = {
  live: 'Live',
  reconnecting: 'Reconnecting',
  connecting: 'Connecting',
  ended: 'Ended',
  failed: 'Failed',
};

export interface TileHandlers {
  choose(key: string): void;
  toggleSound(): void;
}

export class Tile {
  readonly element = element('li', 'tile');
  readonly player: StreamPlayer;

  private readonly cover = element('button', 'cover');
  private readonly name = element('span', 'name');
  private readonly badge = element('span', 'badge');
  private readonly facts = element('span', 'facts');
  private readonly message = element('p', 'message');
  private readonly details = element('dl', 'details');
  private readonly sound = element('button', 'sound');
  private stream: Stream;
  private enlarged = false;
  private wantsSound = false;
  private soundRefused = false;
  private epoch: string | undefined;

  constructor(stream: Stream, private readonly handlers: TileHandlers) {
    this.stream = stream;
    this.element.dataset['key'] = stream.key;
    const picture = element('div', 'picture');
    this.player = new StreamPlayer(picture);
    this.player.onChange = () => this.render();
    this.player.onSoundRefused = () => {
      this.soundRefused = true;
      this.render();
    };
    this.cover.type = 'button';
    this.cover.addEventListener('click', () => this.handlers.choose(this.stream.key));
    this.sound.type = 'button';
    this.sound.addEventListener('click', () => this.handlers.toggleSound());
    const head = element('div', 'head');
    head.append(this.name, this.badge);
    const foot = element('div', 'foot');
    foot.append(this.facts, this.sound);
    const frame = element('div', 'frame');
    frame.append(picture, this.message, this.cover, head, foot);
    this.element.append(frame, this.details);
    this.update(stream);
  }

  update(stream: Stream): void {
    const restarted = this.epoch !== undefined && Boolean(stream.epoch) && stream.epoch !== this.epoch;
    this.epoch = stream.epoch ?? this.epoch;
    this.stream = stream;
    this.follow(restarted);
    this.render();
  }

  // Enlarged, and with sound or without: only a stream that is heard loads its sound, so that a
  // wall of muted tiles asks for half as much.
  show(enlarged: boolean, wantsSound: boolean): void {
    if (!wantsSound || !enlarged) this.soundRefused = false;
    this.enlarged = enlarged;
    this.wantsSound = wantsSound;
    this.follow(false);
    this.render();
  }

  focus(): void {
    this.cover.focus();
  }

  get focused(): boolean {
    return document.activeElement === this.cover;
  }

  get soundBlocked(): boolean {
    return this.soundRefused;
  }

  destroy(): void {
    this.player.destroy();
    this.element.remove();
  }

  // Once a second, and on every change.
  render(): void {
    const { stream } = this;
    const statistics = this.player.statistics();
    this.element.dataset['state'] = stream.state;
    this.element.dataset['player'] = statistics.state;
    this.element.classList.toggle('enlarged', this.enlarged);
    setText(this.name, stream.key);
    setText(this.badge, kBadge[stream.state] ?? stream.state);
    setText(this.facts, stream.state !== 'live' ? ''
      : [this.size(statistics.width, statistics.height), formatLatency(statistics.latencyMs)]
        .filter(Boolean).join('  ·  '));
    setText(this.message, this.explain(statistics.state, statistics.error));
    this.message.hidden = this.message.textContent === '';
    this.renderSound();
    this.cover.setAttribute(
      'aria-label',
      `${stream.key}, ${kBadge[stream.state] ?? stream.state}. ` +
        (this.enlarged ? 'Back to the wall' : 'Enlarge and hear'),
    );
    this.details.hidden = !this.enlarged;
    if (this.enlarged) this.renderDetails();
  }

  private follow(restarted: boolean): void {
    const { stream } = this;
    const url = this.wantsSound && this.enlarged && hasAudio(stream)
      ? stream.playlist : videoPlaylist(stream) ?? stream.playlist;
    if (stream.state === 'live' && url) {
      this.player.load(url, !(this.wantsSound && this.enlarged));
      if (restarted) this.player.restart();
    } else if (stream.state !== 'live') {
      this.player.hold();
    }
  }

  private size(width: number, height: number): string | undefined {
    const rendition = videoRendition(this.stream);
    const w = width || rendition?.width;
    const h = height || rendition?.height;
    return w && h ? `${w}×${h}` : undefined;
  }

  private explain(player: string, error: string | undefined): string {
    const { stream } = this;
    switch (stream.state) {
      case 'connecting': return 'Waiting for the first picture';
      case 'reconnecting': return 'The publisher is away; waiting for it to return';
      case 'ended': return 'Ended';
      case 'failed': return stream.error ?? 'This stream cannot be shown';
      case 'live':
        if (player === 'failed') return `No picture: ${error ?? 'trying again'}`;
        if (player === 'loading') return 'Loading';
        return '';
    }
  }

  private renderSound(): void {
    this.sound.hidden = !this.enlarged || this.stream.state !== 'live';
    if (this.sound.hidden) return;
    const audible = hasAudio(this.stream);
    this.sound.disabled = !audible;
    const on = audible && this.wantsSound && !this.soundRefused;
    this.sound.setAttribute('aria-pressed', String(on));
    setText(this.sound, !audible ? 'No sound in this stream'
      : this.soundRefused ? 'Click for sound' : on ? 'Sound on' : 'Sound off');
  }

  private renderDetails(): void {
    const { stream } = this;
    const statistics = this.player.statistics();
    const tracks = stream.source?.tracks?.map((track) =>
      track.language ? `${track.codec} (${track.language})` : track.codec).join(', ');
    const rows: [string, string | undefined][] = [
      ['Latency', formatLatency(statistics.latencyMs)],
      ['Source', [stream.source?.protocol?.toUpperCase(), stream.source?.remote].filter(Boolean).join(' from ')],
      ['Tracks', tracks],
      ['Rate in', formatRate(stream.source?.bitrate_bps)],
      ['Live since', stream.since ? clockTime(stream.since) : undefined],
      ['In reserve', statistics.reserveMs === undefined ? undefined : `${Math.round(statistics.reserveMs)} ms`],
      ['Stalls', statistics.state === 'idle' ? undefined : String(statistics.stalls)],
      ['Frames lost', statistics.totalFrames === 0 ? undefined
        : `${statistics.droppedFrames} of ${statistics.totalFrames}`],
    ];
    const wanted = rows.filter((row): row is [string, string] => Boolean(row[1]));
    while (this.details.children.length > wanted.length) this.details.lastChild?.remove();
    wanted.forEach(([term, value], index) => {
      let row = this.details.children[index];
      if (!row) {
        row = element('div', '');
        row.append(element('dt', ''), element('dd', ''));
        this.details.append(row);
      }
      setText(row.children[0] as HTMLElement, term);
      setText(row.children[1] as HTMLElement, value);
    });
  }
}

function element<K extends keyof HTMLElementTagNameMap>(tag: K, className: string): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className) made.className = className;
  return made;
}

// Writes only what changed: no needless layout for twenty-five tiles each second.
function setText(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

function formatLatency(ms: number | undefined): string | undefined {
  if (ms === undefined || !Number.isFinite(ms) || Math.abs(ms) > 3_600_000) return undefined;
  return ms < 10_000 ? `${(ms / 1000).toFixed(2)} s` : `${Math.round(ms / 1000)} s`;
}

function formatRate(bps: number | undefined): string | undefined {
  if (!bps) return undefined;
  return bps >= 1e6 ? `${(bps / 1e6).toFixed(1)} Mbps` : `${Math.round(bps / 1e3)} kbps`;
}

function clockTime(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? '' : date.toLocaleTimeString([], { hour12: false });
}
