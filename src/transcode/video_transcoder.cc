#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "codec/nal.h"
#include "transcode/av.h"
#include "transcode/h264_encoder.h"
#include "transcode/pairing.h"
#include "transcode/picture_scaler.h"
#include "transcode/rate_detector.h"
#include "transcode/still_maker.h"
#include "transcode/transcoder.h"
#include "transcode/video_decoder.h"

namespace mirror::transcode {
namespace {

// Counts pictures of the proxy's grid, from presentation time zero.
using Slot = std::int64_t;

// A longer hole is a break; so is a jump backward by more than this.
constexpr std::chrono::milliseconds kLongestHole{500};
// Pictures in a row that fit neither the timeline nor each other: then the last one is believed.
constexpr int kMisfitsMax = 3;
// Canvases that wait for the frame rate.
constexpr std::size_t kWaitingMax = 16;
// Pictures that may come before a random access picture in output order and refer to what was
// before it: no more than a decoded picture buffer holds.
constexpr int kLeadingMax = 16;
// Pictures in a row that a device could not scale: then it is given up.
constexpr int kUnscaledMax = 3;

constexpr std::int64_t kUnitsPerSecond = PresentationTime::period::den;

// The index of the picture shown at `time`, at `rate`.
std::int64_t index_at(PresentationTime time, media::FrameRate rate, AVRounding rounding) {
  return av_rescale_rnd(time.count(), rate.num, kUnitsPerSecond * rate.den, rounding);
}

PresentationTime time_of(std::int64_t index, media::FrameRate rate) {
  return PresentationTime(av_rescale_rnd(index, kUnitsPerSecond * rate.den, rate.num, AV_ROUND_UP));
}

// What a canvas shows, where x264 can read it; null if the device does not give it back.
av::Frame in_memory(const AVFrame& canvas) {
  auto fetched = av::make_frame();
  if (av_hwframe_transfer_data(fetched.get(), &canvas, 0) < 0) return nullptr;
  fetched->color_range = AVCOL_RANGE_MPEG;
  fetched->colorspace = AVCOL_SPC_BT709;
  PictureScaler copier(canvas.width, canvas.height);
  auto copy = copier.make_canvas();
  if (!copier.render(*fetched, *copy)) return nullptr;
  return copy;
}

}  // namespace

// The members in the order of the flow: turn → decoder → rate → place on the grid → encoder → sink.
class VideoTranscoder::Line {
 public:
  Line(const VideoSettings& settings, Timeline& timeline, SampleSink& sink)
      : settings_(settings),
        timeline_(timeline),
        sink_(sink),
        pairings_(settings.pairings ? *settings.pairings : software_only()),
        stills_(settings.stills) {}

  Status choose_pairing();
  Status begin_turn(media::Codec codec);
  Status push(const media::AccessUnit& unit);
  void set_effort(Effort effort);
  Status skip(const media::AccessUnit& unit);
  void note_lost() { bridging_ = true; }
  Status end_turn();

  const H264Encoder* encoder() const { return encoder_.get(); }
  const PairingState& pairing() const { return pairing_state_; }
  const TranscodeStats& stats() const { return stats_; }

 private:
  // A decoded picture on its way to a slot: either `decoded`, or already scaled.
  struct Picture {
    media::MediaTime pts{};
    Instant received{};
    const AVFrame* decoded = nullptr;
    av::Frame canvas;
    bool held = false;  // damaged: the last one is shown in its place

    bool scaled() const { return canvas != nullptr || held; }
  };

  // How a picture lies relative to the next slot to be filled.
  enum class Fit { kNext, kAfterHole, kDecimated, kLate, kMisfit };

  Status decode(const media::AccessUnit& unit);
  Status observe(const media::AccessUnit& unit);
  Status take_pictures();
  bool taints(const media::AccessUnit& unit);
  void note_damage(const media::AccessUnit& unit);
  bool stands_for(bool tainted);
  bool leads_in(media::MediaTime pts);
  Status leave_pictures();
  Status change_codec(media::Codec codec);
  Status hold_until(const media::AccessUnit& unit);
  Status on_picture(Picture picture);
  Status start_at_rate(media::FrameRate source_rate);
  Status use_encoder_for(media::FrameRate proxy_rate);

