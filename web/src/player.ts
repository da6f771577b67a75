// StreamPlayer: one live stream in one box, near to live, for as long as it is wanted.
//
// It owns at most two sessions: the one that is seen and, while it replaces that one (sound switched
// on, stream restarted, recovery), a second that becomes visible with its first picture. So the
// last picture stays until there is a newer one.
import Hls from 'hls.js';
import type { ErrorData, Fragment, HlsConfig, LevelDetails, Part } from 'hls.js';
import { serverClock } from './api';
import { kJumpBeyond, LatencyController } from './latency';

export type PlayerState = 'idle' | 'loading' | 'playing' | 'stalled' | 'failed';

export interface PlayerStatistics {
  state: PlayerState;
  latencyMs: number | undefined;  // capture to glass, from PROGRAM-DATE-TIME and the server's clock
  reserveMs: number | undefined;
  targetReserveMs: number;
  rate: number;
  stalls: number;    // after the first picture, longer than kStallMs
  stalledMs: number;
  jumps: number;
  restarts: number;
  droppedFrames: number;
  totalFrames: number;
  width: number;
  height: number;
  error: string | undefined;
}

const kTickMs = 100;
const kStallMs = 100;
const kFrozenMs = 3_000;       // no advance for so long: begin again
const kStartWithinMs = 12_000;  // no first picture after so long: begin again
const kKeepBehind = 10;        // seconds
const kTrimBeyond = 30;
const kRefillLongestMs = 1_500;
const kRetryFirstMs = 500;
const kRetryMostMs = 8_000;
const kMediaRecoveryEveryMs = 5_000;

// hls.js as it suits parts of 100 ms; what is not said here is its default.
const kHlsConfig: Partial<HlsConfig> = {
  lowLatencyMode: true,
  enableWorker: false,         // fMP4 is passed through: a worker per tile costs memory and hops
  progressive: false,          // a part is one small response; there is nothing to gain
  startFragPrefetch: true,
  // Its 0.25 s is longer than our parts. Nought is no better: the buffer ends a microsecond before
  // the segment does, the segment that is loaded already is found again, and loading stops.
  maxFragLookUpTolerance: 0.03,
  maxBufferHole: 0.05,
  maxBufferLength: 4,
  maxMaxBufferLength: 6,
  backBufferLength: Infinity,  // trimBehind() does it
  // Distance from live is LatencyController's business. hls.js would add a second per stall, and
  // its own catch-up waits for a buffer that a low-latency player never has.
  liveSyncDuration: 0.3,
  liveMaxLatencyDuration: 30,
  liveSyncOnStallIncrease: 0,
  maxLiveSyncPlaybackRate: 1,
  liveDurationInfinity: true,
  detectStallWithCurrentTimeMs: 1_000,
  nudgeOffset: 0.05,
  startLevel: 0,
  capLevelToPlayerSize: false,
  enableWebVTT: false,
  enableIMSC1: false,
  enableCEA708Captions: false,
  enableDateRangeMetadataCues: false,
  enableEmsgMetadataCues: false,
  enableID3MetadataCues: false,
  manifestLoadPolicy: policy(4_000),
  playlistLoadPolicy: policy(4_000),
  fragLoadPolicy: policy(6_000),
};

// Short time-outs and few retries: a live picture that is seconds late is better begun again.
function policy(timeoutMs: number) {
  const retry = { maxNumRetry: 3, retryDelayMs: 150, maxRetryDelayMs: 1_000 };
  return {
    default: {
      maxTimeToFirstByteMs: timeoutMs,
      maxLoadTimeMs: timeoutMs,
      timeoutRetry: retry,
      errorRetry: retry,
    },
  };
}

interface SessionEvents {
  firstPicture(): void;
  ended(): void;  // the playlist says ENDLIST
  failed(reason: string): void;
  stalled(lengthMs: number): void;
}

// One hls.js on one video element, from load to destroy.
class Session {
  readonly video: HTMLVideoElement;
  private readonly hls: Hls;
  private readonly latency = new LatencyController();
  private readonly ticker: number;
  private readonly bornAt = performance.now();
  private details: LevelDetails | undefined;
  private holdBack = 0;
  private endlist = false;    // nothing will be added: play out, then say so
  private started = false;    // has shown a picture
  private aligned = false;    // was brought to its target once
  private refillSince: number | undefined;
  private lastTime = -1;
  private advancedAt = performance.now();
  private inStall = false;
  private stallBeganAt = 0;
  private mediaRecoveredAt = -Infinity;
  private dead = false;
  jumps = 0;

