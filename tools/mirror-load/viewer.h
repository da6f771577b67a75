// Viewer: follows one rendition as an LL-HLS player does, and checks all it gets.
//
// It reads the playlists and the init segment, joins behind the newest part, and from then on asks
// for the playlist that will list the next part (a blocking reload, RFC 8216bis, 6.2.5.2) and for
// that part. On a carrier that takes several requests, or with two connections, the next reload is
// on its way while the part is fetched; else they take turns. Belongs to a crew and its thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lane.h"
#include "part_ledger.h"
#include "participant.h"
#include "playlist_scan.h"
#include "playout_buffer.h"
#include "transport.h"
#include "url.h"

namespace mirror::load {

// What all viewers of a run share.
struct Assignment {
  const Url& url;
  std::string rendition;  // empty: the first variant
  bool delta_updates = false;
  std::optional<std::chrono::seconds> leave_after;
  bool connections_are_shared = false;  // then who leaves hangs nothing up
  PartLedger& ledger;
};

class Viewer final : public Participant, private Lane::User {
 public:
  Viewer(const Assignment& assignment, Transport& playlists, Transport& parts);

  void start(Stats& stats) override;
  void tick(SteadyTime now, Stats& stats) override;
  void use_stats(Stats& stats) override;
  void finish(SteadyTime now) override;
  State state() const override { return state_; }

 private:
  struct Wanted {
    std::string target;
    std::chrono::microseconds duration{};
    bool discontinuity = false;
  };

  void on_answer(Lane& lane) override;
  void on_no_answer(Lane& lane, int status) override;

  void join();
  void take_first(std::string_view text);
  void take_multivariant(std::string_view text);
  void take_playlist_to_join(const PlaylistScan& scan);
  void take_init();
  void take_reload();
  void take_part();

  void follow();
  void reload();
  void fetch_next_part();
  bool want_parts(const PlaylistScan& scan, std::span<const ListedPart> parts);
  void check_order(const MediaFacts& facts, bool discontinuity);
  bool is_usable(const PlaylistScan& scan);
  void restart_later();
  void leave();
  void pause(std::chrono::milliseconds duration, bool restart);
  void note(Fault fault, std::string_view what) { stats_->note(fault, what); }

  const Assignment& assignment_;
  Lane playlists_;
  Lane media_;
  const bool takes_turns_;  // one request at a time
  Stats* stats_ = nullptr;

  State state_ = State::kWaiting;
  SteadyTime joined_at_{};
  SteadyTime resume_at_{};
  bool restart_ = false;  // after the pause: join again
  std::string document_;  // target of the document read while joining, then of the media playlist
  std::string map_;       // URI of the init segment, as listed
  Position next_;         // of the next part
  bool ended_ = false;    // ENDLIST was seen
  bool init_pending_ = false;
  std::string query_;          // of the reload
  std::deque<Wanted> wanted_;  // listed, not fetched; at most kNewPartsMax
  Wanted current_;
  std::optional<std::uint64_t> decode_time_;  // what the next part should begin with
  PlayoutBuffer buffer_;
};

}  // namespace mirror::load
