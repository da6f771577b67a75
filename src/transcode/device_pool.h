// DevicePool: which stream is transcoded where.
//
// Made by app at start, outlives the streams. Any thread: places are counted under a mutex, which
// is taken when a stream begins, moves to another pairing or ends, and never while it runs. The
// least loaded GPU gets the next stream; a GPU is passed over that cannot do what the pairing asks,
// has its full number of streams, or less free memory than the floor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "transcode/device_probe.h"
#include "transcode/pairing.h"

namespace mirror::transcode {

struct PoolSettings {
  enum class Fallback {
    kAlways,  // the next in `prefer`
    kNever,   // an error, rather than what `prefer` names first on some device
  };
  std::vector<PairingKind> prefer = {PairingKind::kNvidia, PairingKind::kNvidiaX264,
                                     PairingKind::kSoftware};
  std::vector<int> devices;     // empty: all that there are
  int sessions_per_device = 0;  // streams; 0: no limit
  std::uint64_t memory_floor_bytes = 0;
  Fallback fallback = Fallback::kAlways;
};

class DevicePool final : public PairingSource {
 public:
  // What a pairing is, and how much memory a device has free (nothing: it does not say). Tests put
  // their own here.
  using Maker = std::function<std::unique_ptr<Pairing>(PairingKind, const Device*)>;
  using FreeMemory = std::function<std::optional<std::uint64_t>(int device)>;

  DevicePool(PoolSettings settings, Discovery discovery, Maker maker = make_pairing,
             FreeMemory free_memory = free_memory_of);
  ~DevicePool() override;

  Result<ChosenPairing> next(const std::vector<std::string>& failed) override;

  const Discovery& discovery() const { return discovery_; }
  // Streams on the device now.
  int sessions(int device) const;

  static std::unique_ptr<Pairing> make_pairing(PairingKind kind, const Device* device);
  static std::optional<std::uint64_t> free_memory_of(int device);

 private:
  struct Places;

  const Device* least_loaded(PairingKind kind, const std::vector<std::string>& failed,
                             std::string& why_none) const;
  std::string why_not(const Device& device, PairingKind kind) const;
  ChosenPairing choose(PairingKind kind, const Device* device, std::string why);

  const PoolSettings settings_;
  const Discovery discovery_;
  const Maker maker_;
  const FreeMemory free_memory_;

  mutable std::mutex mutex_;  // from the choice of a device until its place is taken
  const std::shared_ptr<Places> places_;
};

}  // namespace mirror::transcode
