#include "base/snapshot.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace mirror {
namespace {

TEST(Snapshot, IsEmptyUntilPublished) {
  Snapshot<int> snapshot;
  EXPECT_EQ(snapshot.read(), nullptr);
  snapshot.publish(std::make_shared<const int>(1));
  EXPECT_EQ(*snapshot.read(), 1);
}

TEST(Snapshot, AReaderKeepsWhatItRead) {
  Snapshot<int> snapshot(std::make_shared<const int>(1));
  const auto old = snapshot.read();
  snapshot.publish(std::make_shared<const int>(2));
  EXPECT_EQ(*old, 1);
  EXPECT_EQ(*snapshot.read(), 2);
}

// Whole values and only whole values are seen, in order.
TEST(Snapshot, ReadersSeeWholeValuesInOrder) {
  constexpr int kPublications = 20'000;
  using Value = std::vector<int>;
  Snapshot<Value> snapshot(std::make_shared<const Value>(3, 0));
  std::vector<std::jthread> readers;
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back([&snapshot] {
      for (int last = 0; last < kPublications;) {
        const auto value = snapshot.read();
        ASSERT_GE(value->front(), last);
        ASSERT_EQ(value->front(), value->back());
        last = value->front();
      }
    });
  }
  for (int i = 1; i <= kPublications; ++i) {
    snapshot.publish(std::make_shared<const Value>(3, i));
  }
}

}  // namespace
}  // namespace mirror
