#include "base/thread_priority.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

namespace mirror {
namespace {

int nice_now() { return getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())); }

TEST(ThreadPriorityTest, LowersTheCallingThreadAndWhatItStarts) {
  const int before = nice_now();
  const int lowered = std::min(19, before + kBackgroundNice);
  std::thread([&] {
    ASSERT_TRUE(lower_this_thread());
    EXPECT_EQ(nice_now(), lowered);
    std::thread([&] { EXPECT_EQ(nice_now(), lowered); }).join();
  }).join();
  EXPECT_EQ(nice_now(), before) << "others stay as they are";
}

}  // namespace
}  // namespace mirror
