#include "rtp/nal_assembler.h"

#include <algorithm>
#include <utility>

#include "codec/annexb.h"

namespace mirror::rtp {
namespace {

using codec::NalRole;
using Span = std::span<const std::uint8_t>;

constexpr std::array<std::uint8_t, 4> kStartCode = {0, 0, 0, 1};

int nal_type(media::Codec codec, Span nal) {
  return codec == media::Codec::kHevc ? codec::hevc_nal_type(nal) : codec::h264_nal_type(nal);
}

bool is_delimiter(media::Codec codec, Span nal) {
  return nal_type(codec, nal) == (codec == media::Codec::kHevc ? codec::kHevcAccessUnitDelimiter
                                                               : codec::kH264AccessUnitDelimiter);
}

}  // namespace

// --- Packets.

void NalAssembler::begin_packet(const Packet& packet, bool gap, Instant received) {
  packet_received_ = received;
  if (gap) {
    abandon_fragment();
    if (state_ == State::kOpen) damaged_ = true;
    start_unknown_ = true;
  }
  if (timestamp_ == packet.timestamp) return;
  if (timestamp_ && !gap) start_unknown_ = false;
  timestamp_ = packet.timestamp;
  if (state_ == State::kOpen) {
    abandon_fragment();
    finish();
  }
  if (state_ == State::kOpen) date();  // a prefix that waits for its picture: for this one
  if (state_ == State::kDropping) state_ = State::kClosed;
  start_damaged_ = false;
  emitted_ = false;
  ended_by_marker_ = false;
}

void NalAssembler::end_packet(bool marker) {
  if (!marker) return;
  markers_seen_ = true;
  if (!trusts_markers()) return;
  start_unknown_ = false;
  if (state_ != State::kOpen) return;
  abandon_fragment();
  finish();
  ended_by_marker_ = emitted_;
}

void NalAssembler::skip(std::size_t bytes) {
  abandon_fragment();
  stats_.dropped_bytes += bytes;
  (state_ == State::kOpen ? damaged_ : start_damaged_) = true;
}

void NalAssembler::idle(SteadyTime now) {
  if (state_ == State::kOpen && has_slice_ && now - received_.steady >= kQuiet) give_up_waiting();
}

void NalAssembler::flush() {
  if (state_ == State::kOpen) give_up_waiting();
  if (state_ == State::kOpen) drop_unit();
}

// Where markers end units, one without is not whole.
void NalAssembler::give_up_waiting() {
  abandon_fragment();
  if (trusts_markers()) damaged_ = true;
  finish();
}

// --- NAL units.

NalAssembler::Head NalAssembler::head_of(Span header, Span payload) {
  Head head;
  for (const Span part : {header, payload}) {
    const auto piece = part.first(std::min(part.size(), head.bytes.size() - head.size));
    std::ranges::copy(piece, head.bytes.begin() + static_cast<std::ptrdiff_t>(head.size));
    head.size += piece.size();
  }
  return head;
}

Span NalAssembler::current_nal() const {
  return std::span(unit_).subspan(nal_at_ + kStartCode.size());
}

void NalAssembler::nal(Span nal) {
  abandon_fragment();
  if (begin_nal({}, nal)) end_nal();
}

void NalAssembler::fragment(const Fragment& fragment) {
  if (fragment.first) {
    abandon_fragment();
    in_fragment_ = begin_nal(fragment.header, fragment.payload);
    if (!in_fragment_) return;
    fragment_header_ = head_of(fragment.header, {});
  } else {
    if (!in_fragment_ || !std::ranges::equal(fragment_header_.span(), fragment.header)) {
      return skip(fragment.payload.size());
    }
    if (!room_for(fragment.payload.size())) {
      stats_.dropped_bytes += fragment.payload.size();
      return;
    }
    append(fragment.payload);
  }
  if (fragment.last) end_nal();
}

bool NalAssembler::begin_nal(Span header, Span payload) {
  const Head head = head_of(header, payload);
  const NalRole role = codec::role_of(codec_, head.span());
  const bool second_field = codec_ == media::Codec::kH264 && role == NalRole::kFirstSlice &&
                            fields_.is_second_field(head.span());
  if (!admit(role, second_field)) {
    stats_.dropped_bytes += header.size() + payload.size();
    return false;
  }
  if (state_ == State::kClosed) {
    open(role);
  } else if (role == NalRole::kFirstSlice && has_slice_ && !second_field) {
    cut_at(prefix_.value_or(unit_.size()));
  }
  if (!room_for(kStartCode.size() + header.size() + payload.size())) {
    stats_.dropped_bytes += header.size() + payload.size();
    return false;
  }
  nal_at_ = unit_.size();
  append(kStartCode);
  append(header);
  append(payload);
  note_role(role);
  return true;
}

bool NalAssembler::admit(NalRole role, bool second_field) {
  if (state_ == State::kDropping) return false;
  if (state_ == State::kOpen || !emitted_) return true;
  if (role == NalRole::kPrefix || (role == NalRole::kFirstSlice && !second_field)) return true;
  // More of a picture that a marker had ended.
  if (role != NalRole::kOther && ended_by_marker_ && !start_unknown_) {
    units_without_markers_ = kUnitsWithoutMarkers;
  }
  return false;
}

// Drops the unit when there is not.
bool NalAssembler::room_for(std::size_t bytes) {
  if (unit_.size() + bytes <= kAccessUnitBytesMax) return true;
  drop_unit();
  state_ = State::kDropping;
  return false;
}

void NalAssembler::append(Span bytes) {
  unit_.insert(unit_.end(), bytes.begin(), bytes.end());
  received_ = packet_received_;
}

void NalAssembler::note_role(NalRole role) {
  if (role == NalRole::kPrefix && has_slice_ && !prefix_) prefix_ = nal_at_;
  if (role != NalRole::kFirstSlice && role != NalRole::kSlice) return;
  if (role == NalRole::kSlice && !has_slice_) damaged_ = true;  // its first slice is missing
  has_slice_ = true;
  prefix_.reset();  // it stood between slices of one picture
}

void NalAssembler::end_nal() {
  in_fragment_ = false;
  const Span nal = current_nal();
  facts_.random_access = facts_.random_access || codec::marks_random_access(codec_, nal);
  if (nal_at_ == 0 && is_delimiter(codec_, nal)) facts_.delimiter_bytes = unit_.size();
  if (!is_parameter_set(codec_, nal)) return;
  parameter_sets_.offer(nal);
  const int type = nal_type(codec_, nal);
  if (codec_ == media::Codec::kHevc) {
    facts_.sps = facts_.sps || type == codec::kHevcSps;
    facts_.pps = facts_.pps || type == codec::kHevcPps;
  } else {
    facts_.sps = facts_.sps || type == codec::kH264Sps;
    facts_.pps = facts_.pps || type == codec::kH264Pps;
    if (type == codec::kH264Sps) fields_.is_second_field(nal);
  }
}

// What came of it stays: a decoder can use the beginning of a slice.
void NalAssembler::abandon_fragment() {
  if (!std::exchange(in_fragment_, false)) return;
  damaged_ = true;
  facts_.random_access = facts_.random_access || codec::marks_random_access(codec_, current_nal());
}

// --- Units.

void NalAssembler::open(NalRole role) {
  state_ = State::kOpen;
  const bool begins = role == NalRole::kPrefix || role == NalRole::kFirstSlice;
  damaged_ = start_damaged_ || (start_unknown_ && !begins);
  start_damaged_ = false;
  start_unknown_ = false;
  unit_.clear();
  unit_.reserve(last_unit_bytes_);
  facts_ = {};
  has_slice_ = false;
  prefix_.reset();
  date();
}

void NalAssembler::date() {
  const TrackClock::Date date = clock_.date(*timestamp_, packet_received_);
  time_ = date.time;
  discontinuity_ = discontinuity_ || date.discontinuity;
}

// A further picture of the same timestamp begins at `offset`.
void NalAssembler::cut_at(std::size_t offset) {
  const auto cut = unit_.begin() + static_cast<std::ptrdiff_t>(offset);
  std::vector<std::uint8_t> rest(cut, unit_.end());
  unit_.erase(cut, unit_.end());
  const Facts facts = facts_of(unit_);
  emit(std::exchange(unit_, std::move(rest)), facts);
  facts_ = facts_of(unit_);
  damaged_ = false;
  has_slice_ = false;
  prefix_.reset();
}

NalAssembler::Facts NalAssembler::facts_of(Span unit) const {
  const auto seen = codec::inspect_access_unit(codec_, unit);
  Facts facts{.random_access = seen.random_access, .sps = seen.sps, .pps = seen.pps};
  codec::AnnexBReader reader(unit);
  const auto first = reader.next();
  if (first && is_delimiter(codec_, first->bytes)) {
    facts.delimiter_bytes = kStartCode.size() + first->bytes.size();
  }
  return facts;
}

void NalAssembler::finish() {
  if (!has_slice_) {
    if (damaged_ || unit_.size() > kPrefixBytesMax) drop_unit();
    return;
  }
  last_unit_bytes_ = unit_.size();
  emit(std::exchange(unit_, {}), facts_);
  state_ = State::kClosed;
}

void NalAssembler::drop_unit() {
  stats_.dropped_bytes += unit_.size();
  unit_ = {};
  in_fragment_ = false;
  state_ = State::kClosed;
}

std::vector<std::uint8_t> NalAssembler::with_parameter_sets(Span unit, const Facts& facts) const {
  const Span sets = parameter_sets_.byte_stream();
  const Span delimiter = unit.first(facts.delimiter_bytes);
  const Span rest = unit.subspan(facts.delimiter_bytes);
  std::vector<std::uint8_t> out;
  out.reserve(unit.size() + sets.size());
  for (const Span part : {delimiter, sets, rest}) out.insert(out.end(), part.begin(), part.end());
  return out;
}

void NalAssembler::emit(std::vector<std::uint8_t> data, const Facts& facts) {
  const bool lacks_sets = facts.random_access && !(facts.sps && facts.pps);
  if (lacks_sets) data = with_parameter_sets(data, facts);
  emitted_ = true;
  if (units_without_markers_ > 0) --units_without_markers_;
  ++stats_.access_units;
  if (damaged_) ++stats_.damaged_access_units;
  media::AccessUnit unit;
  unit.track = track_;
  unit.codec = codec_;
  unit.pts = time_;
  unit.dts = time_;
  unit.random_access = facts.random_access;
  unit.damaged = damaged_;
  unit.discontinuity = std::exchange(discontinuity_, false);
  unit.received = received_;
  unit.data = Bytes::take(std::move(data));
  sink_.on_access_unit(std::move(unit));
}

}  // namespace mirror::rtp
