// What we ask NVIDIA's driver ourselves: how many GPUs, their names and memory; libav does the
// rest.
//
// libcuda is opened at run time: one build runs everywhere. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "transcode/av.h"

namespace mirror::transcode::cuda {

struct Memory {
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;
};

// Fails, in words for an operator, without a driver or if it does not start.
Result<int> count_devices();
std::string name_of(int device);              // "NVIDIA H100 80GB HBM3"; empty if it does not say
std::optional<Memory> memory_of(int device);  // nothing if it does not say
// "12.4", the newest CUDA that the driver knows; empty without one.
std::string driver_version();

// The device's primary context, as libav's.
Result<av::BufferRef> open(int device);

}  // namespace mirror::transcode::cuda
