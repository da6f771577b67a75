#include "transcode/audio_run.h"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace mirror::transcode {
namespace {

// A sample is added or taken out over so many, by blending the sound with itself one sample later.
constexpr std::size_t kBlendSamples = 64;

using Blend = std::array<float, kBlendSamples>;

// b fades in over a; both at least kBlendSamples long.
Blend blend(std::span<const float> a, std::span<const float> b) {
  Blend out;
  for (std::size_t i = 0; i < kBlendSamples; ++i) {
    const float weight = static_cast<float>(i + 1) / static_cast<float>(kBlendSamples + 1);
    out[i] = a[i] + (b[i] - a[i]) * weight;
  }
  return out;
}

}  // namespace

std::int64_t AudioRun::block_end() const {
  return filled_ == 0 ? position_
                      : position_ + static_cast<std::int64_t>(kAacFrameSamples - filled_);
}

Status AudioRun::restart(std::int64_t position) {
  auto status = silence_to(block_end());
  position_ = position;
  exact_ = true;
  mean_offset_ = 0;
  return status;
}

Result<bool> AudioRun::place(std::int64_t position, Stereo sound) {
  const auto offset = position - position_;
  if (exact_ || std::abs(offset) > kJitterSamples) {
    mean_offset_ = 0;
    const auto cut = static_cast<std::size_t>(std::max<std::int64_t>(0, -offset));
    exact_ = cut >= sound.size();
    if (exact_) return false;
    auto status = silence_to(position);
    if (status) status = append(sound.from(cut));
    if (!status) return std::unexpected(std::move(status.error()));
    return true;
  }
  mean_offset_ += (static_cast<double>(offset) - mean_offset_) / kMeanPieces;
  Status status;
  if (mean_offset_ > kDriftSamples && sound.size() > kBlendSamples) {
    status = append_with_one_more(sound);
    mean_offset_ -= 1;
  } else if (mean_offset_ < -kDriftSamples && sound.size() > kBlendSamples) {
    status = append_with_one_less(sound);
    mean_offset_ += 1;
  } else {
    status = append(sound);
  }
  if (!status) return std::unexpected(std::move(status.error()));
  return true;
}

Status AudioRun::append_with_one_more(Stereo sound) {
  // s0, then s1… fading into s0…, then s64…: behind the blend, all comes one sample later.
  if (auto status = append({sound.left.first(1), sound.right.first(1)}); !status) return status;
  const auto later = sound.from(1);
  const auto left = blend(later.left, sound.left);
  const auto right = blend(later.right, sound.right);
  if (auto status = append({left, right}); !status) return status;
  return append(sound.from(kBlendSamples));
}

Status AudioRun::append_with_one_less(Stereo sound) {
  const auto later = sound.from(1);
  const auto left = blend(sound.left, later.left);
  const auto right = blend(sound.right, later.right);
  if (auto status = append({left, right}); !status) return status;
  return append(sound.from(kBlendSamples + 1));
}

Status AudioRun::append(Stereo sound) {
  while (sound.size() > 0) {
    const auto count = std::min(sound.size(), kAacFrameSamples - filled_);
    std::copy_n(sound.left.begin(), count, block_.left.begin() + filled_);
    std::copy_n(sound.right.begin(), count, block_.right.begin() + filled_);
    sound = sound.from(count);
    if (auto status = advance(count); !status) return status;
  }
  return {};
}

Status AudioRun::silence_to(std::int64_t position) {
  while (position_ < position) {
    const auto count = static_cast<std::size_t>(std::min<std::int64_t>(
        position - position_, static_cast<std::int64_t>(kAacFrameSamples - filled_)));
    std::fill_n(block_.left.begin() + filled_, count, 0.0F);
    std::fill_n(block_.right.begin() + filled_, count, 0.0F);
    silent_samples_ += static_cast<std::int64_t>(count);
    exact_ = true;
    if (auto status = advance(count); !status) return status;
  }
  return {};
}

Status AudioRun::advance(std::size_t samples) {
  filled_ += samples;
  position_ += static_cast<std::int64_t>(samples);
  if (filled_ < kAacFrameSamples) return {};
  filled_ = 0;
  return sink_(block_);
}

}  // namespace mirror::transcode
