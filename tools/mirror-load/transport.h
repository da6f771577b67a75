// Transport: requests go in, answers come out, whatever carries them.
//
// The seam between viewers, who know playlists and parts, and carriers, who know HTTP versions. One
// thread, its crew's; transports outlive the viewers that use them. A carrier connects when it is
// first asked, and again when its connection has ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "stats.h"

namespace mirror::load {

struct ResponseHead {
  int status = 0;
  std::optional<std::uint64_t> content_length;
};

// Whoever asked. After get(): on_head, on_body any number of times, on_end; or, at any point,
// on_failed instead of what is missing. None of them is called from within get(); all of them may
// call get().
class ResponseSink {
 public:
  virtual ~ResponseSink() = default;
  virtual void on_head(const ResponseHead& head) = 0;
  virtual void on_body(std::span<const std::uint8_t> piece) = 0;  // valid during the call
  virtual void on_end() = 0;
  virtual void on_failed(Fault fault, std::string_view why) = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;
  // Asks for `target` (path and query). One request at a time per sink, and one at all unless
  // is_concurrent().
  virtual void get(std::string_view target, ResponseSink& sink) = 0;
  // The sink hears no more of its request. Nothing when it has none.
  virtual void abandon(ResponseSink& sink) = 0;
  virtual bool is_concurrent() const = 0;
  // Closes the connection, for a viewer who has it alone and leaves; its requests are abandoned.
  virtual void hang_up() = 0;
};

}  // namespace mirror::load
