#include "command.h"

#include <charconv>
#include <cmath>

namespace mirror::relay {
namespace {

using std::chrono::microseconds;

// The number that `text` begins with, and what stands behind it.
Result<double> take_number(std::string_view& text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || !std::isfinite(value) || value < 0) {
    return fail("'{}' does not begin with a number", text);
  }
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  return value;
}

Status read_share(std::string_view text, double& share) {
  std::string_view unit = text;
  const Result<double> number = take_number(unit);
  if (!number) return std::unexpected(number.error());
  const double value = unit == "%" ? *number / 100 : *number;
  if ((!unit.empty() && unit != "%") || value > 1) return fail("{} is no share", text);
  share = value;
  return {};
}

Status read_time(std::string_view text, microseconds& time) {
  constexpr double kMax_us = 60e6;
  std::string_view unit = text;
  const Result<double> number = take_number(unit);
  if (!number) return std::unexpected(number.error());
  const double scale = unit == "us" ? 1 : unit == "ms" ? 1e3 : unit == "s" ? 1e6 : 0;
  if (scale == 0) return fail("{} is no time; units are us, ms and s", text);
  if (*number * scale > kMax_us) return fail("{} is more than 60 s", text);
  time = microseconds(std::llround(*number * scale));
  return {};
}

Status read_rate(std::string_view text, std::int64_t& rate_bps) {
  std::string_view unit = text;
  const Result<double> number = take_number(unit);
  if (!number) return std::unexpected(number.error());
  const double scale = unit.empty() ? 1 : unit == "k" ? 1e3 : unit == "M" ? 1e6 : 0;
  const double value = *number * scale;
  if (scale == 0 || value > 10e9) return fail("{} is no rate", text);
  rate_bps = std::llround(value);
  return {};
}

Status read_burst(std::string_view text, double& burst) {
  std::string_view rest = text;
  const Result<double> number = take_number(rest);
  if (!number) return std::unexpected(number.error());
  if (!rest.empty() || *number < 1 || *number > 10'000) return fail("{} is not 1 to 10000", text);
  burst = *number;
  return {};
}

Status set(Conditions& conditions, std::string_view name, std::string_view value, SteadyTime now) {
  if (name == "loss") return read_share(value, conditions.loss);
  if (name == "loss_burst") return read_burst(value, conditions.loss_burst);
  if (name == "delay") return read_time(value, conditions.delay);
  if (name == "jitter") return read_time(value, conditions.jitter);
  if (name == "reorder") return read_share(value, conditions.reorder);
  if (name == "reorder_by") return read_time(value, conditions.reorder_by);
  if (name == "duplicate") return read_share(value, conditions.duplicate);
  if (name == "rate") return read_rate(value, conditions.rate_bps);
  if (name == "queue") return read_time(value, conditions.queue);
  if (name == "outage") {
    microseconds time{};
    if (Status read = read_time(value, time); !read) return read;
    conditions.down_until = now + time;
    return {};
  }
  return fail("unknown name '{}'", name);
}

std::string_view take_word(std::string_view& line) {
  while (line.starts_with(' ')) line.remove_prefix(1);
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

Status change(Conditions& conditions, std::string_view words, SteadyTime now) {
  bool any = false;
  for (std::string_view word = take_word(words); !word.empty(); word = take_word(words)) {
    any = true;
    if (word == "clear") {
      conditions = {};
      continue;
    }
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) return fail("'{}' has no value", word);
    const std::string_view name = word.substr(0, equals);
    if (Status status = set(conditions, name, word.substr(equals + 1), now); !status) {
      return std::unexpected(std::move(status.error()).within(name));
    }
  }
  if (!any) return fail("nothing to change");
  return {};
}

}  // namespace

Status apply(std::string_view line, Link& link, SteadyTime now) {
  const std::string_view direction = take_word(line);
  const bool both = direction == "both";
  if (!both && direction != "up" && direction != "down") {
    return fail("'{}' is no direction; choose up, down or both", direction);
  }
  Link changed = link;
  if (both || direction == "up") {
    if (Status status = change(changed.up, line, now); !status) return status;
  }
  if (both || direction == "down") {
    if (Status status = change(changed.down, line, now); !status) return status;
  }
  link = changed;
  return {};
}

}  // namespace mirror::relay
