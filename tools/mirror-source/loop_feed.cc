#include <algorithm>
#include <utility>

#include "feed.h"

namespace mirror::source {
namespace {

constexpr AVRational kTicks{1, 90'000};

struct CloseInput {
  void operator()(AVFormatContext* context) const { avformat_close_input(&context); }
};
using Input = std::unique_ptr<AVFormatContext, CloseInput>;

Result<Input> open_input(const std::string& path) {
  AVFormatContext* context = nullptr;
  if (const int result = avformat_open_input(&context, path.c_str(), nullptr, nullptr);
      result < 0) {
    return fail("{}: {}", path, av_error(result));
  }
  Input input(context);
  if (const int result = avformat_find_stream_info(context, nullptr); result < 0) {
    return fail("{}: {}", path, av_error(result));
  }
  return input;
}

class LoopFeed {
 public:
  LoopFeed(const FeedSettings& settings, Input input)
      : settings_(settings), input_(std::move(input)) {}

  Status open_muxer(Output& output);
  Status run(Pace& pace);

 private:
  enum class Turn { kFileEnded, kStopped };
  Result<Turn> play_once(Pace& pace);
  Status write(AVPacket& packet);

  const FeedSettings& settings_;
  const Input input_;
  std::unique_ptr<TsMuxer> muxer_;
  std::vector<int> out_index_;              // by input stream; -1: not copied
  std::vector<std::int64_t> last_dts_;      // by output stream, on the output's timeline
  std::optional<std::int64_t> file_begin_;  // the first dts of this turn, in ticks
  std::int64_t turn_begin_ = 0;             // where this turn lies on the output's timeline
  std::int64_t turn_end_ = 0;
  std::int64_t jumped_ = 0;  // the sum of all jumps so far
  microseconds start_{0};
};

Status LoopFeed::open_muxer(Output& output) {
  std::vector<const AVCodecParameters*> streams;
  for (unsigned i = 0; i < input_->nb_streams; ++i) {
    const AVCodecParameters* parameters = input_->streams[i]->codecpar;
    const bool wanted = parameters->codec_type == AVMEDIA_TYPE_VIDEO ||
                        (parameters->codec_type == AVMEDIA_TYPE_AUDIO && settings_.audio);
    out_index_.push_back(wanted ? static_cast<int>(streams.size()) : -1);
    if (wanted) streams.push_back(parameters);
  }
  if (streams.empty()) return fail("the file has neither video nor audio");
  last_dts_.assign(streams.size(), -1);
  auto muxer = TsMuxer::create(settings_.mux, output, streams);
  if (!muxer) return std::unexpected(muxer.error());
  muxer_ = std::move(*muxer);
  return {};
}

Status LoopFeed::run(Pace& pace) {
  start_ = pace.elapsed();
  for (;;) {
    const Result<Turn> turn = play_once(pace);
    if (!turn) return std::unexpected(turn.error());
    if (*turn == Turn::kStopped) return {};
    if (turn_end_ <= turn_begin_) return fail("the file has no timestamps to play it by");
    turn_begin_ = turn_end_;
    jumped_ += settings_.loop_jump;
    file_begin_.reset();
    // By bytes where the format can (a transport stream), else by time.
    const int flags = (input_->iformat->flags & AVFMT_NO_BYTE_SEEK) != 0 ? AVSEEK_FLAG_BACKWARD
                                                                         : AVSEEK_FLAG_BYTE;
    if (const int result = av_seek_frame(input_.get(), -1, 0, flags); result < 0) {
      return fail("the file cannot be played again: {}", av_error(result));
    }
  }
}

Result<LoopFeed::Turn> LoopFeed::play_once(Pace& pace) {
  const Packet packet(av_packet_alloc());
  if (!packet) return fail("out of memory");
  for (;;) {
    const int result = av_read_frame(input_.get(), packet.get());
    if (result == AVERROR_EOF) return Turn::kFileEnded;
    if (result < 0) return fail("the file: {}", av_error(result));
    const auto index = static_cast<std::size_t>(packet->stream_index);
    if (index >= out_index_.size() || out_index_[index] < 0 || packet->dts == AV_NOPTS_VALUE) {
      av_packet_unref(packet.get());
      continue;
    }
    const AVRational time_base = input_->streams[packet->stream_index]->time_base;
    av_packet_rescale_ts(packet.get(), time_base, kTicks);
    if (!file_begin_) file_begin_ = packet->dts;
    const std::int64_t at = packet->dts - *file_begin_ + turn_begin_;
    const microseconds due = start_ + microseconds(at * 100 / 9);
    if (settings_.duration && microseconds(at * 100 / 9) >= *settings_.duration) {
      return Turn::kStopped;
    }
    if (!pace.wait_until(due)) return Turn::kStopped;
    if (Status written = write(*packet); !written) return std::unexpected(written.error());
    av_packet_unref(packet.get());
  }
}

Status LoopFeed::write(AVPacket& packet) {
  const std::int64_t shift = turn_begin_ - *file_begin_;
  const std::int64_t dts = packet.dts + shift;
  const auto out =
      static_cast<std::size_t>(out_index_[static_cast<std::size_t>(packet.stream_index)]);
  // A stream that begins before the file's first dts would step back where the turns meet.
  if (dts <= last_dts_[out]) return {};
  last_dts_[out] = dts;
  turn_end_ = std::max(turn_end_, dts + std::max<std::int64_t>(packet.duration, 1));
  return muxer_->write(packet, static_cast<int>(out), kTicks,
                       shift + settings_.start_pts + jumped_);
}

}  // namespace

Status run_loop_file(const std::string& path, const FeedSettings& settings, Output& output,
                     Pace& pace) {
  Result<Input> input = open_input(path);
  if (!input) return std::unexpected(input.error());
  LoopFeed feed(settings, std::move(*input));
  if (Status opened = feed.open_muxer(output); !opened) return opened;
  return feed.run(pace);
}

}  // namespace mirror::source
