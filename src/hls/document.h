// Document: a text rendered once and sent to many, in pieces that several documents may share.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace mirror::hls {

struct Document {
  std::vector<Bytes> pieces;  // the whole, in order
  std::string etag;           // strong (RFC 9110, 8.8.3), quotes included

  std::size_t size() const;
  std::string text() const;  // a copy, for tests and tools
};

// One media playlist in all the forms that viewers ask for. What does not differ is shared.
struct Playlists {
  struct Form {
    std::shared_ptr<const Document> plain;
    std::shared_ptr<const Document> gzip;  // null unless it was asked for lately
  };
  Form full;
  Form delta;              // _HLS_skip=YES; the full one while there is nothing to skip
  Form delta_date_ranges;  // _HLS_skip=v2
  Form legacy;             // without parts, for players that know nothing of low latency

  bool empty() const { return full.plain == nullptr; }
};

}  // namespace mirror::hls
