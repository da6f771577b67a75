#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "transcode/av.h"
#include "transcode/h264_encoder.h"
#include "transcode/pairing.h"
#include "transcode/picture_scaler.h"
#include "transcode/rate_detector.h"
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

}  // namespace

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

// The members in the order of the flow: turn → decoder → rate → place on the grid → encoder → sink.
class VideoTranscoder::Line {
 public:
  Line(const VideoSettings& settings, Timeline& timeline, SampleSink& sink)
      : settings_(settings),
        timeline_(timeline),
        sink_(sink),
        pairings_(settings.pairings ? *settings.pairings : software_only()) {}

  Status choose_pairing();
  Status begin_turn(media::Codec codec);
  Status push(const media::AccessUnit& unit);
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
  };

  // How a picture lies relative to the next slot to be filled.
  enum class Fit { kNext, kAfterHole, kDecimated, kLate, kMisfit };

  Status decode(const media::AccessUnit& unit);
  Status take_pictures();
  Status on_picture(Picture picture);
  Status start_at_rate(media::FrameRate source_rate);
  Status use_encoder_for(media::FrameRate proxy_rate);

  Status place(Picture& picture);
  Status place_misfit(Picture& picture);
  Status restart(Picture& picture);
  Fit fit_of(std::int64_t source_index) const;
  std::int64_t source_index(media::MediaTime pts) const;
  bool scale(Picture& picture);
  bool keep_scaled(Picture& picture);

  Status encode_next(const Instant& received);

  // What failed in a pairing.
  enum class Part { kDecoder, kEncoder };
  Status move_on(Error why, Part failed);
  Status replace_parts(bool decoder, bool encoder);
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

  // The turn.
  media::Codec codec_ = media::Codec::kUnsupported;
  std::unique_ptr<VideoDecoder> decoder_;
  bool entered_ = false;  // a random access unit has come
  RateDetector detector_;
  std::optional<media::FrameRate> source_rate_;
  std::vector<Picture> waiting_;  // for source_rate_

  // The grid.
  std::int64_t halving_ = 1;  // source pictures per slot
  bool run_begun_ = false;    // in this turn
  bool discontinuity_ = false;
  Slot next_slot_ = 0;
  Slot longest_hole_ = 0;
  std::optional<Picture> misfit_;  // believed once the next picture continues it
  int misfits_in_row_ = 0;

  // The encoder, and the picture it encoded last: repeated where the source has a hole.
  std::unique_ptr<PictureScaler> scaler_;
  av::Frame canvas_;
  bool canvas_lost_ = false;  // with the device that held it: it shows nothing
  std::optional<media::FrameRate> proxy_rate_;
  std::unique_ptr<H264Encoder> encoder_;
  bool encoder_is_new_ = false;  // it took over and has made nothing yet
  std::optional<media::VideoDescription> described_;
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
    decoder_ = std::move(*decoder);
  } else if (auto moved = move_on(std::move(decoder.error()), Part::kDecoder); !moved) {
    return moved;
  }
  entered_ = false;
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
    // The feed's track became another one without a new connection.
    if (auto status = end_turn(); !status) return status;
    if (auto status = begin_turn(unit.codec); !status) {
      ++stats_.access_units_skipped;
      return {};
    }
  }
  entered_ = entered_ || unit.random_access;
  if (!entered_ || !decoder_ || unit.data.empty()) {
    ++stats_.access_units_skipped;
    return {};
  }
  if (unit.damaged) ++stats_.access_units_damaged;
  return decode(unit);
}