  Status place(Picture& picture);
  Status place_misfit(Picture& picture);
  Status restart(Picture& picture);
  Fit fit_of(const Picture& picture) const;
  bool bridges(Slot slots, media::MediaTime pts, const Instant& received) const;
  bool clocks_agree(media::MediaTime pts, const Instant& received) const;
  Slot slot_of(std::int64_t source_index) const;
  std::int64_t source_index(media::MediaTime pts) const;
  bool scale(Picture& picture);
  bool keep_scaled(Picture& picture);

  Status repeat_until(Slot slot, const Instant& received);
  Status encode_placed(const Picture& picture);
  Status encode_next(const Instant& received);
  void make_still(PresentationTime time, WallTime captured);

  // What failed in a pairing.
  enum class Part { kDecoder, kEncoder };
  Status move_on(Error why, Part failed);
  Status replace_parts(bool decoder, bool encoder);
  void adopt(std::unique_ptr<VideoDecoder> decoder);
  void describe();

  const VideoSettings settings_;
  Timeline& timeline_;
  SampleSink& sink_;
  TranscodeStats stats_;

  PairingSource& pairings_;
  ChosenPairing chosen_;
  std::vector<std::string> failed_;  // pairings' ids
  PairingState pairing_state_;
  // Pictures of a decoder that was replaced may still be on their way.
  std::unique_ptr<VideoDecoder> replaced_decoder_;
  int unscaled_in_row_ = 0;
  std::uint64_t unscaled_ = 0;  // in all; among stats_.decode_errors, but no damage of the source's

  // The turn.
  media::Codec codec_ = media::Codec::kUnsupported;
  std::unique_ptr<VideoDecoder> decoder_;
  Effort effort_ = Effort::kAll;
  bool entered_ = false;  // a random access unit has come, and all since was decoded
  // A picture before the random access one where decoding began, and how many may still come.
  media::MediaTime entered_at_{};
  int leading_ = 0;
  RateDetector detector_;
  bool codec_changed_ = false;  // the rate is being found again
  std::optional<media::FrameRate> source_rate_;
  std::vector<Picture> waiting_;  // for source_rate_

  // Damage, in decoding order: a picture that others refer to is damaged, and no random access unit
  // has come whole since; pictures before the one that has are damaged still.
  bool damage_spreads_ = false;
  std::optional<media::MediaTime> whole_from_;
  // In output order: since this sample, no whole picture has come.
  std::optional<std::uint64_t> held_since_;

  // The grid.
  std::int64_t halving_ = 1;  // source pictures per slot
  bool run_begun_ = false;    // in this turn
  bool discontinuity_ = false;
  Slot next_slot_ = 0;
  Slot longest_hole_ = 0;
  std::optional<Picture> misfit_;  // believed once the next picture continues it
  int misfits_in_row_ = 0;
  // Units were left out on our side since the grid was last moved on, by what came then.
  bool bridging_ = false;
  media::MediaTime reached_pts_{};
  SteadyTime reached_received_{};

