#include "base/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace mirror {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Metrics, RendersHelpTypeAndValue) {
  Metrics metrics;
  metrics.counter("mirror_drops_total", "Dropped.", {{"stream", "cam1"}}).Increment(3);
  metrics.gauge("mirror_streams", "Live.").Set(2);
  metrics.histogram("mirror_wait_seconds", "Waits.", {}, {0.1, 1}).Observe(0.5);
  EXPECT_THAT(metrics.render(), AllOf(HasSubstr("# HELP mirror_drops_total Dropped.\n"
                                                "# TYPE mirror_drops_total counter\n"
                                                "mirror_drops_total{stream=\"cam1\"} 3\n"),
                                      HasSubstr("# TYPE mirror_streams gauge\nmirror_streams 2\n"),
                                      HasSubstr("mirror_wait_seconds_bucket{le=\"0.1\"} 0\n"),
                                      HasSubstr("mirror_wait_seconds_bucket{le=\"1\"} 1\n"),
                                      HasSubstr("mirror_wait_seconds_bucket{le=\"+Inf\"} 1\n")));
}

TEST(Metrics, TheSameNameAndLabelsGiveTheSameHandle) {
  Metrics metrics;
  Counter& first = metrics.counter("a_total", "A.", {{"stream", "x"}});
  EXPECT_EQ(&first, &metrics.counter("a_total", "A.", {{"stream", "x"}}));
  EXPECT_NE(&first, &metrics.counter("a_total", "A.", {{"stream", "y"}}));
}

TEST(Metrics, RemovesWhatBelongsToAStreamAndNothingElse) {
  Metrics metrics;
  for (const std::string stream : {"one", "two"}) {
    metrics.counter("a_total", "A.", {{"stream", stream}, {"why", "late"}}).Increment();
    metrics.counter("a_total", "A.", {{"stream", stream}, {"why", "full"}}).Increment();
    metrics.gauge("b", "B.", {{"stream", stream}}).Set(1);
    metrics.histogram("c_seconds", "C.", {{"stream", stream}}, {1}).Observe(1);
  }
  metrics.gauge("d", "D.", {{"loop", "one"}}).Set(1);

  metrics.remove_stream("one");
  metrics.remove_stream("one");
  metrics.remove_stream("never heard of");
  EXPECT_THAT(metrics.render(),
              AllOf(Not(HasSubstr("stream=\"one\"")), HasSubstr("stream=\"two\",why=\"full\""),
                    HasSubstr("b{stream=\"two\"}"), HasSubstr("d{loop=\"one\"}")));

  // A stream that returns counts from zero.
  EXPECT_EQ(metrics.counter("a_total", "A.", {{"stream", "one"}, {"why", "late"}}).Value(), 0);
}

TEST(Metrics, EscapesLabelValues) {
  Metrics metrics;
  metrics.gauge("a", "A.", {{"codec", "x\"\\\n"}}).Set(1);
  EXPECT_THAT(metrics.render(), HasSubstr("a{codec=\"x\\\"\\\\\\n\"} 1\n"));
}

TEST(Metrics, ServesSeveralThreads) {
  Metrics metrics;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&metrics, t] {
        const std::string stream = std::to_string(t);
        for (int i = 0; i < 100; ++i) {
          metrics.counter("shared_total", "S.").Increment();
          metrics.gauge("own", "O.", {{"stream", stream}}).Set(i);
          if (i % 10 == 0) metrics.remove_stream(stream);
          if (i % 25 == 0) {
            EXPECT_FALSE(metrics.render().empty());
          }
        }
      });
    }
  }
  EXPECT_EQ(metrics.counter("shared_total", "S.").Value(), 400);
}

}  // namespace
}  // namespace mirror
