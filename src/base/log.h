// Structured log: one line per event, readable or JSON, on standard error.
//
// Called from any thread. Never from a per-packet or per-request path: bad packets raise a counter.
// A line is at most kMaxLineBytes (longer values are cut and marked) and is written with one
// write(2).
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace mirror {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kReadable, kJson };

struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, double, bool> value;

  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
  LogField(std::string_view k, double v) : key(k), value(v) {}
  template <std::integral T>
  LogField(std::string_view k, T v) : key(k), value(static_cast<std::int64_t>(v)) {}
};

class Log {
 public:
  static constexpr std::size_t kMaxLineBytes = 8192;

  // `fd` is not owned. The default goes to standard error.
  Log(LogLevel threshold, LogFormat format, int fd = 2) noexcept
      : threshold_(threshold), format_(format), fd_(fd) {}

  using Fields = std::initializer_list<LogField>;
  // `module` is the name of the source folder that speaks; `message` a fixed sentence, with what
  // varies in `fields`.
  void debug(std::string_view module, std::string_view message, Fields fields = {}) const {
    write(LogLevel::kDebug, module, message, fields);
  }
  void info(std::string_view module, std::string_view message, Fields fields = {}) const {
    write(LogLevel::kInfo, module, message, fields);
  }
  void warning(std::string_view module, std::string_view message, Fields fields = {}) const {
    write(LogLevel::kWarning, module, message, fields);
  }
  void error(std::string_view module, std::string_view message, Fields fields = {}) const {
    write(LogLevel::kError, module, message, fields);
  }

 private:
  void write(LogLevel level, std::string_view module, std::string_view message,
             Fields fields) const;

  const LogLevel threshold_;
  const LogFormat format_;
  const int fd_;
};

}  // namespace mirror
