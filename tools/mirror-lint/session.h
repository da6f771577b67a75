// One run: finds the renditions, follows each of them, and hands every exchange to the judge.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "curl_fetcher.h"
#include "follower.h"
#include "judge.h"

namespace mirror::lint {

class Session {
 public:
  static constexpr std::size_t kRenditionsMax = 32;

  struct Rendition {
    std::string name;
    std::string url;
  };

  Session(std::string url, CurlFetcher& fetcher, Judge& judge);

  // Until `end`, the end of every playlist, or `stop`. An error when there is no playlist at all.
  Status run(Seconds end, const std::atomic<bool>& stop);

  const std::vector<Rendition>& renditions() const { return renditions_; }
  // How many exchanges of each kind there were.
  const std::map<Purpose, std::uint64_t>& counts() const { return counts_; }
  int http_major() const { return http_major_; }

 private:
  void take(const Exchange& exchange);
  Status begin(Exchange first);
  void add_rendition(const std::string& base, const std::string& uri);
  void ask_multivariant();
  bool finished() const;

  std::string url_;
  CurlFetcher& fetcher_;
  Judge& judge_;
  bool multivariant_ = false;
  Seconds multivariant_at_{};
  std::vector<Rendition> renditions_;
  std::vector<std::unique_ptr<Follower>> followers_;
  std::map<Purpose, std::uint64_t> counts_;
  int http_major_ = 1;
};

}  // namespace mirror::lint
