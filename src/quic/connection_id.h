// ConnectionId and ConnectionIds: the names that our connections go by (RFC 9000, 5.1).
//
// An id that we give out is kBytes long: the index of the worker that owns the connection, random
// bytes, and a check over both under the endpoint's secret. So any worker can tell whose packet it
// holds, and that it is ours at all, without asking anybody: what is not ours is neither handed on
// nor answered with a stateless reset.
#pragma once

#include <ngtcp2/ngtcp2.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "quic/random.h"

namespace mirror::quic {

__extension__ using U128 = unsigned __int128;
using Secret = std::array<std::uint8_t, 32>;

class ConnectionId {
 public:
  ConnectionId() = default;
  explicit ConnectionId(std::span<const std::uint8_t> bytes) {
    ngtcp2_cid_init(&cid_, bytes.data(), bytes.size());  // at most NGTCP2_MAX_CIDLEN
  }
  explicit ConnectionId(const ngtcp2_cid& cid) : cid_(cid) {}

  const ngtcp2_cid& get() const { return cid_; }
  std::span<const std::uint8_t> span() const { return {cid_.data, cid_.datalen}; }
  friend bool operator==(const ConnectionId& a, const ConnectionId& b) {
    return ngtcp2_cid_eq(&a.cid_, &b.cid_) != 0;
  }

 private:
  ngtcp2_cid cid_{};
};

// Seeded with a secret: a stranger chooses the first id of its connections, and must not be able to
// choose many that fall into one bucket.
struct ConnectionIdHash {
  std::uint64_t seed = 0;
  std::size_t operator()(const ConnectionId& id) const {
    std::array<std::uint64_t, 3> words{};
    std::memcpy(words.data(), id.span().data(), id.span().size());
    std::uint64_t hash = seed ^ id.span().size();
    for (const std::uint64_t word : words) {
      const auto product = static_cast<U128>(hash ^ word) * 0x9e3779b97f4a7c15u;
      hash = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64) ^ seed;
    }
    return hash;
  }
};

class ConnectionIds {
 public:
  static constexpr std::size_t kBytes = 16;

  ConnectionIds(const Secret& secret, std::uint8_t worker, Random& random)
      : secret_(secret), worker_(worker), random_(random) {}

  ConnectionId make() const;
  bool ours(std::span<const std::uint8_t> id) const;  // made under this secret by any worker
  static std::uint8_t worker_of(std::span<const std::uint8_t> id) { return id[0]; }
  std::array<std::uint8_t, NGTCP2_STATELESS_RESET_TOKENLEN> reset_token(
      const ConnectionId& id) const;

 private:
  static constexpr std::size_t kCheckBytes = 4;
  void check(std::span<const std::uint8_t> id, std::span<std::uint8_t, kCheckBytes> out) const;

  const Secret secret_;
  const std::uint8_t worker_;
  Random& random_;
};

}  // namespace mirror::quic
