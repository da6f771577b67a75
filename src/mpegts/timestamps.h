// TimestampUnwrap: the 33-bit clock of one programme, unwrapped to 64 bits.
//
// One per programme, shared by its streams and its PCR, so that all stand on one time line. Each
// timestamp becomes the value nearest to the one before it, whichever stream that came from.
#pragma once

#include <cstdint>
#include <optional>

#include "media/time.h"

namespace mirror::mpegts {

class TimestampUnwrap {
 public:
  // `raw` has 33 bits. The first value stands as it is.
  media::MediaTime unwrap(std::uint64_t raw) {
    constexpr std::int64_t kFarthest = std::int64_t{1} << 48;  // 99 years; a hostile source's jumps
    if (!last_ || *last_ > kFarthest || *last_ < -kFarthest) {
      last_ = static_cast<std::int64_t>(raw);
    } else {
      *last_ += difference(raw, static_cast<std::uint64_t>(*last_));
    }
    return media::MediaTime(*last_);
  }

  // The value of a PCR base beside the last timestamp; nothing before the first one. A PCR does not
  // move the reference: some sources let it run on a time line of its own.
  std::optional<media::MediaTime> place(std::uint64_t raw) const {
    if (!last_) return std::nullopt;
    return media::MediaTime(*last_ + difference(raw, static_cast<std::uint64_t>(*last_)));
  }

  // `a` - `b` modulo 2^33, in [-2^32, 2^32).
  static std::int64_t difference(std::uint64_t a, std::uint64_t b) {
    constexpr std::int64_t kWrap = std::int64_t{1} << 33;
    const auto forward = static_cast<std::int64_t>((a - b) & (kWrap - 1));
    return forward < kWrap / 2 ? forward : forward - kWrap;
  }

 private:
  std::optional<std::int64_t> last_;
};

}  // namespace mirror::mpegts
