// For the fuzzer and the test that replays its corpus: a fresh server endpoint, and what strangers
// send it.
//
// The input is a script of commands, one byte each, that take what they need from the bytes behind
// them; what is missing is zero. A command's datagram is sent as it is, or as the frames of an
// Initial packet that is protected as it must be, which anybody can do (RFC 9001, 5.2).
#pragma once

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "quic/endpoint_core.h"

namespace mirror::quic {

class RepeatableRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> bytes) override {
    for (std::uint8_t& byte : bytes) {
      state_ = state_ * 6364136223846793005u + 1442695040888963407u;
      byte = static_cast<std::uint8_t>(state_ >> 56);
    }
  }

 private:
  std::uint64_t state_ = 1;
};

// RFC 9001, 5.2, of a client that chose `id`.
class InitialProtection {
 public:
  explicit InitialProtection(std::span<const std::uint8_t> id) {
    constexpr std::array<std::uint8_t, 20> salt = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34,
                                                   0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
                                                   0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
    std::array<std::uint8_t, 32> initial{};
    const gnutls_datum_t key = datum(id);
    const gnutls_datum_t salt_datum = datum(salt);
    gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &key, &salt_datum, initial.data());
    std::array<std::uint8_t, 32> client{};
    expand(initial, "client in", client);
    expand(client, "quic key", key_);
    expand(client, "quic iv", iv_);
    expand(client, "quic hp", header_key_);
  }

  // `header` ends with a packet number of four bytes, `number`.
  std::vector<std::uint8_t> protect(std::vector<std::uint8_t> header, std::uint32_t number,
                                    std::span<const std::uint8_t> frames) const {
    std::array<std::uint8_t, 12> nonce = iv_;
    for (std::size_t i = 0; i < 4; ++i) {
      nonce[8 + i] = static_cast<std::uint8_t>(nonce[8 + i] ^ (number >> (24 - 8 * i)));
    }
    const gnutls_datum_t key = datum(key_);
    gnutls_aead_cipher_hd_t aead = nullptr;
    if (gnutls_aead_cipher_init(&aead, GNUTLS_CIPHER_AES_128_GCM, &key) < 0) std::abort();
    const std::size_t head = header.size();
    std::size_t size = frames.size() + 16;
    header.resize(head + size);
    gnutls_aead_cipher_encrypt(aead, nonce.data(), nonce.size(), header.data(), head, 16,
                               frames.data(), frames.size(), header.data() + head, &size);
    gnutls_aead_cipher_deinit(aead);
    // One block of AES-CBC from a zero vector is AES-ECB.
    std::array<std::uint8_t, 16> mask{};
    std::copy_n(header.begin() + static_cast<std::ptrdiff_t>(head), mask.size(), mask.begin());
    std::array<std::uint8_t, 16> zeros{};
    const gnutls_datum_t header_key = datum(header_key_);
    const gnutls_datum_t vector = datum(zeros);
    gnutls_cipher_hd_t cipher = nullptr;
    if (gnutls_cipher_init(&cipher, GNUTLS_CIPHER_AES_128_CBC, &header_key, &vector) < 0) {
      std::abort();
    }
    gnutls_cipher_encrypt(cipher, mask.data(), mask.size());
    gnutls_cipher_deinit(cipher);
    header[0] = static_cast<std::uint8_t>(header[0] ^ (mask[0] & 0x0f));
    for (std::size_t i = 0; i < 4; ++i)
      header[head - 4 + i] = static_cast<std::uint8_t>(header[head - 4 + i] ^ mask[1 + i]);
    return header;
  }

 private:
  static gnutls_datum_t datum(std::span<const std::uint8_t> bytes) {
    return {const_cast<unsigned char*>(bytes.data()), static_cast<unsigned>(bytes.size())};
  }
  static void expand(std::span<const std::uint8_t> secret, const std::string& label,
                     std::span<std::uint8_t> out) {
    const std::string full = "tls13 " + label;
    std::vector<std::uint8_t> info = {0, static_cast<std::uint8_t>(out.size()),
                                      static_cast<std::uint8_t>(full.size())};
    info.insert(info.end(), full.begin(), full.end());
    info.push_back(0);
    const gnutls_datum_t key = datum(secret);
    const gnutls_datum_t text = datum(info);
    gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &key, &text, out.data(), out.size());
  }

  std::array<std::uint8_t, 16> key_{};
  std::array<std::uint8_t, 12> iv_{};
  std::array<std::uint8_t, 16> header_key_{};
};

// Takes what comes and lets go of it.
class SinkApplication final : public Application {
 public:
  explicit SinkApplication(Transport& transport) : transport_(transport) {}
  void on_open() override {
    if (const auto stream = transport_.open_unidirectional()) {
      transport_.send_copy(*stream, std::array<std::uint8_t, 3>{0, 4, 0});
    }
  }
  void on_stream_data(StreamId stream, std::span<const std::uint8_t> bytes, bool) override {
    transport_.consumed(stream, bytes.size());
  }
  void on_stream_reset(StreamId, std::uint64_t) override {}
  void on_stop_sending(StreamId, std::uint64_t) override {}
  void on_writable(StreamId) override {}
  void on_stream_closed(StreamId) override {}
  void on_streams_available() override {}
  void on_datagram(std::span<const std::uint8_t>) override {}
  void on_closed(std::string_view) override {}

 private:
  Transport& transport_;
};

