// PesReader: PES packets out of the payloads of one PID (ISO/IEC 13818-1, 2.4.3.6).
//
// Owned by an elementary stream, on the demuxer's thread. Holds a PES header of at most 264 bytes,
// which may come in several pieces; payload passes through as views. It tells its listener:
//
//   on_pes_header(header)      a valid header is complete
//   on_pes_malformed()         what came as a header is none; its PES packet is dropped
//   on_pes_payload(bytes)      none, one or many times
//   on_pes_end(header)         PES_packet_length bytes have come; never where that is zero
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "mpegts/counters.h"

namespace mirror::mpegts {

struct PesHeader {
  std::uint8_t stream_id = 0;
  std::uint16_t packet_length = 0;  // PES_packet_length; 0 is unbounded
  std::size_t header_size = 0;
  bool scrambled = false;
  std::optional<std::uint64_t> pts;  // 33 bits, 90 kHz
  std::optional<std::uint64_t> dts;
};

// `bytes` hold the whole header. Nothing when a marker, flag or length is wrong.
std::optional<PesHeader> parse_pes_header(std::span<const std::uint8_t> bytes);

class PesReader {
 public:
  // Counts what it drops in `counters`, which outlive this.
  explicit PesReader(Counters& counters) : counters_(counters) {}

  // Is a PES packet under way that is known to be incomplete?
  bool is_short() const {
    return state_ == State::kHeader || (state_ == State::kPayload && bytes_left_ > 0);
  }
  bool in_header() const { return state_ == State::kHeader; }

  // payload_unit_start: what came before ends here.
  void start() {
    counters_.common.dropped_bytes += state_ == State::kHeader ? header_size_ : 0;
    state_ = State::kHeader;
    header_size_ = 0;
  }

  // Drops the bytes until the next start().
  void abandon() {
    counters_.common.dropped_bytes += state_ == State::kHeader ? header_size_ : 0;
    state_ = State::kSkip;
  }

  template <class Listener>
  void push(std::span<const std::uint8_t> bytes, Listener& listener) {
    if (state_ == State::kHeader) {
      bytes = bytes.subspan(collect_header(bytes));
      if (state_ == State::kHeader) return;
      if (state_ == State::kPayload) {
        listener.on_pes_header(header_);
      } else {
        listener.on_pes_malformed();
      }
    }
    if (state_ == State::kPayload) bytes = bytes.subspan(pass_payload(bytes, listener));
    counters_.common.dropped_bytes += bytes.size();
  }

 private:
  enum class State { kSkip, kHeader, kPayload };

  std::size_t collect_header(std::span<const std::uint8_t> bytes);
  std::size_t header_bytes_needed() const;

  template <class Listener>
  std::size_t pass_payload(std::span<const std::uint8_t> bytes, Listener& listener) {
    const bool bounded = header_.packet_length != 0;
    const std::size_t count = bounded ? std::min(bytes_left_, bytes.size()) : bytes.size();
    if (count > 0) listener.on_pes_payload(bytes.first(count));
    // The listener may have abandoned this PES packet.
    if (!bounded || state_ != State::kPayload) return count;
    bytes_left_ -= count;
    if (bytes_left_ == 0) {
      state_ = State::kSkip;
      listener.on_pes_end(header_);
    }
    return count;
  }

  Counters& counters_;
  State state_ = State::kSkip;
  std::array<std::uint8_t, 9 + 255> header_bytes_;
  std::size_t header_size_ = 0;
  PesHeader header_;
  std::size_t bytes_left_ = 0;  // of a bounded payload
};

}  // namespace mirror::mpegts
