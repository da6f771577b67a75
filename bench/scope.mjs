// What the benches share that a test framework would give them.

export const kTicksPerSecond = 100;  // USER_HZ
export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// What a test framework would do at the end of a test, done at the end of a run.
export class Scope {
  #endings = [];
  after(ending) {
    this.#endings.push(ending);
  }
  diagnostic() {}
  async end() {
    for (const ending of this.#endings.reverse()) await ending();
  }
}
