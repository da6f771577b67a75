#include "app/devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

namespace mirror::app {
namespace {

using Json = nlohmann::ordered_json;
using transcode::Device;
using transcode::Trial;

struct NamedTrial {
  const char* name;
  const char* key;
  const Trial& trial;
};

std::vector<NamedTrial> trials_of(const Device& device) {
  return {{"CUDA context", "context", device.context},
          {"decode H.264", "decode_h264", device.decode_h264},
          {"decode HEVC", "decode_hevc", device.decode_hevc},
          {"scale", "scale", device.scale},
          {"encode H.264", "encode_h264", device.encode}};
}

std::string first_choice(const transcode::Discovery& discovery,
                         const transcode::PoolSettings& settings) {
  for (const auto kind : settings.prefer) {
    if (kind == transcode::PairingKind::kSoftware) return std::string(name_of(kind));
    for (const Device& device : discovery.devices) {
      const bool allowed =
          settings.devices.empty() ||
          std::ranges::find(settings.devices, device.index) != settings.devices.end();
      if (allowed && device.can(kind)) return std::string(name_of(kind));
    }
    if (settings.fallback == transcode::PoolSettings::Fallback::kNever) break;
  }
  return {};
}

std::string table(const transcode::Discovery& discovery, const std::string& first) {
  std::string text;
  if (discovery.devices.empty()) {
    text = fmt::format("software only: {}\n", discovery.why_none);
  } else {
    text = fmt::format("NVIDIA driver, CUDA {}\n", discovery.driver);
  }
  for (const Device& device : discovery.devices) {
    text += fmt::format("\n{}  {}\n", device.index, device.name);
    if (device.memory) {
      text += fmt::format("   {:<14}{} MB, {} MB free\n", "memory",
                          device.memory->total_bytes / 1'000'000,
                          device.memory->free_bytes / 1'000'000);
    }
    for (const auto& [name, key, trial] : trials_of(device)) {
      text += fmt::format("   {:<14}{}\n", name, trial.works ? "works" : "no: " + trial.why);
    }
  }
  text += first.empty() ? "\nno stream can be transcoded (transcode.prefer, transcode.fallback)\n"
                        : fmt::format("\nstreams begin on: {}\n", first);
  return text;
}

Json to_json(const Device& device) {
  Json json = {{"index", device.index}, {"name", device.name}, {"memory", nullptr}};
  if (device.memory) {
    json["memory"] = {{"total_bytes", device.memory->total_bytes},
                      {"free_bytes", device.memory->free_bytes}};
  }
  for (const auto& [name, key, trial] : trials_of(device)) {
    json[key] = {{"works", trial.works}, {"why", trial.works ? Json(nullptr) : Json(trial.why)}};
  }
  return json;
}

}  // namespace

std::string render_devices(const transcode::Discovery& discovery,
                           const transcode::PoolSettings& settings, DevicesForm form) {
  const std::string first = first_choice(discovery, settings);
  if (form == DevicesForm::kTable) return table(discovery, first);
  Json devices = Json::array();
  for (const Device& device : discovery.devices) devices.push_back(to_json(device));
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(text);
  };
  const Json json = {{"devices", std::move(devices)},
                     {"why_none", text_or_null(discovery.why_none)},
                     {"cuda", text_or_null(discovery.driver)},
                     {"streams_begin_on", text_or_null(first)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

transcode::PoolSettings pool_settings(const Config& config) {
  const auto& transcode = config.transcode;
  transcode::PoolSettings settings;
  settings.prefer.clear();
  for (const auto& name : transcode.prefer) {
    if (const auto kind = transcode::pairing_kind_of(name)) settings.prefer.push_back(*kind);
  }
  for (const auto& device : transcode.devices)
    settings.devices.push_back(std::atoi(device.c_str()));
  settings.sessions_per_device = transcode.sessions_per_device;
  settings.memory_floor_bytes =
      static_cast<std::uint64_t>(transcode.device_memory_floor_mb) * 1'000'000;
  settings.fallback = transcode.fallback == Config::Transcode::Fallback::kAlways
                          ? transcode::PoolSettings::Fallback::kAlways
                          : transcode::PoolSettings::Fallback::kNever;
  return settings;
}

}  // namespace mirror::app
