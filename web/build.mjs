// Builds web/dist: one page, one script, one style sheet, their names carrying a hash of what they
// hold, so that a cache may keep them for ever; and a .gz of each, so that the server never packs.
//
//   node build.mjs [--outdir DIR]
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const flag = process.argv.indexOf('--outdir');
const outdir = flag > 0 ? resolve(process.argv[flag + 1]) : join(here, 'dist');
const kGzipBudget = 300 * 1024; // the whole page, compressed

const bundle = async (entry, extension) => {
  const result = await build({
    entryPoints: [join(here, 'src', entry)],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: ['chrome110', 'firefox115', 'safari16'],
    legalComments: 'none',
    logLevel: 'warning',
  });
  const bytes = Buffer.from(result.outputFiles[0].contents);
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 10);
  return { name: `app.${hash}.${extension}`, bytes };
};

const script = await bundle('main.ts', 'js');
const style = await bundle('app.css', 'css');
const page = readFileSync(join(here, 'src/index.html'), 'utf8')
  .replace('app.css', `/${style.name}`)
  .replace('app.js', `/${script.name}`);
const icon = readFileSync(join(here, 'src/favicon.svg'));

rmSync(outdir, { recursive: true, force: true });
mkdirSync(outdir, { recursive: true });
let total = 0;
for (const { name, bytes } of [
  { name: 'index.html', bytes: Buffer.from(page) },
  script,
  style,
  { name: 'favicon.svg', bytes: icon },
]) {
  const packed = gzipSync(bytes, { level: 9 });
  packed[9] = 255; // the header's "operating system": the same bytes wherever it was built
  total += packed.length;
  writeFileSync(join(outdir, name), bytes);
  writeFileSync(join(outdir, `${name}.gz`), packed);
}
if (total > kGzipBudget) {
  console.error(`web: ${total} bytes compressed, more than the ${kGzipBudget} that a page may weigh`);
  process.exit(1);
}
console.log(`web: ${(total / 1024).toFixed(0)} KiB compressed in ${outdir}`);
