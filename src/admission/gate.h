// Gate: who may publish. It stands before the gate of what is published to (stream::Registry) and
// adds a token, and a judge who is asked about every publisher (docs/admission.md).
//
// Any thread. A publisher that is judged is let in at once with a publication that waits: until the
// verdict its access units are dropped and counted, then it becomes a publication of the gate
// behind, or is displaced and says why. Nobody is blocked meanwhile, and the key stays whose it
// was.
//
// Feeds that the configuration names (PublishRequest::configured) are let through to the gate
// behind: they have been judged by who wrote it.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "admission/judge.h"
#include "base/metrics.h"
#include "media/publish.h"

namespace mirror::admission {

struct GateSettings {
  std::string token;  // asked of every publisher; empty: of none
  std::map<std::string, std::string, std::less<>> tokens{};  // instead of it, by stream key
};

class Gate final : public media::PublisherGate {
 public:
  // `judge` may be null. All outlive this, and this outlives what it opened.
  Gate(GateSettings settings, media::PublisherGate& behind, Judge* judge, Metrics& metrics);

  std::optional<media::PublishRefusal> admit(const media::PublishRequest& request) const override;
  std::expected<std::unique_ptr<media::Publication>, media::PublishRefusal> open(
      const media::PublishRequest& request) override;

 private:
  class Waiting;

  // What publishers to `key` must say; empty: nothing.
  std::string_view token_of(std::string_view key) const;

  const GateSettings settings_;
  media::PublisherGate& behind_;
  Judge* const judge_;
  Gauge& waiting_;
  Counter& dropped_units_;
};

}  // namespace mirror::admission
