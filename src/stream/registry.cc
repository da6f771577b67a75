#include "stream/registry.h"

#include <fmt/format.h>

#include <system_error>
#include <vector>

namespace mirror::stream {
namespace {

using Reason = media::PublishRefusal::Reason;

media::PublishRefusal conflict(std::string why) { return {Reason::kConflict, std::move(why)}; }

}  // namespace

Registry::Registry(std::size_t streams_max, std::string epoch, StreamSettings settings,
                   const StreamEnvironment& environment)
    : streams_max_(streams_max),
      epoch_(std::move(epoch)),
      settings_(std::move(settings)),
      environment_(environment),
      streams_(std::make_shared<const Map>()) {}

Registry::~Registry() = default;

std::shared_ptr<Stream> Registry::find(std::string_view key) const {
  const auto streams = streams_.read();
  const auto it = streams->find(key);
  return it == streams->end() ? nullptr : it->second;
}

std::optional<media::PublishRefusal> Registry::admit(const media::PublishRequest& request) const {
  if (stopping_.load(std::memory_order_acquire)) {
    return media::PublishRefusal{Reason::kShuttingDown, "the server is shutting down"};
  }
  const auto streams = streams_.read();
  const auto it = streams->find(request.key.text());
  if (it != streams->end() && !it->second->expired()) {
    auto why = it->second->why_not(request);
    return why ? std::optional(conflict(*std::move(why))) : std::nullopt;
  }
  if (streams->size() >= streams_max_) {
    return media::PublishRefusal{
        Reason::kOverload,
        fmt::format("{} streams exist, as many as are allowed", streams->size())};
  }
  return std::nullopt;
}

std::expected<std::unique_ptr<media::Publication>, media::PublishRefusal> Registry::open(
    const media::PublishRequest& request) {
  sweep();
  const std::lock_guard lock(writers_);
  if (auto refusal = admit(request)) return std::unexpected(*std::move(refusal));
  auto stream = find(request.key.text());
  if (!stream || stream->expired()) {
    auto made = make_stream(request.key);
    if (!made) return std::unexpected(std::move(made.error()));
    stream = *std::move(made);
    auto next = std::make_shared<Map>(*streams_.read());
    next->insert_or_assign(request.key.text(), stream);
    streams_.publish(std::move(next));
  }
  auto publication = stream->open_turn(request);
  if (!publication) return std::unexpected(conflict(std::move(publication.error())));
  return *std::move(publication);
}

// Called with writers_ locked.
std::expected<std::shared_ptr<Stream>, media::PublishRefusal> Registry::make_stream(
    const media::StreamKey& key) {
  // The number after the epoch tells apart two lives of one key within one run.
  const std::string epoch = fmt::format("{}{}", epoch_, ++streams_made_);
  try {
    return std::make_shared<Stream>(key, epoch, settings_, environment_);
  } catch (const std::system_error& error) {  // std::thread: one more than the system allows
    return std::unexpected(media::PublishRefusal{
        Reason::kOverload, fmt::format("the system has no thread for it: {}", error.what())});
  }
}

void Registry::sweep() {
  std::vector<std::shared_ptr<Stream>> removed;  // joined after the lock is let go
  const std::lock_guard lock(writers_);
  const auto streams = streams_.read();
  for (const auto& [key, stream] : *streams) {
    if (stream->expired()) removed.push_back(stream);
  }
  if (removed.empty()) return;
  auto next = std::make_shared<Map>(*streams);
  for (const auto& stream : removed) next->erase(stream->key().text());
  streams_.publish(std::move(next));
}

void Registry::stop_all() {
  stopping_.store(true, std::memory_order_release);
  const std::lock_guard lock(writers_);
  const auto streams = streams_.read();
  for (const auto& [key, stream] : *streams) stream->stop();
}

bool Registry::all_ended() const {
  const auto streams = streams_.read();
  for (const auto& [key, stream] : *streams) {
    if (!stream->ended()) return false;
  }
  return true;
}

}  // namespace mirror::stream
