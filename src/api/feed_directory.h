// FeedDirectory: who can tell what became of the feeds that the configuration names, and of the
// publishers who were turned away.
//
// Any thread. Reporters are added when ingest starts, after the network loops ask already, and
// removed before they end; there are as many as there are kinds of ingest.
#pragma once

#include <algorithm>
#include <iterator>
#include <mutex>
#include <vector>

#include "media/feed_state.h"

namespace mirror::api {

class FeedDirectory {
 public:
  // `reporter` lives until it is removed.
  void add(const media::FeedReporter& reporter) {
    const std::lock_guard lock(mutex_);
    reporters_.push_back(&reporter);
  }
  // Nobody asks it any more when this returns.
  void remove(const media::FeedReporter& reporter) {
    const std::lock_guard lock(mutex_);
    std::erase(reporters_, &reporter);
  }

  std::vector<media::FeedState> feeds() const { return all(&media::FeedReporter::feeds); }
  std::vector<media::TurnedAway> turned_away() const {
    return all(&media::FeedReporter::turned_away);
  }

 private:
  template <class T>
  std::vector<T> all(std::vector<T> (media::FeedReporter::*ask)() const) const {
    const std::lock_guard lock(mutex_);
    std::vector<T> found;
    for (const media::FeedReporter* reporter : reporters_) {
      std::ranges::move((reporter->*ask)(), std::back_inserter(found));
    }
    return found;
  }

  mutable std::mutex mutex_;
  std::vector<const media::FeedReporter*> reporters_;  // guarded by mutex_
};

}  // namespace mirror::api
