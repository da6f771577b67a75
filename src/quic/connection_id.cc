#include "quic/connection_id.h"

#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <algorithm>
#include <string_view>

namespace mirror::quic {

namespace {
constexpr std::string_view kPurpose = "mirror quic connection id";
}

void ConnectionIds::check(std::span<const std::uint8_t> id,
                          std::span<std::uint8_t, kCheckBytes> out) const {
  std::array<std::uint8_t, kPurpose.size() + kBytes> text{};
  std::ranges::copy(kPurpose, text.begin());
  std::ranges::copy(id.first(kBytes - kCheckBytes), text.begin() + kPurpose.size());
  std::array<std::uint8_t, 32> digest{};
  gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret_.data(), secret_.size(), text.data(),
                   text.size() - kCheckBytes, digest.data());
  std::ranges::copy(std::span(digest).first<kCheckBytes>(), out.begin());
}

ConnectionId ConnectionIds::make() const {
  std::array<std::uint8_t, kBytes> id{};
  random_.fill(id);
  id[0] = worker_;
  check(id, std::span(id).last<kCheckBytes>());
  return ConnectionId(id);
}

bool ConnectionIds::ours(std::span<const std::uint8_t> id) const {
  if (id.size() != kBytes) return false;
  std::array<std::uint8_t, kCheckBytes> expected{};
  check(id, expected);
  return std::ranges::equal(id.last<kCheckBytes>(), expected);
}

std::array<std::uint8_t, NGTCP2_STATELESS_RESET_TOKENLEN> ConnectionIds::reset_token(
    const ConnectionId& id) const {
  std::array<std::uint8_t, NGTCP2_STATELESS_RESET_TOKENLEN> token{};
  // Fails only without memory; zeros would be a token that anybody can guess.
  if (ngtcp2_crypto_generate_stateless_reset_token(token.data(), secret_.data(), secret_.size(),
                                                   &id.get()) != 0) {
    random_.fill(token);
  }
  return token;
}

}  // namespace mirror::quic
