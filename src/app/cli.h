// The command line: `mirror serve|check|config|devices|--version|--help`.
#pragma once

#include <functional>

#include "app/config.h"

namespace mirror::app {

inline constexpr int kExitWrongInput = 2;  // a wrong option or configuration

// Does what the arguments ask for and returns the exit code of the process. `serve` runs with a
// configuration that has no faults. Answers go to standard output, complaints to standard error.
int run_cli(int argc, const char* const* argv, const std::function<int(const Config&)>& serve);

}  // namespace mirror::app
