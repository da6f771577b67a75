// Asks a server for resources, many at a time, and hands back complete exchanges.
#pragma once

#include <functional>

#include "observation.h"

namespace mirror::lint {

class Fetcher {
 public:
  using Done = std::function<void(Exchange)>;

  virtual ~Fetcher() = default;
  // `exchange` says what to ask for (purpose, url, range); `done` gets it back with the answer, or
  // with status 0 and why there is none. Never calls `done` from inside.
  virtual void start(Exchange exchange, Seconds timeout, Done done) = 0;
  // Since the start of the run.
  virtual Seconds now() const = 0;
};

}  // namespace mirror::lint
