// A whole run, from an URL to an exit status.
#pragma once

#include <atomic>

#include "base/result.h"
#include "options.h"

namespace mirror::load {

enum class Outcome { kClean, kFaulty };

// Blocks until the run is over or `stop` is true. Prints to standard output (standard error when
// NDJSON goes there). An error: it could not run, and nothing can be said about the server's load.
Result<Outcome> run_load(const Options& options, const std::atomic<bool>& stop);

}  // namespace mirror::load
