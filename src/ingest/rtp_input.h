// RtpInput: one stream's ports, from the datagrams that come there to its Publication.
//
// Sans-IO: whoever owns the sockets hands in datagrams with the address that they came from, calls
// idle() every few milliseconds, and sends the receiver reports that take_report() gives. Owned by
// RtpListener, used on "ingest-rtp" only.
//
// A feed begins with the first two packets of one sender that follow each other, or with the first
// datagram that holds an MPEG transport stream without RTP; then the gate is asked. It ends after
// a silence, or when its sender says so (RTCP BYE). A gate that refuses is asked again once a
// second; a feed that another publisher displaced returns when the stream is free again.
//
// Limits: those of rtp::Receiver for each medium, of rtp::FecDecoder, and of the demuxer.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "ingest/ip_address.h"
#include "media/feed_state.h"
#include "media/publish.h"
#include "mpegts/demuxer.h"
#include "rtp/depacketizer.h"
#include "rtp/fec.h"
#include "rtp/receiver.h"
#include "rtp/rtcp.h"
#include "rtp/sdp.h"
#include "rtp/session_clock.h"

namespace mirror::ingest {

struct RtpInputSettings {
  media::StreamKey stream;
  std::string endpoint;            // for people: "*:5004"
  SenderList senders{};            // whose datagrams are taken
  std::uint8_t payload_type = 33;  // of MPEG-TS; 33 is always taken too (RFC 3551)
  // The media, in the order of their ports. Empty: MPEG-TS.
  std::vector<rtp::SdpMedia> media{};
  bool fec = true;                          // MPEG-TS only
  std::chrono::milliseconds reorder{50};    // how long a packet waits for those before it
  std::chrono::milliseconds silence{5000};  // that ends a feed
};

class RtpInput {
 public:
  struct Report {
    std::size_t medium = 0;  // goes out from its RTCP port
    RemoteAddress to;
    std::vector<std::uint8_t> bytes;
  };

  // The error says what of the media is not supported. `gate` and `log` outlive this. `seed`: for
  // the SSRC of our reports and their intervals.
  static Result<std::unique_ptr<RtpInput>> create(RtpInputSettings settings,
                                                  media::PublisherGate& gate, const Log& log,
                                                  std::uint64_t seed, Instant now);
  RtpInput(const RtpInput&) = delete;
  RtpInput& operator=(const RtpInput&) = delete;
  ~RtpInput();

  std::size_t media_count() const { return media_.size(); }
  bool has_fec() const { return fec_.has_value(); }

  // Parity first, then the media, then RTCP, then idle(): see rtp::FecDecoder::recover.
  void push_fec(std::span<const std::uint8_t> datagram, const RemoteAddress& from, Instant now);
  void push_media(std::size_t medium, std::span<const std::uint8_t> datagram,
                  const RemoteAddress& from, Instant now);
  void push_rtcp(std::size_t medium, std::span<const std::uint8_t> datagram,
                 const RemoteAddress& from, Instant now);
  // A datagram from nowhere that has a name.
  void count_strange() { ++strange_; }
  // A datagram that was longer than `bytes_max`, and of which the rest is lost. Told once.
  void count_cut(std::size_t bytes_max, Instant now);
  void idle(Instant now);
  // A receiver report that is due, if any (RFC 3550 6.3). Ask until there is none.
  std::optional<Report> take_report(Instant now);
  // Ends the feed, if there is one. Nothing is taken afterwards.
  void stop(Instant now);

  // Something came of late: the ports are worth looking at every few milliseconds.
  bool busy(SteadyTime now) const;
  bool fec_busy(SteadyTime now) const;
  const media::FeedState& state() const { return state_; }
  // Grows whenever state() changes.
  std::uint64_t state_version() const { return state_version_; }
  // Since this was made, of all media.
  media::TransportStats totals() const;

 private:
  class Medium;
  struct Feed;
  struct PlainSender {
    RemoteAddress address;
    SteadyTime last{};
  };

  RtpInput(RtpInputSettings settings, media::PublisherGate& gate, const Log& log,
           std::uint64_t seed, Instant now);
  bool is_transport_stream() const { return settings_.media.empty(); }
  bool push_plain(std::span<const std::uint8_t> datagram, const RemoteAddress& from, Instant now);
  void on_transport_stream(std::span<const std::uint8_t> bytes, Instant received);
  Feed* feed_for(Instant now);
  void open_feed(Instant now);
  void end_feed(std::string_view why, Instant now, media::FeedState::State next);
  void forget_senders();
  void report();
  void look_after(Instant now);
  void repair(Instant now);
  void say_nothing_usable_comes(Instant now);
  void set_state(media::FeedState::State state, std::string_view why, Instant now);

  const RtpInputSettings settings_;
  media::PublisherGate& gate_;
  const Log& log_;
  std::mt19937_64 random_;
  const std::uint32_t own_ssrc_;
  const std::string canonical_name_;

  std::vector<std::unique_ptr<Medium>> media_;
  std::optional<rtp::FecDecoder> fec_;
  SteadyTime fec_last_{};
  std::optional<PlainSender> plain_;
  std::uint64_t plain_packets_ = 0;
  std::uint64_t plain_bytes_ = 0;
  std::uint64_t strange_ = 0;  // besides those that the receivers count
  SteadyTime last_taken_{};    // when something of a sender came
  SteadyTime last_any_{};      // when anything came
  RemoteAddress sender_{};     // of what was taken last
  Instant now_{};              // of the call that is going on
  bool stopped_ = false;

  std::unique_ptr<Feed> feed_;
  // As of the last turn without a feed: what opens one counts for it.
  media::TransportStats before_feed_;
  SteadyTime ask_again_at_{};
  // Displaced, the feed comes back only when nobody is there to be displaced by it.
  bool displaced_ = false;
  bool warned_unusable_ = false;
  bool warned_cut_ = false;
  std::optional<SteadyTime> unusable_since_;

  media::FeedState state_;
  std::uint64_t state_version_ = 0;
};

}  // namespace mirror::ingest
