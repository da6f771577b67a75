// The owners of what libsrt hands out, and the few calls that need words. Included by .cc files
// only, so that <srt/srt.h> stays inside this module.
#pragma once

#include <srt/srt.h>
#include <sys/socket.h>

#include <string>
#include <utility>

namespace mirror::ingest {

// libsrt counts starts and stops; its threads live from the first to the last.
class SrtLibrary {
 public:
  SrtLibrary() {
    srt_startup();
    // What a stranger sends makes libsrt write errors to stderr; what matters we log ourselves.
    srt_setloglevel(LOG_CRIT);
  }
  ~SrtLibrary() { srt_cleanup(); }
  SrtLibrary(const SrtLibrary&) = delete;
  SrtLibrary& operator=(const SrtLibrary&) = delete;
};

class SrtSocket {
 public:
  SrtSocket() = default;
  explicit SrtSocket(SRTSOCKET id) : id_(id) {}
  SrtSocket(SrtSocket&& other) noexcept : id_(std::exchange(other.id_, SRT_INVALID_SOCK)) {}
  SrtSocket& operator=(SrtSocket&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~SrtSocket() {
    if (id_ != SRT_INVALID_SOCK) srt_close(id_);
  }

  SRTSOCKET id() const { return id_; }

  template <class T>
  bool set(SRT_SOCKOPT option, T value) const {
    return srt_setsockflag(id_, option, &value, sizeof value) != SRT_ERROR;
  }
  bool set(SRT_SOCKOPT option, const std::string& value) const {
    return srt_setsockflag(id_, option, value.data(), static_cast<int>(value.size())) != SRT_ERROR;
  }
  int get_int(SRT_SOCKOPT option) const {
    int value = 0;
    int size = sizeof value;
    return srt_getsockflag(id_, option, &value, &size) == SRT_ERROR ? 0 : value;
  }
  std::string get_text(SRT_SOCKOPT option) const;

 private:
  SRTSOCKET id_ = SRT_INVALID_SOCK;
};

// "192.0.2.1:40000", "[2001:db8::1]:40000"; an IPv4 address that came over IPv6 is shown as IPv4.
std::string text_of(const sockaddr* address);

}  // namespace mirror::ingest
