// SrtPublishers: the connections of one ingest thread, whoever dialled.
//
// Used on that thread only. It takes what has arrived by the clock, a turn each kTurn, not packet
// by packet: smoothly paced senders would otherwise cost a wake-up of the thread for each datagram,
// and with 25 feeds of 50 Mbps the wake-ups cost more than the work. So the connections are in no
// epoll set, and libsrt has nobody to wake.
//
// Limits: its owner's on how many there are; a share of the turn for each (SrtConnection).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "ingest/srt_connection.h"
#include "ingest/srt_socket.h"
#include "media/publish.h"

namespace mirror::ingest {

class SrtPublishers {
 public:
  // What a turn takes at most before the next may begin; adds half of itself to the latency.
  static constexpr std::chrono::milliseconds kTurn{2};

  // Why a connection is gone that ended by itself, or by its peer.
  static constexpr std::string_view kEnded = "the connection ended";

  // Told of each connection that ended, before it is forgotten.
  using Gone = std::function<void(SRTSOCKET, std::string_view why)>;

  // `log`, `metrics` and `clock` outlive it.
  SrtPublishers(const Log& log, Metrics& metrics, const Clock& clock, Gone gone = {});

  bool empty() const { return publishers_.empty(); }
  std::size_t size() const { return publishers_.size(); }

  // `socket` is connected; its publisher has `publication` from now on.
  void add(SrtSocket socket, media::PublishRequest request,
           std::unique_ptr<media::Publication> publication);

  // Takes what has arrived, lets go who is gone or unheard, reports each publisher about once a
  // second. True when some of it still waits: then the next turn is due at once.
  bool turn();

  void hang_up_all(std::string_view why);

 private:
  // What SRT measured on all connections since the start, as counters without a label for the
  // stream: per stream the same figures go to its publication.
  struct Totals {
    explicit Totals(Metrics& metrics);
    void add(const media::TransportStats& before, const media::TransportStats& now);

    Gauge& connections;
    Counter& accepted;
    Counter& bytes;
    Counter& packets;
    Counter& lost;
    Counter& retransmitted;
    Counter& dropped;
    Counter& belated;
    Counter& undecrypted;
  };
  struct Publisher {
    std::unique_ptr<SrtConnection> connection;
    SteadyTime report_at;
    media::TransportStats reported{};
  };
  struct Ended {
    SRTSOCKET id;
    std::string_view why;
  };

  // Why `publisher` is to be let go, or nothing.
  std::string_view tend(Publisher& publisher, Instant now, bool& more_waits);
  void report(Publisher& publisher, Instant now);
  void hang_up(SRTSOCKET id, std::string_view why);

  const Log& log_;
  const Clock& clock_;
  const Gone gone_;
  Totals totals_;
  std::unordered_map<SRTSOCKET, Publisher> publishers_;
  std::vector<Ended> ended_;  // of this turn
};

}  // namespace mirror::ingest
