#include "media/access_unit.h"

namespace mirror::media {

std::string_view name_of(Codec codec) {
  switch (codec) {
    case Codec::kH264:
      return "H.264";
    case Codec::kHevc:
      return "HEVC";
    case Codec::kAac:
      return "AAC";
    case Codec::kMpegAudio:
      return "MPEG audio";
    case Codec::kAc3:
      return "AC-3";
    case Codec::kEac3:
      return "E-AC-3";
    case Codec::kOpus:
      return "Opus";
    case Codec::kUnsupported:
      break;
  }
  return "unsupported";
}

}  // namespace mirror::media
