// Webhook: a Judge that asks an HTTP server (docs/admission.md).
//
// Thread "webhook", which owns all of libcurl's state; ask() hands questions over a bounded queue.
// Limits: kWaitingMax questions wait, kAtOnceMax are under way, kAnswerBytesMax of an answer are
// read; each has its verdict within the time-out, counted from ask(), waiting included. 2xx allows;
// anything else, a time-out too, denies. Redirects are not followed and no proxy is used.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "admission/judge.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"

namespace mirror::admission {

struct WebhookSettings {
  std::string url;  // http:// or https://
  std::string secret;
  std::chrono::milliseconds timeout{2'000};
};

class Webhook final : public Judge {
 public:
  static constexpr std::size_t kWaitingMax = 256;
  static constexpr std::size_t kAtOnceMax = 16;
  static constexpr std::size_t kAnswerBytesMax = 4096;

  static Result<std::unique_ptr<Webhook>> create(WebhookSettings settings, const Log& log,
                                                 Metrics& metrics, const Clock& clock);
  // Denies whatever waits.
  ~Webhook() override;

  bool ask(Question question, std::shared_ptr<Verdict> verdict) override;

 private:
  struct Impl;
  explicit Webhook(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace mirror::admission
