#include <algorithm>
#include <array>
#include <deque>
#include <limits>
#include <utility>

#include "transcode/aac_encoder.h"
#include "transcode/audio_decoder.h"
#include "transcode/audio_run.h"
#include "transcode/av.h"
#include "transcode/transcoder.h"

namespace mirror::transcode {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using AudioSamples = std::chrono::duration<std::int64_t, std::ratio<1, kAudioRate>>;

// A unit so near to the run's end belongs there, whatever video does.
constexpr milliseconds kNear{500};
// One further ahead belongs there only if it is no further than this ahead of video.
constexpr milliseconds kAheadOfVideo{1000};

constexpr auto kBlock = static_cast<std::int64_t>(kAacFrameSamples);

std::int64_t samples_at(PresentationTime time) {
  return std::chrono::round<AudioSamples>(time).count();
}
PresentationTime time_of(std::int64_t samples) { return AudioSamples(samples); }

// Rounded up: at an odd frame rate a segment may begin between two audio samples.
std::int64_t begin_of(const Timeline::Run& run) {
  return std::chrono::ceil<AudioSamples>(run.start).count();
}

// How far a run's sound comes behind its video, learnt from units that came too late for what was
// filled already. Only ever grows, in steps that several units in a row agree upon: a single late
// burst, or a stray timestamp, does not count.
class Lag {
 public:
  // Silence may go so near to video, and the sound still finds its place free.
  PresentationTime learnt() const { return learnt_; }

  void on_time() { late_in_row_ = 0; }
  void late_by(PresentationTime lag) {
    if (lag > AudioTranscoder::kLagMax) return on_time();
    if (late_in_row_ == 0) least_ = most_ = lag;
    least_ = std::min(least_, lag);
    most_ = std::max(most_, lag);
    if (most_ - least_ > kSteady) {
      late_in_row_ = 0;
      least_ = most_ = lag;
    }
    if (++late_in_row_ < AudioTranscoder::kLateUnits) return;
    learnt_ = most_;
    on_time();
  }

 private:
  // Units that arrive together, eight of the longest frames, still are late by the same.
  static constexpr milliseconds kSteady{500};

  PresentationTime learnt_{AudioTranscoder::kFillBehind};
  PresentationTime least_{};
  PresentationTime most_{};
  int late_in_row_ = 0;
};

}  // namespace

// The members in the order of the flow: held units → decoder → run → encoder → sink.
class AudioTranscoder::Line {
 public:
  Line(std::unique_ptr<AacEncoder> encoder, Timeline& timeline, SampleSink& sink)
      : timeline_(timeline),
        sink_(sink),
        run_([this](const StereoBlock& block) { return encode(block); }),
        encoder_(std::move(encoder)) {}

  Status begin_turn(media::Codec codec);
  Status push(const media::AccessUnit& unit);
  Status fill_to(PresentationTime time);
  Status end_turn();

  const media::AudioDescription& description() const { return encoder_->description(); }
  const TranscodeStats& stats() const { return stats_; }

 private:
  // The present run: samples that the encoder was given from `first_sample` on, lie at `position`.
  struct Stretch {
    std::int64_t first_sample = 0;
    std::int64_t position = 0;
    bool discontinuity = false;  // until its first frame is out
  };
  static constexpr auto kNoLimit = std::numeric_limits<std::int64_t>::max();

  Status use_decoder_for(media::Codec codec);
  void drop_held();

  Status settle();
  Status follow_timeline();
  Status begin_run(std::uint64_t number);
  Status end_run(std::int64_t limit);
  Status push_out();
  void note_lag(const media::AccessUnit& unit);
  bool fits(const media::AccessUnit& unit) const;
  Status decode(const media::AccessUnit& unit);
  Status encode(const StereoBlock& block);
  void emit(AacEncoder::Frame frame);
  void note_progress();

  Timeline& timeline_;
  SampleSink& sink_;
  TranscodeStats stats_;
  bool described_ = false;

  media::Codec codec_ = media::Codec::kUnsupported;
  std::unique_ptr<AudioDecoder> decoder_;
  std::deque<media::AccessUnit> held_;  // do not fit the timeline yet; at most kHeldUnits

  AudioRun run_;
  std::uint64_t timeline_run_ = 0;
  bool run_open_ = false;
  Lag lag_;             // of the run
  Instant received_{};  // of the unit that was decoded last

  std::unique_ptr<AacEncoder> encoder_;
  std::int64_t samples_encoded_ = 0;
  Stretch stretch_;
  std::array<Instant, 4> block_received_{};  // by block number
};

Status AudioTranscoder::Line::begin_turn(media::Codec codec) {
  if (auto status = end_turn(); !status) return status;
  return use_decoder_for(codec);
}

