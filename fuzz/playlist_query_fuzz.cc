// What strangers write into a URL: the playlist query and the media name.
#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

#include "hls/uri.h"

namespace {

using namespace mirror::hls;

std::string spelling(const MediaName& name) {
  if (const auto* part = std::get_if<PartName>(&name)) {
    return fmt::format("{}.{}.m4s", part->position.segment, part->position.part);
  }
  if (const auto* segment = std::get_if<SegmentName>(&name)) {
    return fmt::format("{}.m4s", segment->segment);
  }
  return "init.mp4";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // A name that is accepted has one spelling.
  if (const auto name = parse_media_name(text); name && spelling(*name) != text) std::abort();
  // A question that is accepted never asks for a part of no segment.
  if (const auto question = parse_playlist_query(text)) {
    if (question->part && !question->msn) std::abort();
  }
  return 0;
}
