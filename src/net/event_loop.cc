#include "net/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "base/thread_name.h"
#include "net/unique_fd.h"

namespace mirror::net {

namespace {

// Deferred tasks may defer more; what is left after this many rounds waits for the next turn.
constexpr int kDeferRounds = 8;
constexpr auto kWaitMax = std::chrono::milliseconds(60'000);

std::uint64_t event_key(int fd, std::uint32_t generation) {
  return (static_cast<std::uint64_t>(generation) << 32) | static_cast<std::uint32_t>(fd);
}

}  // namespace

struct EventLoop::Impl {
  struct Watched {
    Watcher* watcher = nullptr;
    std::uint32_t generation = 0;  // so that an event of this turn cannot reach a later watcher
  };

  // Constant after construction.
  std::string name;
  UniqueFd epoll;
  UniqueFd doorbell;  // eventfd

  // Loop thread.
  std::vector<Watched> watched;  // by descriptor
  std::vector<Timer*> heap;      // binary heap by when_, each timer knows its index
  Timer* firing = nullptr;
  std::vector<Task> wake_tasks;
  std::vector<Task> deferred;
  SteadyTime now = std::chrono::steady_clock::now();

  // Any thread.
  std::atomic<bool> rung = false;   // the doorbell is written and not yet read
  std::atomic<bool> woken = false;  // wake() since the last wake turn
  std::atomic<bool> stopping = false;
  std::atomic<bool> any_posted = false;  // `posted` may hold something
  std::mutex mutex;
  std::vector<Task> posted;  // guarded by mutex
  bool closed = false;       // guarded by mutex

  void ring() noexcept {
    if (rung.exchange(true)) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto n = ::write(doorbell.get(), &one, sizeof one);
  }

  Status control(int operation, int fd, std::uint32_t events, Watcher& watcher) {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= watched.size()) watched.resize(index + 1);
    epoll_event event{};
    event.events = events;
    event.data.u64 = event_key(fd, watched[index].generation);
    if (::epoll_ctl(epoll.get(), operation, fd, &event) != 0) {
      return fail("epoll_ctl on descriptor {}: {}", fd, std::strerror(errno));
    }
    watched[index].watcher = &watcher;
    return {};
  }

  int wait_ms() const {
    if (!deferred.empty() || stopping.load()) return 0;
    if (heap.empty()) return static_cast<int>(kWaitMax.count());
    const auto left = heap.front()->when_ - std::chrono::steady_clock::now();
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left);
    return static_cast<int>(std::clamp(ms, std::chrono::milliseconds(0), kWaitMax).count());
  }

  void wait_and_dispatch() {
    std::array<epoll_event, kMaxEvents> events;
    const int count = ::epoll_wait(epoll.get(), events.data(), kMaxEvents, wait_ms());
    now = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) dispatch(events[static_cast<std::size_t>(i)]);
  }

  void dispatch(const epoll_event& event) {
    const auto fd = static_cast<int>(event.data.u64 & 0xffffffff);
    if (fd == doorbell.get()) {
      std::uint64_t ignored = 0;
      [[maybe_unused]] const auto n = ::read(fd, &ignored, sizeof ignored);
      rung.store(false);
      return;
    }
    const Watched& entry = watched[static_cast<std::size_t>(fd)];
    if (entry.watcher == nullptr || event_key(fd, entry.generation) != event.data.u64) return;
    entry.watcher->on_events(event.events);
  }

  void fire_timers() {
    // A timer that arms itself for the past waits for the next turn.
    for (std::size_t left = heap.size(); left > 0 && !heap.empty(); --left) {
      Timer* timer = heap.front();
      if (timer->when_ > now) return;
      remove(*timer);
      Task task = std::move(timer->task_);
      firing = timer;
      task();
      if (firing == timer) timer->task_ = std::move(task);
      firing = nullptr;
    }
  }

  void run_wake_tasks() {
    if (!woken.exchange(false)) return;
    for (Task& task : wake_tasks) task();
  }

  void run_posted() {
    if (!any_posted.exchange(false)) return;
    std::vector<Task> tasks;
    {
      const std::lock_guard lock(mutex);
      tasks.swap(posted);
    }
    for (Task& task : tasks) task();
  }

  void run_deferred() {
    for (int round = 0; round < kDeferRounds && !deferred.empty(); ++round) {
      std::vector<Task> tasks;
      tasks.swap(deferred);
      for (Task& task : tasks) task();
      tasks.clear();
      if (deferred.empty()) deferred.swap(tasks);  // keeps the capacity
    }
  }

  void place(std::size_t index, Timer* timer) {
    heap[index] = timer;
    timer->heap_index_ = index;
  }

  void sift_up(std::size_t index) {
    Timer* timer = heap[index];
    while (index > 0 && timer->when_ < heap[(index - 1) / 2]->when_) {
      place(index, heap[(index - 1) / 2]);
      index = (index - 1) / 2;
    }
    place(index, timer);
  }

  void sift_down(std::size_t index) {
    Timer* timer = heap[index];
    while (2 * index + 1 < heap.size()) {
      std::size_t child = 2 * index + 1;
      if (child + 1 < heap.size() && heap[child + 1]->when_ < heap[child]->when_) ++child;
      if (heap[child]->when_ >= timer->when_) break;
      place(index, heap[child]);
      index = child;
    }
    place(index, timer);
  }

  void insert(Timer& timer) {
    heap.push_back(&timer);
    timer.heap_index_ = heap.size() - 1;
    sift_up(heap.size() - 1);
  }

  void remove(Timer& timer) {
    const std::size_t index = std::exchange(timer.heap_index_, Timer::kNotArmed);
    Timer* last = heap.back();
    heap.pop_back();
    if (last == &timer) return;
    place(index, last);
    sift_up(index);
    sift_down(last->heap_index_);
  }
};