  constructor(url: string, muted: boolean, private readonly events: SessionEvents) {
    this.video = document.createElement('video');
    this.video.muted = muted;
    this.video.playsInline = true;
    this.video.disablePictureInPicture = true;
    this.video.tabIndex = -1;
    this.video.setAttribute('aria-hidden', 'true');
    this.video.addEventListener('loadeddata', () => this.refill());
    this.hls = new Hls({ ...kHlsConfig, debug: new URLSearchParams(location.search).has('debug') });
    this.listen();
    this.hls.loadSource(url);
    this.hls.attachMedia(this.video);
    this.ticker = window.setInterval(() => this.tick(), kTickMs);
  }

  destroy(): void {
    this.dead = true;
    clearInterval(this.ticker);
    this.hls.destroy();
    this.video.remove();
  }

  latencyMs(): number | undefined {
    const date = this.started ? this.hls.playingDate : null;
    return date ? serverClock.now() - date.getTime() : undefined;
  }

  reserve(): number | undefined {
    return this.latency.smallestReserve();
  }

  targetReserve(): number {
    return this.latency.target(performance.now() / 1000);
  }

  get stalling(): boolean {
    return this.inStall;
  }

  // A hidden page is throttled, and a sleeping one stands still: what follows is not a stall.
  resume(): void {
    this.advancedAt = performance.now();
    this.aligned = false;
  }

  private listen(): void {
    const { hls } = this;
    hls.on(Hls.Events.MANIFEST_PARSED, () => this.play());
    hls.on(Hls.Events.LEVEL_LOADED, (_, { details }) => this.onPlaylist(details));
    hls.on(Hls.Events.BUFFER_APPENDING, () => this.onAppending());
    hls.on(Hls.Events.FRAG_BUFFERED, (_, { frag, part }) => this.trimBehind(frag, part));
    hls.on(Hls.Events.ERROR, (_, data) => this.onError(data));
  }

  private onPlaylist(details: LevelDetails): void {
    const first = this.details === undefined;
    this.details = details;
    if (details.partTarget > 0) {
      const holdBack = first ? details.partHoldBack : this.holdBack;
      this.holdBack = holdBack;
      this.latency.configure({ part: details.partTarget, holdBack });
      if (first && holdBack > 0) this.hls.targetLatency = holdBack;
      // hls.js takes parts for expired when the playlist is older than one and a half times this,
      // 450 ms, and then stops loading: one late answer would become a stall.
      details.partHoldBack = Math.max(details.partHoldBack, 1);
    } else {
      const length = details.targetduration || 1;
      this.latency.configure({ part: length, holdBack: 2.5 * length });
    }
    this.endlist = !details.live;
  }

  private onAppending(): void {
    if (!this.started || this.inStall || this.refillSince !== undefined) return;
    const ahead = this.ahead();
    if (ahead !== undefined) this.latency.observe(ahead, performance.now() / 1000);
  }

  // Lets go of what was played. hls.js would do so at any moment, and a removal that completes while
  // a segment's parts are still coming makes it forget that it has them, and stop loading: so
  // this is done only when a segment's last part has just come, and the next one is not yet asked for.
  private trimBehind(frag: Fragment, part: Part | null): void {
    const { buffered, currentTime } = this.video;
    if (!part || buffered.length === 0 || buffered.start(0) > currentTime - kTrimBeyond) return;
    const type = frag.type === 'audio' ? 'audio' : 'video';
    const details = type === 'audio' ? this.hls.audioTracks[this.hls.audioTrack]?.details : this.details;
    const sn = Number(frag.sn);
    if (!details || sn > details.endSN) return;
    if (details.partList?.some((each) => each.fragment.sn === sn && each.index > part.index)) return;
    this.hls.trigger(Hls.Events.BUFFER_FLUSHING, { startOffset: 0, endOffset: currentTime - kKeepBehind, type });
  }

  // What is buffered ahead of the playhead, gaps not crossed.
  private ahead(): number | undefined {
    const { buffered, currentTime } = this.video;
    for (let i = 0; i < buffered.length; ++i) {
      if (currentTime >= buffered.start(i) - 0.05 && currentTime <= buffered.end(i)) {
        return buffered.end(i) - currentTime;
      }
    }
    return undefined;
  }

  private tick(): void {
    const now = performance.now();
    if (document.hidden) {
      this.advancedAt = now;
      return;
    }
    if (this.endlist && (this.ahead() ?? 0) < 0.05) {
      this.events.ended();
      return;
    }
    this.watchProgress(now);
    if (this.dead) return;
    if (this.refillSince !== undefined) this.maybeGoOn(now);
    else if (this.started) this.steer(now);
  }

