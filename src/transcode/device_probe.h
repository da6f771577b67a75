// What GPUs this machine has and what each of them can do for us, found out by trying.
//
// That libavcodec lists an encoder, or opens it, proves nothing. So each device decodes a picture
// of each codec, scales it, and encodes one with NVENC. Takes about a second for each GPU [not run
// on hardware]; nothing where there is no driver.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "transcode/cuda.h"
#include "transcode/pairing.h"

namespace mirror::transcode {

// One thing that was tried.
struct Trial {
  bool works = false;
  std::string why;  // it does not, in words for an operator
};

struct Device {
  int index = 0;
  std::string name;
  std::optional<cuda::Memory> memory;
  Trial context;
  Trial decode_h264;
  Trial decode_hevc;
  Trial scale;
  Trial encode;
  av::BufferRef cuda;  // null unless `context` works

  bool can(PairingKind kind) const;
  // What `kind` lacks here; empty when it can.
  std::string why_not(PairingKind kind) const;
};

struct Discovery {
  std::vector<Device> devices;
  std::string why_none;  // empty when there is a device
  std::string driver;    // the CUDA version that the driver knows; empty without one
};

inline constexpr int kDevicesMax = 64;

Discovery discover_devices();

}  // namespace mirror::transcode
