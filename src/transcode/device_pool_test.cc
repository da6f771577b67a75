#include "transcode/device_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace mirror::transcode {
namespace {

using ::testing::HasSubstr;

Trial works() { return {.works = true, .why = {}}; }

Device a_device(int index, Trial encode = works()) {
  Device device;
  device.index = index;
  device.name = "GPU";
  device.context = device.decode_h264 = device.decode_hevc = device.scale = works();
  device.encode = std::move(encode);
  return device;
}

Discovery of(std::vector<Device> devices) {
  Discovery found;
  found.devices = std::move(devices);
  return found;
}

Discovery two() {
  std::vector<Device> devices;
  devices.push_back(a_device(0));
  devices.push_back(a_device(1));
  return of(std::move(devices));
}

Discovery one(Device device) {
  std::vector<Device> devices;
  devices.push_back(std::move(device));
  return of(std::move(devices));
}

std::unique_ptr<Pairing> no_maker(PairingKind, const Device*) { return make_software_pairing(); }
std::optional<std::uint64_t> no_memory(int) { return std::nullopt; }

std::string next_id(DevicePool& pool, const std::vector<std::string>& failed = {}) {
  auto chosen = pool.next(failed);
  return chosen ? chosen->id : chosen.error().message;
}

TEST(DevicePool, TheLeastLoadedDeviceGetsTheNextStream) {
  DevicePool pool({}, two(), no_maker, no_memory);
  std::vector<ChosenPairing> streams;
  for (int i = 0; i < 4; ++i) streams.push_back(*pool.next({}));
  EXPECT_EQ(pool.sessions(0), 2);
  EXPECT_EQ(pool.sessions(1), 2);
  EXPECT_EQ(streams[0].id, "nvidia on 0");
  EXPECT_EQ(streams[1].id, "nvidia on 1");
  EXPECT_EQ(streams[0].device, "0 GPU");
  EXPECT_EQ(streams[0].why, "");
  streams.erase(streams.begin() + 1);
  EXPECT_EQ(pool.sessions(1), 1);
  EXPECT_EQ(next_id(pool), "nvidia on 1");
}

TEST(DevicePool, AFullDeviceIsPassedOver) {
  DevicePool pool({.sessions_per_device = 1}, two(), no_maker, no_memory);
  const auto first = *pool.next({});
  const auto second = *pool.next({});
  const auto third = *pool.next({});
  EXPECT_EQ(third.id, "software");
  EXPECT_THAT(third.why, HasSubstr("nvidia: GPU 0 has its 1 streams, GPU 1 has its 1 streams"));
}

TEST(DevicePool, AFailedPairingIsFollowedByTheNextOfItsDevice) {
  DevicePool pool({}, one(a_device(0)), no_maker, no_memory);
  EXPECT_EQ(next_id(pool, {"nvidia on 0"}), "nvidia+x264 on 0");
  EXPECT_EQ(next_id(pool, {"nvidia on 0", "nvidia+x264 on 0"}), "software");
  EXPECT_THAT(next_id(pool, {"nvidia on 0", "nvidia+x264 on 0", "software"}),
              HasSubstr("no pairing is left"));
}

TEST(DevicePool, WithoutAnEncoderTheProcessorEncodes) {
  DevicePool pool({}, one(a_device(0, {.works = false, .why = "no NVENC"})), no_maker, no_memory);
  auto chosen = pool.next({});
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->name, "nvidia+x264");
  EXPECT_THAT(chosen->why, HasSubstr("no NVENC"));
}

TEST(DevicePool, LowMemoryMeansNoFurtherStream) {
  DevicePool pool({.memory_floor_bytes = 500'000'000}, two(), no_maker,
                  [](int device) { return device == 0 ? 400'000'000U : 600'000'000U; });
  const auto first = *pool.next({});
  EXPECT_EQ(first.id, "nvidia on 1");
  EXPECT_EQ(next_id(pool), "nvidia on 1");
}

TEST(DevicePool, OnlyTheDevicesThatWereNamed) {
  DevicePool pool({.devices = {1}}, two(), no_maker, no_memory);
  EXPECT_EQ(next_id(pool), "nvidia on 1");
  EXPECT_EQ(next_id(pool, {"nvidia on 1"}), "nvidia+x264 on 1");
}

TEST(DevicePool, NeverFallingBackIsAnErrorWithItsReason) {
  const PoolSettings never{.fallback = PoolSettings::Fallback::kNever};
  DevicePool pool(never, two(), no_maker, no_memory);
  EXPECT_EQ(next_id(pool, {"nvidia on 0"}), "nvidia on 1");
  EXPECT_THAT(next_id(pool, {"nvidia on 0", "nvidia on 1"}), HasSubstr("fallback is never"));
  Discovery none;
  none.why_none = "no NVIDIA driver";
  DevicePool without(never, std::move(none), no_maker, no_memory);
  EXPECT_THAT(next_id(without), HasSubstr("nvidia: no NVIDIA driver"));
}

TEST(DevicePool, WithoutDevicesEverythingIsSoftware) {
  Discovery none;
  none.why_none = "no NVIDIA driver";
  DevicePool pool({}, std::move(none), no_maker, no_memory);
  auto chosen = pool.next({});
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->id, "software");
  EXPECT_EQ(chosen->device, "");
}

TEST(DevicePool, PlacesAreTakenOnceByManyThreads) {
  DevicePool pool({.sessions_per_device = 5}, two(), no_maker, no_memory);
  std::vector<std::thread> threads;
  std::vector<std::optional<ChosenPairing>> streams(16);
  threads.reserve(streams.size());
  for (auto& stream : streams) {
    threads.emplace_back([&pool, &stream] {
      if (auto chosen = pool.next({}); chosen) stream = std::move(*chosen);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(pool.sessions(0), 5);
  EXPECT_EQ(pool.sessions(1), 5);
  streams.clear();
  EXPECT_EQ(pool.sessions(0), 0);
  EXPECT_EQ(pool.sessions(1), 0);
}

}  // namespace
}  // namespace mirror::transcode
