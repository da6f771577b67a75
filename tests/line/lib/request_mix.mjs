// Random requests with a known answer, from a seed: what each resource says was asked before, one
// request a connection, and must be said again in any company.
import assert from 'node:assert/strict';

// xorshift32: the same requests for the same seed, everywhere.
export class Random {
  #state;
  constructor(seed) {
    this.#state = seed >>> 0 || 1;
  }
  next() {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    this.#state >>>= 0;
    return this.#state / 2 ** 32;
  }
  between(first, last) {
    return first + Math.floor(this.next() * (last - first + 1));
  }
  chance(probability) {
    return this.next() < probability;
  }
  pick(list) {
    return list[this.between(0, list.length - 1)];
  }
}

const kEncodings = [undefined, 'gzip', 'gzip, deflate, br', 'br', 'gzip;q=0', 'identity'];
const kJunkNames = ['x-a', 'x-b', 'cookie', 'user-agent', 'referer', 'accept', 'sec-fetch-mode'];

// What is said of the connection or of the moment is not compared (Alt-Svc: with the first answer alone).
function compared({ status, headers, body }) {
  const { date, connection, 'alt-svc': told, 'keep-alive': ignored, ...rest } = headers;
  return { status, headers: rest, body };
}

export class RequestMix {
  #known = new Map();  // target and encoding → answer
  #targets;
  #refused;

  // `targets`: paths that are answered with 200. `refused`: [path, status]. `ask(target, headers)`
  // gives {status, headers, body}.
  static async learn(ask, { targets, refused }) {
    const mix = new RequestMix();
    mix.#targets = targets;
    mix.#refused = refused;
    for (const target of targets) {
      for (const encoding of kEncodings) {
        const headers = encoding === undefined ? {} : { 'accept-encoding': encoding };
        const answer = compared(await ask(target, headers));
        assert.equal(answer.status, 200, `${target}: ${answer.body}`);
        mix.#known.set(`${target} ${encoding}`, answer);
      }
    }
    return mix;
  }

  known(target) {
    return this.#known.get(`${target} ${undefined}`);
  }

  // {method, target, headers, body, check(answer)}
  make(random) {
    const headers = {};
    for (let i = random.between(0, 4); i > 0; --i) {
      headers[random.pick(kJunkNames)] = 'v'.repeat(random.between(0, 60)) + random.between(0, 9);
    }
    const kind = random.next();
    if (kind < 0.7) return this.#valid(random, headers);
    if (kind < 0.85) return this.#refusal(random, headers);
    return this.#otherMethod(random, headers);
  }

  #valid(random, headers) {
    const target = random.pick(this.#targets);
    const encoding = random.pick(kEncodings);
    if (encoding !== undefined) headers['accept-encoding'] = encoding;
    const known = this.#known.get(`${target} ${encoding}`);
    const head = random.chance(0.1);
    const request = { method: head ? 'HEAD' : 'GET', target, headers };
    const way = random.next();
    if (way < 0.15) return { ...request, ...matching(random, headers, known) };
    if (way < 0.3 && !head) return { ...request, ...ranged(random, headers, known) };
    return { ...request, check: (answer) => same(answer, known, { head }) };
  }

  #refusal(random, headers) {
    const [target, status] = random.pick(this.#refused);
    const head = random.chance(0.1);
    return {
      method: head ? 'HEAD' : 'GET', target, headers,
      check: (answer) => {
        assert.equal(answer.status, status);
        assert.match(answer.headers['content-type'], /^text\/plain/);
        assert.equal(answer.body.length === 0, head);
      },
    };
  }

  #otherMethod(random, headers) {
    const method = random.pick(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']);
    const target = random.pick(this.#targets);
    const body = method === 'OPTIONS' ? undefined : 'b'.repeat(random.between(0, 3000));
    const status = method === 'OPTIONS' ? 204 : 405;
    return {
      method, target, headers, body,
      check: (answer) => {
        assert.equal(answer.status, status);
        assert.equal(answer.headers.allow, 'GET, HEAD, OPTIONS');
      },
    };
  }
}

export function same(answer, known, { head = false } = {}) {
  const { status, headers, body } = compared(answer);
  assert.equal(status, known.status);
  assert.deepEqual(headers, known.headers);
  if (head) {
    assert.equal(body.length, 0);
  } else {
    assert.ok(body.equals(known.body), `another body: ${body.length} of ${known.body.length} bytes`);
  }
}

// If-None-Match with the entity tag, or with another one.
function matching(random, headers, known) {
  const tag = known.headers.etag;
  const hit = tag !== undefined && random.chance(0.6);
  headers['if-none-match'] = hit ? tag : '"another"';
  return {
    method: 'GET',
    check: (answer) => {
      if (!hit) return same(answer, known);
      assert.equal(answer.status, 304);
      assert.equal(answer.headers.etag, tag);
      assert.equal(answer.body.length, 0);
    },
  };
}

// One range. What offers ranges must give it; others may, or give the whole (RFC 9110, 14.2).
function ranged(random, headers, known) {
  const size = known.body.length;
  const first = random.between(0, size + 10);
  const last = random.between(first, size + 20);
  const [range, from, to] = random.pick([
    [`bytes=${first}-${last}`, first, last],
    [`bytes=${first}-`, first, size - 1],
    [`bytes=-${last}`, Math.max(0, size - last), size - 1],
  ]);
  headers.range = range;
  const offered = known.headers['accept-ranges'] === 'bytes';
  return {
    check: (answer) => {
      if (answer.status === 200 && !offered) return same(answer, known);
      if (from >= size) return assert.equal(answer.status, 416);
      const end = Math.min(to, size - 1);
      assert.equal(answer.status, 206);
      assert.equal(answer.headers['content-range'], `bytes ${from}-${end}/${size}`);
      assert.ok(answer.body.equals(known.body.subarray(from, end + 1)), range);
    },
  };
}
