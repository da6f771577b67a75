// FeedState: what became of one feed that the configuration names: a source that we dial, a port
// of our own. TurnedAway: a publisher who called and was refused. Plain data for the API.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace mirror::media {

struct FeedState {
  enum class State {
    kConnecting,    // dialling for the first time; or a port on which nothing has come yet
    kLive,          // it comes, and the stream takes it
    kReconnecting,  // it came once and is away; it is dialled, or waited for, again
    kRefused,  // the stream, the far side or a rule says no; see `why`. Tried again all the same
  };

  std::string stream;    // the stream's key
  std::string kind;      // "srt": a caller of ours; "rtp": a port of ours
  std::string endpoint;  // "srt://203.0.113.7:6000" without its query, "*:5004": never a secret
  State state = State::kConnecting;
  std::string why;   // why it is not live, in words; empty while it is, or if nobody knows
  WallTime since{};  // when it came into this state
  std::uint64_t attempts = 0;  // connections tried, or feeds begun, since the start; this one too
};

constexpr std::string_view name_of(FeedState::State state) {
  switch (state) {
    case FeedState::State::kConnecting:
      return "connecting";
    case FeedState::State::kLive:
      return "live";
    case FeedState::State::kReconnecting:
      return "reconnecting";
    case FeedState::State::kRefused:
      return "refused";
  }
  return "unknown";
}

struct TurnedAway {
  WallTime at{};
  std::string reason;     // a fixed word: "conflict", "overload", "unauthorized", …
  std::string why;        // in words
  std::string remote;     // "192.0.2.1:40000"
  std::string asked_for;  // the stream id or key as it came, without what it said to be let in
};

// Who can tell of such feeds. Asked by network loops: any thread, and the answer is at once.
class FeedReporter {
 public:
  virtual ~FeedReporter() = default;
  // In the order of the configuration.
  virtual std::vector<FeedState> feeds() const = 0;
  // The last ones, oldest first; few.
  virtual std::vector<TurnedAway> turned_away() const { return {}; }
};

}  // namespace mirror::media