class DatagramExercise final : private EndpointCore::Host {
 public:
  explicit DatagramExercise(std::span<const std::uint8_t> script)
      : script_(script), core_(*this, limits(), Secret{1}, 0, shared().metrics, random_) {
    core_.serve({shared().tls, shared().credentials, [](Transport& transport) {
                   return std::make_unique<SinkApplication>(transport);
                 }});
  }

  void run() {
    for (int commands = 0; !script_.empty() && commands < kCommandsMax; ++commands) {
      const std::uint8_t command = byte();
      switch (command % 4) {
        case 0:
          receive(take(number()), command);
          break;
        case 1:
          receive(initial(command, take(number())), command);
          break;
        case 2:  // behind an id that the endpoint itself would give out
          receive(short_header(take(byte())), command);
          break;
        default:
          now_ += std::chrono::milliseconds(1u << (command >> 4));
          core_.expire();
          break;
      }
      write();
      if (core_.connections() > kConnectionsMax) std::abort();
    }
    // Whoever is left gives up in time: nothing is kept for ever.
    for (int i = 0; i < 200 && core_.next_expiry() != SteadyTime::max(); ++i) {
      now_ = std::max(now_, core_.next_expiry());
      core_.expire();
      write();
    }
    if (core_.connections() != 0) std::abort();
  }

 private:
  static constexpr int kCommandsMax = 64;
  static constexpr std::size_t kConnectionsMax = 8;

  struct Shared {
    Metrics registry;
    EndpointMetrics metrics{registry, "0"};
    std::shared_ptr<const ServerTls> tls =
        ServerTls::create({"h3"}, std::make_shared<ReplayGuard>()).value();
    std::shared_ptr<const net::TlsCredentials> credentials = certificate();

    static std::shared_ptr<const net::TlsCredentials> certificate() {
      std::string pattern = std::filesystem::temp_directory_path() / "mirror_quic.XXXXXX";
      const std::filesystem::path folder = ::mkdtemp(pattern.data());
      auto made =
          net::TlsCredentials::load_or_generate(folder, {"localhost"}, SystemClock().now().wall);
      std::filesystem::remove_all(folder);
      if (!made) std::abort();
      return *made;
    }
  };
  static Shared& shared() {
    static Shared made;
    return made;
  }
  static Limits limits() {
    Limits small;
    small.connections_max = kConnectionsMax;
    small.handshakes_unproven_max = 4;
    return small;
  }

  SteadyTime turn_time() const override { return now_; }
  WallTime wall_time() const override {
    return WallTime(std::chrono::duration_cast<std::chrono::microseconds>(now_.time_since_epoch()));
  }
  void something_due() override {}
  bool has_worker(std::uint8_t worker) const override { return worker % 2 == 0; }
  bool stray(std::uint8_t, std::span<const std::uint8_t>, const Path&, std::uint8_t) override {
    return false;
  }

  std::uint8_t byte() {
    if (script_.empty()) return 0;
    const std::uint8_t value = script_.front();
    script_ = script_.subspan(1);
    return value;
  }
  std::size_t number() { return static_cast<std::size_t>(byte()) << 3; }
  std::vector<std::uint8_t> take(std::size_t size) {
    const auto taken = script_.first(std::min(size, script_.size()));
    script_ = script_.subspan(taken.size());
    return {taken.begin(), taken.end()};
  }

  std::vector<std::uint8_t> initial(std::uint8_t command, std::vector<std::uint8_t> frames) {
    std::array<std::uint8_t, 8> id{};
    id[0] = (command >> 2) & 0x3;
    frames.resize(std::clamp<std::size_t>(frames.size(), 1'170, 1'400));  // PADDING
    const std::size_t length = frames.size() + 16 + 4;
    const std::uint32_t number = next_number_++;
    std::vector<std::uint8_t> header = {0xc3, 0, 0, 0, 1, 8};
    header.insert(header.end(), id.begin(), id.end());
    header.push_back(4);
    header.insert(header.end(), {9, 9, 9, id[0]});
    header.push_back(0);  // no token
    header.push_back(static_cast<std::uint8_t>(0x40 | (length >> 8)));
    header.push_back(static_cast<std::uint8_t>(length));
    for (int i = 0; i < 4; ++i) header.push_back(static_cast<std::uint8_t>(number >> (24 - 8 * i)));
    return InitialProtection(id).protect(std::move(header), number, frames);
  }

  std::vector<std::uint8_t> short_header(const std::vector<std::uint8_t>& rest) {
    RepeatableRandom fresh;
    const ConnectionId id = ConnectionIds(Secret{1}, 0, fresh).make();
    std::vector<std::uint8_t> packet = {0x40};
    packet.insert(packet.end(), id.span().begin(), id.span().end());
    packet.insert(packet.end(), rest.begin(), rest.end());
    return packet;
  }

  void receive(const std::vector<std::uint8_t>& datagram, std::uint8_t command) {
    Path path{
        Address::parse("192.0.2.1", 443).value(),
        Address::parse("192.0.2.9", static_cast<std::uint16_t>(1000 + (command >> 6))).value()};
    core_.receive(datagram, path, command & 0x3);
  }

  void write() {
    for (int round = 0; round < 64; ++round) {
      const bool all = core_.write(out_);
      out_.drop(out_.batches().size());
      if (all) break;
    }
    core_.bury();
  }

  std::span<const std::uint8_t> script_;
  SteadyTime now_{std::chrono::hours(1000)};
  RepeatableRandom random_;
  SendBuffer out_;
  EndpointCore core_;
  std::uint32_t next_number_ = 0;
};

inline void exercise_datagrams(std::span<const std::uint8_t> script) {
  DatagramExercise(script).run();
}

}  // namespace mirror::quic
