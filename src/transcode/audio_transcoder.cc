#include <algorithm>
#include <array>
#include <deque>
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

std::int64_t samples_at(PresentationTime time) {
  return std::chrono::round<AudioSamples>(time).count();
}
PresentationTime time_of(std::int64_t samples) { return AudioSamples(samples); }

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
  void end_turn();

  const media::AudioDescription& description() const { return encoder_->description(); }
  const TranscodeStats& stats() const { return stats_; }

 private:
  // Samples that the encoder was given from `first_sample` on, lie at `position`.
  struct Stretch {
    std::int64_t first_sample = 0;
    std::int64_t position = 0;
    bool discontinuity = false;  // until its first frame is out
  };

  Status settle();
  Status follow_timeline();
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
  SteadyTime received_{};  // of the unit that was decoded last

  std::unique_ptr<AacEncoder> encoder_;
  std::int64_t samples_encoded_ = 0;
  std::deque<Stretch> stretches_;               // as far as the encoder still holds them: few
  std::array<SteadyTime, 4> block_received_{};  // by block number
};

Status AudioTranscoder::Line::begin_turn(media::Codec codec) {
  end_turn();
  auto decoder = AudioDecoder::create(codec);
  if (!decoder) return std::unexpected(std::move(decoder.error()));
  decoder_ = std::move(*decoder);
  codec_ = codec;
  return {};
}

void AudioTranscoder::Line::end_turn() {
  stats_.access_units_skipped += held_.size();
  held_.clear();
  decoder_.reset();
}

Status AudioTranscoder::Line::push(const media::AccessUnit& unit) {
  ++stats_.access_units;
  if (unit.codec != codec_ && media::kind_of(unit.codec) == media::TrackKind::kAudio) {
    if (auto status = begin_turn(unit.codec); !status) return status;
  }
  if (!decoder_ || unit.codec != codec_ || unit.data.empty()) {
    ++stats_.access_units_skipped;
    return {};
  }
  if (unit.damaged) ++stats_.access_units_damaged;
  if (held_.size() >= kHeldUnits) {
    held_.pop_front();
    ++stats_.access_units_skipped;
  }
  held_.push_back(unit);
  return settle();
}

Status AudioTranscoder::Line::fill_to(PresentationTime time) {
  if (auto status = settle(); !status) return status;
  if (!timeline_.anchored() || time_of(run_.position()) + kFillAfter >= time) return {};
  auto status = run_.silence_to(samples_at(time - kFillBehind));
  note_progress();
  return status;
}

// Decodes what fits the timeline. A unit that does not, waits for video to move the timeline; once
// a later unit does fit, it was a stray.
Status AudioTranscoder::Line::settle() {
  if (!timeline_.anchored()) return {};
  if (auto status = follow_timeline(); !status) return status;
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

Status AudioTranscoder::Line::follow_timeline() {
  if (timeline_run_ == timeline_.run()) return {};
  timeline_run_ = timeline_.run();
  if (decoder_) decoder_->flush();
  // Rounded up: at an odd frame rate a segment may begin between two audio samples.
  const auto begin = std::chrono::ceil<AudioSamples>(timeline_.run_start()).count();
  if (auto status = run_.restart(begin); !status) return status;
  // A run that never got a sample leaves nothing behind.
  if (!stretches_.empty() && stretches_.back().first_sample == samples_encoded_) {
    stretches_.pop_back();
  }
  const bool first = samples_encoded_ == 0;
  stretches_.push_back({samples_encoded_, begin, !first});
  if (!first) ++stats_.discontinuities;
  return {};
}

bool AudioTranscoder::Line::fits(const media::AccessUnit& unit) const {
  const auto time = timeline_.presented_at(unit.pts);
  const auto ahead = time - time_of(run_.position());
  if (ahead < -kNear) return false;
  return ahead <= kNear || time <= timeline_.video_end() + kAheadOfVideo;
}

Status AudioTranscoder::Line::decode(const media::AccessUnit& unit) {
  received_ = unit.received.steady;
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
  if (frame.first_sample < 0) return;  // priming
  while (stretches_.size() > 1 && stretches_[1].first_sample <= frame.first_sample) {
    stretches_.pop_front();
  }
  auto& stretch = stretches_.front();
  if (!std::exchange(described_, true)) sink_.on_description(encoder_->description());
  const auto position = stretch.position + (frame.first_sample - stretch.first_sample);
  const auto block = static_cast<std::size_t>(frame.first_sample) / kAacFrameSamples;
  ++stats_.samples;
  sink_.on_sample({.decode_time = position,
                   .sync = true,
                   .discontinuity = std::exchange(stretch.discontinuity, false),
                   .captured = timeline_.captured_at(time_of(position)),
                   .received = block_received_[block % block_received_.size()],
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
void AudioTranscoder::end_turn() { line_->end_turn(); }
Status AudioTranscoder::begin_turn(media::Codec codec) { return line_->begin_turn(codec); }
const media::AudioDescription& AudioTranscoder::description() const { return line_->description(); }
const TranscodeStats& AudioTranscoder::stats() const { return line_->stats(); }

}  // namespace mirror::transcode
