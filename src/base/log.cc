#include "base/log.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cmath>
#include <cstddef>

namespace mirror {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// One line under construction, on the stack: logging neither allocates nor throws. Once something
// did not fit, everything later is refused too, so that a cut line never has a hole in its middle.
// The last kReserve bytes belong to what marks and closes a cut line.
class Line {
 public:
  bool append(std::string_view text) noexcept {
    if (cut_ || size_ + text.size() > bytes_.size() - kReserve) {
      cut_ = true;
      return false;
    }
    std::copy(text.begin(), text.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += text.size();
    return true;
  }

  // Uses the reserve; for what closes the line.
  void close(std::string_view text) noexcept {
    const std::size_t size = std::min(text.size(), bytes_.size() - size_);
    std::copy_n(text.begin(), size, bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += size;
  }

  // Goes back to where the line was, so that a field which did not fit leaves no half of itself.
  void rewind(std::size_t size) noexcept { size_ = size; }

  std::size_t size() const noexcept { return size_; }
  bool cut() const noexcept { return cut_; }
  std::string_view text() const noexcept { return {bytes_.data(), size_}; }

 private:
  static constexpr std::size_t kReserve = 32;
  std::array<char, Log::kMaxLineBytes> bytes_;
  std::size_t size_ = 0;
  bool cut_ = false;
};

// The length of the well-formed UTF-8 sequence that `text` begins with (Unicode 15, table 3-7), or
// 0 where there is none. `text` is not empty.
std::size_t utf8_sequence_size(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xC2 && first <= 0xDF   ? 2
                           : first >= 0xE0 && first <= 0xEF ? 3
                           : first >= 0xF0 && first <= 0xF4 ? 4
                                                            : 0;
  if (size == 0 || text.size() < size) return 0;
  const unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < low || byte(1) > high) return 0;
  for (std::size_t i = 2; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return size;
}

// C0, DEL and C1: what a terminal or a log reader could take for a command.
bool is_control(std::string_view sequence) noexcept {
  const auto first = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return first < 0x20 || first == 0x7F;
  return first == 0xC2 && static_cast<unsigned char>(sequence[1]) < 0xA0;
}

// JSON string escapes (RFC 8259 section 7), used by both formats.
bool append_escaped_control(Line& line, std::string_view sequence) noexcept {
  switch (sequence[0]) {
    case '\n':
      return line.append("\\n");
    case '\r':
      return line.append("\\r");
    case '\t':
      return line.append("\\t");
    default:
      break;
  }
  const auto code = static_cast<unsigned char>(sequence.back());  // C1: 0xC2 0xNN is U+00NN
  constexpr std::string_view digits = "0123456789abcdef";
  const std::array<char, 6> escape{'\\', 'u', '0', '0', digits[code >> 4], digits[code & 15]};
  return line.append({escape.data(), escape.size()});
}

enum class Quotes { kEscaped, kPlain };

// Appends as much of `text` as fits, on whole characters.
void append_text(Line& line, std::string_view text, Quotes quotes) noexcept {
  while (!text.empty()) {
    const std::size_t size = utf8_sequence_size(text);
    const std::string_view sequence = text.substr(0, std::max<std::size_t>(size, 1));
    const bool quoted =
        quotes == Quotes::kEscaped && size == 1 && (sequence[0] == '"' || sequence[0] == '\\');
    const bool fits = size == 0              ? line.append(kReplacement)
                      : is_control(sequence) ? append_escaped_control(line, sequence)
                      : quoted               ? line.append(sequence[0] == '"' ? "\\\"" : "\\\\")
                                             : line.append(sequence);
    if (!fits) return;
    text.remove_prefix(sequence.size());
  }
}

void append_quoted(Line& line, std::string_view text) noexcept {
  if (!line.append("\"")) return;
  append_text(line, text, Quotes::kEscaped);
  // A cut value is still a closed string, so that a cut JSON line still parses.
  if (line.cut()) {
    line.close("…\"");
  } else if (!line.append("\"")) {
    line.close("\"");
  }
}

bool is_bare_word(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
           c == '_' || c == '-' || c == '/';
  });
}

template <class T>
bool append_number(Line& line, T value) noexcept {
  std::array<char, 64> digits;
  const auto written = fmt::format_to_n(digits.data(), digits.size(), "{}", value);
  return line.append({digits.data(), std::min(written.size, digits.size())});
}

using Value = decltype(LogField::value);

void append_value(Line& line, const Value& value, LogFormat format) noexcept {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    if (format == LogFormat::kReadable && is_bare_word(*text)) {
      append_text(line, *text, Quotes::kPlain);
    } else {
      append_quoted(line, *text);
    }
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    append_number(line, *integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    // JSON has no NaN and no infinity.
    if (format == LogFormat::kJson && !std::isfinite(*real)) {
      line.append("null");
    } else {
      append_number(line, *real);
    }
  } else if (const auto* truth = std::get_if<bool>(&value)) {
    line.append(*truth ? "true" : "false");
  }
}

std::string_view name_of(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

// RFC 3339, UTC, milliseconds.
void append_time(Line& line, std::chrono::system_clock::time_point now) noexcept {
  using namespace std::chrono;
  const auto day = floor<days>(now);
  const year_month_day date(day);
  const hh_mm_ss<milliseconds> time(floor<milliseconds>(now - day));
  std::array<char, 40> text;
  const auto written =
      fmt::format_to_n(text.data(), text.size(), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
                       static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                       static_cast<unsigned>(date.day()), time.hours().count(),
                       time.minutes().count(), time.seconds().count(), time.subseconds().count());
  line.append({text.data(), std::min(written.size, text.size())});
}

void write_readable(Line& line, LogLevel level, std::string_view module, std::string_view message,
                    Log::Fields fields) noexcept {
  append_time(line, std::chrono::system_clock::now());
  const std::string_view name = level == LogLevel::kWarning ? "warn" : name_of(level);
  line.append(" ");
  line.append(name);
  line.append(std::string_view("      ").substr(0, 6 - name.size()));
  append_text(line, module, Quotes::kPlain);
  line.append(": ");
  append_text(line, message, Quotes::kPlain);
  for (const LogField& field : fields) {
    const std::size_t before = line.size();
    if (line.append(" ")) append_text(line, field.key, Quotes::kPlain);
    if (!line.append("=")) {
      line.rewind(before);
      break;
    }
    append_value(line, field.value, LogFormat::kReadable);
    if (line.cut()) break;
  }
  line.close(line.cut() ? " (cut)\n" : "\n");
}

void write_json(Line& line, LogLevel level, std::string_view module, std::string_view message,
                Log::Fields fields) noexcept {
  line.append("{\"time\":\"");
  append_time(line, std::chrono::system_clock::now());
  line.append("\",\"level\":\"");
  line.append(name_of(level));
  line.append("\",\"module\":");
  append_quoted(line, module);
  if (line.append(",\"message\":")) append_quoted(line, message);
  for (const LogField& field : fields) {
    if (line.cut()) break;
    const std::size_t before = line.size();
    line.append(",");
    append_quoted(line, field.key);
    line.append(":");
    const std::size_t value_at = line.size();
    append_value(line, field.value, LogFormat::kJson);
    const bool cut_text = line.cut() && line.size() > value_at &&
                          std::holds_alternative<std::string_view>(field.value);
    // A key without a value, or half a number, would not be JSON; a cut text is.
    if (line.cut() && !cut_text) line.rewind(before);
  }
  line.close(line.cut() ? ",\"cut\":true}\n" : "}\n");
}

// One write(2) for a line, so that lines of several threads and processes do not mix; more only
// where a pipe would not keep it in one piece anyway. A reader that is gone, or a full pipe that
// nobody empties, costs the line and never the process: whoever started us may have left the pipe
// blocking, but a poll(2) that promises room promises PIPE_BUF bytes (pipe(7)).
void write_out(int fd, std::string_view text) noexcept {
  constexpr int kPatienceMs = 20;
  const int saved = errno;  // logging must not disturb the caller's error
  while (!text.empty()) {
    pollfd room{fd, POLLOUT, 0};
    const int ready = ::poll(&room, 1, kPatienceMs);
    if (ready == 0 || (ready < 0 && errno != EINTR)) break;
    const ssize_t written = ::write(fd, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
    if (written > 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (written == 0 || (errno != EINTR && errno != EAGAIN)) {
      break;
    }
  }
  errno = saved;
}

}  // namespace

void Log::write(LogLevel level, std::string_view module, std::string_view message,
                Fields fields) const {
  if (level < threshold_) return;
  Line line;
  if (format_ == LogFormat::kJson) {
    write_json(line, level, module, message, fields);
  } else {
    write_readable(line, level, module, message, fields);
  }
  write_out(fd_, line.text());
}

}  // namespace mirror
