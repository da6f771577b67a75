#include "ingest/kernel_drops.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace mirror::ingest {
namespace {

constexpr std::size_t kFileBytesMax = 16 * 1024;

// The next word of `text`, which is left behind it; empty at the end.
std::string_view take_word(std::string_view& text) {
  constexpr std::string_view kSpace = " \t";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  const std::string_view word = text.substr(0, text.find_first_of(kSpace));
  text.remove_prefix(word.size());
  return word;
}

std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

std::optional<std::uint64_t> number(std::string_view word) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

// As much of a file under /proc as fits `buffer`; empty where there is none.
std::string_view read_proc(const char* path, std::array<char, kFileBytesMax>& buffer) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t got = read(fd, buffer.data() + size, buffer.size() - size);
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  close(fd);
  return {buffer.data(), size};
}

}  // namespace

std::optional<std::uint64_t> udp_receive_buffer_errors(std::string_view snmp) {
  constexpr std::string_view kUdp = "Udp:";
  std::string_view names;
  while (!snmp.empty()) {
    std::string_view line = take_line(snmp);
    if (!line.starts_with(kUdp)) continue;
    if (names.empty()) {
      names = line;
      continue;
    }
    while (!line.empty()) {
      const std::string_view name = take_word(names);
      const std::string_view value = take_word(line);
      if (name == "RcvbufErrors") return number(value);
    }
    break;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> udp6_receive_buffer_errors(std::string_view snmp6) {
  while (!snmp6.empty()) {
    std::string_view line = take_line(snmp6);
    if (take_word(line) == "Udp6RcvbufErrors") return number(take_word(line));
  }
  return std::nullopt;
}

KernelDrops::KernelDrops(Metrics& metrics)
    : counter_(
          metrics.counter("mirror_udp_receive_buffer_errors_total",
                          "Datagrams that the kernel dropped since the start because a UDP "
                          "receive buffer was full, of all sockets in the network namespace")) {
  look();
}

void KernelDrops::look() {
  std::array<char, kFileBytesMax> buffer;
  const auto v4 = udp_receive_buffer_errors(read_proc("/proc/net/snmp", buffer));
  const auto v6 = udp6_receive_buffer_errors(read_proc("/proc/net/snmp6", buffer));
  if (!v4 && !v6) return;
  const std::uint64_t now = v4.value_or(0) + v6.value_or(0);
  if (seen_ && now > *seen_) {
    counter_.Increment(static_cast<double>(now - *seen_));
    count_ += now - *seen_;
  }
  seen_ = now;
}

}  // namespace mirror::ingest
