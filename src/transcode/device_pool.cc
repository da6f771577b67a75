#include "transcode/device_pool.h"

#include <algorithm>
#include <atomic>
#include <map>

#include "transcode/nvidia_pairing.h"

namespace mirror::transcode {
namespace {

std::string id_of(PairingKind kind, const Device* device) {
  return device ? fmt::format("{} on {}", name_of(kind), device->index)
                : std::string(name_of(kind));
}

}  // namespace

// Streams on each device; what is left of the pool when streams outlive it.
struct DevicePool::Places {
  std::map<int, std::atomic<int>> taken;  // all devices, from the start
};

DevicePool::DevicePool(PoolSettings settings, Discovery discovery, Maker maker,
                       FreeMemory free_memory)
    : settings_(std::move(settings)),
      discovery_(std::move(discovery)),
      maker_(std::move(maker)),
      free_memory_(std::move(free_memory)),
      places_(std::make_shared<Places>()) {
  for (const Device& device : discovery_.devices) places_->taken[device.index] = 0;
}

DevicePool::~DevicePool() = default;

Result<ChosenPairing> DevicePool::next(const std::vector<std::string>& failed) {
  const std::lock_guard lock(mutex_);
  std::string passed_over;
  for (const PairingKind kind : settings_.prefer) {
    std::string why;
    if (kind == PairingKind::kSoftware) {
      if (std::ranges::find(failed, id_of(kind, nullptr)) == failed.end()) {
        return choose(kind, nullptr, std::move(passed_over));
      }
      why = "has failed";
    } else if (const Device* device = least_loaded(kind, failed, why)) {
      return choose(kind, device, std::move(passed_over));
    }
    if (!passed_over.empty()) passed_over += "; ";
    passed_over += fmt::format("{}: {}", name_of(kind), why);
    if (settings_.fallback == PoolSettings::Fallback::kNever) {
      return fail("{}, and transcode.fallback is never", passed_over);
    }
  }
  return fail("no pairing is left: {}", passed_over);
}

const Device* DevicePool::least_loaded(PairingKind kind, const std::vector<std::string>& failed,
                                       std::string& why_none) const {
  const Device* best = nullptr;
  why_none = discovery_.why_none;
  for (const Device& device : discovery_.devices) {
    std::string why = std::ranges::find(failed, id_of(kind, &device)) != failed.end()
                          ? std::string("has failed")
                          : why_not(device, kind);
    if (!why.empty()) {
      if (!why_none.empty()) why_none += ", ";
      why_none += fmt::format("GPU {} {}", device.index, why);
    } else if (best == nullptr || sessions(device.index) < sessions(best->index)) {
      best = &device;
    }
  }
  return best;
}

std::string DevicePool::why_not(const Device& device, PairingKind kind) const {
  if (!settings_.devices.empty() &&
      std::ranges::find(settings_.devices, device.index) == settings_.devices.end()) {
    return "is not among transcode.devices";
  }
  if (auto why = device.why_not(kind); !why.empty()) return fmt::format("cannot: {}", why);
  if (settings_.sessions_per_device > 0 &&
      sessions(device.index) >= settings_.sessions_per_device) {
    return fmt::format("has its {} streams", settings_.sessions_per_device);
  }
  if (settings_.memory_floor_bytes > 0) {
    const auto free = free_memory_(device.index);
    if (free && *free < settings_.memory_floor_bytes) {
      return fmt::format("has {} MB of memory left", *free / 1'000'000);
    }
  }
  return {};
}

ChosenPairing DevicePool::choose(PairingKind kind, const Device* device, std::string why) {
  ChosenPairing chosen{.id = id_of(kind, device),
                       .name = std::string(name_of(kind)),
                       .device = {},
                       .why = std::move(why),
                       .pairing = maker_(kind, device),
                       .place = nullptr};
  if (device) {
    chosen.device = fmt::format("{} {}", device->index, device->name);
    std::atomic<int>& taken = places_->taken.at(device->index);
    taken.fetch_add(1, std::memory_order_relaxed);
    chosen.place = std::shared_ptr<void>(nullptr, [places = places_, &taken](void*) {
      taken.fetch_sub(1, std::memory_order_relaxed);
    });
  }
  return chosen;
}

int DevicePool::sessions(int device) const {
  const auto at = places_->taken.find(device);
  return at == places_->taken.end() ? 0 : at->second.load(std::memory_order_relaxed);
}

std::unique_ptr<Pairing> DevicePool::make_pairing(PairingKind kind, const Device* device) {
  if (kind == PairingKind::kSoftware || device == nullptr) return make_software_pairing();
  return make_nvidia_pairing(kind, device->index, *device->cuda);
}

std::optional<std::uint64_t> DevicePool::free_memory_of(int device) {
  const auto memory = cuda::memory_of(device);
  return memory ? std::optional(memory->free_bytes) : std::nullopt;
}

}  // namespace mirror::transcode
