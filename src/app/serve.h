// serve(): the whole server, wired in one readable function.
#pragma once

#include "app/config.h"

namespace mirror::app {

// Runs until SIGTERM or SIGINT and returns the exit status: 0 after an orderly end (within 10 s),
// 1 when something could not be started; the log says what. Call on the main thread before any
// other thread exists.
int serve(const Config& config);

}  // namespace mirror::app
