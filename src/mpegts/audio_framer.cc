#include "mpegts/audio_framer.h"

#include <utility>

namespace mirror::mpegts {

void AudioFramer::begin(std::optional<Stamp> stamp) {
  pes_at_ = held_.size();
  if (!stamp) return;
  pes_stamp_ = stamp;
  discontinuity_ = discontinuity_ || stamp->discontinuity;
}

void AudioFramer::lose() {
  outlet_.count_dropped(held_.size());
  held_.clear();
  in_sync_ = false;
  pes_at_ = 0;
  pes_stamp_.reset();
  base_.reset();
}

void AudioFramer::append(std::span<const std::uint8_t> payload, Instant now) {
  held_.insert(held_.end(), payload.begin(), payload.end());
  std::size_t at = 0;
  std::size_t skipped = 0;
  while (at < held_.size()) {
    if (in_sync_) date_frame_at(at);
    const Look look = look_at(at);
    if (look.kind == Look::Kind::kNeedMore) break;
    if (look.kind == Look::Kind::kSkip) {
      ++skipped;
      ++at;
      continue;
    }
    if (!std::exchange(in_sync_, true)) date_frame_at(at);
    emit(at, look.frame, now);
    at += look.frame.size;
  }
  outlet_.count_dropped(skipped);
  held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(at));
  pes_at_ = pes_at_ > at ? pes_at_ - at : 0;
}

AudioFramer::Look AudioFramer::look_at(std::size_t at) {
  if (!in_sync_) return look_for_sync(at);
  const auto rest = std::span<const std::uint8_t>(held_).subspan(at);
  if (rest.size() < codec::kAudioHeaderBytes) return {Look::Kind::kNeedMore};
  const auto frame = codec::parse_audio_frame(codec_, rest);
  if (!frame) {
    ++outlet_.counters().audio_sync_losses;
    in_sync_ = false;
    base_.reset();  // how many frames are missing is not known
    return look_for_sync(at);
  }
  if (rest.size() < frame->size) return {Look::Kind::kNeedMore};
  return {Look::Kind::kFrame, *frame};
}

// A header at the start of a PES payload is believed; elsewhere a second one must follow the frame.
AudioFramer::Look AudioFramer::look_for_sync(std::size_t at) const {
  const auto rest = std::span<const std::uint8_t>(held_).subspan(at);
  if (rest.size() < codec::kAudioHeaderBytes) return {Look::Kind::kNeedMore};
  const auto frame = codec::parse_audio_frame(codec_, rest);
  if (!frame) return {Look::Kind::kSkip};
  const std::size_t needed = at == pes_at_ ? frame->size : frame->size + codec::kAudioHeaderBytes;
  if (rest.size() < needed) return {Look::Kind::kNeedMore};
  if (at != pes_at_ && !codec::parse_audio_frame(codec_, rest.subspan(frame->size))) {
    return {Look::Kind::kSkip};
  }
  return {Look::Kind::kFrame, *frame};
}

void AudioFramer::date_frame_at(std::size_t at) {
  if (!pes_stamp_ || at < pes_at_) return;
  base_ = std::exchange(pes_stamp_, std::nullopt);
  samples_since_base_ = 0;
}

void AudioFramer::emit(std::size_t at, const codec::AudioFrame& frame, Instant now) {
  // A further E-AC-3 substream only adds channels or programmes to a frame that is whole without.
  if (frame.samples == 0 || !base_) {
    if (!base_) ++outlet_.counters().undated_units;
    outlet_.count_dropped(frame.size);
    return;
  }
  const auto ticks = samples_since_base_ * 90'000 / frame.sample_rate;
  samples_since_base_ += frame.samples;
  media::AccessUnit unit;
  unit.track = track_;
  unit.codec = codec_;
  unit.pts = base_->pts + media::MediaTime(static_cast<std::int64_t>(ticks));
  unit.dts = unit.pts;
  unit.random_access = true;
  unit.discontinuity = std::exchange(discontinuity_, false);
  unit.received = now;
  unit.data = Bytes::copy_of(std::span<const std::uint8_t>(held_).subspan(at, frame.size));
  outlet_.emit(std::move(unit));
}

}  // namespace mirror::mpegts
