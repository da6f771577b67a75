// Writes the C++ that holds a built page: node embed.mjs DIST OUTPUT.cc (see src/api/assets.h).
//
// The bytes come in by the assembler's .incbin, in no time; their hashes stand in the text, so that
// the text changes whenever they do and no compiler cache is fooled.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';

const kTypes = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const [dist, output] = process.argv.slice(2).map((path) => resolve(path));
const names = readdirSync(dist).filter((name) => !name.endsWith('.gz')).sort();
const etag = (bytes) => `\\"${createHash('sha256').update(bytes).digest('hex').slice(0, 20)}\\"`;

const blobs = [];
const rows = names.map((name, index) => {
  const type = kTypes[extname(name)];
  if (type === undefined) throw new Error(`embed: what is the content type of ${name}?`);
  const file = join(dist, name);
  const body = readFileSync(file);
  const gzip = readFileSync(`${file}.gz`);
  blobs.push({ symbol: `mirror_asset_${index}`, file, size: body.length });
  blobs.push({ symbol: `mirror_asset_${index}_gzip`, file: `${file}.gz`, size: gzip.length });
  const immutable = /\.[0-9a-f]{10}\.(js|css)$/.test(name);
  return `    {"/${name}", "${type}",\n     {mirror_asset_${index}, ${body.length}}, ` +
    `{mirror_asset_${index}_gzip, ${gzip.length}},\n     "${etag(body)}", "${etag(gzip)}", ${immutable}},`;
});

const quoted = (path) => path.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
writeFileSync(output, `// Made by web/embed.mjs. Do not edit.
#include "api/assets.h"

#include <algorithm>
#include <array>

// clang-format off
asm(R"assets(
.pushsection .rodata,"a"
${blobs.map(({ symbol, file }) => `.balign 16\n${symbol}:\n.incbin "${quoted(file)}"`).join('\n')}
.popsection
)assets");

extern "C" {
${blobs.map(({ symbol, size }) => `__attribute__((visibility("hidden"))) extern const std::uint8_t ${symbol}[${size}];`).join('\n')}
}

namespace mirror::api {
namespace {

const std::array<Asset, ${names.length}> kAssets{{
${rows.join('\n')}
}};

}  // namespace

std::span<const Asset> assets() { return kAssets; }

const Asset* find_asset(std::string_view path) {
  if (path == "/") path = "/index.html";
  const auto found = std::ranges::find(kAssets, path, &Asset::path);
  return found == kAssets.end() ? nullptr : &*found;
}

}  // namespace mirror::api
`);
