#include "media_ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

namespace mirror::lint {
namespace {

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

std::string MediaLedger::key_of(const Resource& resource) const {
  return resource_key(resolve(url_, resource.uri), resource.range);
}

MediaLedger::Media* MediaLedger::find(const Resource& resource) {
  auto it = media_.find(key_of(resource));
  // A hint without BYTERANGE-LENGTH was fetched to the end of its resource.
  if (it == media_.end() && resource.range && resource.range->length) {
    Resource open = resource;
    open.range->length.reset();
    it = media_.find(key_of(open));
  }
  return it == media_.end() ? nullptr : &it->second;
}

void MediaLedger::keep(const std::string& key, std::string bytes) {
  if (media_.contains(key)) return;
  bytes_ += bytes.size();
  media_[key].bytes = std::move(bytes);
  order_.push_back(key);
  while (order_.size() > kKept || bytes_ > kBytesKept) {
    bytes_ -= media_[order_.front()].bytes.size();
    media_.erase(order_.front());
    order_.pop_front();
  }
}

void MediaLedger::compare(const std::string& key, const std::string& bytes, const Scribe& scribe) {
  const std::uint64_t hash = std::hash<std::string>{}(bytes);
  const auto [it, fresh] = contents_.emplace(key, hash);
  if (!fresh) {
    if (it->second != hash)
      scribe("content-changed"_rule, fmt::format("{}: other bytes than before", key));
    return;
  }
  contents_order_.push_back(key);
  if (contents_order_.size() > 8 * kKept) {
    contents_.erase(contents_order_.front());
    contents_order_.pop_front();
  }
}

void MediaLedger::take(const Exchange& exchange, const Scribe& scribe) {
  if (!exchange.ok()) return;
  const std::string key = resource_key(exchange.url, exchange.range);
  compare(key, exchange.body, scribe);
  if (exchange.purpose == Purpose::kInit) {
    Result<InitSection> init = read_init_section(bytes_of(exchange.body));
    if (!init) {
      scribe("media-structure"_rule, fmt::format("{}: {}", exchange.url, init.error().message));
      return;
    }
    judge_init_section(*init, scribe);
    constexpr std::size_t kInitsMax = 256;
    if (inits_.size() < kInitsMax) inits_[key] = std::move(*init);
    newest_init_ = key;
  } else {
    keep(key, exchange.body);
  }
  settle(scribe);
}

void MediaLedger::take_playlist(std::shared_ptr<const Playlist> playlist, const Scribe& scribe) {
  playlist_ = std::move(playlist);
  if (!settling_ && !playlist_->segments.empty()) {
    // From the first segment whose parts are listed, which the follower fetches.
    const auto it = std::ranges::find_if(playlist_->segments,
                                         [](const Segment& s) { return !s.parts.empty(); });
    settling_ = it == playlist_->segments.end() ? playlist_->segments.back().msn : it->msn;
  }
  settle(scribe);
}

void MediaLedger::settle(const Scribe& scribe) {
  if (!playlist_ || !settling_ || playlist_->segments.empty()) return;
  if (*settling_ < playlist_->segments.front().msn) {
    settling_ = playlist_->segments.front().msn;
    before_.reset();
  }
  while (const Segment* segment = playlist_->find(*settling_)) {
    // What could not be fetched must not keep the rest from being judged.
    constexpr std::uint64_t kPatience = 4;
    if (!settle_segment(*segment, scribe)) {
      if (playlist_->segments.back().msn <= *settling_ + kPatience) return;
      before_.reset();
    }
    ++*settling_;
  }
}

bool MediaLedger::read(Media& media, const InitSection& init, std::string_view what,
                       const Scribe& scribe) {
  if (media.read) return true;
  if (media.unreadable) return false;
  Result<Fragments> fragments = read_fragments(init, bytes_of(media.bytes));
  if (!fragments) {
    media.unreadable = true;
    scribe("media-structure"_rule, fmt::format("{}: {}", what, fragments.error().message));
    return false;
  }
  media.fragments = std::move(*fragments);
  media.read = true;
  return true;
}

// True when nothing of the segment remains to be seen.
bool MediaLedger::settle_segment(const Segment& segment, const Scribe& scribe) {
  if (segment.gap || segment.encrypted || !segment.map) {
    if (!segment.gap && !unknown_told_) {
      unknown_told_ = true;
      scribe("media-unknown"_rule,
             segment.encrypted ? "encrypted segments" : "segments without EXT-X-MAP",
             quote(*playlist_, {segment.line}));
    }
    before_.reset();
    return segment.complete;
  }
  const auto init = inits_.find(key_of(*segment.map));
  if (init == inits_.end()) return false;
  if (before_map_ != init->first) before_.reset();
  before_map_ = init->first;
  const bool parts_settled = settle_parts(segment, init->second, scribe);
  if (!segment.complete || !parts_settled) return false;
  Media* media = find(segment.resource);
  if (media == nullptr) return false;
  const std::string name = fmt::format("segment {}", segment.msn);
  if (!read(*media, init->second, name, scribe)) {
    before_.reset();
    return true;
  }
  judge_segment_media(*playlist_, segment, init->second, media->fragments, scribe);
  if (segment.parts.empty()) {
    judge_continuity_to(segment, init->second, media->fragments, name, true, scribe);
  } else {
    compare_with_parts(segment, init->second, *media, scribe);
  }
  judge_offset(segment, init->second, media->fragments, scribe);
  measure(segment, init->second, *media);
  bytes_ -= media->bytes.size();
  media->bytes.clear();
  return true;
}

bool MediaLedger::settle_parts(const Segment& segment, const InitSection& init,
                               const Scribe& scribe) {
  for (std::size_t i = 0; i < segment.parts.size(); ++i) {
    const Part& part = segment.parts[i];
    if (part.gap) {
      before_.reset();
      continue;
    }
    Media* media = find(part.resource);
    if (media == nullptr) return false;
    if (media->judged) continue;
    media->judged = true;
    const std::string name = fmt::format("part {}", to_string({segment.msn, i}));
    if (!read(*media, init, name, scribe)) {
      before_.reset();
      continue;
    }
    judge_part_media(*playlist_, part, init, media->fragments, scribe);
    judge_continuity_to(segment, init, media->fragments, name, i == 0, scribe);
  }
  return true;
}

void MediaLedger::judge_continuity_to(const Segment& segment, const InitSection& init,
                                      const Fragments& media, std::string_view where, bool first,
                                      const Scribe& scribe) {
  if (before_ && !(first && segment.discontinuity))
    judge_continuity(init, *before_, media, where, scribe);
  before_ = media;
}

void MediaLedger::compare_with_parts(const Segment& segment, const InitSection& init,
                                     const Media& media, const Scribe& scribe) {
  std::string joined;
  for (const Part& part : segment.parts) {
    Media* each = part.gap ? nullptr : find(part.resource);
    if (each == nullptr || (each->bytes.empty() && !each->unreadable)) return;
    joined += each->bytes;
  }
  for (const Part& part : segment.parts) {
    Media* each = find(part.resource);
    bytes_ -= each->bytes.size();
    each->bytes.clear();
  }
  if (joined == media.bytes) return;
  const auto parts = read_fragments(init, bytes_of(joined));
  const auto quotes = quote(*playlist_, {segment.parts.front().line, segment.line});
  if (parts && parts->samples_hash == media.fragments.samples_hash) {
    scribe("segment-bytes"_rule,
           fmt::format("segment {}: the same samples in other boxes", segment.msn), quotes);
  } else {
    scribe("segment-samples"_rule,
           fmt::format("segment {}: {} bytes, its parts {}", segment.msn, media.bytes.size(),
                       joined.size()),
           quotes);
  }
}

void MediaLedger::judge_offset(const Segment& segment, const InitSection& init,
                               const Fragments& media, const Scribe& scribe) {
  const Track* track = init.leading();
  const auto samples = media.tracks.find(track->id);
  if (!segment.date || samples == media.tracks.end()) return;
  const Seconds decoded(static_cast<double>(samples->second.decode_time) / track->timescale);
  const Seconds offset = segment.date->time_since_epoch() - decoded;
  const auto [it, first] = offsets_.emplace(segment.discontinuity_sequence, offset);
  constexpr std::size_t kOffsetsMax = 1024;
  if (offsets_.size() > kOffsetsMax) offsets_.erase(offsets_.begin());
  if (first || std::abs((offset - it->second).count()) <= 0.25) return;
  scribe("pdt-drift"_rule,
         fmt::format("segment {}: {:+.3f} s against the first of its timeline", segment.msn,
                     (offset - it->second).count()),
         quote(*playlist_, {segment.date_line, segment.line}));
}

void MediaLedger::measure(const Segment& segment, const InitSection& init, const Media& media) {
  const double bits = 8.0 * static_cast<double>(media.bytes.size());
  sizes_.push_back({bits, segment.duration});
  if (sizes_.size() > kSegmentsMeasured) sizes_.pop_front();
  bits_ += bits;
  seconds_ += segment.duration;
  const Track* track = init.leading();
  const auto samples = media.fragments.tracks.find(track->id);
  if (track->kind != TrackKind::kVideo || samples == media.fragments.tracks.end()) return;
  frames_ += samples->second.samples;
  frame_seconds_ += static_cast<double>(samples->second.duration) / track->timescale;
}

const InitSection* MediaLedger::init() const {
  const auto it = inits_.find(newest_init_);
  return it == inits_.end() ? nullptr : &it->second;
}

std::optional<double> MediaLedger::frame_rate() const {
  if (frames_ == 0 || frame_seconds_ <= 0) return std::nullopt;
  return static_cast<double>(frames_) / frame_seconds_;
}

double MediaLedger::average_bps() const {
  return seconds_ > Seconds{} ? bits_ / seconds_.count() : 0;
}

// 4.4.6.2: the largest rate of any contiguous segments that last 0.5 to 1.5 Target Durations.
double MediaLedger::peak_bps(Seconds target_duration) const {
  double peak = 0;
  for (std::size_t i = 0; i < sizes_.size(); ++i) {
    double bits = 0;
    Seconds duration{};
    for (std::size_t k = i; k < sizes_.size() && duration <= 1.5 * target_duration; ++k) {
      bits += sizes_[k].bits;
      duration += sizes_[k].duration;
      if (duration >= 0.5 * target_duration && duration <= 1.5 * target_duration) {
        peak = std::max(peak, bits / duration.count());
      }
    }
  }
  return peak;
}

}  // namespace mirror::lint
