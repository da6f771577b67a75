// What `mirror devices` prints, and the pool of GPUs that the configuration asks for.
#pragma once

#include <string>

#include "app/config.h"
#include "transcode/device_pool.h"

namespace mirror::app {

enum class DevicesForm { kTable, kJson };

// For a person, or for a program: each device, what works on it, why the rest does not, and where a
// stream would be transcoded first.
std::string render_devices(const transcode::Discovery& discovery,
                           const transcode::PoolSettings& settings, DevicesForm form);

transcode::PoolSettings pool_settings(const Config& config);

}  // namespace mirror::app
