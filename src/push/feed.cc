#include "push/feed.h"

#include <algorithm>
#include <cassert>
#include <utility>
#include <variant>

#include "cmaf/init_segment.h"
#include "push/subscription.h"

namespace mirror::push {
namespace {

using namespace std::chrono_literals;

// While nothing can be seen, the catalogue is asked no more often than this.
constexpr auto kLookEvery = 50ms;

std::chrono::microseconds to_time(std::int64_t units, std::uint32_t timescale) {
  return std::chrono::microseconds(units * 1'000'000 / timescale);
}

TrackInfo describe(TrackNumber number, const Target& target, const hls::Presentation& presentation,
                   const hls::Presentation::Rendition& rendition) {
  const media::SampleGrid& grid = media::grid_of(rendition.track);
  TrackInfo info{.number = number,
                 .stream = target.stream,
                 .rendition = target.rendition,
                 .epoch = presentation.epoch(),
                 .codec = cmaf::codec_string(rendition.track),
                 .timescale = grid.timescale,
                 .sample_duration = grid.sample_duration};
  if (const auto* video = std::get_if<media::VideoDescription>(&rendition.track)) {
    info.format = VideoFormat{video->width, video->height, video->frame_rate};
  } else if (const auto* audio = std::get_if<media::AudioDescription>(&rendition.track)) {
    info.format = AudioFormat{audio->sample_rate, audio->channels, audio->language};
  }
  return info;
}

}  // namespace

Feed::Feed(Target target, const Catalogue& catalogue, TrackNumber& last_track)
    : target_(std::move(target)), catalogue_(catalogue), last_track_(last_track) {}

Feed::~Feed() = default;

bool Feed::is_first_rendition() const {
  return track_ && track_->rendition == &track_->presentation->renditions().front();
}

void Feed::attach(Subscription& subscription) {
  subscriptions_.push_back(&subscription);
  if (!subscription.wants_chunks()) return;
  ++chunk_subscriptions_;
  if (track_ && !waiter_) waiter_.emplace(track_->rendition->window->growth());
}

void Feed::detach(Subscription& subscription) {
  const auto found = std::ranges::find(subscriptions_, &subscription);
  if (found == subscriptions_.end()) return;
  *found = subscriptions_.back();
  subscriptions_.pop_back();
  if (!subscription.wants_chunks() || --chunk_subscriptions_ > 0) return;
  waiter_.reset();
  chunks_.clear();
  chunk_bytes_ = 0;
}

void Feed::refresh(SteadyTime now) {
  if (track_ && !ended_) {
    const std::uint64_t version = window().version();
    if (std::exchange(seen_, version) != version) read_window(now);
    if (chunk_subscriptions_ > 0 && !ended_) read_growth(now);
    if (!ended_) return;
    looked_ = {};  // another presentation may stand ready
  }
  if (looked_ == SteadyTime{} || now - looked_ >= kLookEvery) look(now);
}

void Feed::look(SteadyTime now) {
  looked_ = now;
  const auto entry = catalogue_.find(target_.stream);
  const StreamState before = state_;
  if (!entry) {
    state_ = track_ || state_ == StreamState::kEnded ? StreamState::kEnded : StreamState::kAbsent;
    if (ended_) track_.reset();  // nobody is kept from freeing it by those who wait for the next
  } else {
    const auto& presentation = entry->presentation;
    const auto* rendition = presentation ? presentation->find(target_.rendition) : nullptr;
    const bool visible = rendition != nullptr || (track_ && !ended_);
    state_ = visible ? entry->state : StreamState::kAbsent;
    const bool another = !track_ || (ended_ && presentation != track_->presentation);
    if (rendition != nullptr && another && entry->state != StreamState::kEnded) {
      adopt(presentation, *rendition);
      seen_ = window().version();
      read_window(now);
    }
  }
  if (state_ == before) return;
  for_each_subscription([](Subscription& subscription) { subscription.on_news(); });
}

void Feed::adopt(const std::shared_ptr<const hls::Presentation>& presentation,
                 const hls::Presentation::Rendition& rendition) {
  const bool begins = track_ != nullptr || !subscriptions_.empty();
  auto track = std::make_shared<Track>();
  track->number = ++last_track_;
  track->presentation = presentation;
  track->rendition = &rendition;
  track->timescale = media::grid_of(rendition.track).timescale;
  track->announcement = encode(describe(track->number, target_, *presentation, rendition));
  track->init_head = encode_head(InitHead{track->number}, rendition.init.size());
  track_ = std::move(track);
  ended_ = false;
  chunks_.clear();
  chunk_bytes_ = 0;
  seen_growth_ = 0;
  if (chunk_subscriptions_ > 0) waiter_.emplace(rendition.window->growth());
  const auto view = window().view();
  // Who waited for it is given it from its beginning, within reason.
  constexpr std::size_t kSegmentsBack = 4;
  const bool young = view->segments.size() <= kSegmentsBack;
  cursor_ = begins && young && !view->segments.empty()
                ? hls::PartPosition{view->segments.front()->number, 0}
                : view->next;
  if (begins && !young) cursor_ = {view->segments.back()->number, 0};
  for_each_subscription([](Subscription& subscription) { subscription.on_track(); });
}

void Feed::read_window(SteadyTime now) {
  const auto view = window().view();
  while (true) {
    const hls::Segment* segment = view->find(cursor_.segment);
    if (segment == nullptr) {
      const bool gone = !view->segments.empty() && cursor_.segment < view->segments.front()->number;
      if (!gone) break;
      const auto from = std::exchange(cursor_, {view->segments.front()->number, 0});
      overtaken(from, {cursor_.segment - 1, 0});
    } else if (cursor_.part < segment->parts.size()) {
      publish(*segment, cursor_.part, now);
      ++cursor_.part;
    } else if (segment->complete) {
      cursor_ = {cursor_.segment + 1, 0};
    } else {
      break;
    }
  }
  ended_ = view->ended;
}

void Feed::read_growth(SteadyTime now) {
  const auto& growth = window().growth();
  const std::uint64_t version = growth->version();
  if (std::exchange(seen_growth_, version) == version && !chunks_.empty()) return;
  const auto coming = growth->coming();
  // Another part than the next: its predecessor was published in this very moment, and a wake
  // comes.
  if (!coming || coming->at != cursor_) return;
  for (std::size_t i = chunks_.size(); i < coming->pieces.size(); ++i) {
    auto frame = chunk(*coming, i);
    chunk_bytes_ += frame->body.size();
    chunks_.push_back(frame);
    for_each_subscription([&](Subscription& subscription) {
      if (subscription.wants_chunks()) subscription.offer(frame, now);
    });
  }
}

void Feed::publish(const hls::Segment& segment, hls::PartIndex index, SteadyTime now) {
  const bool in_chunks = !chunks_.empty() && chunks_.front()->at == cursor_;
  const MediaFramePointer frame = whole(segment, index);
  const MediaFramePointer last = in_chunks ? rest(segment, index) : frame;
  chunks_.clear();
  chunk_bytes_ = 0;
  for_each_subscription([&](Subscription& subscription) {
    subscription.offer(subscription.wants_chunks() ? last : frame, now);
  });
}

void Feed::overtaken(hls::PartPosition from, hls::PartPosition to) {
  chunks_.clear();
  chunk_bytes_ = 0;
  for_each_subscription([&](Subscription& subscription) {
    subscription.lose(from, std::max(from, to), DropReason::kOvertaken);
  });
}

// Nobody who is given something leaves or comes meanwhile: sessions let go of subscriptions later.
template <class Give>
void Feed::for_each_subscription(Give&& give) {
  const std::size_t count = subscriptions_.size();
  const std::size_t start = count > 0 ? turns_++ % count : 0;
  for (std::size_t i = 0; i < count; ++i) give(*subscriptions_[(start + i) % count]);
}

MediaFramePointer Feed::whole(const hls::Segment& segment, hls::PartIndex index) const {
  const hls::Part& part = segment.parts[index];
  auto frame = std::make_shared<MediaFrame>();
  frame->track = track_;
  frame->at = {segment.number, index};
  frame->independent = part.independent;
  frame->decode_time = part.decode_time;
  frame->duration = std::int64_t{part.samples} * sample_duration();
  frame->body = part.bytes;
  frame->head = encode_head({.track = track_->number,
                             .at = frame->at,
                             .independent = part.independent,
                             .discontinuity = segment.discontinuity && index == 0,
                             .gap = part.gap,
                             .decode_time = part.decode_time,
                             .duration = static_cast<std::uint64_t>(frame->duration),
                             .times = part.times},
                            part.bytes.size());
  return frame;
}

// What is left of a part whose chunks were given; perhaps nothing, when it was cut short.
MediaFramePointer Feed::rest(const hls::Segment& segment, hls::PartIndex index) const {
  const hls::Part& part = segment.parts[index];
  const std::int64_t part_end = part.decode_time + std::int64_t{part.samples} * sample_duration();
  auto frame = std::make_shared<MediaFrame>();
  frame->track = track_;
  frame->at = {segment.number, index};
  frame->independent = part.independent;
  frame->first = false;
  frame->decode_time = std::min(chunks_.back()->end(), part_end);
  frame->duration = part_end - frame->decode_time;
  frame->body = part.bytes.slice(chunk_bytes_);
  hls::PartTimes times = part.times;
  times.captured += to_time(frame->decode_time - part.decode_time, track_->timescale);
  frame->head = encode_head({.track = track_->number,
                             .at = frame->at,
                             .independent = part.independent,
                             .discontinuity = segment.discontinuity && index == 0,
                             .chunk = true,
                             .last = true,
                             .offset = chunk_bytes_,
                             .decode_time = frame->decode_time,
                             .duration = static_cast<std::uint64_t>(frame->duration),
                             .times = times},
                            frame->body.size());
  return frame;
}

MediaFramePointer Feed::chunk(const hls::ComingPart& coming, std::size_t index) const {
  const hls::ComingPiece& piece = coming.pieces[index];
  auto frame = std::make_shared<MediaFrame>();
  frame->track = track_;
  frame->at = coming.at;
  frame->independent = coming.independent;
  frame->first = index == 0;
  frame->last = false;
  frame->decode_time = piece.decode_time;
  frame->duration = sample_duration();
  frame->body = piece.bytes;
  frame->head = encode_head({.track = track_->number,
                             .at = coming.at,
                             .independent = coming.independent,
                             .discontinuity = coming.discontinuity,
                             .chunk = true,
                             .last = false,
                             .offset = chunk_bytes_,
                             .decode_time = piece.decode_time,
                             .duration = sample_duration(),
                             .times = piece.times},
                            piece.bytes.size());
  return frame;
}

std::vector<MediaFramePointer> Feed::from_newest_independent(bool chunks) const {
  if (!track_) return {};
  const auto view = window().view();
  for (std::size_t i = view->segments.size(); i-- > 0;) {
    const hls::Segment& segment = *view->segments[i];
    for (std::size_t part = segment.parts.size(); part-- > 0;) {
      const hls::PartPosition at{segment.number, static_cast<hls::PartIndex>(part)};
      if (at < cursor_ && segment.parts[part].independent) return from_part(at, chunks);
    }
  }
  return {};
}

std::vector<MediaFramePointer> Feed::from_part(hls::PartPosition from, bool chunks) const {
  std::vector<MediaFramePointer> frames;
  if (!track_) return frames;
  const auto view = window().view();
  while (from < cursor_) {
    const hls::Segment* segment = view->find(from.segment);
    if (segment == nullptr) break;
    if (from.part < segment->parts.size()) {
      frames.push_back(whole(*segment, from.part++));
    } else {
      from = {from.segment + 1, 0};
    }
  }
  if (chunks) frames.insert(frames.end(), chunks_.begin(), chunks_.end());
  return frames;
}

std::optional<hls::Part> Feed::independent_from(std::int64_t time, std::uint32_t timescale,
                                                hls::PartPosition& position) const {
  std::optional<hls::Part> found;
  if (!track_) return found;
  const auto view = window().view();
  for (std::size_t i = view->segments.size(); i-- > 0;) {
    const hls::Segment& segment = *view->segments[i];
    for (std::size_t index = segment.parts.size(); index-- > 0;) {
      const hls::Part& part = segment.parts[index];
      if (is_before(part.decode_time, track_->timescale, time, timescale)) return found;
      const hls::PartPosition at{segment.number, static_cast<hls::PartIndex>(index)};
      if (!part.independent || at >= cursor_) continue;
      found = part;
      position = at;
    }
  }
  return found;
}

}  // namespace mirror::push
