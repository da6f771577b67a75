#include "playlist.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>

namespace mirror::lint {

Seconds Segment::parts_duration() const {
  return std::accumulate(parts.begin(), parts.end(), Seconds{},
                         [](Seconds sum, const Part& part) { return sum + part.duration; });
}

std::string_view Playlist::line(int number) const {
  if (number < 1 || static_cast<std::size_t>(number) > lines.size()) return {};
  return lines[static_cast<std::size_t>(number) - 1];
}

const Segment* Playlist::find(std::uint64_t msn) const {
  if (segments.empty() || msn < segments.front().msn || msn > segments.back().msn) return nullptr;
  return &segments[msn - segments.front().msn];
}

Seconds Playlist::duration() const {
  Seconds sum{};
  for (const Segment& segment : segments) {
    sum += segment.complete ? segment.duration : segment.parts_duration();
  }
  return sum;
}

const Hint* Playlist::hint(std::string_view type) const {
  const auto it = std::ranges::find(hints, type, &Hint::type);
  return it == hints.end() ? nullptr : std::to_address(it);
}

void number_segments(Playlist& playlist) {
  std::uint64_t msn = playlist.media_sequence + (playlist.skip ? playlist.skip->segments : 0);
  std::uint64_t discontinuity = playlist.discontinuity_sequence;
  for (Segment& segment : playlist.segments) {
    segment.msn = msn++;
    if (segment.discontinuity) ++discontinuity;
    segment.discontinuity_sequence = discontinuity;
  }
}

Position next_position(const Playlist& playlist) {
  if (playlist.segments.empty()) {
    return {playlist.media_sequence + (playlist.skip ? playlist.skip->segments : 0), 0};
  }
  const Segment& last = playlist.segments.back();
  if (last.complete) return {last.msn + 1, 0};
  return {last.msn, last.parts.size()};
}

bool contains(const Playlist& playlist, std::uint64_t msn, std::optional<std::uint64_t> part) {
  const Position next = next_position(playlist);
  if (playlist.ended()) return true;
  if (!part) return next.msn > msn;
  const Segment* segment = playlist.find(msn);
  // A Part Index past the end of a segment means the first part of the next one.
  if (segment != nullptr && segment->complete && *part >= segment->parts.size()) {
    return next > Position{msn + 1, 0};
  }
  return next > Position{msn, *part};
}

std::string to_string(Position position) {
  return fmt::format("{}.{}", position.msn, position.part);
}

namespace {

// Takes exactly `digits` digits and, where one is wanted, the character behind them.
std::optional<int> take(std::string_view& text, std::size_t digits, char behind = '\0') {
  if (text.size() < digits + (behind == '\0' ? 0 : 1)) return std::nullopt;
  const auto value = parse_integer(text.substr(0, digits));
  if (!value || (behind != '\0' && text[digits] != behind)) return std::nullopt;
  text.remove_prefix(digits + (behind == '\0' ? 0 : 1));
  return static_cast<int>(*value);
}

std::optional<std::chrono::microseconds> take_fraction(std::string_view& text) {
  if (!text.starts_with('.')) return std::chrono::microseconds{};
  std::int64_t value = 0;
  std::int64_t unit = 100'000;
  std::size_t at = 1;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    value += (text[at] - '0') * unit;
    unit /= 10;
  }
  if (at == 1) return std::nullopt;
  text.remove_prefix(at);
  return std::chrono::microseconds(value);
}

std::optional<std::chrono::minutes> take_zone(std::string_view text) {
  if (text == "Z") return std::chrono::minutes{};
  if (!text.starts_with('+') && !text.starts_with('-')) return std::nullopt;
  const int sign = text.front() == '-' ? -1 : 1;
  text.remove_prefix(1);
  const auto hours = take(text, 2);
  if (text.starts_with(':')) text.remove_prefix(1);
  const auto minutes = take(text, 2);
  if (!hours || !minutes || !text.empty()) return std::nullopt;
  return std::chrono::minutes(sign * (*hours * 60 + *minutes));
}

}  // namespace

std::optional<Date> parse_date(std::string_view text) {
  const auto year = take(text, 4, '-');
  const auto month = year ? take(text, 2, '-') : std::nullopt;
  const auto day = month ? take(text, 2, 'T') : std::nullopt;
  const auto hour = day ? take(text, 2, ':') : std::nullopt;
  const auto minute = hour ? take(text, 2, ':') : std::nullopt;
  const auto second = minute ? take(text, 2) : std::nullopt;
  if (!second || *hour > 24 || *minute > 59 || *second > 60) return std::nullopt;
  const auto fraction = take_fraction(text);
  if (!fraction) return std::nullopt;
  const auto zone = take_zone(text);
  if (!zone) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return Date(std::chrono::sys_days(date)) + std::chrono::hours(*hour) +
         std::chrono::minutes(*minute) + std::chrono::seconds(*second) + *fraction - *zone;
}

}  // namespace mirror::lint