Status AudioTranscoder::Line::use_decoder_for(media::Codec codec) {
  drop_held();
  decoder_.reset();
  auto decoder = AudioDecoder::create(codec);
  if (!decoder) return std::unexpected(std::move(decoder.error()));
  decoder_ = std::move(*decoder);
  codec_ = codec;
  return {};
}

void AudioTranscoder::Line::drop_held() {
  stats_.access_units_skipped += held_.size();
  held_.clear();
}

Status AudioTranscoder::Line::end_turn() {
  auto status = settle();  // video's last pictures may have begun a run
  drop_held();
  decoder_.reset();
  if (status) status = end_run(kNoLimit);
  return status;
}

Status AudioTranscoder::Line::push(const media::AccessUnit& unit) {
  ++stats_.access_units;
  if (unit.codec != codec_ && media::kind_of(unit.codec) == media::TrackKind::kAudio) {
    // The feed's track became another one without a new connection; the run goes on.
    if (auto status = use_decoder_for(unit.codec); !status) return status;
  }
  if (!decoder_ || unit.codec != codec_ || unit.data.empty()) {
    ++stats_.access_units_skipped;
    return {};
  }
  if (unit.damaged) ++stats_.access_units_damaged;
  if (auto status = follow_timeline(); !status) return status;
  note_lag(unit);
  if (held_.size() >= kHeldUnits) {
    held_.pop_front();
    ++stats_.access_units_skipped;
  }
  held_.push_back(unit);
  return settle();
}

Status AudioTranscoder::Line::fill_to(PresentationTime time) {
  if (auto status = settle(); !status) return status;
  const auto behind = lag_.learnt();
  const auto after = behind + (kFillAfter - kFillBehind);
  if (!run_open_ || time_of(run_.position()) + after >= time) return {};
  auto status = run_.silence_to(samples_at(time - behind));
  note_progress();
  return status;
}

// Decodes what fits the timeline. A unit that does not, waits for video to move the timeline; once
// a later unit does fit, it was a stray.
Status AudioTranscoder::Line::settle() {
  if (auto status = follow_timeline(); !status) return status;
  if (!run_open_) return {};
  std::size_t waiting = 0;
  while (waiting < held_.size()) {
    if (!fits(held_[waiting])) {
      ++waiting;
      continue;
    }
    stats_.access_units_skipped += waiting;
    held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(waiting));
    const auto unit = std::move(held_.front());
    held_.pop_front();
    waiting = 0;
    if (auto status = decode(unit); !status) return status;
  }
  return {};
}

// Goes through every run that video has begun meanwhile, and leaves the present one open.
Status AudioTranscoder::Line::follow_timeline() {
  const auto run = timeline_.run();
  if (run - timeline_run_ > Timeline::kRuns - 1) timeline_run_ = run - (Timeline::kRuns - 1);
  while (timeline_run_ < run) {
    if (auto status = begin_run(timeline_run_ + 1); !status) return status;
  }
  return timeline_.anchored() ? Status{} : end_run(kNoLimit);
}

Status AudioTranscoder::Line::begin_run(std::uint64_t number) {
  const auto begin = begin_of(timeline_.run_of(number));
  if (auto status = end_run(begin); !status) return status;
  timeline_run_ = number;
  run_open_ = true;
  lag_ = {};
  if (decoder_) decoder_->flush();
  const bool first = stats_.samples == 0;
  stretch_ = {samples_encoded_, begin, !first};
  if (!first) ++stats_.discontinuities;
  return run_.restart(begin);
}

// Silence up to video's end, in whole frames that end by `limit`: at video's end a frame too many
// could cost a whole segment, because the next run begins behind it. But a first frame there must
// be.
Status AudioTranscoder::Line::end_run(std::int64_t limit) {
  if (!std::exchange(run_open_, false)) return {};
  if (auto status = run_.silence_to(run_.block_end()); !status) return status;
  const auto& run = timeline_.run_of(timeline_run_);
  auto end = samples_at(run.video_end);
  if (run.video_end > run.start) end = std::max(end, begin_of(run) + kBlock);
  const auto missing = std::max<std::int64_t>(0, std::min(end, limit) - run_.position());
  if (auto status = run_.silence_to(run_.position() + missing / kBlock * kBlock); !status) {
    return status;
  }
  note_progress();
  return push_out();
}

// The encoder cannot be drained and go on (libavcodec's has no AV_CODEC_CAP_ENCODER_FLUSH). Blocks
// that belong to no run push its last frames out; theirs are what the next run is primed with.
Status AudioTranscoder::Line::push_out() {
  if (samples_encoded_ == stretch_.first_sample) return {};
  for (int i = 0; i < kAacDelayBlocks; ++i) {
    if (auto status = encode({}); !status) return status;
  }
  return {};
}

