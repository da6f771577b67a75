#include "quic/kept_secret.h"

#include <algorithm>
#include <string_view>
#include <system_error>

#include "net/file.h"
#include "quic/random.h"

namespace mirror::quic {

namespace {

namespace fs = std::filesystem;
constexpr const char* kFileName = "quic-secret";
constexpr mode_t kMode = 0600;

// Why the file is not to be used; empty: it was read.
std::string read(const fs::path& path, Secret& secret) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (error) return error.message();
  const auto others = fs::perms::group_all | fs::perms::others_all;
  if ((status.permissions() & others) != fs::perms::none) return "others may have read it";
  const auto bytes = net::read_file(path, secret.size());
  if (!bytes) return bytes.error().message;
  const bool zero = std::ranges::all_of(*bytes, [](char byte) { return byte == 0; });
  if (bytes->size() != secret.size() || zero) return "it is damaged";
  std::ranges::copy(*bytes, secret.begin());
  return {};
}

}  // namespace

KeptSecret load_or_make_secret(const fs::path& state_dir) {
  KeptSecret made;
  const fs::path path = state_dir / kFileName;
  std::error_code error;
  if (fs::exists(fs::symlink_status(path, error))) {
    const std::string fault = read(path, made.secret);
    if (fault.empty()) return made;
    made.warning = fmt::format("{} is made anew: {}", path.string(), fault);
  }
  SystemRandom().fill(made.secret);
  fs::create_directories(state_dir, error);
  const std::string_view bytes(reinterpret_cast<const char*>(made.secret.data()),
                               made.secret.size());
  if (auto status = net::write_file(path, bytes, kMode); !status) {
    made.warning = fmt::format("it cannot be kept: {}", status.error().message);
  }
  return made;
}

}  // namespace mirror::quic
