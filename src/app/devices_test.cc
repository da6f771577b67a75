#include "app/devices.h"

#include <gtest/gtest.h>

namespace mirror::app {
namespace {

transcode::Discovery one_h100() {
  transcode::Discovery found;
  found.driver = "12.4";
  transcode::Device device;
  device.name = "NVIDIA H100 80GB HBM3";
  device.memory = transcode::cuda::Memory{85'000'000'000, 84'000'000'000};
  device.context.works = device.decode_h264.works = device.decode_hevc.works = true;
  device.scale.works = true;
  device.encode.why = "this GPU has no NVENC engine (as H100 and A100)";
  found.devices.push_back(std::move(device));
  return found;
}

TEST(Devices, ATableForPersons) {
  EXPECT_EQ(render_devices(one_h100(), {}, DevicesForm::kTable),
            "NVIDIA driver, CUDA 12.4\n"
            "\n"
            "0  NVIDIA H100 80GB HBM3\n"
            "   memory        85000 MB, 84000 MB free\n"
            "   CUDA context  works\n"
            "   decode H.264  works\n"
            "   decode HEVC   works\n"
            "   scale         works\n"
            "   encode H.264  no: this GPU has no NVENC engine (as H100 and A100)\n"
            "\n"
            "streams begin on: nvidia+x264\n");
}

TEST(Devices, SoftwareOnlySaysWhy) {
  transcode::Discovery none;
  none.why_none = "no NVIDIA driver: libcuda.so.1 is not there";
  EXPECT_EQ(render_devices(none, {}, DevicesForm::kTable),
            "software only: no NVIDIA driver: libcuda.so.1 is not there\n\n"
            "streams begin on: software\n");
  EXPECT_EQ(render_devices(none, {}, DevicesForm::kJson),
            "{\n  \"devices\": [],\n"
            "  \"why_none\": \"no NVIDIA driver: libcuda.so.1 is not there\",\n"
            "  \"cuda\": null,\n  \"streams_begin_on\": \"software\"\n}\n");
}

TEST(Devices, NeverFallingBackIsToldBeforeAStreamIsThere) {
  transcode::PoolSettings settings;
  settings.fallback = transcode::PoolSettings::Fallback::kNever;
  EXPECT_NE(render_devices(one_h100(), settings, DevicesForm::kTable).find("no stream can be"),
            std::string::npos);
}

TEST(Devices, ThePoolIsWhatTheConfigurationAsksFor) {
  Config config;
  config.transcode.prefer = {"nvidia+x264", "software"};
  config.transcode.devices = {"1"};
  config.transcode.sessions_per_device = 8;
  config.transcode.fallback = Config::Transcode::Fallback::kNever;
  const auto settings = pool_settings(config);
  EXPECT_EQ(settings.prefer,
            (std::vector{transcode::PairingKind::kNvidiaX264, transcode::PairingKind::kSoftware}));
  EXPECT_EQ(settings.devices, std::vector{1});
  EXPECT_EQ(settings.sessions_per_device, 8);
  EXPECT_EQ(settings.memory_floor_bytes, 500'000'000U);
  EXPECT_EQ(settings.fallback, transcode::PoolSettings::Fallback::kNever);
}

}  // namespace
}  // namespace mirror::app
