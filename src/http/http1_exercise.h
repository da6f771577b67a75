// What fuzz/http1_fuzz.cc does with one input, and a unit test with the whole corpus: feeds it to
// an Http1Codec in pieces whose sizes the first byte seeds, with answers at once, later and in
// pieces.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "http/http1_codec.h"
#include "http/scripted_carrier.h"

namespace mirror::http {

inline void exercise_http1(std::span<const std::uint8_t> input) {
  if (input.empty()) return;
  ScriptedCarrier carrier;
  carrier.limits_.header_bytes_max = 1024;
  carrier.limits_.body_bytes_max = 2048;
  carrier.limits_.queued_bytes_per_connection_max = 16 * 1024;
  auto codec = std::make_unique<Http1Codec>(static_cast<Carrier&>(carrier));
  std::uint32_t random = input[0] | 1u;
  input = input.subspan(1);
  while (!input.empty() && !codec->finished()) {
    random = random * 1664525u + 1013904223u;
    const std::size_t n = std::min<std::size_t>(1 + (random >> 24) % 97, input.size());
    // A copy of its own: reading past a piece is then seen by the sanitizer.
    const std::vector<std::uint8_t> piece(input.begin(),
                                          input.begin() + static_cast<std::ptrdiff_t>(n));
    input = input.subspan(n);
    if (codec->wants_input()) codec->receive(piece);
    if (carrier.held.size() > 1) std::abort();  // one answer at a time
    if ((random & 0x10000) != 0) carrier.answer_held();
    if ((random & 0x20000) != 0) take_output(*codec);
    if (codec->output().size() > 64 * 1024) std::abort();
    carrier.time += std::chrono::milliseconds(10);
  }
  if ((random & 0x40000) != 0) codec->time_out();
  if ((random & 0x80000) != 0) codec->drain();
  codec->input_ended();
  take_output(*codec);
  codec.reset();
  if (!carrier.held.empty()) std::abort();  // an exchange outlived its connection
}

}  // namespace mirror::http
