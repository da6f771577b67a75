#include "stream/line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace mirror::stream {
namespace {

constexpr std::size_t kVideo = 0;
constexpr std::size_t kAudio = 1;

std::optional<media::Track> first_of(const std::vector<media::Track>& tracks,
                                     media::TrackKind kind) {
  const auto it = std::ranges::find_if(
      tracks, [kind](const media::Track& track) { return kind_of(track.codec) == kind; });
  return it == tracks.end() ? std::nullopt : std::optional(*it);
}

std::string describe(const std::vector<media::Track>& tracks) {
  if (tracks.empty()) return "the feed has no tracks";
  std::vector<std::string> names;
  names.reserve(tracks.size());
  for (const auto& track : tracks) {
    names.push_back(track.description.empty() ? std::string(name_of(track.codec))
                                              : track.description);
  }
  return fmt::format("the feed holds {}", fmt::join(names, ", "));
}

}  // namespace

class Line::Output final : public transcode::SampleSink {
 public:
  Output(Line& line, std::size_t rendition) : line_(line), rendition_(rendition) {}
  void on_description(const media::TrackDescription& description) override {
    line_.on_description(rendition_, description);
  }
  void on_sample(media::Sample sample) override { line_.on_sample(rendition_, std::move(sample)); }
  void on_still(const media::Still& still) override { line_.on_still(still); }

 private:
  Line& line_;
  const std::size_t rendition_;
};

Line::Line(Settings settings, OnPresentation on_presentation, const WakeList& wake_list)
    : settings_(std::move(settings)),
      on_presentation_(std::move(on_presentation)),
      wake_list_(wake_list),
      video_output_(std::make_unique<Output>(*this, kVideo)),
      audio_output_(std::make_unique<Output>(*this, kAudio)) {
  start_over();
}

Line::~Line() = default;

// Forgets the presentation and everything that fed it.
void Line::start_over() {
  if (presentation_) presentation_->finish();
  presentation_.reset();
  broken_ = false;
  audio_.reset();
  video_.reset();
  timeline_ = std::make_unique<transcode::Timeline>();
}

void Line::begin_turn(const std::vector<media::Track>& tracks) {
  auto video = first_of(tracks, media::TrackKind::kVideo);
  auto audio = first_of(tracks, media::TrackKind::kAudio);
  // Another programme table with the same picture and sound (a data track came or went).
  if (in_turn_ && video == video_track_ && audio == audio_track_) return;
  if (goes_on_with(video, audio)) {
    video_track_ = std::move(video);
    audio_track_ = std::move(audio);
    return;
  }
  if (in_turn_) end_turn();
  in_turn_ = true;
  error_.clear();
  video_track_ = std::move(video);
  audio_track_ = std::move(audio);
  if (broken_) start_over();
  if (!video_track_) {
    error_ =
        fmt::format("no video that can be decoded (H.264 or HEVC is needed): {}", describe(tracks));
    return;
  }
  // Playlists cannot grow a rendition. Losing one they can bear: silence takes its place.
  if (video_ && audio_track_ && !audio_) start_over();
  if (const Status made = make_transcoders(); !made) error_ = made.error().message;
}

// Whether the transcoders can take these tracks for the ones before: a splice to another codec or
// PID. It is a break only if its timestamps are.
bool Line::goes_on_with(const std::optional<media::Track>& video,
                        const std::optional<media::Track>& audio) const {
  return in_turn_ && error_.empty() && video_ && video &&
         audio.has_value() == (audio_ != nullptr) && audio.has_value() == audio_track_.has_value();
}

mirror::Status Line::make_transcoders() {
  if (video_) {
    if (auto begun = video_->begin_turn(video_track_->codec); !begun) return begun;
  } else {
    transcode::VideoSettings video_settings = settings_.video;
    video_settings.clock = settings_.clock;
    auto video = transcode::VideoTranscoder::create(video_settings, video_track_->codec, *timeline_,
                                                    *video_output_);
    if (!video) return std::unexpected(std::move(video.error()).within("video"));
    video_ = *std::move(video);
    video_->set_effort(effort_);
  }
  if (!audio_track_) return {};
  if (audio_) return audio_->begin_turn(audio_track_->codec);
  transcode::AudioSettings settings = settings_.audio;
  settings.language = audio_track_->language;
  auto audio =
      transcode::AudioTranscoder::create(settings, audio_track_->codec, *timeline_, *audio_output_);
  if (!audio) return std::unexpected(std::move(audio.error()).within("audio"));
  audio_ = *std::move(audio);
  return {};
}

