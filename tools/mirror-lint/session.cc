#include "session.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "playlist_parser.h"

namespace mirror::lint {
namespace {

constexpr Seconds kTick{0.02};
constexpr Seconds kMultivariantEvery{10};
constexpr Seconds kFirstAnswer{30};

}  // namespace

Session::Session(std::string url, CurlFetcher& fetcher, Judge& judge)
    : url_(std::move(url)), fetcher_(fetcher), judge_(judge) {}

void Session::take(const Exchange& exchange) {
  ++counts_[exchange.purpose];
  if (exchange.status != 0) http_major_ = exchange.http_major;
  judge_.take(exchange);
}

void Session::add_rendition(const std::string& base, const std::string& uri) {
  const std::string url = resolve(base, uri);
  const bool known = std::ranges::find(renditions_, url, &Rendition::url) != renditions_.end();
  if (uri.empty() || known || renditions_.size() == kRenditionsMax) return;
  // A name that tells them apart in a report: the URI as it is written, without its query.
  std::string name = uri.substr(0, uri.find('?'));
  if (name.find("://") != std::string::npos)
    name = name.substr(name.find('/', name.find("://") + 3) + 1);
  while (std::ranges::find(renditions_, name, &Rendition::name) != renditions_.end()) name += '+';
  renditions_.push_back({name, url});
}

Status Session::begin(Exchange first) {
  if (first.status != 200) {
    return fail("{}: {}", first.url,
                first.status == 0 ? first.error : fmt::format("status {}", first.status));
  }
  auto playlist = std::make_shared<const Playlist>(parse_playlist(first.body));
  if (playlist->lines.empty() || !playlist->lines.front().starts_with("#EXTM3U")) {
    return fail("{}: not a playlist", first.url);
  }
  const std::string base = first.url;
  multivariant_ = playlist->multivariant;
  if (multivariant_) {
    for (const Described& variant : playlist->variants) add_rendition(base, variant.uri);
    for (const Described& rendition : playlist->renditions) add_rendition(base, rendition.uri);
    first.playlist = playlist;
    take(first);
    if (renditions_.empty())
      return fail("{}: a Multivariant Playlist without Media Playlists", base);
  } else {
    renditions_.push_back({"media", base});
  }
  for (const Rendition& rendition : renditions_) {
    judge_.add_rendition(rendition.name, rendition.url);
    followers_.push_back(
        std::make_unique<Follower>(rendition.name, rendition.url, fetcher_,
                                   [this](const Exchange& exchange) { take(exchange); }));
    followers_.back()->start();
  }
  return {};
}

void Session::ask_multivariant() {
  Exchange exchange;
  exchange.purpose = Purpose::kMultivariant;
  exchange.url = url_;
  fetcher_.start(std::move(exchange), kFirstAnswer, [this](Exchange answer) {
    if (answer.status == 200)
      answer.playlist = std::make_shared<const Playlist>(parse_playlist(answer.body));
    take(answer);
  });
}

bool Session::finished() const {
  return std::ranges::all_of(followers_, [](const auto& follower) { return follower->finished(); });
}

Status Session::run(Seconds end, const std::atomic<bool>& stop) {
  std::optional<Exchange> first;
  Exchange exchange;
  exchange.purpose = Purpose::kMultivariant;
  exchange.url = url_;
  fetcher_.start(std::move(exchange), kFirstAnswer,
                 [&first](Exchange answer) { first = std::move(answer); });
  while (!first && !stop) fetcher_.run(kTick);
  if (!first) return fail("interrupted before the first answer");
  // The run begins with the first answer: a server may hold it until there is something to say.
  end += fetcher_.now();
  if (Status status = begin(std::move(*first)); !status) return status;
  multivariant_at_ = fetcher_.now() + kMultivariantEvery;
  while (fetcher_.now() < end && !stop && !finished()) {
    for (const auto& follower : followers_) follower->tick();
    if (multivariant_ && fetcher_.now() >= multivariant_at_) {
      multivariant_at_ = fetcher_.now() + kMultivariantEvery;
      ask_multivariant();
    }
    fetcher_.run(kTick);
  }
  judge_.finish(fetcher_.now());
  return {};
}

}  // namespace mirror::lint
