#include "hls/window.h"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <utility>

#include "hls/playlist.h"
#include "hls/playlist_renderer.h"

namespace mirror::hls {

namespace {

std::uint64_t samples_in(const media::SampleGrid& grid, std::chrono::milliseconds time) {
  const auto units = static_cast<std::uint64_t>(time.count()) * grid.timescale / 1'000;
  return (units + grid.sample_duration - 1) / grid.sample_duration;
}

// RFC 8216bis, 6.2.5.2: three seconds' worth of parts, or three parts if they are long.
PartIndex advance_part_limit(const media::SampleGrid& grid) {
  const auto part = duration_ticks(grid, grid.samples_per_part, Rounding::kUp);
  return static_cast<PartIndex>(
      std::max<std::uint64_t>(3, (3 * kTicksPerSecond + part - 1) / part));
}

}  // namespace

std::uint64_t Segment::samples() const {
  return std::accumulate(parts.begin(), parts.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const Part& part) { return sum + part.samples; });
}

std::size_t Segment::size() const {
  return std::accumulate(parts.begin(), parts.end(), std::size_t{0},
                         [](std::size_t sum, const Part& part) { return sum + part.bytes.size(); });
}

bool Segment::gap() const {
  return std::ranges::all_of(parts, [](const Part& part) { return part.gap; });
}

std::optional<WindowView::Position> WindowView::last_part() const {
  if (segments.empty()) return std::nullopt;
  const Segment& last = *segments.back();
  return Position{last.number, static_cast<PartIndex>(last.parts.size() - 1)};
}

Window::Window(WindowSettings settings)
    : settings_(std::move(settings)),
      listed_samples_(samples_in(settings_.grid, settings_.listed)),
      kept_samples_(samples_in(settings_.grid, settings_.kept)),
      renderer_(std::make_unique<PlaylistRenderer>(settings_)) {
  assert(settings_.listed >= std::chrono::seconds(3 * kTargetDurationSeconds));
  next_.first_listed = settings_.first_segment;
  next_.next = {settings_.first_segment, 0};
  next_.advance_part_limit = advance_part_limit(settings_.grid);
  view_.publish(std::make_shared<const WindowView>(next_));
}

Window::~Window() = default;

void Window::set_siblings(std::vector<Sibling> siblings) {
  for (Sibling& sibling : siblings) {
    siblings_.push_back({std::move(sibling.uri), sibling.window});
  }
}

void Window::open(const Opening& opening) {
  assert(!opened_ && !next_.ended);
  open_ = {};
  open_.number = next_.next.segment;
  open_.discontinuity = opening.discontinuity;
  open_.decode_time = opening.decode_time;
  open_.date = opening.date;
  open_samples_ = 0;
  opened_ = true;
  open_shown_ = false;
}

void Window::grow(ComingPiece chunk, bool independent) {
  assert(opened_);
  chunk.times.published = now();
  growth_->add({.at = {open_.number, static_cast<PartIndex>(open_.parts.size())},
                .independent = independent,
                .discontinuity = open_.discontinuity && open_.parts.empty()},
               std::move(chunk));
}

void Window::publish(Part part, SegmentState state) {
  assert(opened_);
  listed_now_samples_ += part.samples;
  part.decode_time =
      open_.decode_time + static_cast<std::int64_t>(open_samples_) * settings_.grid.sample_duration;
  part.times.published = now();
  open_samples_ += part.samples;
  open_.parts.push_back(std::move(part));
  next_.next = {open_.number, static_cast<PartIndex>(open_.parts.size())};
  if (state == SegmentState::kComplete) {
    complete_open_segment();
  } else {
    show_open_segment();
  }
  publish_view();
}

void Window::complete() {
  if (!opened_) return;
  if (open_.parts.empty()) {  // was never seen: its number stays free
    opened_ = false;
    return;
  }
  complete_open_segment();
  publish_view();
}

void Window::set_date_range(DateRange range) {
  date_ranges_.set(std::move(range), next_.next.segment);
  if (!next_.segments.empty() && !next_.ended) publish_view();
}

void Window::end() {
  if (next_.ended) return;
  if (opened_ && !open_.parts.empty()) complete_open_segment();
  opened_ = false;
  next_.ended = true;
  publish_view();
}

void Window::complete_open_segment() {
  open_.complete = true;
  next_.next = {open_.number + 1, 0};
  show_open_segment();
  open_ = {};
  opened_ = false;
  open_shown_ = false;
}

// Readers hold the older copy, so the open segment is copied: a handful of references.
void Window::show_open_segment() {
  auto copy = std::make_shared<const Segment>(open_);
  if (open_shown_) {
    next_.segments.replace_back(std::move(copy));
    texts_.back() = render_segment(settings_, open_);
  } else {
    next_.segments.push_back(std::move(copy));
    texts_.push_back(render_segment(settings_, open_));
  }
  open_shown_ = true;
}

// Takes from the playlist, and later from the window, what is older than the settings ask for.
void Window::slide() {
  while (const Segment* first = next_.find(next_.first_listed)) {
    if (listed_now_samples_ < listed_samples_ + first->samples()) break;
    listed_now_samples_ -= first->samples();
    kept_now_samples_ += first->samples();
    if (first->discontinuity) ++next_.discontinuity_sequence;
    ++next_.first_listed;
  }
  while (!next_.segments.empty() && kept_now_samples_ > kept_samples_) {
    const Segment& oldest = *next_.segments.front();
    if (oldest.number >= next_.first_listed) break;
    kept_now_samples_ -= oldest.samples();
    if (next_.segments.pop_front() > 0) texts_.pop_front();
  }
  if (const Segment* first = next_.find(next_.first_listed)) {
    date_ranges_.slide(first->date, next_.next.segment);
  }
}

// Keeps short what is copied with each publication. What is packed lists its parts no more, and
// delta updates skip it.
void Window::pack() {
  const auto& recent = next_.segments.recent();
  if (recent.size() < 2 * kBlockSegments) return;
  if (recent[kBlockSegments - 1]->number >= first_not_skipped(settings_, next_)) return;
  const std::vector packed(recent.begin(), recent.begin() + kBlockSegments);
  next_.segments.pack(renderer_->pack(packed, texts_));
  texts_.erase(texts_.begin(), texts_.begin() + kBlockSegments);
}

void Window::publish_view() {
  slide();
  pack();
  if (!next_.segments.empty()) next_.playlists = render();
  view_.publish(std::make_shared<const WindowView>(next_));
  growth_->clear();  // the view has it, or it will never come
  version_.fetch_add(1, std::memory_order_release);
}

Playlists Window::render() {
  constexpr std::uint64_t kGzipPublications = 100;  // about ten seconds
  std::vector<RenditionReport> reports;
  for (const WeakSibling& sibling : siblings_) {
    const auto window = sibling.window.lock();
    if (!window) continue;
    // The media thread writes all renditions of a stream, so `next_` of a sibling is its newest.
    if (const auto last = window->next_.last_part()) reports.push_back({sibling.uri, *last});
  }
  const std::uint64_t wanted = gzip_wanted_.load(std::memory_order_relaxed);
  const std::uint64_t version = version_.load(std::memory_order_relaxed);
  const bool gzip = wanted != kNever && version - wanted < kGzipPublications;
  return renderer_->render({.view = next_,
                            .texts = texts_,
                            .date_ranges = date_ranges_,
                            .reports = reports,
                            .version = version + 1},
                           gzip);
}

}  // namespace mirror::hls