  private watchProgress(now: number): void {
    const { currentTime } = this.video;
    const advanced = currentTime !== this.lastTime;
    this.lastTime = currentTime;
    if (!this.started) {
      if (now - this.bornAt > kStartWithinMs) this.events.failed('no picture came');
      return;
    }
    const stoodMs = now - this.advancedAt;
    if (advanced) {
      this.advancedAt = now;
      if (this.inStall) this.events.stalled(now - this.stallBeganAt);
      this.inStall = false;
      return;
    }
    // A tick may fall just after an advance: what counts is two ticks and a stall's length.
    if (stoodMs > kStallMs + kTickMs && !this.inStall) {
      this.inStall = true;
      this.stallBeganAt = this.advancedAt;
      this.latency.stalled(now / 1000);
      this.refill();
    }
    if (stoodMs > kFrozenMs) this.events.failed('the picture stood still');
  }

  // Stand still (rate 0 is not a pause: hls.js goes on loading) until there is enough to go on with:
  // a player that starts again with each part as it comes stalls at the next one too.
  private refill(): void {
    if (this.refillSince !== undefined) return;
    this.refillSince = performance.now();
    this.video.playbackRate = 0;
  }

  private maybeGoOn(now: number): void {
    const ahead = this.ahead();
    const enough = this.latency.startThreshold(now / 1000);
    const waited = now - (this.refillSince ?? now);
    const atEdge = this.aligned || this.bufferReachesEdge();
    if (!(ahead !== undefined && ahead >= enough && atEdge) && waited < kRefillLongestMs) return;
    if (ahead === undefined || ahead < 0.05) return;
    this.refillSince = undefined;
    this.latency.forget();
    if (ahead > enough + 0.05 && !this.aligned) this.video.currentTime += ahead - enough;
    this.aligned = true;
    this.video.playbackRate = 1;
    this.advancedAt = now;
    if (!this.started) {
      this.started = true;
      this.events.firstPicture();
    }
  }

  private bufferReachesEdge(): boolean {
    const { details, video } = this;
    if (!details || video.buffered.length === 0) return false;
    const end = video.buffered.end(video.buffered.length - 1);
    return details.partEnd - end < (details.partTarget || details.targetduration) * 1.5;
  }

  private steer(now: number): void {
    const { video } = this;
    if (video.paused) this.play();
    const behind = this.secondsBehindTarget();
    if (behind > kJumpBeyond || (!this.aligned && behind > 0.15)) {
      this.jump(behind);
      return;
    }
    this.aligned = true;
    const rate = this.latency.rate(now / 1000);
    if (Math.abs(video.playbackRate - rate) > 0.001) video.playbackRate = rate;
  }

  private secondsBehindTarget(): number {
    const { details, video } = this;
    const target = this.latency.startThreshold(performance.now() / 1000);
    const ahead = this.ahead() ?? 0;
    // The buffer may itself be far from the end of the playlist (a laptop that slept).
    const fromEdge = details?.live ? details.partEnd - video.currentTime : ahead;
    return Math.max(ahead, fromEdge) - target;
  }

  private jump(behind: number): void {
    this.video.currentTime += behind;
    this.video.playbackRate = 1;
    this.latency.forget();
    this.aligned = true;
    this.jumps += 1;
    this.advancedAt = performance.now();
  }

  private play(): void {
    this.video.play().catch((error: unknown) => {
      // Sound before the first click is refused: play without it rather than not at all.
      if (error instanceof DOMException && error.name === 'NotAllowedError' && !this.video.muted) {
        this.video.muted = true;
        this.video.dispatchEvent(new Event('soundrefused'));
        this.video.play().catch(() => undefined);
      }
    });
  }

  private onError(data: ErrorData): void {
    if (!data.fatal) return;
    const now = performance.now();
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && now - this.mediaRecoveredAt > kMediaRecoveryEveryMs) {
      this.mediaRecoveredAt = now;
      this.hls.recoverMediaError();
      return;
    }
    const status = data.response?.code;
    const reason = status ? `the server answered ${status}` : String(data.details);
    // Not from inside hls.js's own call: the answer to this is to destroy it.
    setTimeout(() => !this.dead && this.events.failed(reason), 0);
  }
}

export class StreamPlayer {
  onChange: () => void = () => undefined;
  onSoundRefused: () => void = () => undefined;

  private current: Session | undefined;
  private next: Session | undefined;
  private url: string | undefined;
  private muted = true;
  private state_: PlayerState = 'idle';
  private retryTimer: number | undefined;
  private retries = 0;
  private counts = { stalls: 0, stalledMs: 0, jumps: 0, restarts: 0 };
  private error: string | undefined;

  constructor(private readonly box: HTMLElement) {}

