#include "admission/gate.h"

#include <gnutls/gnutls.h>

#include <utility>
#include <vector>

namespace mirror::admission {
namespace {

using Reason = media::PublishRefusal::Reason;
using Refusal = media::PublishRefusal;

// In a time that tells the length at most.
bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && gnutls_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

// A publication that waits for its verdict, and then stands before the one of the gate behind.
class Gate::Waiting final : public media::Publication {
 public:
  Waiting(Gate& gate, media::PublishRequest request, std::shared_ptr<const Verdict> verdict)
      : gate_(gate), request_(std::move(request)), verdict_(std::move(verdict)) {
    gate_.waiting_.Increment();
  }
  ~Waiting() override {
    if (!noted_) gate_.waiting_.Decrement();
  }

  void on_tracks(const std::vector<media::Track>& tracks) override {
    settle();
    if (behind_) return behind_->on_tracks(tracks);
    tracks_ = tracks;
  }

  void on_access_unit(media::AccessUnit unit) override {
    settle();
    if (behind_) return behind_->on_access_unit(std::move(unit));
    gate_.dropped_units_.Increment();
  }

  void on_stats(const media::TransportStats& transport, const media::DemuxStats& demux) override {
    settle();
    if (behind_) behind_->on_stats(transport, demux);
  }

  bool displaced() const override {
    if (behind_) return behind_->displaced();
    return refused_ || verdict_->outcome() == Verdict::Outcome::kDenied;
  }

  std::string_view displaced_by() const override {
    if (behind_) return behind_->displaced_by();
    return refused_ ? *refused_ : verdict_->why();
  }

 private:
  // Takes note of a verdict that has come.
  void settle() {
    if (noted_ || verdict_->outcome() == Verdict::Outcome::kPending) return;
    noted_ = true;
    gate_.waiting_.Decrement();
    if (verdict_->outcome() == Verdict::Outcome::kDenied) return;
    auto opened = gate_.behind_.open(request_);
    if (!opened) {
      refused_ = opened.error().message;
      return;
    }
    behind_ = *std::move(opened);
    if (!tracks_.empty()) behind_->on_tracks(tracks_);
    tracks_ = {};
  }

  Gate& gate_;
  const media::PublishRequest request_;
  const std::shared_ptr<const Verdict> verdict_;  // kept: displaced_by() is a view of its words
  bool noted_ = false;                            // the verdict has come, and was seen here
  std::unique_ptr<media::Publication> behind_;
  std::optional<std::string> refused_;  // why the gate behind said no after all
  std::vector<media::Track> tracks_;
};

Gate::Gate(GateSettings settings, media::PublisherGate& behind, Judge* judge, Metrics& metrics)
    : settings_(std::move(settings)),
      behind_(behind),
      judge_(judge),
      waiting_(metrics.gauge("mirror_admission_waiting",
                             "Publishers whose admission the webhook has yet to judge.")),
      dropped_units_(metrics.counter("mirror_admission_dropped_units_total",
                                     "Access units that came before their publisher's verdict.")) {}

std::string_view Gate::token_of(std::string_view key) const {
  const auto own = settings_.tokens.find(key);
  return own == settings_.tokens.end() ? settings_.token : own->second;
}

std::optional<Refusal> Gate::admit(const media::PublishRequest& request) const {
  const std::string_view token = token_of(request.key.text());
  if (!request.configured && !token.empty()) {
    if (request.token.empty()) return Refusal{Reason::kUnauthorized, "it says no publish token"};
    if (!same_secret(request.token, token)) {
      return Refusal{Reason::kUnauthorized, "its publish token is wrong"};
    }
  }
  return behind_.admit(request);
}

std::expected<std::unique_ptr<media::Publication>, Refusal> Gate::open(
    const media::PublishRequest& request) {
  if (auto refusal = admit(request)) return std::unexpected(*std::move(refusal));
  if (judge_ == nullptr || request.configured) return behind_.open(request);
  auto verdict = std::make_shared<Verdict>();
  const bool token_unjudged = token_of(request.key.text()).empty();
  if (!judge_->ask({.request = request, .token_unjudged = token_unjudged}, verdict)) {
    return std::unexpected(Refusal{Reason::kOverload, "too many publishers wait for the webhook"});
  }
  return std::make_unique<Waiting>(*this, request, std::move(verdict));
}

}  // namespace mirror::admission
