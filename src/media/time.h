// MediaTime: the 90 kHz clock of MPEG-2 systems (ISO/IEC 13818-1, 2.4.3.6), unwrapped to 64 bits.
#pragma once

#include <chrono>
#include <cstdint>
#include <ratio>

namespace mirror::media {

using MediaTime = std::chrono::duration<std::int64_t, std::ratio<1, 90'000>>;

}  // namespace mirror::media
