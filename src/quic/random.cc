#include "quic/random.h"

#include <gnutls/crypto.h>

namespace mirror::quic {

void SystemRandom::fill(std::span<std::uint8_t> bytes) {
  // Fails only where the kernel gives no random bytes, and then TLS has failed before.
  [[maybe_unused]] const int rc = gnutls_rnd(GNUTLS_RND_RANDOM, bytes.data(), bytes.size());
}

}  // namespace mirror::quic