Result<std::unique_ptr<EventLoop>> EventLoop::create(std::string thread_name) {
  auto impl = std::make_unique<Impl>();
  impl->name = std::move(thread_name);
  impl->epoll = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  if (!impl->epoll) return fail("epoll_create1: {}", std::strerror(errno));
  impl->doorbell = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!impl->doorbell) return fail("eventfd: {}", std::strerror(errno));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = event_key(impl->doorbell.get(), 0);
  if (::epoll_ctl(impl->epoll.get(), EPOLL_CTL_ADD, impl->doorbell.get(), &event) != 0) {
    return fail("epoll_ctl: {}", std::strerror(errno));
  }
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(impl)));
}

EventLoop::EventLoop(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EventLoop::~EventLoop() = default;

Status EventLoop::watch(int fd, std::uint32_t events, Watcher& watcher) {
  return impl_->control(EPOLL_CTL_ADD, fd, events, watcher);
}

Status EventLoop::rewatch(int fd, std::uint32_t events, Watcher& watcher) {
  return impl_->control(EPOLL_CTL_MOD, fd, events, watcher);
}

void EventLoop::unwatch(int fd) {
  const auto index = static_cast<std::size_t>(fd);
  if (index >= impl_->watched.size() || impl_->watched[index].watcher == nullptr) return;
  impl_->watched[index].watcher = nullptr;
  ++impl_->watched[index].generation;
  ::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
}

SteadyTime EventLoop::now() const { return impl_->now; }
void EventLoop::on_wake(Task task) { impl_->wake_tasks.push_back(std::move(task)); }
void EventLoop::defer(Task task) { impl_->deferred.push_back(std::move(task)); }

bool EventLoop::post(Task task) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->closed || impl_->posted.size() >= kMaxPosted) return false;
    impl_->posted.push_back(std::move(task));
    impl_->any_posted.store(true);
  }
  impl_->ring();
  return true;
}

void EventLoop::wake() noexcept {
  impl_->woken.store(true);
  impl_->ring();
}

void EventLoop::run() {
  name_this_thread(impl_->name);
  while (!impl_->stopping.load()) {
    impl_->wait_and_dispatch();
    impl_->fire_timers();
    impl_->run_wake_tasks();
    impl_->run_posted();
    impl_->run_deferred();
  }
  std::vector<Task> never_run;
  const std::lock_guard lock(impl_->mutex);
  impl_->closed = true;
  never_run.swap(impl_->posted);
}

void EventLoop::stop() {
  impl_->stopping.store(true);
  impl_->ring();
}

EventLoop::Timer::Timer(EventLoop& loop, Task task) : loop_(loop), task_(std::move(task)) {}

EventLoop::Timer::~Timer() {
  disarm();
  if (loop_.impl_->firing == this) loop_.impl_->firing = nullptr;
}

void EventLoop::Timer::arm(SteadyTime when) {
  disarm();
  when_ = when;
  loop_.impl_->insert(*this);
}

void EventLoop::Timer::disarm() {
  if (armed()) loop_.impl_->remove(*this);
}

}  // namespace mirror::net
