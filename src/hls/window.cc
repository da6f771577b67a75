#include "hls/window.h"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <utility>

#include "hls/playlist.h"

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

const Segment* WindowView::find(MediaSequence number) const {
  if (segments.empty() || number < segments.front()->number) return nullptr;
  const MediaSequence offset = number - segments.front()->number;
  return offset < segments.size() ? segments[offset].get() : nullptr;
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
      head_(render_head(settings_.grid)) {
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
  opened_ = true;
  open_shown_ = false;
}

void Window::publish(Part part, SegmentState state) {
  assert(opened_);
  listed_now_samples_ += part.samples;
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
  if (!open_shown_) {
    next_.segments.emplace_back();
    texts_.emplace_back();
  }
  next_.segments.back() = std::make_shared<const Segment>(open_);
  texts_.back() = render_segment(settings_, open_);
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
  auto keep = next_.segments.begin();
  while (keep != next_.segments.end() && (*keep)->number < next_.first_listed &&
         kept_now_samples_ > kept_samples_) {
    kept_now_samples_ -= (*keep)->samples();
    ++keep;
  }
  texts_.erase(texts_.begin(), texts_.begin() + (keep - next_.segments.begin()));
  next_.segments.erase(next_.segments.begin(), keep);
}

void Window::publish_view() {
  slide();
  auto view = std::make_shared<WindowView>(next_);
  if (!view->segments.empty()) view->playlist = Bytes::take(render());
  view_.publish(std::move(view));
  version_.fetch_add(1, std::memory_order_release);
}

std::string Window::render() const {
  std::vector<RenditionReport> reports;
  for (const WeakSibling& sibling : siblings_) {
    const auto window = sibling.window.lock();
    if (!window) continue;
    // The media thread writes all renditions of a stream, so `next_` of a sibling is its newest.
    if (const auto last = window->next_.last_part()) reports.push_back({sibling.uri, *last});
  }
  return render_media_playlist(head_, settings_, next_, texts_, reports);
}

}  // namespace mirror::hls
