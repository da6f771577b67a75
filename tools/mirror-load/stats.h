// Stats: what one thread saw within one interval; plain data that adds up.
//
// Filled by a crew on its thread, handed to the main thread whole, and merged there.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "histogram.h"

namespace mirror::load {

// What can be wrong. Lateness and stalls are measured, not judged.
enum class Fault : std::uint8_t {
  kConnect,      // no connection
  kTls,          // handshake, certificate, or no common protocol
  kProtocol,     // bytes that are no HTTP, or a reset stream
  kClosed,       // the connection ended before the answer
  kTimeout,      // no whole answer within kAnswerTimeout
  kStatus,       // any status but 200
  kShortBody,    // fewer or more bytes than Content-Length said
  kBadPlaylist,  // cannot be understood
  kStale,        // a blocking reload was answered without what was asked for
  kGap,          // a part was left out
  kRepeat,       // a part came again
  kBadMedia,     // not the boxes that a part or an init segment has
  kMismatch,     // not the bytes that another viewer got from the same URL
  kRefused,      // ERROR in a push session
};
inline constexpr std::size_t kFaults = 14;
std::string_view name_of(Fault fault);

struct Stats {
  struct Example {
    Fault fault;
    std::string what;
  };
  // Of each kind; the first ones.
  static constexpr std::size_t kExamplesMax = 5;

  std::uint64_t requests = 0;     // answered whole, whatever the status
  std::uint64_t reloads = 0;      // blocking ones among them
  std::uint64_t parts = 0;        // taken and checked
  std::uint64_t bytes = 0;        // of bodies
  std::uint64_t connections = 0;  // opened, TLS handshake included
  std::uint64_t reconnects = 0;   // those among them that followed an earlier one
  std::uint64_t restarts = 0;     // viewers that began again at the live edge
  std::uint64_t stalls = 0;
  std::chrono::microseconds stalled{};
  std::size_t playing = 0;  // viewers that follow the live edge, at the end of the interval
  std::size_t ended = 0;    // viewers whose stream ended, at the end of the interval
  // Of slow viewers, who are in nothing else but the faults.
  struct Slow {
    std::uint64_t parts = 0;
    std::uint64_t bytes = 0;
    std::uint64_t dropped_parts = 0;  // pushed: told by DROPPED
    std::uint64_t stalls = 0;
    std::uint64_t left_behind = 0;  // what slowness explains: gaps, time-outs, connections ended
  };
  Slow slow;
  std::array<std::uint64_t, kFaults> faults{};
  std::map<int, std::uint64_t> statuses;  // other than 200; at most kStatusesMax
  std::vector<Example> examples;

  Histogram held;                    // blocking reload: asked for to head of the answer
  Histogram fetched;                 // part: asked for to last byte
  Histogram behind_fastest;          // last byte of a part: this viewer after the fastest one
  Histogram behind_capture;          // last byte of a part after the moment its prft tells
  Histogram behind_published;        // pushed part: last byte after the server could first send it
  std::uint64_t late_parts = 0;      // those among them beyond PushJudge::kLate
  std::uint64_t dropped_parts = 0;   // pushed: told by DROPPED
  std::chrono::microseconds cpu{};   // of the thread
  std::chrono::microseconds wall{};  // the interval
  double busiest = 0;                // the greatest cpu / wall of a thread

  void note(Fault fault, std::string_view what);
  void note_status(int status, std::string_view what);
  void add(const Stats& other);
  // What slow viewers saw. Only what no slowness explains stays a fault.
  void add_slow(const Stats& theirs);
  // The above without what is measured while viewers still join.
  void add_faults(const Stats& other);
  std::uint64_t fault_count() const;

 private:
  static constexpr std::size_t kStatusesMax = 32;

  void keep(Example example);
};

}  // namespace mirror::load
