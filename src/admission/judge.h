// Judge: who else is asked whether a publisher may publish, and the Verdict that it gives in time.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "media/publish.h"

namespace mirror::admission {

// Given once, by the judge's thread; read by the publication that waits for it, on any thread.
class Verdict {
 public:
  enum class Outcome { kPending, kAllowed, kDenied };

  Outcome outcome() const { return outcome_.load(std::memory_order_acquire); }
  // Why not; meaningful once denied.
  const std::string& why() const { return why_; }

  void allow() { outcome_.store(Outcome::kAllowed, std::memory_order_release); }
  void deny(std::string why) {
    why_ = std::move(why);
    outcome_.store(Outcome::kDenied, std::memory_order_release);
  }

 private:
  std::string why_;  // written before outcome_ says kDenied, never afterwards
  std::atomic<Outcome> outcome_{Outcome::kPending};
};

// What is asked about one publisher.
struct Question {
  media::PublishRequest request;
  // Nobody here has judged the token: it is for the judge to see.
  bool token_unjudged = false;
};

class Judge {
 public:
  virtual ~Judge() = default;
  // Any thread, returns at once. `verdict` is given within the judge's time-out, whatever happens;
  // who lets go of it does not wait for it any more. False, and never a verdict, when too many
  // questions wait already.
  virtual bool ask(Question question, std::shared_ptr<Verdict> verdict) = 0;
};

}  // namespace mirror::admission
