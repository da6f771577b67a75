#include "media/stream_key.h"

namespace mirror::media {
namespace {

bool alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

Result<StreamKey> StreamKey::parse(std::string_view text) {
  constexpr std::size_t kMaxLength = 64;
  if (text.empty()) return fail("the stream key is empty");
  if (text.size() > kMaxLength) return fail("the stream key is longer than 64 characters");
  if (!alphanumeric(text.front())) return fail("a stream key begins with a letter or a digit");
  for (const char c : text) {
    if (!alphanumeric(c) && c != '.' && c != '_' && c != '-') {
      return fail("a stream key holds only letters, digits, '.', '_' and '-'");
    }
  }
  return StreamKey(std::string(text));
}

}  // namespace mirror::media
