// What fuzz/load_input_fuzz.cc does with one input, and a unit test with the whole corpus: the
// first byte chooses a parser of mirror-load, the second seeds the sizes of pieces.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

#include "http1_response.h"
#include "media_probe.h"
#include "playlist_scan.h"
#include "url.h"

namespace mirror::load {

inline void exercise_response(std::uint32_t random, std::span<const std::uint8_t> input) {
  Http1Response response;
  std::uint64_t body = 0;
  while (!input.empty()) {
    random = random * 1664525u + 1013904223u;
    const std::size_t n = std::min<std::size_t>(1 + (random >> 24) % 97, input.size());
    // A copy of its own: reading past a piece is then seen by the sanitizer.
    const std::vector<std::uint8_t> piece(input.begin(),
                                          input.begin() + static_cast<std::ptrdiff_t>(n));
    input = input.subspan(n);
    std::span<const std::uint8_t> rest(piece);
    for (;;) {
      const auto event = response.next(rest);
      if (event == Http1Response::Event::kNeedMore && !rest.empty()) std::abort();
      if (event == Http1Response::Event::kNeedMore) break;
      if (event == Http1Response::Event::kFault) return;
      if (event == Http1Response::Event::kHead) body = 0;
      if (event == Http1Response::Event::kBody) body += response.piece().size();
      const auto length = response.content_length();
      const bool whole = event == Http1Response::Event::kEnd && length &&
                         response.status() != 204 && response.status() != 304;
      if (length && body > *length) std::abort();
      if (whole && body != *length) std::abort();
    }
  }
  response.close();
}

inline void exercise_playlist(std::uint32_t random, std::string_view text) {
  std::array<ListedPart, kNewPartsMax> parts;
  const Position from{random % 8, random % 5};
  const auto scan = scan_media_playlist(text, from, parts);
  const auto rendition = choose_rendition(text, random % 2 == 0 ? "" : "v360");
  if (rendition && rendition->empty()) std::abort();
  if (!scan) return;
  const Url server{false, "localhost", 80, "/live/index.m3u8"};
  for (std::size_t i = 0; i < scan->new_parts; ++i) {
    const auto target = resolve_reference(server, "/live/cam/v360/media.m3u8", parts[i].uri);
    if (target && !target->starts_with('/')) std::abort();
    if (target && target->find_first_of(" \r\n") != std::string::npos) std::abort();
  }
}

inline void exercise_input(std::span<const std::uint8_t> input) {
  if (input.size() < 2) return;
  const std::uint8_t which = input[0];
  const std::uint32_t random = input[1];
  // A copy of its own, as above.
  const std::vector<std::uint8_t> rest(input.begin() + 2, input.end());
  const std::string_view text(reinterpret_cast<const char*>(rest.data()), rest.size());
  switch (which % 4) {
    case 0:
      return exercise_response(random | 1u, rest);
    case 1:
      return exercise_playlist(random, text);
    case 2:
      if (probe_part(rest) && rest.empty()) std::abort();
      if (probe_init(rest) && rest.empty()) std::abort();
      return;
    default:
      if (const auto url = parse_url(text); url && !url->target.starts_with('/')) std::abort();
  }
}

}  // namespace mirror::load
