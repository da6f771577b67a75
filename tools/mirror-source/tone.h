// Tone: the sound of the synthetic feed. A soft 440 Hz tone, and from each full second of the wall
// clock 50 ms of a loud 1 kHz blip, in both channels. Used by one thread.
#pragma once

#include <cstdint>
#include <vector>

namespace mirror::source {

constexpr int kSampleRate = 48'000;

class Tone {
 public:
  Tone();
  // The sample at `index` 48ths of a millisecond since the epoch (48,000 a second).
  float at(std::int64_t index) const;

 private:
  std::vector<float> second_;  // the sound repeats each second: both tones are whole hertz
};

}  // namespace mirror::source
