// What fuzz/http2_fuzz.cc does with one input, and a unit test with the whole corpus: steps of two
// bytes (what, and how many bytes) and those bytes, which become frames of an HTTP/2 connection, or
// go in as they are; with answers at once, later and in pieces.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "http/http2_codec.h"
#include "http/scripted_carrier.h"

namespace mirror::http {

inline void exercise_http2(std::span<const std::uint8_t> input) {
  ScriptedCarrier carrier;
  carrier.limits_.header_bytes_max = 1024;
  carrier.limits_.body_bytes_max = 2048;
  carrier.limits_.concurrent_streams_max = 8;
  carrier.limits_.queued_bytes_per_connection_max = 16 * 1024;
  auto made = Http2Codec::create(static_cast<Carrier&>(carrier));
  if (!made) std::abort();
  auto codec = std::move(*made);
  const auto give = [&](std::span<const std::uint8_t> bytes) {
    if (codec->wants_input()) codec->receive(bytes);
  };
  // RFC 9113, 3.4: nothing is understood that does not begin with it.
  constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  constexpr std::array<std::uint8_t, 9> kSettings = {0, 0, 0, 4, 0, 0, 0, 0, 0};
  give(bytes_of(kPreface));
  give(kSettings);
  while (input.size() >= 2 && !codec->finished()) {
    const std::uint8_t what = input[0];
    const std::size_t n = std::min<std::size_t>(input[1], input.size() - 2);
    // A copy of its own: reading past a piece is then seen by the sanitizer.
    const std::vector<std::uint8_t> piece(input.begin() + 2,
                                          input.begin() + 2 + static_cast<std::ptrdiff_t>(n));
    input = input.subspan(2 + n);
    switch (what & 7) {
      default: {  // a frame: its type, its flags, its stream, its payload
        if (piece.size() < 3) break;
        std::vector<std::uint8_t> frame = {
            0, 0, static_cast<std::uint8_t>(n - 3),          piece[0], piece[1], 0,
            0, 0, static_cast<std::uint8_t>(piece[2] & 0x1f)};
        frame.insert(frame.end(), piece.begin() + 3, piece.end());
        give(frame);
        break;
      }
      case 4:
        give(piece);
        break;
      case 5:
        carrier.time += std::chrono::seconds(n);
        codec->time_out();
        codec->end_stalled();
        break;
      case 6:
        carrier.answer_held();
        break;
      case 7:
        take_output(*codec);
        break;
    }
    if ((what & 0x40) != 0) codec->pump();
    if ((what & 0x80) != 0 && (what & 7) == 7) codec->drain();
    static_cast<void>(codec->phase());
    static_cast<void>(codec->phase_since());
    // No more than is made ahead, and answers that were refused each a head.
    if (codec->output().size() > 512 * 1024) std::abort();
    if (codec->streams() > carrier.limits_.concurrent_streams_max + 1) std::abort();
    if (carrier.held.size() > codec->streams()) std::abort();
  }
  codec->input_ended();
  take_output(*codec);
  codec.reset();
  if (!carrier.held.empty()) std::abort();  // an exchange outlived its connection
}

}  // namespace mirror::http