  // The encoder, and the picture it encoded last: repeated where the source has a hole.
  std::unique_ptr<PictureScaler> scaler_;
  av::Frame canvas_;
  bool canvas_lost_ = false;  // with the device that held it: it shows nothing
  std::optional<media::FrameRate> proxy_rate_;
  std::unique_ptr<H264Encoder> encoder_;
  bool encoder_is_new_ = false;  // it took over and has made nothing yet
  std::optional<media::VideoDescription> described_;
  StillMaker stills_;
  std::chrono::duration<double> encoding_{};  // takes so long, on average
};

Status VideoTranscoder::Line::choose_pairing() {
  auto chosen = pairings_.next(failed_);
  if (!chosen) return std::unexpected(std::move(chosen.error()));
  chosen_ = std::move(*chosen);
  pairing_state_ = {.name = chosen_.name, .device = chosen_.device, .why = chosen_.why, .moves = 0};
  scaler_ = chosen_.pairing->make_scaler(settings_);
  canvas_ = scaler_->make_canvas();
  return {};
}

Status VideoTranscoder::Line::begin_turn(media::Codec codec) {
  codec_ = codec;
  if (auto decoder = chosen_.pairing->make_decoder(codec, settings_); decoder) {
    adopt(std::move(*decoder));
  } else if (auto moved = move_on(std::move(decoder.error()), Part::kDecoder); !moved) {
    return moved;
  }
  held_since_.reset();
  codec_changed_ = false;
  bridging_ = false;
  detector_ = {};
  source_rate_.reset();
  waiting_.clear();
  run_begun_ = false;
  misfit_.reset();
  misfits_in_row_ = 0;
  timeline_.suspend();
  return {};
}

Status VideoTranscoder::Line::push(const media::AccessUnit& unit) {
  ++stats_.access_units;
  if (unit.codec != codec_) {
    if (auto status = change_codec(unit.codec); !status) return status;
  }
  if (!decoder_ || unit.data.empty()) {
    ++stats_.access_units_skipped;
    return {};
  }
  if (unit.random_access && !entered_) {
    entered_ = true;
    entered_at_ = unit.pts;
    leading_ = kLeadingMax;
  }
  if (!entered_) {
    ++(effort_ == Effort::kKeyFramesOnly && run_begun_ ? stats_.access_units_omitted
                                                       : stats_.access_units_skipped);
    return hold_until(unit);
  }
  if (unit.damaged) ++stats_.access_units_damaged;
  if (auto status = decode(unit); !status) return status;
  // With nothing behind it, a key frame would wait for the next one to be put in order.
  return effort_ == Effort::kKeyFramesOnly ? leave_pictures() : Status{};
}

void VideoTranscoder::Line::set_effort(Effort effort) {
  effort_ = effort;
  if (decoder_) decoder_->skip_non_reference(effort == Effort::kReferenceOnly);
}

Status VideoTranscoder::Line::skip(const media::AccessUnit& unit) {
  ++stats_.access_units;
  ++stats_.access_units_omitted;
  if (auto status = leave_pictures(); !status) return status;
  return hold_until(unit);
}

// What the decoder holds comes out; it goes on at the next random access unit.
Status VideoTranscoder::Line::leave_pictures() {
  if (!decoder_ || !entered_) return {};
  entered_ = false;
  decoder_->finish();
  auto status = take_pictures();
  decoder_->restart();
  return status;
}

// A unit that is not decoded still tells how far the source has come: every picture that is yet to
// come out is shown at its time of decoding or later.
Status VideoTranscoder::Line::hold_until(const media::AccessUnit& unit) {
  if (!run_begun_ || !source_rate_) return {};
  bridging_ = true;
  timeline_.observe(unit.pts, unit.received);
  const auto slot = slot_of(source_index(unit.dts));
  if (slot <= next_slot_ || !bridges(slot - next_slot_, unit.dts, unit.received)) return {};
  if (auto status = repeat_until(slot, unit.received); !status || canvas_lost_) return status;
  reached_pts_ = unit.dts;
  reached_received_ = unit.received.steady;
  return {};
}

// The feed's track became another one without a new connection. What was learnt of the timestamps
// holds until they say otherwise.
Status VideoTranscoder::Line::change_codec(media::Codec codec) {
  if (run_begun_ && source_rate_) {
    if (auto status = leave_pictures(); !status) return status;
    decoder_.reset();
    codec_ = codec;
    if (auto decoder = chosen_.pairing->make_decoder(codec, settings_); decoder) {
      adopt(std::move(*decoder));
    } else if (auto moved = move_on(std::move(decoder.error()), Part::kDecoder); !moved) {
      // Nothing decodes it: there is no decoder, and the units are skipped.
      decoder_.reset();
      if (!encoder_) return moved;
    }
    detector_ = {};
    codec_changed_ = true;
    return {};
  }
  if (auto status = end_turn(); !status) return status;
  std::ignore = begin_turn(codec);
  return {};
}

Status VideoTranscoder::Line::decode(const media::AccessUnit& unit) {
  const auto refused = [&] { return stats_.decode_errors - unscaled_; };
  const auto before = refused();
  replaced_decoder_.reset();
  if (!decoder_->push(unit, taints(unit))) ++stats_.decode_errors;
  if (auto status = observe(unit); !status) return status;
  auto status = take_pictures();
  if (refused() != before) note_damage(unit);
  return status;
}

Status VideoTranscoder::Line::observe(const media::AccessUnit& unit) {
  if (source_rate_ && run_begun_) timeline_.observe(unit.pts, unit.received);
  if (source_rate_ && !codec_changed_) return {};
  detector_.add(unit.pts, unit.dts);
  const auto rate = detector_.rate(decoder_->reported_hz());
  if (!rate) return {};
  codec_changed_ = false;
  if (rate == source_rate_) return {};
  // Another grid, after a change of codec: nothing goes on there.
  const auto proxy_rate = media::proxy_frame_rate(*rate, settings_.frame_rate_max);
  if (encoder_ && encoder_->description().frame_rate != proxy_rate) run_begun_ = false;
  return start_at_rate(*rate);
}

// Whether the unit's picture is damaged, itself or by what it refers to.
bool VideoTranscoder::Line::taints(const media::AccessUnit& unit) {
  if (unit.random_access && !unit.damaged) {
    if (damage_spreads_) whole_from_ = unit.pts;
    damage_spreads_ = false;
    return false;
  }
  // Leading pictures of that one refer to what was before it.
  const bool before = whole_from_ && unit.pts < *whole_from_;
  if (!before) whole_from_.reset();
  const bool tainted = unit.damaged || damage_spreads_ || before;
  if (unit.damaged) note_damage(unit);
  return tainted;
}

void VideoTranscoder::Line::note_damage(const media::AccessUnit& unit) {
  damage_spreads_ = damage_spreads_ || codec::may_be_referred_to(unit.codec, unit.data.span());
}

// Whether the last picture is shown in place of this one. Not for ever: a feed that is never whole
// is shown as it is.
bool VideoTranscoder::Line::stands_for(bool tainted) {
  if (!tainted) {
    held_since_.reset();
    return false;
  }
  if (!run_begun_ || !source_rate_ || canvas_lost_) return false;  // there is none
  if (!held_since_) held_since_ = stats_.samples;
  const auto longest = index_at(kDamageHeldMax, encoder_->description().frame_rate, AV_ROUND_UP);
  if (static_cast<std::int64_t>(stats_.samples - *held_since_) >= longest) return false;
  ++stats_.pictures_held;
  return true;
}

// Whether a picture comes before the random access one where decoding began, and so refers to what
// was not decoded.
bool VideoTranscoder::Line::leads_in(media::MediaTime pts) {
  if (leading_ == 0) return false;
  leading_ = pts < entered_at_ ? leading_ - 1 : 0;
  return pts < entered_at_;
}

Status VideoTranscoder::Line::take_pictures() {
  for (;;) {
    switch (decoder_->take()) {
      case VideoDecoder::Taken::kNothing:
        return {};
      case VideoDecoder::Taken::kError:
        ++stats_.decode_errors;
        return {};
      case VideoDecoder::Taken::kLost:
        return move_on({decoder_->why_lost()}, Part::kDecoder);
      case VideoDecoder::Taken::kPicture:
        break;
    }
    ++stats_.pictures_decoded;
    const auto& frame = decoder_->picture();
    if (frame.pts == AV_NOPTS_VALUE || leads_in(decoder_->pts())) {
      ++stats_.pictures_dropped;
      continue;
    }
    if (decoder_->concealed() && !decoder_->tainted()) damage_spreads_ = true;
    Picture picture{.pts = decoder_->pts(), .received = decoder_->received(), .decoded = &frame};
    picture.held = stands_for(decoder_->tainted() || decoder_->concealed());
    if (auto status = on_picture(std::move(picture)); !status) return status;
    if (unscaled_in_row_ >= kUnscaledMax && chosen_.pairing->decodes_on() != "cpu") {
      return move_on({"the device cannot scale the pictures"}, Part::kDecoder);
    }
  }
}

Status VideoTranscoder::Line::end_turn() {
  if (!decoder_) return {};
  if (proxy_rate_ && !encoder_) {  // at its end: nothing takes what the decoder holds
    decoder_.reset();
    return {};
  }
  decoder_->finish();
  auto status = take_pictures();
  if (status && !source_rate_ && !waiting_.empty()) {
    status = start_at_rate(detector_.best(decoder_->reported_hz()));
  }
  decoder_.reset();
  if (misfit_) ++stats_.pictures_dropped;
  misfit_.reset();
  return status;
}

Status VideoTranscoder::Line::on_picture(Picture picture) {
  if (source_rate_) return place(picture);
  // Decoding goes on while the rate is being found, or a feed that costs a whole core to decode
  // would begin with a backlog that it could never work off.
  if (waiting_.size() >= kWaitingMax) {
    ++stats_.pictures_dropped;
    return {};
  }
  if (keep_scaled(picture)) waiting_.push_back(std::move(picture));
  return {};
}

Status VideoTranscoder::Line::start_at_rate(media::FrameRate source_rate) {
  const auto proxy_rate = media::proxy_frame_rate(source_rate, settings_.frame_rate_max);
  if (auto status = use_encoder_for(proxy_rate); !status) return status;
  source_rate_ = source_rate;
  halving_ = std::max<std::int64_t>(1, std::llround(source_rate.hz() / proxy_rate.hz()));
  longest_hole_ = index_at(kLongestHole, proxy_rate, AV_ROUND_DOWN);
  for (auto& picture : std::exchange(waiting_, {})) {
    if (auto status = place(picture); !status) return status;
  }
  return {};
}

Status VideoTranscoder::Line::use_encoder_for(media::FrameRate proxy_rate) {
  if (encoder_ && encoder_->description().frame_rate == proxy_rate) return {};
  encoder_.reset();  // a device may have no room for two
  proxy_rate_ = proxy_rate;
  described_.reset();
  auto encoder = chosen_.pairing->make_encoder(settings_, proxy_rate, ParameterSets::kFirst);
  if (encoder) {
    encoder_ = std::move(*encoder);
    describe();
  } else if (auto moved = move_on(std::move(encoder.error()), Part::kEncoder); !moved) {
    return moved;
  }
  next_slot_ = index_at(timeline_.furthest(), proxy_rate, AV_ROUND_UP);
  return {};
}

// --- The pairing.

// The next pairing takes over what it does differently, at once if that is the encoder, at the next
// random access point if it is the decoder. Ends: each pairing fails once.
Status VideoTranscoder::Line::move_on(Error why, Part failed) {
  const auto decoded_on = chosen_.pairing->decodes_on();
  const auto encoded_on = chosen_.pairing->encodes_on();
  const auto moves = pairing_state_.moves + 1;
  // What one of them replaced before it failed, the next one replaces too.
  bool decoder = failed == Part::kDecoder;
  bool encoder = failed == Part::kEncoder;
  for (;;) {
    failed_.push_back(chosen_.id);
    chosen_.place.reset();  // the next one may be on the same device
    auto next = pairings_.next(failed_);
    if (!next) {
      if (next.error().message.empty()) return std::unexpected(std::move(why));
      return fail("{}; {}", why.message, next.error().message);
    }
    chosen_ = std::move(*next);
    pairing_state_ = {
        .name = chosen_.name, .device = chosen_.device, .why = why.message, .moves = moves};
    // What a device could not decode or scale, it will not for another pairing.
    if (failed == Part::kDecoder && chosen_.pairing->decodes_on() == decoded_on) continue;
    decoder = decoder || chosen_.pairing->decodes_on() != decoded_on;
    encoder = encoder || chosen_.pairing->encodes_on() != encoded_on;
    auto replaced = replace_parts(decoder, encoder);
    if (replaced) return replaced;
    why = std::move(replaced.error());
  }
}

Status VideoTranscoder::Line::replace_parts(bool decoder, bool encoder) {
  unscaled_in_row_ = 0;
  if (decoder) {
    auto made = chosen_.pairing->make_decoder(codec_, settings_);
    if (!made) return std::unexpected(std::move(made.error()));
    adopt(std::move(*made));
  }
  scaler_ = chosen_.pairing->make_scaler(settings_);
  if (encoder && proxy_rate_) {
    encoder_.reset();
    auto made = chosen_.pairing->make_encoder(
        settings_, *proxy_rate_, described_ ? ParameterSets::kSpare : ParameterSets::kFirst);
    if (!made) return std::unexpected(std::move(made.error()));
    encoder_ = std::move(*made);
    encoder_is_new_ = true;
    describe();
  }
  if (encoder_ && !encoder_->takes(*canvas_)) {
    canvas_ = in_memory(*canvas_);
    canvas_lost_ = canvas_ == nullptr;
    if (canvas_lost_) canvas_ = scaler_->make_canvas();
  }
  return {};
}

// Decoding goes on with `decoder`, from the next random access unit.
void VideoTranscoder::Line::adopt(std::unique_ptr<VideoDecoder> decoder) {
  if (!replaced_decoder_) replaced_decoder_ = std::move(decoder_);
  decoder_ = std::move(decoder);
  decoder_->skip_non_reference(effort_ == Effort::kReferenceOnly);
  entered_ = false;
  damage_spreads_ = false;
  whole_from_.reset();
}

// Says what viewers' decoders must know, unless they know it: an encoder that took over is
// described as the spare one.
void VideoTranscoder::Line::describe() {
  const auto& now = encoder_->description();
  const auto known = [&](const auto& sps, const auto& pps) {
    return sps == now.sps && pps == now.pps;
  };
  if (described_ && (known(described_->sps, described_->pps) ||
                     known(described_->spare_sps, described_->spare_pps))) {
    return;
  }
  described_ = now;
  sink_.on_description(now);
}

// --- The grid.

std::int64_t VideoTranscoder::Line::source_index(media::MediaTime pts) const {
  return index_at(timeline_.presented_at(pts), *source_rate_, AV_ROUND_NEAR_INF);
}

Slot VideoTranscoder::Line::slot_of(std::int64_t index) const {
  return index >= 0 ? index / halving_ : -((-index + halving_ - 1) / halving_);
}

VideoTranscoder::Line::Fit VideoTranscoder::Line::fit_of(const Picture& picture) const {
  const auto index = source_index(picture.pts);
  const auto slot = slot_of(index);
  if (slot == next_slot_) return Fit::kNext;
  if (slot > next_slot_) {
    return bridges(slot - next_slot_, picture.pts, picture.received) ? Fit::kAfterHole
                                                                     : Fit::kMisfit;
  }
  if (slot == next_slot_ - 1 && index % halving_ != 0) return Fit::kDecimated;
  return next_slot_ - slot > longest_hole_ ? Fit::kMisfit : Fit::kLate;
}

// Whether so many slots before what was received then are filled with the last picture.
bool VideoTranscoder::Line::bridges(Slot slots, media::MediaTime pts,
                                    const Instant& received) const {
  if (slots <= longest_hole_) return true;
  return bridging_ && clocks_agree(pts, received) &&
         slots <= index_at(kLongestBridge, encoder_->description().frame_rate, AV_ROUND_DOWN) &&
         encoding_ * static_cast<double>(slots) <= kBridgingMax;
}

// Whether the source's clock went on since the grid was last moved on, and did not jump.
bool VideoTranscoder::Line::clocks_agree(media::MediaTime pts, const Instant& received) const {
  const auto step = pts - reached_pts_;
  const auto passed = received.steady - reached_received_;
  if (step < media::MediaTime::zero() || step > 2 * kLongestBridge) return false;
  return std::chrono::abs(passed - std::chrono::duration_cast<SteadyTime::duration>(step)) <=
         kLongestHole;
}

Status VideoTranscoder::Line::place(Picture& picture) {
  if (!run_begun_) return restart(picture);
  const auto fit = fit_of(picture);
  if (fit == Fit::kMisfit) {
    // A hole of our own making that takes too long to fill is no stray timestamp either.
    if (bridging_ && clocks_agree(picture.pts, picture.received)) return restart(picture);
    return place_misfit(picture);
  }
  if (misfit_) ++stats_.pictures_dropped;
  misfit_.reset();
  misfits_in_row_ = 0;
  if (fit == Fit::kDecimated) return {};
  if (fit == Fit::kLate) {
    ++stats_.pictures_dropped;
    return {};
  }
  // A hole shows the picture before it; the one behind it, if that one is lost.
  const bool scaled_before = canvas_lost_;
  if (scaled_before && !scale(picture)) return {};
  if (auto status = repeat_until(slot_of(source_index(picture.pts)), picture.received); !status) {
    return status;
  }
  if (scaled_before ? canvas_lost_ : !scale(picture)) return {};
  return encode_placed(picture);
}

// One stray timestamp is no break: a picture far from its slot waits until the next one confirms
// it.
Status VideoTranscoder::Line::place_misfit(Picture& picture) {
  if (misfit_) {
    const auto step = picture.pts - misfit_->pts;
    if (step > media::MediaTime::zero() && step <= kLongestHole) {
      auto first = std::move(*misfit_);
      if (auto status = restart(first); !status) return status;
      return place(picture);
    }
    ++stats_.pictures_dropped;
    misfit_.reset();
  }
  if (++misfits_in_row_ >= kMisfitsMax) return restart(picture);
  if (keep_scaled(picture)) misfit_ = std::move(picture);
  return {};
}

// Begins a run at the first segment start that no rendition has passed.
Status VideoTranscoder::Line::restart(Picture& picture) {
  const bool first = stats_.samples == 0;
  if (!scale(picture)) return {};
  const auto& description = encoder_->description();
  const auto reached =
      std::max(next_slot_, index_at(timeline_.furthest(), description.frame_rate, AV_ROUND_UP));
  const Slot segment = description.grid.samples_per_segment;
  next_slot_ = (reached + segment - 1) / segment * segment;
  timeline_.restart(picture.pts, time_of(next_slot_, description.frame_rate), picture.received);
  run_begun_ = true;
  stills_.begin_run();
  misfit_.reset();
  misfits_in_row_ = 0;
  if (!first) {
    discontinuity_ = true;
    ++stats_.discontinuities;
  }
  return encode_placed(picture);
}

// Fills the slots before `slot` with the canvas; none if it is lost, or is on the way.
Status VideoTranscoder::Line::repeat_until(Slot slot, const Instant& received) {
  while (next_slot_ < slot && !canvas_lost_) {
    const auto filled = next_slot_;
    if (auto status = encode_next(received); !status) return status;
    if (next_slot_ > filled) ++stats_.slots_duplicated;
  }
  return {};
}

// The picture is on the canvas, and next_slot_ is its slot.
Status VideoTranscoder::Line::encode_placed(const Picture& picture) {
  bridging_ = false;
  reached_pts_ = picture.pts;
  reached_received_ = picture.received.steady;
  return encode_next(picture.received);
}

bool VideoTranscoder::Line::scale(Picture& picture) {
  if (picture.held) return !canvas_lost_;
  // Scaled for an encoder that has been replaced.
  if (picture.canvas && !encoder_->takes(*picture.canvas)) {
    picture.canvas = in_memory(*picture.canvas);
    if (!picture.canvas) {
      ++stats_.pictures_dropped;
      return false;
    }
  }
  if (picture.canvas) {
    std::swap(canvas_, picture.canvas);
    canvas_lost_ = false;
    return true;
  }
  // The encoder has copied what it was given, so that nobody else holds the canvas.
  if (scaler_->render(*picture.decoded, *canvas_)) {
    unscaled_in_row_ = 0;
    canvas_lost_ = false;
    return true;
  }
  ++unscaled_in_row_;
  ++unscaled_;
  ++stats_.decode_errors;
  return false;
}

bool VideoTranscoder::Line::keep_scaled(Picture& picture) {
  if (picture.scaled()) return true;
  auto canvas = scaler_->make_canvas();
  if (!scaler_->render(*picture.decoded, *canvas)) {
    ++unscaled_in_row_;
    ++unscaled_;
    ++stats_.decode_errors;
    return false;
  }
  picture.canvas = std::move(canvas);
  picture.decoded = nullptr;
  return true;
}

// --- The encoder.

Status VideoTranscoder::Line::encode_next(const Instant& received) {
  const auto& description = encoder_->description();
  const auto& grid = description.grid;
  const bool sync = discontinuity_ || next_slot_ % grid.samples_per_segment == 0;
  const auto begun = settings_.clock ? settings_.clock->now().steady : SteadyTime{};
  // An encoder that took over within a segment begins with an IDR picture there, for decoders: no
  // player is told to start at it.
  auto data =
      encoder_->encode(*canvas_, sync || encoder_is_new_ ? PictureKind::kIdr : PictureKind::kAny);
  if (settings_.clock) encoding_ += (settings_.clock->now().steady - begun - encoding_) / 8;
  if (!data) {
    if (auto moved = move_on(std::move(data.error()), Part::kEncoder); !moved) return moved;
    return canvas_lost_ ? Status() : encode_next(received);  // once for each pairing at most
  }
  encoder_is_new_ = false;
  const auto time = time_of(next_slot_, description.frame_rate);
  media::Sample sample{.decode_time = next_slot_ * grid.sample_duration,
                       .sync = sync,
                       .discontinuity = std::exchange(discontinuity_, false),
                       .captured = timeline_.captured_at(time),
                       .program_date = timeline_.program_date_at(time),
                       .received = received.steady,
                       .ingested = received.wall,
                       .data = std::move(*data)};
  ++next_slot_;
  timeline_.video_reached(time_of(next_slot_, description.frame_rate));
  ++stats_.samples;
  const WallTime captured = sample.captured;
  sink_.on_sample(std::move(sample));
  if (stills_.due(time)) make_still(time, captured);
  return {};
}

// Viewers of the stream need none: what fails here is counted, and the stream goes on.
void VideoTranscoder::Line::make_still(PresentationTime time, WallTime captured) {
  const auto fetched = canvas_->hw_frames_ctx ? in_memory(*canvas_) : nullptr;
  // What the device does not give back cannot be scaled: that fails in make(), once until it is due
  // again.
  const auto still = stills_.make(fetched ? *fetched : *canvas_, time, captured);
  if (!still) {
    ++stats_.still_failures;
    return;
  }
  ++stats_.stills;
  sink_.on_still(*still);
}

// --- The public face.

VideoTranscoder::VideoTranscoder(std::unique_ptr<Line> line) : line_(std::move(line)) {}
VideoTranscoder::~VideoTranscoder() = default;

Result<std::unique_ptr<VideoTranscoder>> VideoTranscoder::create(const VideoSettings& settings,
                                                                 media::Codec codec,
                                                                 Timeline& timeline,
                                                                 SampleSink& sink) {
  if (settings.width % 2 != 0 || settings.height % 2 != 0 || settings.width == 0 ||
      settings.height == 0) {
    return fail("proxy size {}x{}: both must be even", settings.width, settings.height);
  }
  // A trial: what the encoder refuses should fail now, not with the first picture.
  if (auto trial = H264Encoder::create(settings, RateDetector::kDefault); !trial) {
    return std::unexpected(std::move(trial.error()));
  }
  auto line = std::make_unique<Line>(settings, timeline, sink);
  if (auto status = line->choose_pairing(); !status) {
    return std::unexpected(std::move(status.error()));
  }
  if (auto status = line->begin_turn(codec); !status) {
    return std::unexpected(std::move(status.error()));
  }
  return std::unique_ptr<VideoTranscoder>(new VideoTranscoder(std::move(line)));
}

Status VideoTranscoder::push(const media::AccessUnit& unit) { return line_->push(unit); }
void VideoTranscoder::set_effort(Effort effort) { line_->set_effort(effort); }
Status VideoTranscoder::skip(const media::AccessUnit& unit) { return line_->skip(unit); }
void VideoTranscoder::note_lost() { line_->note_lost(); }
Status VideoTranscoder::end_turn() { return line_->end_turn(); }
Status VideoTranscoder::begin_turn(media::Codec codec) { return line_->begin_turn(codec); }
const TranscodeStats& VideoTranscoder::stats() const { return line_->stats(); }
const PairingState& VideoTranscoder::pairing() const { return line_->pairing(); }

const media::VideoDescription* VideoTranscoder::description() const {
  return line_->encoder() ? &line_->encoder()->description() : nullptr;
}

}  // namespace mirror::transcode
