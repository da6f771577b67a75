#include "stream/status.h"

namespace mirror::stream {

std::string_view name_of(State state) {
  switch (state) {
    case State::kConnecting:
      return "connecting";
    case State::kLive:
      return "live";
    case State::kReconnecting:
      return "reconnecting";
    case State::kFailed:
      return "failed";
    case State::kEnded:
      return "ended";
  }
  return "unknown";
}

std::string_view name_of(transcode::Effort effort) {
  switch (effort) {
    case transcode::Effort::kAll:
      return "none";
    case transcode::Effort::kReferenceOnly:
      return "reference_only";
    case transcode::Effort::kKeyFramesOnly:
      return "keyframes_only";
  }
  return "unknown";
}

}  // namespace mirror::stream
