// The Fetcher over libcurl's multi interface: HTTP/1.1 with as many connections as there are
// requests, or HTTP/2 with all of them on one.
//
// Single-threaded; callbacks come from run(). Limits: kInFlightMax requests at a time, the others
// wait; kBodyMax bytes an answer.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "fetcher.h"

namespace mirror::lint {

enum class HttpVersion { kAny, k11, k2 };
enum class Certificates { kVerify, kIgnore };

class CurlFetcher final : public Fetcher {
 public:
  static constexpr std::size_t kInFlightMax = 256;
  static constexpr std::size_t kWaitingMax = 16'384;
  static constexpr std::size_t kBodyMax = 64U << 20;

  static Result<std::unique_ptr<CurlFetcher>> create(HttpVersion version,
                                                     Certificates certificates);
  ~CurlFetcher() override;

  void start(Exchange exchange, Seconds timeout, Done done) override;
  Seconds now() const override;
  // Moves bytes for at most `wait`, and returns early when something has ended.
  void run(Seconds wait);
  std::size_t in_flight() const { return transfers_.size() + waiting_.size(); }

 private:
  struct Transfer;
  struct Handles;

  CurlFetcher(HttpVersion version, Certificates certificates, std::unique_ptr<Handles> handles);
  void begin(std::unique_ptr<Transfer> transfer);
  void finish_ended();
  void finish(std::unique_ptr<Transfer> transfer, int result);

  HttpVersion version_;
  Certificates certificates_;
  std::chrono::steady_clock::time_point epoch_ = std::chrono::steady_clock::now();
  std::unique_ptr<Handles> handles_;
  std::map<void*, std::unique_ptr<Transfer>> transfers_;  // by curl handle
  std::deque<std::unique_ptr<Transfer>> waiting_;
  std::deque<std::unique_ptr<Transfer>> refused_;  // could not begin; told by run()
};

}  // namespace mirror::lint