void Line::push(const media::AccessUnit& unit) {
  newest_arrival_ = unit.received.wall;
  if (!error_.empty()) return;
  Status pushed;
  if (is_video(unit)) {
    pushed = video_->push(unit);
    if (pushed) pushed = fill_audio();
  } else if (audio_track_ && unit.track == audio_track_->id) {
    pushed = audio_->push(unit);
  }
  if (!pushed) break_down(pushed.error());
}

Status Line::fill_audio() { return audio_ ? audio_->fill_to(timeline_->video_end()) : Status{}; }

void Line::set_effort(transcode::Effort effort) {
  effort_ = effort;
  if (video_) video_->set_effort(effort);
}

void Line::skip(const media::AccessUnit& unit) {
  newest_arrival_ = unit.received.wall;
  if (!error_.empty() || !video_) return;
  Status skipped = video_->skip(unit);
  if (skipped) skipped = fill_audio();
  if (!skipped) break_down(skipped.error());
}

void Line::note_lost() {
  if (video_) video_->note_lost();
}

// An encoder failed: this turn is over, and the next one gets another.
void Line::break_down(const Error& error) {
  error_ = error.message;
  broken_ = true;
}

void Line::end_turn() {
  if (!std::exchange(in_turn_, false)) return;
  if (video_) {
    if (const Status ended = video_->end_turn(); !ended) break_down(ended.error());
  }
  if (audio_) {
    if (const Status ended = audio_->end_turn(); !ended) break_down(ended.error());
  }
  if (presentation_) presentation_->suspend();
}

void Line::finish() {
  end_turn();
  if (presentation_) presentation_->finish();
}

// A playlist's URL names no epoch, and caches keep what it said to a set of directives for seconds:
// so no number may come again, after a restart of the process neither. Half seconds of the clock
// grow at least as fast as segments do.
hls::MediaSequence Line::first_sequence() const {
  constexpr WallTime kStart = std::chrono::sys_days(std::chrono::year(2026) / 1 / 1);
  const auto half_seconds = (newest_arrival_ - kStart) / std::chrono::milliseconds(500);
  const auto clock = half_seconds > 0 ? static_cast<hls::MediaSequence>(half_seconds) : 0;
  if (!presentation_) return clock;
  const auto last = presentation_->renditions()[kVideo].window->view();
  return std::max(clock, last->next.segment + 1);
}

// Only the video decides about presentations: a sound track's description never changes.
void Line::on_description(std::size_t rendition, const media::TrackDescription& description) {
  if (rendition != kVideo) return;
  if (presentation_) presentation_->finish();
  std::vector<hls::RenditionDescription> renditions = {
      {fmt::format("v{}", settings_.video.height), description}};
  if (audio_) {
    renditions.push_back({"audio", audio_->description()});
  }
  hls::PresentationSettings settings{
      .epoch = fmt::format("{}-{}", settings_.epoch, ++presentations_made_),
      .first_segment = first_sequence(),
      .listed = settings_.window,
      .kept = settings_.window + std::chrono::seconds(1),
      .frame_chunks = settings_.frame_chunks,
      .clock = settings_.clock};
  auto presentation =
      hls::Presentation::create(std::move(settings), std::move(renditions), wake_list_);
  if (!presentation) {
    presentation_.reset();
    error_ = presentation.error().message;
    return;
  }
  presentation_ = *std::move(presentation);
  on_presentation_(presentation_);
}

void Line::on_sample(std::size_t rendition, media::Sample sample) {
  if (!presentation_ || rendition >= presentation_->renditions().size()) return;
  const SteadyTime received = sample.received;
  if (settings_.clock != nullptr) {
    const Instant now = settings_.clock->now();
    sample.encoded = now.wall;
    if (rendition == kVideo && settings_.transcode_seconds != nullptr) {
      settings_.transcode_seconds->Observe(
          std::chrono::duration<double>(now.steady - received).count());
    }
  }
  if (rendition != kVideo) return presentation_->push(rendition, std::move(sample));

  const WallTime captured = sample.captured;
  const hls::Window& window = *presentation_->renditions()[kVideo].window;
  const std::uint64_t before = window.version();
  presentation_->push(rendition, std::move(sample));
  if (window.version() == before) return;
  ++parts_;
  newest_received_ = received;
  newest_captured_ = captured;
}

const transcode::PairingState& Line::pairing() const {
  static const transcode::PairingState kNone;
  return video_ ? video_->pairing() : kNone;
}

// Numbered by the line: a transcoder that took another's place begins at one again.
void Line::on_still(media::Still still) {
  if (!settings_.on_still) return;
  still.number = ++stills_;
  settings_.on_still(std::move(still));
}

transcode::TranscodeStats Line::video_stats() const {
  return video_ ? video_->stats() : transcode::TranscodeStats{};
}

transcode::TranscodeStats Line::audio_stats() const {
  return audio_ ? audio_->stats() : transcode::TranscodeStats{};
}

}  // namespace mirror::stream
