// What the server says about its streams: GET /api/v1/streams, and how far its clock is from ours.

export type StreamState = 'live' | 'reconnecting' | 'connecting' | 'ended' | 'failed';

export interface Rendition {
  name: string;
  width?: number;
  height?: number;
  frame_rate?: number;
}

export interface Stream {
  key: string;
  state: StreamState;
  since?: string;
  why?: string | null;
  error?: string | null;
  source?: {
    protocol?: string;
    remote?: string;
    tracks?: { id: number; codec: string; language?: string }[];
    bitrate_bps?: number;
  } | null;
  renditions?: Rendition[];
  playlist?: string | null;  // null until there is a first picture
  epoch?: string | null;
  latency_ms?: number | null;
}

interface StreamList {
  now: string;
  streams: Stream[];
}

// Server time minus our time. The answer that came back fastest bounds the error best (half its
// round trip), so that one is believed until it is old: clocks drift, and laptops sleep.
export class ServerClock {
  private offsetMs = 0;
  private errorMs = Infinity;
  private measuredAt = -Infinity;

  // `sentAt` and `receivedAt` are Date.now() around the request.
  observe(serverNowMs: number, sentAt: number, receivedAt: number): void {
    const error = Math.max(0, receivedAt - sentAt) / 2;
    const stale = receivedAt - this.measuredAt > 60_000;
    if (!stale && error > this.errorMs) return;
    this.offsetMs = serverNowMs - (sentAt + receivedAt) / 2;
    this.errorMs = error;
    this.measuredAt = receivedAt;
  }

  now(): number {
    return Date.now() + this.offsetMs;
  }
}

export const serverClock = new ServerClock();

const kTimeoutMs = 4_000;

export async function fetchStreams(): Promise<Stream[]> {
  const sentAt = Date.now();
  const response = await fetch('/api/v1/streams', {
    cache: 'no-store',
    headers: { accept: 'application/json' },
    signal: AbortSignal.timeout(kTimeoutMs),
  });
  const receivedAt = Date.now();
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const list = (await response.json()) as Partial<StreamList>;
  const serverNow = Date.parse(list.now ?? '');
  if (Number.isFinite(serverNow)) serverClock.observe(serverNow, sentAt, receivedAt);
  return Array.isArray(list.streams) ? list.streams : [];
}

// The media playlist of a stream's picture alone, or nothing if the list does not name one yet.
export function videoPlaylist(stream: Stream): string | undefined {
  const video = videoRendition(stream);
  return video && `/live/${encodeURIComponent(stream.key)}/${video.name}/media.m3u8`;
}

export function videoRendition(stream: Stream): Rendition | undefined {
  return stream.renditions?.find((rendition) => rendition.height !== undefined);
}

export function hasAudio(stream: Stream): boolean {
  return stream.renditions?.some((rendition) => rendition.height === undefined) ?? false;
}
