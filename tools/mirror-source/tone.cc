#include "tone.h"

#include <cmath>
#include <numbers>

namespace mirror::source {
namespace {

constexpr int kBlipSamples = kSampleRate / 20;

float sine(int index, int frequency_hz) {
  return static_cast<float>(std::sin(2 * std::numbers::pi * frequency_hz * index / kSampleRate));
}

}  // namespace

Tone::Tone() : second_(kSampleRate) {
  for (int i = 0; i < kSampleRate; ++i) {
    second_[static_cast<std::size_t>(i)] =
        i < kBlipSamples ? 0.5F * sine(i, 1000) : 0.03F * sine(i, 440);
  }
}

float Tone::at(std::int64_t index) const {
  return second_[static_cast<std::size_t>(index % kSampleRate)];
}

}  // namespace mirror::source
