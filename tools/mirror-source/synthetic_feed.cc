#include <array>
#include <utility>

#include "feed.h"

namespace mirror::source {
namespace {

constexpr std::int64_t kMicrosecond = 1'000'000;

struct FreeParameters {
  void operator()(AVCodecParameters* parameters) const { avcodec_parameters_free(&parameters); }
};
using Parameters = std::unique_ptr<AVCodecParameters, FreeParameters>;

Parameters parameters_of(const AVCodecContext& context) {
  Parameters parameters(avcodec_parameters_alloc());
  avcodec_parameters_from_context(parameters.get(), &context);
  return parameters;
}

class SyntheticFeed {
 public:
  static Result<SyntheticFeed> create(const FeedSettings& settings, Output& output,
                                      const Pace& pace);
  Status run(Pace& pace);

 private:
  SyntheticFeed(const FeedSettings& settings, std::int64_t first_frame, TestCard card)
      : settings_(settings), first_frame_(first_frame), card_(std::move(card)) {}
  Status add_frame(std::int64_t index);
  Status resize(std::int64_t index);
  std::int64_t origin() const;
  PacketSink video_sink();
  void count_late(std::int64_t frames, microseconds now);
  microseconds since_first(std::int64_t index) const {
    return due_time(settings_.video.rate, index) - due_time(settings_.video.rate, first_frame_);
  }

  const FeedSettings& settings_;
  const std::int64_t first_frame_;
  TestCard card_;
  std::unique_ptr<VideoEncoder> video_;
  std::unique_ptr<AudioEncoder> audio_;  // null without audio
  std::unique_ptr<TsMuxer> muxer_;
  std::int64_t resizes_ = 0;
  std::int64_t frames_left_out_ = 0;
  microseconds told_at_{-10 * kMicrosecond};
};

std::int64_t sample_at(std::chrono::sys_time<microseconds> time) {
  return time.time_since_epoch().count() / 1000 * (kSampleRate / 1000) +
         time.time_since_epoch().count() % 1000 * (kSampleRate / 1000) / 1000;
}

Result<SyntheticFeed> SyntheticFeed::create(const FeedSettings& settings, Output& output,
                                            const Pace& pace) {
  const VideoSettings& video = settings.video;
  Result<TestCard> card =
      TestCard::create(video.width, video.height, settings.name, video.grain_percent);
  if (!card) return std::unexpected(card.error());
  SyntheticFeed feed(settings, first_frame_at(video.rate, pace.start() + pace.elapsed()),
                     std::move(*card));
  auto video_encoder = VideoEncoder::create(video);
  if (!video_encoder) return std::unexpected(video_encoder.error());
  feed.video_ = std::move(*video_encoder);
  std::vector<Parameters> parameters;
  parameters.push_back(parameters_of(feed.video_->context()));
  if (settings.audio) {
    auto audio = AudioEncoder::create(sample_at(due_time(video.rate, feed.first_frame_)));
    if (!audio) return std::unexpected(audio.error());
    feed.audio_ = std::move(*audio);
    parameters.push_back(parameters_of(feed.audio_->context()));
  }
  std::vector<const AVCodecParameters*> streams;
  streams.reserve(parameters.size());
  for (const Parameters& each : parameters) streams.push_back(each.get());
  auto muxer = TsMuxer::create(settings.mux, output, streams);
  if (!muxer) return std::unexpected(muxer.error());
  feed.muxer_ = std::move(*muxer);
  return feed;
}

Status SyntheticFeed::run(Pace& pace) {
  const auto& rate = settings_.video.rate;
  const auto frame = microseconds(kMicrosecond * rate.den / rate.num);
  const microseconds first = due_time(rate, first_frame_) - pace.start();
  for (std::int64_t index = first_frame_;; ++index) {
    const microseconds due = first + since_first(index);
    if (settings_.duration && since_first(index) >= *settings_.duration) break;
    if (!pace.wait_until(due)) break;
    const microseconds late = pace.elapsed() - due;
    if (late > 3 * frame) {
      const std::int64_t behind = late / frame;
      count_late(behind, pace.elapsed());
      index += behind - 1;
      continue;
    }
    if (Status resized = resize(index); !resized) return resized;
    if (Status added = add_frame(index); !added) return added;
  }
  return {};
}

// As an encoder whose operator sets another picture size: the old one's last pictures, then new
// parameter sets and an IDR.
Status SyntheticFeed::resize(std::int64_t index) {
  if (!settings_.resize_every) return {};
  const std::int64_t due = since_first(index) / *settings_.resize_every;
  if (due == resizes_) return {};
  resizes_ = due;
  if (Status flushed = video_->flush(video_sink()); !flushed) return flushed;
  VideoSettings video = settings_.video;
  if (due % 2 != 0) {
    video.width = video.width / 4 * 2;
    video.height = video.height / 4 * 2;
  }
  Result<TestCard> card =
      TestCard::create(video.width, video.height, settings_.name, video.grain_percent);
  if (!card) return std::unexpected(card.error());
  card_ = std::move(*card);
  auto encoder = VideoEncoder::create(video);
  if (!encoder) return std::unexpected(encoder.error());
  video_ = std::move(*encoder);
  return {};
}

// A timestamp below zero has no place in 33 bits; audio begins before the first frame (priming).
std::int64_t SyntheticFeed::origin() const {
  constexpr std::int64_t kWrap = std::int64_t{1} << 33;
  return settings_.start_pts < 90'000 ? settings_.start_pts + kWrap : settings_.start_pts;
}

PacketSink SyntheticFeed::video_sink() {
  return [this](AVPacket& packet) {
    return muxer_->write(packet, 0, video_->context().time_base, origin());
  };
}

Status SyntheticFeed::add_frame(std::int64_t index) {
  const auto due = due_time(settings_.video.rate, index);
  if (audio_) {
    const AVRational time_base = audio_->context().time_base;
    Status added = audio_->encode_until(sample_at(due), [&](AVPacket& packet) {
      return muxer_->write(packet, 1, time_base, origin());
    });
    if (!added) return added;
  }
  const BurnedTime burned = std::chrono::time_point_cast<std::chrono::milliseconds>(due);
  const std::int64_t number = index - first_frame_;
  return video_->encode(card_.draw(burned, number), number, video_sink());
}

void SyntheticFeed::count_late(std::int64_t frames, microseconds now) {
  frames_left_out_ += frames;
  if (now - told_at_ < microseconds(10 * kMicrosecond)) return;
  told_at_ = now;
  fmt::print(stderr, "mirror-source: {}: cannot keep up, {} frames left out so far\n",
             settings_.name, frames_left_out_);
}

}  // namespace

std::chrono::sys_time<microseconds> due_time(FrameRate rate, std::int64_t index) {
  const std::int64_t parts = index * rate.den;
  return std::chrono::sys_time<microseconds>(
      microseconds(parts / rate.num * kMicrosecond + parts % rate.num * kMicrosecond / rate.num));
}

std::int64_t first_frame_at(FrameRate rate, std::chrono::sys_time<microseconds> time) {
  const std::int64_t seconds = time.time_since_epoch().count() / kMicrosecond;
  std::int64_t index = seconds * rate.num / rate.den;
  while (due_time(rate, index) < time) ++index;
  return index;
}

Status run_synthetic(const FeedSettings& settings, Output& output, Pace& pace) {
  Result<SyntheticFeed> feed = SyntheticFeed::create(settings, output, pace);
  if (!feed) return std::unexpected(feed.error());
  return feed->run(pace);
}

}  // namespace mirror::source
