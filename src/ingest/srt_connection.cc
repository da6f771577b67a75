#include "ingest/srt_connection.h"

#include <algorithm>
#include <utility>

#include "ingest/srt_options.h"

namespace mirror::ingest {
namespace {

// A packet that is lost takes a round trip to be asked for and sent again, and that may be lost
// too.
bool too_short(std::chrono::milliseconds latency, double rtt_ms) {
  constexpr double kRoundTrips = 3;
  return static_cast<double>(latency.count()) < kRoundTrips * rtt_ms;
}

}  // namespace

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

SrtConnection::SrtConnection(SrtSocket socket, media::PublishRequest request,
                             std::unique_ptr<media::Publication> publication, Instant now)
    : socket_(std::move(socket)),
      request_(std::move(request)),
      began_(now.steady),
      latency_(socket_.get_int(SRTO_RCVLATENCY)),
      buffer_bytes_(socket_.get_int(SRTO_RCVBUF)),
      publication_(std::move(publication)),
      demuxer_({}, *publication_) {
  reported_.latency_ms = static_cast<int>(latency_.count());
}

SrtConnection::~SrtConnection() { demuxer_.flush(); }

SrtConnection::Drained SrtConnection::drain(const Clock& clock) {
  Instant now = clock.now();
  const WallTime wall = now.wall;
  const std::int64_t srt_now_us = srt_time_now();
  for (int i = 0; i < kMessagesPerTurnMax; ++i) {
    SRT_MSGCTRL control = srt_msgctrl_default;
    const int size =
        srt_recvmsg2(socket_.id(), message_.data(), static_cast<int>(message_.size()), &control);
    if (size == SRT_ERROR) {
      const bool empty = srt_getlasterror(nullptr) == SRT_EASYNCRCV;
      return empty ? Drained::kAll : Drained::kBroken;
    }
    if (size == 0) return Drained::kBroken;  // closed by the peer
    now.wall = captured({now.steady, wall}, srt_now_us, control.srctime);
    demuxer_.push(
        {reinterpret_cast<const std::uint8_t*>(message_.data()), static_cast<std::size_t>(size)},
        now);
  }
  return Drained::kMoreWaits;
}

// On the receiving side libsrt 1.5.1 gives as `srctime` the instant at which TSBPD released the
// message: its send time plus one-way delay plus latency, on libsrt's own clock (measured: 0.1 ms
// before srt_recvmsg2 returned, latency plus 4.5 ms after the send). So the send instant is
// `srctime` less the latency, whatever time passed before we came to take it.
WallTime SrtConnection::captured(Instant now, std::int64_t srt_now_us,
                                 std::int64_t play_time_us) const {
  constexpr microseconds kWaitedMax = seconds(10);  // libsrt's buffer never holds so much
  const microseconds waited = play_time_us > 0 ? std::clamp(microseconds(srt_now_us - play_time_us),
                                                            microseconds(0), kWaitedMax)
                                               : microseconds(0);
  return now.wall - waited - latency_;
}

media::TransportStats SrtConnection::report(Instant now, const Log& log) {
  media::TransportStats& stats = reported_;  // a broken connection is not measured any more
  SRT_TRACEBSTATS measured{};
  if (srt_bstats(socket_.id(), &measured, 0) != SRT_ERROR) {
    stats.bytes = measured.byteRecvTotal;
    stats.packets = static_cast<std::uint64_t>(measured.pktRecvTotal);
    stats.packets_lost = static_cast<std::uint64_t>(measured.pktRcvLossTotal);
    // "Since the last clear", and nobody clears: a total.
    stats.packets_retransmitted = static_cast<std::uint64_t>(measured.pktRcvRetrans);
    stats.packets_dropped = static_cast<std::uint64_t>(measured.pktRcvDropTotal);
    stats.packets_belated = static_cast<std::uint64_t>(measured.pktRcvBelated);  // the same
    stats.packets_undecrypted = static_cast<std::uint64_t>(measured.pktRcvUndecryptTotal);
    stats.rtt_ms = measured.msRTT;
    stats.latency_ms = measured.msRcvTsbPdDelay;
    stats.buffered_ms = measured.msRcvBuf;
  }
  publication_->on_stats(stats, demuxer_.stats());
  warn_once(now, log);
  return stats;
}

// A publisher without a usable feed is told of, once, and stays: hanging up would only make its
// encoder call again for ever, it holds no more than its own key, and the statistics show its
// state.
void SrtConnection::warn_once(Instant now, const Log& log) {
  constexpr seconds kSyncWithin(5);
  constexpr seconds kProgrammeWithin(10);
  constexpr seconds kRoundTripKnownAfter(10);  // libsrt begins with a guess of 100 ms
  const auto age = now.steady - began_;
  if (buffer_bytes_ < receive_buffer_bytes(latency_, kFeedBitrateMax)) warn_of_small_buffer(log);
  const bool synchronised = demuxer_.stats().packets > 0;
  if (!synchronised && age >= kSyncWithin) {
    warn(Warning::kNoSync, "what the publisher sends is not an MPEG transport stream", log);
  }
  if (synchronised && demuxer_.tracks().empty() && age >= kProgrammeWithin) {
    warn(Warning::kNoProgramme, "the publisher's transport stream has no programme", log);
  }
  if (synchronised && age >= kRoundTripKnownAfter && too_short(latency_, reported_.rtt_ms)) {
    warn(Warning::kLatencyShort,
         "the SRT latency is below three round trips; what is lost may not come again in time",
         log);
  }
}

bool SrtConnection::first(Warning what) {
  return !std::exchange(warned_[static_cast<std::size_t>(what)], true);
}

// The other end asked for more latency than the buffer was made for; what does not fit in is lost
// though it came.
void SrtConnection::warn_of_small_buffer(const Log& log) {
  if (!first(Warning::kBufferSmall)) return;
  log.warning("ingest",
              "the SRT receive buffer is small for the latency that the other end asks for; of a "
              "faster feed it loses packets",
              {{"stream", request_.key.text()},
               {"remote", request_.remote},
               {"latency_ms", latency_.count()},
               {"bitrate_bps_max", bitrate_that_fits(buffer_bytes_, latency_)},
               {"remedy", fmt::format("set the stream's own latency_ms, or srt.latency_ms, to {}",
                                      latency_.count())}});
}

void SrtConnection::warn(Warning what, std::string_view words, const Log& log) {
  if (!first(what)) return;
  log.warning("ingest", words,
              {{"stream", request_.key.text()},
               {"remote", request_.remote},
               {"latency_ms", reported_.latency_ms},
               {"rtt_ms", reported_.rtt_ms}});
}

bool SrtConnection::broken() const { return srt_getsockstate(socket_.id()) != SRTS_CONNECTED; }

}  // namespace mirror::ingest
