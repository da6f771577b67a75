#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>

namespace mirror {

// How much nicer than the process a thread is that may wait: at +5 the scheduler gives it a third
// of what it gives a thread of the process's own niceness (sched(7): a factor of 1.25 per step).
inline constexpr int kBackgroundNice = 5;

// Lets every thread of ordinary priority go first: what arrives from the network must be taken
// while it is there, what is computed from it can wait. Threads that the calling one starts later
// inherit it. Lowering needs no privilege; raising would, so there is no way back. False if the
// kernel refused, which leaves the thread as it was.
inline bool lower_this_thread() {
  const auto thread = static_cast<id_t>(gettid());  // on Linux, niceness belongs to the thread
  errno = 0;
  const int nice = getpriority(PRIO_PROCESS, thread);
  if (nice == -1 && errno != 0) return false;
  // Beyond 19 the kernel takes 19.
  return setpriority(PRIO_PROCESS, thread, nice + kBackgroundNice) == 0;
}

}  // namespace mirror
