// Wall: the tiles in their order, which one is enlarged, and the keyboard.
import type { Stream } from './api';
import { Tile } from './tile';

export class Wall {
  private readonly tiles = new Map<string, Tile>();
  private enlarged: string | undefined;
  private sound = true;  // of the enlarged one

  constructor(private readonly list: HTMLElement) {
    document.addEventListener('keydown', (event) => this.onKey(event));
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) for (const tile of this.tiles.values()) tile.player.resume();
    });
  }

  // By key, so that a tile keeps its place whatever its state.
  update(streams: Stream[]): void {
    const sorted = [...streams].sort((a, b) => a.key.localeCompare(b.key, undefined, { numeric: true }));
    const present = new Set(sorted.map((stream) => stream.key));
    for (const [key, tile] of this.tiles) {
      if (present.has(key)) continue;
      tile.destroy();
      this.tiles.delete(key);
    }
    sorted.forEach((stream, index) => {
      let tile = this.tiles.get(stream.key);
      if (tile) {
        tile.update(stream);
      } else {
        tile = new Tile(stream, {
          choose: (key) => this.choose(key),
          toggleSound: () => this.toggleSound(),
        });
        this.tiles.set(stream.key, tile);
        tile.show(stream.key === this.enlarged, this.sound);
      }
      if (this.list.children[index] !== tile.element) {
        this.list.insertBefore(tile.element, this.list.children[index] ?? null);
      }
    });
    this.arrange();
  }

  // Which one is large, or none. The address says so too: a link shares it.
  enlarge(key: string | undefined): void {
    if (key === this.enlarged) return;
    this.enlarged = key;
    this.sound = true;
    for (const [each, tile] of this.tiles) tile.show(each === key, this.sound);
    this.arrange();
  }

  render(): void {
    for (const tile of this.tiles.values()) tile.render();
  }

  has(key: string): boolean {
    return this.tiles.has(key);
  }

  tile(key: string): Tile | undefined {
    return this.tiles.get(key);
  }

  private choose(key: string): void {
    if (key === this.enlarged) back();
    else location.hash = encodeURIComponent(key);
  }

  private toggleSound(): void {
    const tile = this.enlarged === undefined ? undefined : this.tiles.get(this.enlarged);
    if (!tile) return;
    // The browser refused sound before there was a click; this is the click.
    if (tile.soundBlocked) tile.show(true, false);
    else this.sound = !this.sound;
    tile.show(true, this.sound);
  }

  private arrange(): void {
    const one = this.enlarged !== undefined && this.tiles.has(this.enlarged);
    this.list.classList.toggle('one', one);
    const count = this.tiles.size;
    this.list.dataset['count'] = String(Math.min(count, 25));
    this.list.style.setProperty('--columns', String(Math.ceil(Math.sqrt(count))));
  }

  private onKey(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === 'Escape' && this.enlarged !== undefined) {
      const key = this.enlarged;
      back();
      this.tiles.get(key)?.focus();
    } else if (event.key === 'm' || event.key === 'M') {
      this.toggleSound();
    } else if (event.key.startsWith('Arrow') && this.moveFocus(event.key)) {
      event.preventDefault();
    }
  }

  // To the neighbour in the direction of the arrow, by where the tiles stand on the screen.
  private moveFocus(arrow: string): boolean {
    const tiles = [...this.list.children]
      .map((node) => this.tiles.get((node as HTMLElement).dataset['key'] ?? ''))
      .filter((tile) => tile !== undefined);
    const from = tiles.findIndex((tile) => tile.focused);
    if (from < 0) {
      if (document.activeElement !== document.body) return false;
      tiles[0]?.focus();
      return tiles.length > 0;
    }
    if (arrow === 'ArrowLeft' || arrow === 'ArrowRight') {
      tiles[from + (arrow === 'ArrowRight' ? 1 : -1)]?.focus();
      return true;
    }
    const centre = (tile: Tile) => {
      const box = tile.element.getBoundingClientRect();
      return { x: box.left + box.width / 2, y: box.top + box.height / 2 };
    };
    const here = centre(tiles[from]!);
    const sign = arrow === 'ArrowDown' ? 1 : -1;
    const candidates = tiles
      .map((tile) => ({ tile, at: centre(tile) }))
      .filter(({ at }) => (at.y - here.y) * sign > 20)
      .sort((a, b) => distance(a.at, here) - distance(b.at, here));
    candidates[0]?.tile.focus();
    return true;
  }
}

function distance(a: { x: number; y: number }, b: { x: number; y: number }): number {
  return Math.abs(a.y - b.y) * 4 + Math.abs(a.x - b.x);
}

function back(): void {
  history.pushState(null, '', location.pathname + location.search);
  window.dispatchEvent(new HashChangeEvent('hashchange'));
}
