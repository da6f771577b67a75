#include "ingest/srt_address.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <thread>

namespace mirror::ingest {
namespace {

Reach reach(const std::string& text) {
  const auto address = numeric_address(text, 6000);
  EXPECT_TRUE(address.has_value()) << text;
  return address ? reach_of(*address) : Reach::kNever;
}

TEST(Address, PublicOnes) {
  for (const char* text :
       {"8.8.8.8", "172.32.0.1", "172.15.255.255", "100.128.0.1", "192.169.0.1", "223.255.255.255",
        "2606:4700::1111", "2002:808:808::1", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"}) {
    EXPECT_EQ(reach(text), Reach::kPublic) << text;
  }
}

TEST(Address, PrivateOnes) {
  for (const char* text : {"10.0.0.1",          "127.0.0.1",
                           "127.255.255.254",   "169.254.169.254",
                           "172.16.0.1",        "172.31.255.255",
                           "192.168.1.1",       "100.64.0.1",
                           "198.19.0.1",        "::1",
                           "fe80::1",           "fec0::1",
                           "fc00::1",           "fdff::1",
                           "::ffff:127.0.0.1",  "::ffff:169.254.169.254",
                           "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8",
                           "2002:7f00:1::1",    "2002:a00:1::"}) {
    EXPECT_EQ(reach(text), Reach::kPrivate) << text;
  }
}

TEST(Address, WhereNobodyCanBe) {
  for (const char* text : {"0.0.0.0", "0.1.2.3", "224.0.0.1", "239.1.2.3", "255.255.255.255",
                           "240.0.0.1", "::", "ff02::1", "::127.0.0.1", "::ffff:224.0.0.1"}) {
    EXPECT_EQ(reach(text), Reach::kNever) << text;
  }
}

TEST(Lookup, TellsItsOutcomeOnce) {
  const auto lookup = Lookup::begin("name.example", 6000, [](const auto&, std::uint16_t port) {
    return Result<std::vector<Address>>(std::vector<Address>{*numeric_address("192.0.2.1", port)});
  });
  ASSERT_NE(lookup, nullptr);
  std::unique_ptr<Result<std::vector<Address>>> outcome;
  while (!outcome) {
    outcome = lookup->take();
    std::this_thread::yield();
  }
  ASSERT_TRUE(outcome->has_value());
  EXPECT_EQ((*outcome)->size(), 1U);
  EXPECT_EQ(lookup->take(), nullptr);
}

// A resolver that hangs holds its own thread, no other, and no more than kRunningMax of them.
TEST(Lookup, ManyAtOnceAreLimited) {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  const auto hang = [&](const std::string&, std::uint16_t) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return open; });
    return Result<std::vector<Address>>(fail("no such name"));
  };
  std::vector<std::unique_ptr<Lookup>> lookups;
  while (lookups.size() < Lookup::kRunningMax) {
    auto lookup = Lookup::begin("hangs.example", 1, hang);
    if (lookup) lookups.push_back(std::move(lookup));  // another test's may still be ending
  }
  EXPECT_EQ(Lookup::begin("hangs.example", 1, hang), nullptr);
  {
    const std::lock_guard lock(mutex);
    open = true;
  }
  changed.notify_all();
  for (const auto& lookup : lookups) {
    std::unique_ptr<Result<std::vector<Address>>> outcome;
    while (!outcome) {
      outcome = lookup->take();
      std::this_thread::yield();
    }
    EXPECT_EQ(outcome->error().message, "no such name");
  }
}

}  // namespace
}  // namespace mirror::ingest
