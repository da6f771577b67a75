// Bytes of HTTP/3, written by hand for tests: frames, field sections, streams.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "http/http3_frames.h"
#include "http/qpack.h"

namespace mirror::http::h3 {

using Fields = std::vector<std::pair<std::string, std::string>>;

inline std::string text_of(const Wire& wire) { return {wire.begin(), wire.end()}; }

inline std::string varint(std::uint64_t value) {
  Wire wire;
  append_varint(wire, value);
  return text_of(wire);
}

inline std::string make_frame(std::uint64_t type, const std::string& payload) {
  return varint(type) + varint(payload.size()) + payload;
}

inline std::string section(const Fields& fields) {
  std::vector<QpackField> list;
  list.reserve(fields.size());
  // nghttp3 writes every name in lower case: others are written by hand, behind.
  Wire odd;
  for (const auto& [name, value] : fields) {
    const bool upper =
        std::any_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    if (upper) {
      append_qpack_field(odd, name, value);
    } else {
      list.push_back({name, value});
    }
  }
  return qpack_encode(list) + text_of(odd);
}

inline std::string headers(const Fields& fields) {
  return make_frame(frame::kHeaders, section(fields));
}

inline Fields request_fields(const std::string& method, const std::string& path,
                             const Fields& extra = {}) {
  Fields fields = {{":method", method}, {":scheme", "https"}, {":authority", "h"}, {":path", path}};
  fields.insert(fields.end(), extra.begin(), extra.end());
  return fields;
}

inline std::string request(const std::string& method, const std::string& path,
                           const Fields& extra = {}) {
  return headers(request_fields(method, path, extra));
}

inline std::string data(const std::string& body) { return make_frame(frame::kData, body); }

inline std::string settings(const std::vector<std::pair<std::uint64_t, std::uint64_t>>& list = {}) {
  std::string payload;
  for (const auto& [id, value] : list) payload += varint(id) + varint(value);
  return make_frame(frame::kSettings, payload);
}

inline std::string control(const std::string& rest = {}) {
  return varint(stream_type::kControl) + settings() + rest;
}

}  // namespace mirror::http::h3
