// Small files that outlive the process: certificates, keys, secrets. Blocking; at start and reload.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mirror::net {

// The whole file. Errors name it: unreadable, or longer than `bytes_max`.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t bytes_max);

// Replaces the file as a whole: a crash or a full disk leaves the old one, or none.
Status write_file(const std::filesystem::path& path, std::string_view bytes, mode_t mode);

}  // namespace mirror::net
