// HeaderStore: header fields that were read and are done with, whose strings have room for the next
// request's. A connection reads a dozen of them with every request, and they are all alike.
//
// Owned by a codec, on its loop. Keeps at most kFieldsMax fields of at most kTextBytesMax each.
#pragma once

#include <string_view>
#include <utility>

#include "http/http.h"

namespace mirror::http {

class HeaderStore {
 public:
  static constexpr std::size_t kFieldsMax = 32;
  static constexpr std::size_t kTextBytesMax = 256;

  // Appends a field and returns it.
  Header& add(Headers& headers, std::string_view name, std::string_view value) {
    if (spare_.empty()) {
      headers.emplace_back();
    } else {
      headers.push_back(std::move(spare_.back()));
      spare_.pop_back();
    }
    Header& header = headers.back();
    header.name.assign(name);
    header.value.assign(value);
    return header;
  }

  // Empties `headers`.
  void take_back(Headers& headers) {
    for (Header& header : headers) {
      if (spare_.size() == kFieldsMax) break;
      if (header.name.capacity() > kTextBytesMax || header.value.capacity() > kTextBytesMax) {
        continue;
      }
      spare_.push_back(std::move(header));
    }
    headers.clear();
  }

 private:
  Headers spare_;
};

}  // namespace mirror::http
