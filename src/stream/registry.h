// Registry: which streams exist, and who may publish to them.
//
// Writers (ingest threads opening turns, the sweep of `app`) are serialised by a mutex; network
// loops read an immutable map and never wait. At most `streams_max` streams exist at once.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/snapshot.h"
#include "media/publish.h"
#include "stream/stream.h"

namespace mirror::stream {

class Registry final : public media::PublisherGate {
 public:
  using Map = std::map<std::string, std::shared_ptr<Stream>, std::less<>>;

  // `epoch` names this run of the process in every media URL, so that no cache replays old bytes.
  Registry(std::size_t streams_max, std::string epoch, StreamSettings settings,
           const StreamEnvironment& environment);
  ~Registry() override;

  // Any thread.
  std::shared_ptr<const Map> streams() const { return streams_.read(); }
  std::shared_ptr<Stream> find(std::string_view key) const;
  std::optional<media::PublishRefusal> admit(const media::PublishRequest& request) const override;

  // Any thread.
  std::expected<std::unique_ptr<media::Publication>, media::PublishRefusal> open(
      const media::PublishRequest& request) override;

  // Main thread, about once a second: removes streams whose hold is over.
  void sweep();

  // Main thread: nobody is admitted any more and every stream closes its playlists.
  void stop_all();
  bool all_ended() const;

 private:
  std::expected<std::shared_ptr<Stream>, media::PublishRefusal> make_stream(
      const media::StreamKey& key);

  const std::size_t streams_max_;
  const std::string epoch_;
  const StreamSettings settings_;
  const StreamEnvironment environment_;

  Snapshot<Map> streams_;
  std::atomic<bool> stopping_{false};

  std::mutex writers_;
  std::uint64_t streams_made_ = 0;  // guarded by writers_
};

}  // namespace mirror::stream
