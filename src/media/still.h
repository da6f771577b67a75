// Still: one picture of a stream as a JPEG file, for whoever wants to know what it shows.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/clock.h"

namespace mirror::media {

struct Still {
  std::uint64_t number = 0;  // grows by one with each still of its stream
  std::uint16_t width = 0;
  std::uint16_t height = 0;
  WallTime captured{};  // as the timeline estimates it
  Bytes jpeg;
};

}  // namespace mirror::media