// Late is what lies before the place that was filled last, although the filling keeps as far behind
// video as was learnt. (Repeated units lie before it too, but not far behind video.)
void AudioTranscoder::Line::note_lag(const media::AccessUnit& unit) {
  if (!run_open_) return;
  const auto time = timeline_.presented_at(unit.pts);
  const auto lag = timeline_.video_end() - time;
  if (time >= time_of(run_.position()) || lag <= lag_.learnt()) return lag_.on_time();
  lag_.late_by(lag);
}

bool AudioTranscoder::Line::fits(const media::AccessUnit& unit) const {
  const auto time = timeline_.presented_at(unit.pts);
  const auto ahead = time - time_of(run_.position());
  if (ahead < -kNear) return false;
  return ahead <= kNear || time <= timeline_.video_end() + kAheadOfVideo;
}

Status AudioTranscoder::Line::decode(const media::AccessUnit& unit) {
  received_ = unit.received;
  if (!decoder_->push(unit)) ++stats_.decode_errors;
  for (;;) {
    const auto taken = decoder_->take();
    if (taken == AudioDecoder::Taken::kNothing) break;
    if (taken == AudioDecoder::Taken::kError) {
      ++stats_.decode_errors;
      break;
    }
    ++stats_.pictures_decoded;
    const auto position = samples_at(timeline_.presented_at(decoder_->pts())) - decoder_->lead();
    const auto placed = run_.place(position, decoder_->sound());
    if (!placed) return std::unexpected(placed.error());
    if (!*placed) ++stats_.pictures_dropped;
  }
  note_progress();
  return {};
}

void AudioTranscoder::Line::note_progress() {
  stats_.slots_duplicated = static_cast<std::uint64_t>(run_.silent_samples()) / kAacFrameSamples;
  timeline_.audio_reached(time_of(run_.block_end()));
}

Status AudioTranscoder::Line::encode(const StereoBlock& block) {
  const auto number = static_cast<std::size_t>(samples_encoded_) / kAacFrameSamples;
  block_received_[number % block_received_.size()] = received_;
  samples_encoded_ += static_cast<std::int64_t>(kAacFrameSamples);
  auto frame = encoder_->encode(block);
  if (!frame) return std::unexpected(std::move(frame.error()));
  if (*frame) emit(std::move(**frame));
  return {};
}

void AudioTranscoder::Line::emit(AacEncoder::Frame frame) {
  if (frame.first_sample < stretch_.first_sample) return;  // priming
  if (!std::exchange(described_, true)) sink_.on_description(encoder_->description());
  const auto position = stretch_.position + (frame.first_sample - stretch_.first_sample);
  const auto block = static_cast<std::size_t>(frame.first_sample) / kAacFrameSamples;
  const Instant received = block_received_[block % block_received_.size()];
  ++stats_.samples;
  sink_.on_sample({.decode_time = position,
                   .sync = true,
                   .discontinuity = std::exchange(stretch_.discontinuity, false),
                   .captured = timeline_.captured_at(time_of(position)),
                   .program_date = timeline_.program_date_at(time_of(position)),
                   .received = received.steady,
                   .ingested = received.wall,
                   .data = std::move(frame.data)});
}

// --- The public face.

AudioTranscoder::AudioTranscoder(std::unique_ptr<Line> line) : line_(std::move(line)) {}
AudioTranscoder::~AudioTranscoder() = default;

Result<std::unique_ptr<AudioTranscoder>> AudioTranscoder::create(const AudioSettings& settings,
                                                                 media::Codec codec,
                                                                 Timeline& timeline,
                                                                 SampleSink& sink) {
  auto encoder = AacEncoder::create(settings);
  if (!encoder) return std::unexpected(std::move(encoder.error()));
  auto line = std::make_unique<Line>(std::move(*encoder), timeline, sink);
  if (auto status = line->begin_turn(codec); !status) {
    return std::unexpected(std::move(status.error()));
  }
  return std::unique_ptr<AudioTranscoder>(new AudioTranscoder(std::move(line)));
}

Status AudioTranscoder::push(const media::AccessUnit& unit) { return line_->push(unit); }
Status AudioTranscoder::fill_to(PresentationTime time) { return line_->fill_to(time); }
Status AudioTranscoder::end_turn() { return line_->end_turn(); }
Status AudioTranscoder::begin_turn(media::Codec codec) { return line_->begin_turn(codec); }
const media::AudioDescription& AudioTranscoder::description() const { return line_->description(); }
const TranscodeStats& AudioTranscoder::stats() const { return line_->stats(); }

}  // namespace mirror::transcode