Status VideoTranscoder::Line::decode(const media::AccessUnit& unit) {
  replaced_decoder_.reset();
  if (!decoder_->push(unit)) ++stats_.decode_errors;
  if (!source_rate_) {
    detector_.add(unit.pts, unit.dts);
    const auto rate = detector_.rate(decoder_->reported_hz());
    if (rate) {
      if (auto status = start_at_rate(*rate); !status) return status;
    }
  } else if (run_begun_) {
    timeline_.observe(unit.pts, unit.received);
  }
  return take_pictures();
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
    if (frame.pts == AV_NOPTS_VALUE) {
      ++stats_.pictures_dropped;
      continue;
    }
    if (auto status = on_picture({decoder_->pts(), decoder_->received(), &frame, nullptr}); !status)
      return status;
    if (unscaled_in_row_ >= kUnscaledMax && chosen_.pairing->decodes_on() != "cpu") {
      return move_on({"the device cannot scale the pictures"}, Part::kDecoder);
    }
  }
}

Status VideoTranscoder::Line::end_turn() {
  if (!decoder_) return {};
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
    auto replaced =
        replace_parts(failed == Part::kDecoder || chosen_.pairing->decodes_on() != decoded_on,
                      failed == Part::kEncoder || chosen_.pairing->encodes_on() != encoded_on);
    if (replaced) return replaced;
    why = std::move(replaced.error());
  }
}

Status VideoTranscoder::Line::replace_parts(bool decoder, bool encoder) {
  unscaled_in_row_ = 0;
  if (decoder) {
    auto made = chosen_.pairing->make_decoder(codec_, settings_);
    if (!made) return std::unexpected(std::move(made.error()));
    if (!replaced_decoder_) replaced_decoder_ = std::move(decoder_);
    decoder_ = std::move(*made);
    entered_ = false;
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

VideoTranscoder::Line::Fit VideoTranscoder::Line::fit_of(std::int64_t index) const {
  const auto slot = index >= 0 ? index / halving_ : -((-index + halving_ - 1) / halving_);
  if (slot == next_slot_) return Fit::kNext;
  if (slot > next_slot_) {
    return slot - next_slot_ > longest_hole_ ? Fit::kMisfit : Fit::kAfterHole;
  }
  if (slot == next_slot_ - 1 && index % halving_ != 0) return Fit::kDecimated;
  return next_slot_ - slot > longest_hole_ ? Fit::kMisfit : Fit::kLate;
}

Status VideoTranscoder::Line::place(Picture& picture) {
  if (!run_begun_) return restart(picture);
  const auto index = source_index(picture.pts);
  const auto fit = fit_of(index);
  if (fit == Fit::kMisfit) return place_misfit(picture);
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
  for (const auto slot = index / halving_; next_slot_ < slot && !canvas_lost_;
       ++stats_.slots_duplicated) {
    if (auto status = encode_next(picture.received); !status) return status;
  }
  if (!scaled_before && !scale(picture)) return {};
  return encode_next(picture.received);
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
  misfit_.reset();
  misfits_in_row_ = 0;
  if (!first) {
    discontinuity_ = true;
    ++stats_.discontinuities;
  }
  return encode_next(picture.received);
}

bool VideoTranscoder::Line::scale(Picture& picture) {
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
  ++stats_.decode_errors;
  return false;
}

bool VideoTranscoder::Line::keep_scaled(Picture& picture) {
  if (picture.canvas) return true;
  auto canvas = scaler_->make_canvas();
  if (!scaler_->render(*picture.decoded, *canvas)) {
    ++unscaled_in_row_;
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
  // An encoder that took over within a segment begins with an IDR picture there, for decoders: no
  // player is told to start at it.
  auto data =
      encoder_->encode(*canvas_, sync || encoder_is_new_ ? PictureKind::kIdr : PictureKind::kAny);
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
  sink_.on_sample(std::move(sample));
  return {};
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
Status VideoTranscoder::end_turn() { return line_->end_turn(); }
Status VideoTranscoder::begin_turn(media::Codec codec) { return line_->begin_turn(codec); }
const TranscodeStats& VideoTranscoder::stats() const { return line_->stats(); }
const PairingState& VideoTranscoder::pairing() const { return line_->pairing(); }

const media::VideoDescription* VideoTranscoder::description() const {
  return line_->encoder() ? &line_->encoder()->description() : nullptr;
}

}  // namespace mirror::transcode
