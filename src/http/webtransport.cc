#include "http/webtransport.h"

namespace mirror::http::h3 {

namespace {

// Draft 4.3: from here on, leaving out every 31st, which HTTP/3 reserves (RFC 9114 8.1).
constexpr std::uint64_t kFirstError = 0x52e4a40fa8db;
constexpr std::uint64_t kLastError = 0x52e5ac983162;

}  // namespace

std::uint64_t webtransport_error(std::uint32_t code) { return kFirstError + code + code / 0x1e; }

std::optional<std::uint32_t> webtransport_code(std::uint64_t error) {
  if (error < kFirstError || error > kLastError || (error - 0x21) % 0x1f == 0) return std::nullopt;
  const std::uint64_t shifted = error - kFirstError;
  return static_cast<std::uint32_t>(shifted - shifted / 0x1f);
}

bool CapsuleReader::keeps() const {
  const std::uint64_t type = reader_.type();
  return type == kClose || (type == kDatagram && reader_.length() <= kKeptBytesMax);
}

CapsuleReader::Event CapsuleReader::next(std::span<const std::uint8_t>& bytes) {
  for (;;) {
    if (closed_ && !bytes.empty()) return Event::kMalformed;
    switch (reader_.next(bytes)) {
      case FrameReader::Event::kNeedMore:
        return Event::kNeedMore;
      case FrameReader::Event::kType:
        break;
      case FrameReader::Event::kHead:
        kept_.clear();
        if (reader_.type() == kClose &&
            (reader_.length() < 4 || reader_.length() > 4 + WebTransportSession::kReasonBytesMax)) {
          return Event::kMalformed;
        }
        if (!keeps()) skipped_ += 1;
        if (skipped_ > kSkippedBytesMax) return Event::kFlood;
        break;
      case FrameReader::Event::kPayload:
        if (keeps()) {
          kept_.insert(kept_.end(), reader_.payload().begin(), reader_.payload().end());
        } else {
          skipped_ += reader_.payload().size();
          if (skipped_ > kSkippedBytesMax) return Event::kFlood;
        }
        break;
      case FrameReader::Event::kEnd:
        if (!keeps()) break;
        skipped_ = 0;
        if (reader_.type() == kDatagram) return Event::kDatagram;
        code_ = 0;
        for (std::size_t i = 0; i < 4; ++i) code_ = code_ << 8 | kept_[i];
        closed_ = true;
        return Event::kClose;
    }
  }
}

void append_close_capsule(Wire& out, std::uint32_t code, std::string_view reason) {
  reason = reason.substr(0, WebTransportSession::kReasonBytesMax);
  append_frame_head(out, CapsuleReader::kClose, 4 + reason.size());
  for (int shift = 24; shift >= 0; shift -= 8) {
    out.push_back(static_cast<std::uint8_t>(code >> shift));
  }
  out.insert(out.end(), reason.begin(), reason.end());
}

}  // namespace mirror::http::h3
