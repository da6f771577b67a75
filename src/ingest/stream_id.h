// What a publisher says in its SRT stream id. Pure; any thread.
//
// Two forms are taken: the plain key, `cam1`, and the SRT Access Control form,
// `#!::r=cam1,m=publish` (SRT Access Control Guidelines), in whose pairs `r` is the key, `m` is
// `publish` or absent, `t` is `stream` or absent, and others (`u`, `h`, `s`, …) mean nothing here.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "media/stream_key.h"

namespace mirror::ingest {

struct BadStreamId {
  enum class Kind { kSyntax, kMode, kType };
  Kind kind;
  std::string why;
};

std::expected<media::StreamKey, BadStreamId> parse_stream_id(std::string_view text);

}  // namespace mirror::ingest
