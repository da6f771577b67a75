// Catalogue: which streams exist, as a push hub sees them. Implemented above this module.
//
// Called on the hub's loop; must not block.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>

#include "hls/presentation.h"
#include "push/frame.h"

namespace mirror::push {

class Catalogue {
 public:
  struct Entry {
    std::shared_ptr<const hls::Presentation> presentation;  // null: nothing can be seen yet
    StreamState state = StreamState::kAbsent;
  };

  virtual ~Catalogue() = default;
  // None: no such stream.
  virtual std::optional<Entry> find(std::string_view stream) const = 0;
  // A viewer showed a picture of this stream so long after its capture.
  virtual void count_glass_to_glass(std::string_view stream, std::chrono::microseconds delay) = 0;
};

}  // namespace mirror::push
