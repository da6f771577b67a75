#include "base/bounded_queue.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace mirror {
namespace {

using namespace std::chrono_literals;

TEST(BoundedQueue, IsFirstInFirstOut) {
  BoundedQueue<int> queue({.items = 4, .weight = 100});
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(queue.try_push(int{i}));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(queue.try_take(), i);
  EXPECT_EQ(queue.try_take(), std::nullopt);
}

TEST(BoundedQueue, LeavesARefusedItemWithTheCaller) {
  BoundedQueue<std::unique_ptr<int>> queue({.items = 1, .weight = 100});
  EXPECT_TRUE(queue.try_push(std::make_unique<int>(1)));
  auto second = std::make_unique<int>(2);
  EXPECT_FALSE(queue.try_push(std::move(second)));
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(*second, 2);
}

TEST(BoundedQueue, LimitsTheWeight) {
  BoundedQueue<std::string> queue({.items = 100, .weight = 10});
  EXPECT_FALSE(queue.try_push("too heavy even for an empty queue", 11));
  EXPECT_TRUE(queue.try_push("a", 6));
  EXPECT_FALSE(queue.try_push("b", 5));
  EXPECT_TRUE(queue.try_push("c", 4));
  EXPECT_FALSE(queue.try_push("d", 1));
  EXPECT_EQ(queue.try_take(), "a");
  EXPECT_TRUE(queue.try_push("e", 6));
  EXPECT_EQ(queue.size(), 2u);
}

TEST(BoundedQueue, TakeGivesUpAtTheDeadline) {
  BoundedQueue<int> queue({.items = 1, .weight = 1});
  EXPECT_EQ(queue.take_until(std::chrono::steady_clock::now() + 1ms), std::nullopt);
  EXPECT_FALSE(queue.drained());
}

TEST(BoundedQueue, ClosedRefusesAndStillDrains) {
  BoundedQueue<int> queue({.items = 2, .weight = 2});
  EXPECT_TRUE(queue.try_push(1));
  queue.close();
  EXPECT_FALSE(queue.try_push(2));
  EXPECT_FALSE(queue.drained());
  EXPECT_EQ(queue.take_until(std::chrono::steady_clock::time_point::max()), 1);
  EXPECT_TRUE(queue.drained());
  EXPECT_EQ(queue.take_until(std::chrono::steady_clock::time_point::max()), std::nullopt);
}

TEST(BoundedQueue, CloseEndsAWait) {
  BoundedQueue<int> queue({.items = 1, .weight = 1});
  std::jthread consumer([&queue] {
    EXPECT_EQ(queue.take_until(std::chrono::steady_clock::now() + 1min), std::nullopt);
    EXPECT_TRUE(queue.drained());
  });
  queue.close();
}

TEST(BoundedQueue, HandsEveryItemOverOnceAndInOrder) {
  constexpr int kItems = 20'000;
  BoundedQueue<std::unique_ptr<int>> queue({.items = 16, .weight = 16});
  std::jthread producer([&queue] {
    for (int i = 0; i < kItems; ++i) {
      auto item = std::make_unique<int>(i);
      while (!queue.try_push(std::move(item))) std::this_thread::yield();
    }
    queue.close();
  });
  int expected = 0;
  while (!queue.drained()) {
    const auto item = queue.take_until(std::chrono::steady_clock::now() + 1min);
    if (!item) continue;
    ASSERT_EQ(**item, expected++);
  }
  EXPECT_EQ(expected, kItems);
}

}  // namespace
}  // namespace mirror
