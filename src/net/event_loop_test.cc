#include "net/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "net/unique_fd.h"

namespace mirror::net {
namespace {

using std::chrono::milliseconds;

std::unique_ptr<EventLoop> make_loop() { return EventLoop::create("loop-test").value(); }

struct Probe final : EventLoop::Watcher {
  explicit Probe(std::move_only_function<void()> f) : on_event(std::move(f)) {}
  void on_events(std::uint32_t) override { on_event(); }
  std::move_only_function<void()> on_event;
};

UniqueFd readable_fd() { return UniqueFd(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC)); }

TEST(EventLoop, TimersFireInOrderOfTheirInstants) {
  auto loop = make_loop();
  std::vector<int> order;
  std::vector<std::unique_ptr<EventLoop::Timer>> timers;
  const SteadyTime start = loop->now();
  for (const int ms : {5, 1, 4, 2, 3, 9, 7}) {
    timers.push_back(std::make_unique<EventLoop::Timer>(*loop, [&, ms] {
      order.push_back(ms);
      if (ms == 9) loop->stop();
    }));
    timers.back()->arm(start + milliseconds(ms));
  }
  timers[2]->disarm();                      // 4
  timers[6]->arm(start + milliseconds(0));  // 7, now the first
  loop->run();
  EXPECT_EQ(order, (std::vector{7, 1, 2, 3, 5, 9}));
}

TEST(EventLoop, TimerNeverFiresEarlyAndMayArmItselfAgain) {
  auto loop = make_loop();
  int fired = 0;
  EventLoop::Timer* self = nullptr;
  SteadyTime due{};
  EventLoop::Timer timer(*loop, [&] {
    EXPECT_GE(loop->now(), due);
    if (++fired == 3) return loop->stop();
    due = loop->now() + milliseconds(2);
    self->arm(due);
  });
  self = &timer;
  timer.arm_in(milliseconds(1));
  loop->run();
  EXPECT_EQ(fired, 3);
  EXPECT_FALSE(timer.armed());
}

TEST(EventLoop, TimerMayDestroyItselfAndAnother) {
  auto loop = make_loop();
  std::unique_ptr<EventLoop::Timer> own;
  auto other = std::make_unique<EventLoop::Timer>(*loop, [] { FAIL() << "was destroyed"; });
  own = std::make_unique<EventLoop::Timer>(*loop, [&] {
    own.reset();
    other.reset();
    loop->stop();
  });
  own->arm_in(milliseconds(0));
  other->arm_in(milliseconds(0) + milliseconds(1));
  loop->run();
  EXPECT_EQ(own, nullptr);
}

TEST(EventLoop, NoEventAfterUnwatchNotEvenFromTheSameTurn) {
  auto loop = make_loop();
  const UniqueFd a = readable_fd();
  const UniqueFd b = readable_fd();
  int events = 0;
  const auto first_wins = [&] {
    ++events;
    loop->unwatch(a.get());
    loop->unwatch(b.get());
    loop->stop();
  };
  Probe probe_a(first_wins);
  Probe probe_b(first_wins);
  ASSERT_TRUE(loop->watch(a.get(), EPOLLIN, probe_a));
  ASSERT_TRUE(loop->watch(b.get(), EPOLLIN, probe_b));
  loop->run();
  EXPECT_EQ(events, 1);
}

TEST(EventLoop, ADescriptorThatIsReusedInTheTurnGetsNoOldEvent) {
  auto loop = make_loop();
  const UniqueFd a = readable_fd();
  UniqueFd b = readable_fd();
  const int number = b.get();
  int old_events = 0;
  Probe probe_b([&] { ++old_events; });
  Probe fresh([&] { ++old_events; });
  Probe probe_a([&] {
    loop->unwatch(a.get());
    loop->unwatch(number);
    b.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));  // never readable
    ASSERT_TRUE(loop->watch(b.get(), EPOLLIN, fresh));
    loop->stop();
  });
  ASSERT_TRUE(loop->watch(a.get(), EPOLLIN, probe_a));
  ASSERT_TRUE(loop->watch(number, EPOLLIN, probe_b));
  loop->run();
  EXPECT_EQ(old_events, 0);
}

TEST(EventLoop, WakesCoalesce) {
  auto loop = make_loop();
  int wakes = 0;
  loop->on_wake([&] { ++wakes; });
  for (int i = 0; i < 1000; ++i) loop->wake();
  loop->post([&] { loop->stop(); });
  loop->run();
  EXPECT_EQ(wakes, 1);
}

TEST(EventLoop, PostsFromManyThreadsAllRunOrAreRefused) {
  auto loop = make_loop();
  int ran = 0;  // loop thread only
  std::atomic<int> taken = 0;
  {
    std::jthread runner([&] { loop->run(); });
    {
      std::vector<std::jthread> threads;
      for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
          for (int i = 0; i < 1000; ++i) {
            if (loop->post([&] { ++ran; })) taken.fetch_add(1);
            loop->wake();
          }
        });
      }
    }
    while (!loop->post([&] { loop->stop(); })) std::this_thread::yield();
  }
  EXPECT_EQ(ran, taken.load());
}

TEST(EventLoop, PostIsBoundedAndRefusedAfterTheEnd) {
  auto loop = make_loop();
  auto alive = std::make_shared<int>(0);
  std::size_t taken = 0;
  while (loop->post([alive] {})) ++taken;
  EXPECT_EQ(taken, EventLoop::kMaxPosted);
  loop->stop();
  loop->run();
  EXPECT_FALSE(loop->post([alive] {}));
  EXPECT_EQ(alive.use_count(), 1);
}

TEST(EventLoop, DeferredTasksRunAtTheEndOfTheTurn) {
  auto loop = make_loop();
  std::vector<int> order;
  loop->post([&] {
    loop->defer([&] {
      order.push_back(3);
      loop->defer([&] {
        order.push_back(4);
        loop->stop();
      });
    });
    order.push_back(1);
  });
  loop->post([&] { order.push_back(2); });
  loop->run();
  EXPECT_EQ(order, (std::vector{1, 2, 3, 4}));
}

}  // namespace
}  // namespace mirror::net
