#include "mpegts/audio_framer.h"

#include <algorithm>
#include <utility>

#include "codec/opus.h"

namespace mirror::mpegts {
namespace {

constexpr std::uint32_t kOpusRate = 48'000;  // whatever the packets were made from

}  // namespace

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
    emit(at, look, now);
    at += look.frame.size;
  }
  outlet_.count_dropped(skipped);
  held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(at));
  pes_at_ = pes_at_ > at ? pes_at_ - at : 0;
}

AudioFramer::Look AudioFramer::look_at(std::size_t at) {
  if (!in_sync_) return look_for_sync(at);
  const auto rest = std::span<const std::uint8_t>(held_).subspan(at);
  const Look look = read_header(rest);
  if (look.kind == Look::Kind::kSkip) {
    ++outlet_.counters().audio_sync_losses;
    in_sync_ = false;
    base_.reset();  // how many frames are missing is not known
    return look_for_sync(at);
  }
  if (look.kind == Look::Kind::kFrame && rest.size() < look.frame.size) {
    return {Look::Kind::kNeedMore};
  }
  return look;
}

// A header at the start of a PES payload is believed; elsewhere a second one must follow the frame.
AudioFramer::Look AudioFramer::look_for_sync(std::size_t at) const {
  const auto rest = std::span<const std::uint8_t>(held_).subspan(at);
  const Look look = read_header(rest);
  if (look.kind != Look::Kind::kFrame) return look;
  if (rest.size() < look.frame.size) return {Look::Kind::kNeedMore};
  if (at == pes_at_) return look;
  const Look next = read_header(rest.subspan(look.frame.size));
  return next.kind == Look::Kind::kFrame ? look : Look{next.kind};
}

AudioFramer::Look AudioFramer::read_header(std::span<const std::uint8_t> rest) const {
  if (codec_ == media::Codec::kOpus) {
    const auto unit = codec::parse_opus_unit(rest);
    if (unit) {
      return {Look::Kind::kFrame, {unit->size(), kOpusRate, unit->samples}, unit->header_size};
    }
    return {unit.error() == codec::OpusFault::kNone ? Look::Kind::kSkip : Look::Kind::kNeedMore};
  }
  if (rest.size() < codec::kAudioHeaderBytes) return {Look::Kind::kNeedMore};
  const auto frame = codec::parse_audio_frame(codec_, rest);
  return frame ? Look{Look::Kind::kFrame, *frame} : Look{Look::Kind::kSkip};
}

void AudioFramer::date_frame_at(std::size_t at) {
  if (!pes_stamp_ || at < pes_at_) return;
  base_ = std::exchange(pes_stamp_, std::nullopt);
  samples_since_base_ = 0;
}

void AudioFramer::emit(std::size_t at, const Look& look, Instant now) {
  const codec::AudioFrame& frame = look.frame;
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
  unit.data = unit_at(at, look);
  outlet_.emit(std::move(unit));
}

Bytes AudioFramer::unit_at(std::size_t at, const Look& look) const {
  const auto whole = std::span<const std::uint8_t>(held_).subspan(at, look.frame.size);
  if (codec_ != media::Codec::kOpus) return Bytes::copy_of(whole);
  const auto packet = whole.subspan(look.header_size);
  return Bytes::build(1 + packet.size(), [&](std::span<std::uint8_t> room) {
    room[0] = opus_channels_;
    std::ranges::copy(packet, room.begin() + 1);
  });
}

}  // namespace mirror::mpegts
