// How near to live to play. Pure: numbers in, decisions out; seconds everywhere.
//
// What is controlled is the *reserve*: what is buffered ahead of the playhead at the moment just
// before more arrives, which is when it is smallest. A late part eats into the reserve; when it
// reaches zero the picture stalls. So the smallest reserve of the last seconds already contains the
// jitter of the network, the server and this browser, and holding it at a small constant is as near
// to live as this viewer can safely be.

export interface LatencyOptions {
  part: number;      // PART-TARGET
  holdBack: number;  // PART-HOLD-BACK, 0 if the playlist has none
}

const kWindow = 2.5;         // how far back the smallest reserve is looked for
const kLeastReserve = 0.08;  // two or three frames: what a decoder wants to have in hand
const kDeadband = 0.02;      // do not chase noise
const kGain = 0.25;          // rate per second of error: 200 ms off is corrected at full rate
const kRateStep = 0.005;     // each change of rate costs the audio renderer a little
const kStallPenalty = 0.06;
const kPenaltyMax = 0.4;
const kPenaltyHalfLife = 30;

export const kMaxRateChange = 0.05;
export const kJumpBeyond = 1;  // further off than this, seek

export class LatencyController {
  private samples: { at: number; reserve: number }[] = [];
  private penalty = 0;
  private penaltyAt = 0;
  private options: LatencyOptions = { part: 0.1, holdBack: 0.3 };

  configure(options: LatencyOptions): void {
    this.options = options;
  }

  // A part is about to be appended, and `reserve` was left. Bounded: only the window is kept.
  observe(reserve: number, now: number): void {
    this.samples.push({ at: now, reserve });
    while (this.samples.length > 0 && now - this.samples[0]!.at > kWindow) this.samples.shift();
  }

  // The playhead was moved by hand: what was seen before says nothing any more.
  forget(): void {
    this.samples = [];
  }

  stalled(now: number): void {
    this.penalty = Math.min(kPenaltyMax, this.penaltyNow(now) + kStallPenalty);
    this.penaltyAt = now;
  }

  // The reserve to hold. RFC 8216bis 4.4.3.8 asks players to stay PART-HOLD-BACK behind the end of
  // the playlist; the end is one part ahead of what is buffered while that part is fetched, and
  // the buffer grew by one part when the last one came: two parts less is what is left at worst.
  target(now: number): number {
    const { part, holdBack } = this.options;
    return Math.max(kLeastReserve, holdBack - 2 * part) + this.penaltyNow(now);
  }

  // How much must be buffered before it makes sense to start, or to go on after a stall.
  startThreshold(now: number): number {
    return this.target(now) + this.options.part;
  }

  smallestReserve(): number | undefined {
    if (this.samples.length < 3) return undefined;
    return this.samples.reduce((least, sample) => Math.min(least, sample.reserve), Infinity);
  }

  rate(now: number): number {
    const reserve = this.smallestReserve();
    if (reserve === undefined) return 1;
    const error = reserve - this.target(now);
    if (Math.abs(error) < kDeadband) return 1;
    const change = Math.max(-kMaxRateChange, Math.min(kMaxRateChange, error * kGain));
    return 1 + Math.round(change / kRateStep) * kRateStep;
  }

  private penaltyNow(now: number): number {
    return this.penalty * 2 ** (-(now - this.penaltyAt) / kPenaltyHalfLife);
  }
}
