#pragma once

#include <pthread.h>

#include <string>

namespace mirror {

// Names the calling thread as `ps -L` and `perf` show it; the kernel keeps 15 characters.
inline void name_this_thread(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

}  // namespace mirror
