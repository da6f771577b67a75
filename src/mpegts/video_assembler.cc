#include "mpegts/video_assembler.h"

#include <algorithm>
#include <utility>

#include "codec/annexb.h"

namespace mirror::mpegts {
namespace {

// From here a PES packet's length may be the 16-bit field's limit rather than the unit's end.
constexpr std::uint16_t kLengthMayBeCapped = 0xf000;
// Parameter sets and SEI that came in a PES packet of their own wait for their picture up to here.
constexpr std::size_t kPrefixBytesMax = 4096;
constexpr int kPicturesPerUnitMax = 64;  // the rest stays with the last
// What a wrong guess cuts off is a damaged picture that nobody can flag any more; what not guessing
// costs is one frame of latency.
constexpr int kUnitsWithoutGuess = 500;
constexpr media::MediaTime kFrameDurationMax{90'000};

}  // namespace

// One picture within the unit.
struct VideoAssembler::Cut {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool random_access = false;
};

void VideoAssembler::begin(std::optional<Stamp> stamp) {
  undecided_ = !stamp;
  if (stamp) open(stamp);
}

void VideoAssembler::open(std::optional<Stamp> stamp) {
  complete();
  ended_early_ = false;
  if (units_until_guess_ > 0) --units_until_guess_;
  if (stamp || !is_open()) stamp_ = stamp;  // a prefix that was kept keeps its stamp
  state_ = State::kOpen;
  if (!stamp) return;
  discontinuity_ = discontinuity_ || stamp->discontinuity;
  learn_duration(*stamp);
}

void VideoAssembler::learn_duration(const Stamp& stamp) {
  if (last_dated_ && pictures_since_dated_ > 0 && !stamp.discontinuity) {
    const media::MediaTime duration = (stamp.dts - *last_dated_) / pictures_since_dated_;
    if (duration.count() > 0 && duration <= kFrameDurationMax) frame_duration_ = duration;
  }
  last_dated_ = stamp.dts;
  pictures_since_dated_ = 0;
}

void VideoAssembler::append(std::span<const std::uint8_t> payload, Instant now) {
  if (std::exchange(undecided_, false)) {
    if (codec::begins_access_unit(codec_, payload)) {
      open(std::nullopt);
    } else if (state_ == State::kClosed) {
      spans_pes_ = true;
    }
  }
  if (state_ != State::kOpen) {
    if (state_ == State::kClosed) outlet_.counters().late_bytes += payload.size();
    if (ended_early_) units_until_guess_ = kUnitsWithoutGuess;
    outlet_.count_dropped(payload.size());
    return;
  }
  if (unit_.size() + payload.size() > outlet_.access_unit_bytes_max()) {
    ++outlet_.counters().oversized_units;
    outlet_.count_dropped(payload.size());
    drop_unit();
    state_ = State::kDropping;
    return;
  }
  if (unit_.empty()) unit_.reserve(std::max(last_unit_bytes_, payload.size()));
  unit_.insert(unit_.end(), payload.begin(), payload.end());
  received_ = now;
}

void VideoAssembler::end_bounded(std::uint16_t packet_length) {
  if (!spans_pes_ && packet_length < kLengthMayBeCapped) complete();
}

void VideoAssembler::lose() {
  if (state_ == State::kOpen) damaged_ = true;
}

void VideoAssembler::complete() {
  if (!is_open()) {
    if (state_ == State::kOpen) state_ = State::kClosed;
    damaged_ = false;
    return;
  }
  emit_pictures();
}

void VideoAssembler::complete_early() {
  if (units_until_guess_ > 0) return;
  complete();
  ended_early_ = state_ == State::kClosed;
}

void VideoAssembler::emit_pictures() {
  Cut cut;
  std::optional<std::size_t> prefix;  // where what may belong to the next picture begins
  bool prefix_random_access = false;
  bool has_slice = false;
  int pictures = 0;
  codec::AnnexBReader reader(unit_);
  while (const auto nal = reader.next()) {
    const codec::NalRole role = codec::role_of(codec_, nal->bytes);
    const bool second_field = codec_ == media::Codec::kH264 && fields_.is_second_field(nal->bytes);
    if (role == codec::NalRole::kPrefix && has_slice && !prefix) prefix = nal->offset;
    if (role == codec::NalRole::kFirstSlice && has_slice && !second_field &&
        pictures + 1 < kPicturesPerUnitMax) {
      cut.end = prefix.value_or(nal->offset);
      emit_range(cut);
      ++pictures;
      cut = {
          .begin = cut.end, .end = 0, .random_access = std::exchange(prefix_random_access, false)};
      prefix.reset();
    }
    const bool random_access = codec::marks_random_access(codec_, nal->bytes);
    if (role == codec::NalRole::kFirstSlice || role == codec::NalRole::kSlice) {
      has_slice = true;
      prefix.reset();  // it stood between slices of one picture
      cut.random_access = cut.random_access || std::exchange(prefix_random_access, false);
    }
    (prefix ? prefix_random_access : cut.random_access) |= random_access;
  }
  if (!has_slice) return keep_or_drop_prefix();
  cut.end = unit_.size();
  last_unit_bytes_ = unit_.size();
  emit_range(cut);
  unit_.clear();
  damaged_ = false;
  state_ = State::kClosed;
}

void VideoAssembler::keep_or_drop_prefix() {
  if (!damaged_ && unit_.size() <= kPrefixBytesMax) return;
  drop_unit();
  state_ = State::kClosed;
}

void VideoAssembler::drop_unit() {
  outlet_.count_dropped(unit_.size());
  unit_ = {};
  damaged_ = false;
  stamp_.reset();
}

Stamp VideoAssembler::next_stamp() {
  if (stamp_) return *std::exchange(stamp_, std::nullopt);
  return {last_stamp_->pts + frame_duration_, last_stamp_->dts + frame_duration_, false};
}

void VideoAssembler::emit_range(const Cut& cut) {
  if (!stamp_ && !last_stamp_) {
    ++outlet_.counters().undated_units;
    outlet_.count_dropped(cut.end - cut.begin);
    return;
  }
  const Stamp stamp = next_stamp();
  last_stamp_ = stamp;
  ++pictures_since_dated_;
  media::AccessUnit unit;
  unit.track = track_;
  unit.codec = codec_;
  unit.pts = stamp.pts;
  unit.dts = stamp.dts;
  unit.random_access = cut.random_access;
  unit.damaged = damaged_;
  unit.discontinuity = std::exchange(discontinuity_, false);
  unit.received = received_;
  if (cut.begin == 0 && cut.end == unit_.size()) {
    unit.data = Bytes::take(std::exchange(unit_, {}));
  } else {
    unit.data = Bytes::copy_of(std::span(unit_).subspan(cut.begin, cut.end - cut.begin));
  }
  outlet_.emit(std::move(unit));
}

}  // namespace mirror::mpegts
