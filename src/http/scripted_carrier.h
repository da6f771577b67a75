// ScriptedCarrier: a connection without a socket, for codec tests and fuzzing. Time is a member;
// the handler answers by path: /later… when told to, /grow… in pieces, /leave… never, others at
// once.
#pragma once

#include <cstdlib>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "http/codec.h"

namespace mirror::http {

class ScriptedCarrier final : public Carrier {
 public:
  struct Seen {
    Method method;
    std::string path, query, authority, body;
  };

  void handle(const Request& request, Exchange& exchange) override {
    if (handler && handler(request, exchange)) return;
    seen.push_back({request.method, request.path, request.query, request.authority, request.body});
    if (request.path.starts_with("/later") || request.path.starts_with("/leave")) {
      exchange.attach(std::make_unique<Held>(*this, exchange));
    } else if (request.path.starts_with("/grow")) {
      exchange.start(200, {{"content-type", "text/plain"}});
      exchange.write(Bytes::take(std::string("first ")));
      exchange.attach(std::make_unique<Held>(*this, exchange));
    } else {
      exchange.respond(Response::text(200, request.path + "|" + request.body));
    }
  }

  // One step for every answer that is due.
  void answer_held() {
    for (Held* one : held) {
      one->exchange.write(Bytes::take(std::string("second")));
      one->exchange.finish();
      one->exchange.respond(Response::text(200, "later"));
    }
  }

  const Limits& limits() const override { return limits_; }
  SteadyTime now() const override { return time; }
  std::string_view date() const override { return "Sun, 22 Nov 2026 12:00:00 GMT"; }
  const std::string& remote() const override { return remote_; }
  bool secure() const override { return false; }
  void schedule() override { scheduled = true; }
  void answered(Version, int status) override { statuses.push_back(status); }
  void broke_protocol() override { ++protocol_errors; }
  void dropped(Dropped) override { ++drops; }
  bool admits_origin(const Request& request) const override {
    return request.header("origin").value_or("https://h") == "https://h";
  }
  std::string_view take_alt_svc() override { return limits_.alt_svc; }

  struct Held final : Exchange::Attachment {
    Held(ScriptedCarrier& carrier, Exchange& which) : owner(carrier), exchange(which) {
      owner.held.push_back(this);
      place = std::prev(owner.held.end());
    }
    ~Held() override { owner.held.erase(place); }
    void on_writable() override { ++owner.times_writable; }
    ScriptedCarrier& owner;
    Exchange& exchange;
    std::list<Held*>::iterator place;
  };

  std::function<bool(const Request&, Exchange&)> handler;  // true: it has dealt with the request
  Limits limits_;
  SteadyTime time{std::chrono::seconds(1000)};
  bool scheduled = false;
  int protocol_errors = 0;
  int drops = 0;
  int times_writable = 0;
  std::vector<int> statuses;
  std::vector<Seen> seen;
  std::list<Held*> held;

 private:
  std::string remote_ = "192.0.2.1:40000";
};

// Everything the codec has to say, taken off its queue.
inline std::string take_output(Codec& codec) {
  std::string text;
  for (codec.pump(); !codec.output().empty(); codec.pump()) {
    const auto front = codec.output().front();
    text.append(reinterpret_cast<const char*>(front.data()), front.size());
    codec.output().drop(front.size());
  }
  return text;
}

inline std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace mirror::http
