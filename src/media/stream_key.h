// StreamKey: the name of one live stream, as publishers and URLs write it.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mirror::media {

// `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`: safe in URLs, file names, label values and logs as it stands.
class StreamKey {
 public:
  static Result<StreamKey> parse(std::string_view text);
  const std::string& text() const { return text_; }
  friend auto operator<=>(const StreamKey&, const StreamKey&) = default;

 private:
  explicit StreamKey(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace mirror::media
