// QPACK without a dynamic table (RFC 9204): static table and Huffman code only, by nghttp3.
//
// A field section depends on nothing that a connection knows, so it can be encoded once and sent to
// every peer, and it never waits for another stream.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "http/http3_frames.h"

struct nghttp3_qpack_decoder;
struct nghttp3_qpack_encoder;
struct nghttp3_qpack_stream_context;

namespace mirror::http {

struct QpackField {
  std::string_view name;  // lower case
  std::string_view value;
};

// The field section of `fields`, its prefix included (RFC 9204 4.5). Any thread.
std::string qpack_encode(std::span<const QpackField> fields);

// Field lines that may be appended to any such section: date by reference to the static table,
// other names in full. No Huffman code: for the few fields that are one request's own.
void append_qpack_date(h3::Wire& out, std::string_view date);
void append_qpack_field(h3::Wire& out, std::string_view name, std::string_view value);

// Decodes whole field sections of one connection. On its loop.
class QpackDecoder {
 public:
  QpackDecoder();
  ~QpackDecoder();
  QpackDecoder(const QpackDecoder&) = delete;
  QpackDecoder& operator=(const QpackDecoder&) = delete;

  // Called for each field; false: enough, the rest is not looked at. The views live within the
  // call.
  using Sink = std::function<bool(std::string_view name, std::string_view value)>;

  // False: no field section, or one that refers to a dynamic table. The decoder is of no use
  // afterwards (QPACK_DECOMPRESSION_FAILED ends the connection).
  bool decode(std::span<const std::uint8_t> section, const Sink& sink);

 private:
  nghttp3_qpack_decoder* decoder_ = nullptr;
  nghttp3_qpack_stream_context* context_ = nullptr;
};

}  // namespace mirror::http