  static supported(): boolean {
    return Hls.isSupported();
  }

  // Play this playlist. The same one again changes nothing; another one replaces what plays.
  load(url: string, muted: boolean): void {
    if (url === this.url && muted === this.muted) return;
    const sameSource = url === this.url;
    this.url = url;
    this.muted = muted;
    if (sameSource && this.current) {
      this.current.video.muted = muted;
      if (this.next) this.next.video.muted = muted;
      return;
    }
    this.retries = 0;
    this.begin();
  }

  // Begin again from live, keeping the last picture until then.
  restart(): void {
    if (this.url === undefined) return;
    this.retries = 0;
    this.begin();
  }

  // Stop fetching. The last picture stays: it is what a viewer wants to see of a lost feed.
  hold(): void {
    clearTimeout(this.retryTimer);
    this.url = undefined;
    this.next?.destroy();
    this.next = undefined;
    this.current?.video.pause();
    if (this.current) this.freeze(this.current);
    this.setState('idle');
  }

  resume(): void {
    this.current?.resume();
    this.next?.resume();
  }

  destroy(): void {
    clearTimeout(this.retryTimer);
    this.url = undefined;
    this.next?.destroy();
    this.current?.destroy();
    this.next = this.current = undefined;
    this.box.replaceChildren();
  }

  statistics(): PlayerStatistics {
    const session = this.current;
    const quality = session?.video.getVideoPlaybackQuality();
    const reserve = session?.reserve();
    return {
      state: session?.stalling ? 'stalled' : this.state_,
      latencyMs: session?.latencyMs(),
      reserveMs: reserve === undefined ? undefined : reserve * 1000,
      targetReserveMs: (session?.targetReserve() ?? 0) * 1000,
      rate: session?.video.playbackRate ?? 0,
      ...this.counts,
      jumps: this.counts.jumps + (session?.jumps ?? 0),
      droppedFrames: quality?.droppedVideoFrames ?? 0,
      totalFrames: quality?.totalVideoFrames ?? 0,
      width: session?.video.videoWidth ?? 0,
      height: session?.video.videoHeight ?? 0,
      error: this.error,
    };
  }

  private begin(): void {
    clearTimeout(this.retryTimer);
    this.next?.destroy();
    const url = this.url;
    if (url === undefined) return;
    if (!this.current) this.setState('loading');
    const session: Session = new Session(url, this.muted, {
      firstPicture: () => this.promote(session),
      ended: () => this.retry(session, undefined),
      failed: (reason) => this.retry(session, reason),
      stalled: (lengthMs) => {
        this.counts.stalls += 1;
        this.counts.stalledMs += lengthMs;
      },
    });
    session.video.addEventListener('soundrefused', () => this.onSoundRefused());
    session.video.className = 'coming';
    this.next = session;
    this.box.append(session.video);
  }

  private promote(session: Session): void {
    if (session !== this.next) return;
    const before = this.current;
    this.next = undefined;
    this.current = session;
    this.error = undefined;
    this.retries = 0;
    session.video.className = 'showing';
    if (before) {
      this.counts.jumps += before.jumps;
      before.destroy();
    }
    for (const still of this.box.querySelectorAll('canvas')) still.remove();
    this.setState('playing');
  }

  // Begin again after a while; the API's state, not this, decides when to give up (hold()).
  private retry(session: Session, reason: string | undefined): void {
    if (session !== this.current && session !== this.next) return;
    this.error = reason;
    if (session === this.current) {
      this.counts.jumps += session.jumps;
      this.freeze(session);
    } else {
      session.destroy();
      this.next = undefined;
    }
    if (this.next) return;
    this.counts.restarts += 1;
    const delay = Math.min(kRetryMostMs, kRetryFirstMs * 2 ** this.retries) * (0.75 + Math.random() / 2);
    this.retries += 1;
    this.setState(this.retries > 2 ? 'failed' : 'loading');
    clearTimeout(this.retryTimer);
    this.retryTimer = window.setTimeout(() => this.begin(), delay);
  }

  // Puts the session's last picture in its place and lets its decoder and its memory go.
  private freeze(session: Session): void {
    const { video } = session;
    if (video.videoWidth > 0) {
      const still = document.createElement('canvas');
      still.width = video.videoWidth;
      still.height = video.videoHeight;
      still.getContext('2d')?.drawImage(video, 0, 0);
      for (const older of this.box.querySelectorAll('canvas')) older.remove();
      this.box.prepend(still);
    }
    session.destroy();
    this.current = undefined;
  }

  private setState(state: PlayerState): void {
    if (state === this.state_) return;
    this.state_ = state;
    this.onChange();
  }
}
