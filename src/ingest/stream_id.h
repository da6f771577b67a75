// What a publisher says in its SRT stream id. Pure; any thread.
//
// Two forms are taken: the plain key, `cam1`, and the SRT Access Control form,
// `#!::r=cam1,m=publish,u=studio,s=token` (SRT Access Control Guidelines), in whose pairs `r` is
// the key, `m` is `publish` or absent, `t` is `stream` or absent, `u` is who publishes, `s` is what
// it says to be let in; others (`h`, `x_…`) mean nothing here. The guidelines know no escapes, so a
// value is what stands between `=` and the next comma. Callers that pass on the stream id of an
// SRT URL without decoding it begin with `%23!`; theirs is percent-decoded as a whole (RFC 3986,
// 2.1).
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "media/stream_key.h"

namespace mirror::ingest {

struct StreamId {
  media::StreamKey key;
  std::string user;   // u=; empty: nothing was said, as below
  std::string token;  // s=
};

struct BadStreamId {
  enum class Kind { kSyntax, kMode, kType };
  Kind kind;
  std::string why;  // in words; never holds what the stranger sent
};

// At most 512 bytes (SRTO_STREAMID), of which none is a control character.
std::expected<StreamId, BadStreamId> parse_stream_id(std::string_view text);

// `text` as it may be shown: every `s=` value replaced by "…". What is percent-encoded as a whole
// is decoded, or not shown if it cannot be.
std::string without_token(std::string_view text);

}  // namespace mirror::ingest
