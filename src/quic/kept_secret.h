// The endpoints' secret, kept in the state directory, so that the stateless resets of the process
// that comes next are believed by the clients of the one before (RFC 9000, 10.3), and its address
// tokens hold.
#pragma once

#include <filesystem>
#include <string>

#include "quic/connection_id.h"

namespace mirror::quic {

struct KeptSecret {
  Secret secret{};
  std::string warning;  // why it is another one than last time, or will be next time; or empty
};

// `state_dir`/quic-secret, mode 0600, made when it is missing. One that is damaged, or that others
// may have read, is made anew, with a warning. Never fails: what cannot be kept holds for this
// process.
KeptSecret load_or_make_secret(const std::filesystem::path& state_dir);

}  // namespace mirror::quic
