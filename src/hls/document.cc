#include "hls/document.h"

namespace mirror::hls {

std::size_t Document::size() const {
  std::size_t size = 0;
  for (const Bytes& piece : pieces) size += piece.size();
  return size;
}

std::string Document::text() const {
  std::string text;
  for (const Bytes& piece : pieces) text += piece.text();
  return text;
}

}  // namespace mirror::hls
