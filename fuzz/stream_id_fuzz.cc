// What strangers write into an SRT stream id, and operators into a source's URL.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ingest/srt_url.h"
#include "ingest/stream_id.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mirror;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto id = ingest::parse_stream_id(text)) {
    // What is taken is a key, and says nothing that would break a log line.
    if (!media::StreamKey::parse(id->key.text())) std::abort();
    for (const char c : id->user + id->token) {
      if (static_cast<unsigned char>(c) < 0x20) std::abort();
    }
    if (id->user.size() + id->token.size() > 512) std::abort();
  }
  // Nothing is added but an ellipsis for each token.
  const std::string shown = ingest::without_token(text);
  if (shown.size() > 64 + 3 * size) std::abort();
  if (const auto url = ingest::parse_srt_url(text)) {
    if (url->host.empty() || url->port == 0 || url->stream_id.size() > 512) std::abort();
  }
  return 0;
}
