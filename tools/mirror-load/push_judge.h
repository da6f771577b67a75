// PushJudge: is what a push session brought what it should bring, and when? Sans-IO, one per wall.
//
// Each track is held to the protocol (docs/push-protocol.md): every part once and in order, by its
// position and by its media time; holes only where DROPPED told them, and an independent part
// behind them; the bytes those that every other wall got, the boxes in them those that the frame
// says. On a carrier whose streams overtake each other, parts and DROPPED are put in order first:
// a hole counts once it has lasted for kPatience, and what DROPPED named may have been on its way
// and come whole, once. Limits: kTracksMax tracks, kOpenPartsMax parts under way or waiting for
// their order on each; what is beyond is a protocol fault.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "part_ledger.h"
#include "playout_buffer.h"
#include "push/frame.h"
#include "stats.h"

namespace mirror::load {

class PushJudge {
 public:
  static constexpr std::size_t kTracksMax = 256;
  static constexpr std::size_t kOpenPartsMax = 64;
  static constexpr std::size_t kPartBytesMax = std::size_t{16} << 20;
  static constexpr auto kPatience = std::chrono::milliseconds(1000);
  // A part whose last byte comes longer than this after it was published is late.
  static constexpr auto kLate = std::chrono::milliseconds(50);

  explicit PushJudge(PartLedger& ledger) : ledger_(ledger) {}

  // A session begins; what was is forgotten.
  void begin(bool in_order);
  void take(const push::Frame& frame, SteadyTime now, WallTime wall, Stats& stats);
  // Holes that have lasted, players that have run dry.
  void check_time(SteadyTime now, Stats& stats);
  void finish(SteadyTime now, Stats& stats);

  bool is_playing() const { return playing_; }  // a part came

 private:
  using Position = std::pair<std::uint64_t, std::uint64_t>;  // segment, part

  struct Arrived {
    std::uint64_t begins = 0;  // timescale units
    std::uint64_t ends = 0;
    bool independent = false;
    bool discontinuity = false;
    SteadyTime at{};
  };
  struct Open {
    std::uint64_t begins = 0;
    std::vector<std::uint8_t> bytes;
  };
  struct Early {
    push::PartHead head;
    std::vector<std::uint8_t> bytes;
    SteadyTime now{};
    WallTime wall{};
  };
  struct Track {
    std::string name;  // stream/rendition/epoch; empty: not told yet
    std::uint32_t timescale = 0;
    bool has_init = false;
    std::vector<Early> early;
    std::map<Position, Open> open;
    std::map<Position, Arrived> waiting;
    std::vector<std::pair<Position, Position>> dropped;  // the last kDroppedMax
    std::set<Position> taken;                            // the last kOpenPartsMax
    std::optional<std::pair<Position, Arrived>> last;
    PlayoutBuffer buffer;
  };

  Track* track_of(push::TrackNumber number, Stats& stats);
  void take_track(const push::TrackInfo& info, Stats& stats);
  void take_init(const push::Init& init, SteadyTime now, Stats& stats);
  void take_part(const push::PartHead& head, std::span<const std::uint8_t> body, SteadyTime now,
                 WallTime wall, Stats& stats);
  void take_bytes(Track& track, const push::PartHead& head, std::span<const std::uint8_t> body,
                  SteadyTime now, WallTime wall, Stats& stats);
  void take_whole(Track& track, const push::PartHead& head, std::uint64_t begins,
                  std::span<const std::uint8_t> bytes, SteadyTime now, WallTime wall, Stats& stats);
  void check_bytes(const Track& track, const push::PartHead& head, const Arrived& part,
                   std::span<const std::uint8_t> bytes, WallTime wall, Stats& stats);
  void take_dropped(const push::Dropped& dropped, SteadyTime now, Stats& stats);
  void put_in_order(Track& track, SteadyTime now, Stats& stats);
  bool was_told(const Track& track, Position from, Position to) const;
  bool was_on_its_way(const Track& track, Position at) const;
  void check_order(const Track& track, Position at, const Arrived& part, bool told, Stats& stats);

  PartLedger& ledger_;
  bool in_order_ = true;
  bool playing_ = false;
  bool greeted_ = false;
  WallTime opened_{};  // by the server's clock
  std::map<push::TrackNumber, Track> tracks_;
};

}  // namespace mirror::load
