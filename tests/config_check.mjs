// What the real program says to wrong configurations and options.
//
//   node tests/config_check.mjs PROGRAM
//
// The faults themselves have their table in src/app/config_test.cc; this holds the program to the
// exit codes and the streams that scripts rely on.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const program = process.argv[2];
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const folder = mkdtempSync(join(tmpdir(), 'mirror-config-'));
const bare = { PATH: process.env.PATH, HOME: folder };

function mirror(args, variables = {}) {
  const run = spawnSync(program, args, {
    env: { ...bare, ...variables },
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { code: run.status, out: run.stdout, err: run.stderr };
}

try {
  const bad = join(folder, 'bad.yaml');
  writeFileSync(bad, 'srt:\n  port: 0\n  prot: 1\n  port: 7000\nlog:\n  level: loud\n');
  assert.deepEqual(mirror(['check', '-c', bad], { MIRROR_HTTP_PORT: 'x' }), {
    code: 2,
    out: '',
    err: [
      `${bad}:2:9: srt.port: 0 is out of range: 1 to 65535`,
      `${bad}:3:3: srt.prot: unknown key; did you mean port?`,
      `${bad}:4:3: srt.port: duplicate key, first on line 2`,
      `${bad}:6:10: log.level: "loud" is not one of debug, info, warning, error`,
      'environment: MIRROR_HTTP_PORT: "x" is not an integer',
      '',
    ].join('\n'),
  });
  assert.equal(mirror(['serve', '-c', bad]).code, 2);

  const example = join(root, 'configs', 'mirror.yaml');
  assert.deepEqual(mirror(['check', '-c', example]), { code: 0, out: 'ok\n', err: '' });

  const effective = mirror(['config', '-c', example], { MIRROR_SRT_PORT: '7001' });
  assert.match(effective.out, /^ {2}port: 7001$/m);
  const again = join(folder, 'again.yaml');
  writeFileSync(again, effective.out);
  assert.equal(mirror(['config', '-c', again]).out, effective.out);

  const version = mirror(['--version']);
  assert.equal(version.code, 0);
  assert.match(version.out, /libavcodec .*\n[^]*libsrt +1\.[^]*GnuTLS +3\./);

  for (const args of [[], ['surf'], ['serve', '--prot']]) {
    const run = mirror(args);
    assert.equal(run.code, 2, args.join(' '));
    assert.match(run.err, /^mirror: .*\nTry mirror --help\.\n$/);
  }
  assert.equal(mirror(['--help']).code, 0);
  console.log('ok');
} finally {
  rmSync(folder, { recursive: true });
}
