#include "ingest/rtp_input.h"

#include <algorithm>
#include <utility>

namespace mirror::ingest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using State = media::FeedState::State;

constexpr std::uint8_t kTransportStreamType = 33;  // RFC 3551, table 5
constexpr std::uint32_t kTransportStreamRate = 90'000;
constexpr std::size_t kTsPacketBytes = 188;
constexpr std::size_t kTsPacketsPerDatagram = 7;  // most senders: what fits Ethernet
constexpr std::uint8_t kTsSync = 0x47;
constexpr std::size_t kSyncsMin = 4;  // where packets and datagrams do not begin together

constexpr seconds kReportInterval{1};
constexpr seconds kAskAgain{1};
constexpr milliseconds kRelease{1000};  // the silence after which another sender may follow
constexpr seconds kBusy{1};
constexpr seconds kParityGone{2};  // the silence after which no repair is waited for
constexpr seconds kUsableWithin{5};
constexpr double kRtcpIntervalSeconds = 5;  // RFC 3550 6.2: the minimum; we are the one receiver

// The head of a packet (ISO/IEC 13818-1, 2.4.3.2): its adaptation_field_control is never 0. What is
// cut off at the datagram's end is taken on trust.
bool is_ts_packet(std::span<const std::uint8_t> at) {
  return at[0] == kTsSync && (at.size() < 4 || (at[3] & 0x30U) != 0);
}

bool is_all_ts(std::span<const std::uint8_t> bytes) {
  if (bytes.empty() || bytes.size() % kTsPacketBytes != 0) return false;
  for (; !bytes.empty(); bytes = bytes.subspan(kTsPacketBytes)) {
    if (!is_ts_packet(bytes)) return false;
  }
  return true;
}

// A transport stream without RTP. RTP of version 2 never begins with 0x47. A sender that cuts its
// packets anywhere is told by head after head, and from RTP by where that has them.
bool holds_transport_stream(std::span<const std::uint8_t> datagram) {
  if (is_all_ts(datagram)) return true;
  const auto as_rtp = rtp::parse_packet(datagram);
  if (as_rtp && is_all_ts(as_rtp->payload)) return false;
  for (std::size_t first = 0; first < kTsPacketBytes; ++first) {
    if (first + (kSyncsMin - 1) * kTsPacketBytes >= datagram.size()) return false;
    bool all = true;
    for (std::size_t at = first; all && at < datagram.size(); at += kTsPacketBytes) {
      all = is_ts_packet(datagram.subspan(at));
    }
    if (all) return true;
  }
  return false;
}

media::Codec codec_of(const rtp::SdpMedia& medium) {
  if (medium.encoding == "h265") return media::Codec::kHevc;
  if (medium.encoding == "h264") return media::Codec::kH264;
  return media::Codec::kAac;  // what else make_depacketizer takes
}

rtp::ReceiverSettings receiver_settings(const RtpInputSettings& settings,
                                        const rtp::SdpMedia* medium) {
  rtp::ReceiverSettings made;
  made.reorder = settings.reorder;
  made.release = kRelease;
  if (medium != nullptr) {
    made.payload_types = {medium->payload_type};
    made.clock_rate = medium->clock_rate;
  } else {
    made.payload_types = {kTransportStreamType, settings.payload_type};
    made.clock_rate = kTransportStreamRate;
  }
  return made;
}

void add(media::TransportStats& sum, const media::TransportStats& more) {
  sum.bytes += more.bytes;
  sum.packets += more.packets;
  sum.packets_lost += more.packets_lost;
  sum.packets_dropped += more.packets_dropped;
  sum.packets_belated += more.packets_belated;
  sum.packets_reordered += more.packets_reordered;
  sum.packets_duplicate += more.packets_duplicate;
  sum.packets_recovered += more.packets_recovered;
  sum.packets_strange += more.packets_strange;
}

media::TransportStats since(media::TransportStats now, const media::TransportStats& then) {
  now.bytes -= then.bytes;
  now.packets -= then.packets;
  now.packets_lost -= then.packets_lost;
  now.packets_dropped -= then.packets_dropped;
  now.packets_belated -= then.packets_belated;
  now.packets_reordered -= then.packets_reordered;
  now.packets_duplicate -= then.packets_duplicate;
  now.packets_recovered -= then.packets_recovered;
  now.packets_strange -= then.packets_strange;
  return now;
}

}  // namespace

// One medium: its receiver, and what is known of its sender's RTCP.
class RtpInput::Medium final : public rtp::PacketSink {
 public:
  Medium(RtpInput& input, std::size_t index, const rtp::ReceiverSettings& settings)
      : input_(input), index_(index), receiver(settings, *this) {}

  void on_packet(const rtp::Packet& packet, bool gap, Instant received) override;
  void on_sender_changed() override;

  void on_sender_report(const rtp::SenderReport& report, const RemoteAddress& from, Instant now);

 private:
  RtpInput& input_;
  const std::size_t index_;
  std::uint16_t last_sequence_ = 0;                     // that was passed on
  std::size_t ts_packets_max_ = kTsPacketsPerDatagram;  // that a datagram of the sender's had

 public:
  rtp::Receiver receiver;
  // The last report of its sender.
  std::optional<RemoteAddress> rtcp_sender;
  rtp::NtpTime last_report = 0;
  SteadyTime last_report_at{};
  SteadyTime report_at{};
  bool said_goodbye = false;  // and nothing has come since

  void forget_sender() {
    receiver.release();
    rtcp_sender.reset();
    said_goodbye = false;
  }
};

// From the gate's word to its end.
struct RtpInput::Feed {
  std::unique_ptr<media::Publication> publication;
  SteadyTime report_at{};
  RemoteAddress sender{};
  media::TransportStats base{};  // as it was when the feed began

  // Either one demuxer, or a depacketizer for each medium.
  std::unique_ptr<mpegts::Demuxer> demuxer{};
  media::DemuxStats stats{};
  rtp::SessionClock clock{};
  std::vector<rtp::SessionClock::Track*> tracks{};
  std::vector<std::unique_ptr<rtp::Depacketizer>> depacketizers{};

  void flush() {
    if (demuxer) demuxer->flush();
    for (auto& each : depacketizers) each->flush();
  }
  const media::DemuxStats& demux_stats() const { return demuxer ? demuxer->stats() : stats; }
};

void RtpInput::Medium::on_packet(const rtp::Packet& packet, bool gap, Instant received) {
  said_goodbye = false;
  if (input_.is_transport_stream()) {
    if (input_.plain_) {  // it has been silent, and this is RTP
      input_.plain_.reset();
      on_sender_changed();
    }
    if (gap && input_.feed_) {
      const auto missing = static_cast<std::uint16_t>(packet.sequence - last_sequence_ - 1);
      input_.feed_->demuxer->lose(missing * ts_packets_max_);
    }
    last_sequence_ = packet.sequence;
    ts_packets_max_ = std::max(ts_packets_max_, packet.payload.size() / kTsPacketBytes);
    input_.on_transport_stream(packet.payload, received);
    return;
  }
  Feed* feed = input_.feed_for(input_.now_);
  if (feed != nullptr) feed->depacketizers[index_]->push(packet, gap, received);
}

void RtpInput::Medium::on_sender_changed() {
  rtcp_sender.reset();
  ts_packets_max_ = kTsPacketsPerDatagram;
  if (input_.fec_) input_.fec_->reset();
  if (input_.is_transport_stream()) {
    input_.displaced_ = false;
    input_.end_feed("another sender followed", input_.now_, State::kReconnecting);
  } else if (input_.feed_) {
    // The other media may well go on; this one begins anew on their time line.
    input_.feed_->depacketizers[index_]->flush();
    input_.feed_->tracks[index_]->restart();
  }
}

void RtpInput::Medium::on_sender_report(const rtp::SenderReport& report, const RemoteAddress& from,
                                        Instant now) {
  if (receiver.ssrc() != report.ssrc) return;
  if (!rtcp_sender) {
    // RFC 3550 6.2: half the interval before the first report.
    report_at = now.steady + std::chrono::duration_cast<SteadyTime::duration>(
                                 std::chrono::duration<double>(kRtcpIntervalSeconds / 2));
  }
  rtcp_sender = from;
  last_report = report.ntp;
  last_report_at = now.steady;
  if (input_.feed_ && !input_.feed_->tracks.empty()) {
    input_.feed_->tracks[index_]->on_sender_report(report);
  }
}

Result<std::unique_ptr<RtpInput>> RtpInput::create(RtpInputSettings settings,
                                                   media::PublisherGate& gate, const Log& log,
                                                   std::uint64_t seed, Instant now) {
  if (settings.media.size() == 1 && settings.media.front().encoding == "mp2t") {
    settings.payload_type = settings.media.front().payload_type;
    settings.media.clear();
  }
  settings.fec = settings.fec && settings.media.empty();
  // Whether a feed can be taken is found out before one comes.
  struct Nobody final : media::AccessUnitSink {
    void on_tracks(const std::vector<media::Track>& /*tracks*/) override {}
    void on_access_unit(media::AccessUnit /*unit*/) override {}
  } nobody;
  rtp::SessionClock clock;
  media::DemuxStats stats;
  for (const rtp::SdpMedia& medium : settings.media) {
    if (medium.clock_rate == 0) return fail("{}: no clock rate", medium.kind);
    auto made = rtp::make_depacketizer(medium, 0, nobody, clock.add_track(medium), stats);
    if (!made) return std::unexpected(std::move(made.error()).within(medium.kind));
  }
  return std::unique_ptr<RtpInput>(new RtpInput(std::move(settings), gate, log, seed, now));
}

RtpInput::RtpInput(RtpInputSettings settings, media::PublisherGate& gate, const Log& log,
                   std::uint64_t seed, Instant now)
    : settings_(std::move(settings)),
      gate_(gate),
      log_(log),
      random_(seed),
      own_ssrc_(static_cast<std::uint32_t>(random_())),
      // RFC 7022, 4.2: a name of this run alone.
      canonical_name_(
          fmt::format("{:016x}{:08x}", random_(), static_cast<std::uint32_t>(random_()))) {
  if (is_transport_stream()) {
    media_.push_back(std::make_unique<Medium>(*this, 0, receiver_settings(settings_, nullptr)));
  }
  for (std::size_t i = 0; i < settings_.media.size(); ++i) {
    media_.push_back(
        std::make_unique<Medium>(*this, i, receiver_settings(settings_, &settings_.media[i])));
  }
  if (settings_.fec) fec_.emplace();
  state_.stream = settings_.stream.text();
  state_.kind = "rtp";
  state_.endpoint = settings_.endpoint;
  set_state(State::kConnecting, "nothing has come yet", now);
}

RtpInput::~RtpInput() = default;

void RtpInput::push_fec(std::span<const std::uint8_t> datagram, const RemoteAddress& from,
                        Instant now) {
  if (stopped_ || !fec_ || !settings_.senders.allows(from.ip)) return;
  // Parity can make packets up: it is the sender's own, or nobody's. Before there is one, it only
  // tells that media are worth keeping.
  if (media_.front()->receiver.ssrc() && from.ip != sender_.ip) {
    ++strange_;
    return;
  }
  fec_last_ = now.steady;
  fec_->push_fec(datagram);
}

void RtpInput::count_cut(std::size_t bytes_max, Instant now) {
  if (stopped_) return;
  last_any_ = now.steady;
  ++strange_;
  if (std::exchange(warned_cut_, true)) return;
  log_.warning("ingest", "datagrams come that are longer than any that is taken; they are dropped",
               {{"stream", settings_.stream.text()},
                {"endpoint", settings_.endpoint},
                {"bytes_max", bytes_max},
                {"remedy", "send seven packets of MPEG-TS in a datagram (1,316 bytes)"}});
}

void RtpInput::push_media(std::size_t medium, std::span<const std::uint8_t> datagram,
                          const RemoteAddress& from, Instant now) {
  if (stopped_) return;
  now_ = now;
  last_any_ = now.steady;
  if (!settings_.senders.allows(from.ip)) {
    ++strange_;
    return;
  }
  if (is_transport_stream() && push_plain(datagram, from, now)) return;
  rtp::Receiver& receiver = media_[medium]->receiver;
  const RemoteAddress before = std::exchange(sender_, from);
  if (!receiver.push(datagram, now)) {
    sender_ = before;
    return;
  }
  if (!receiver.ssrc()) return;  // one packet makes no sender
  last_taken_ = now.steady;
  if (fec_ && fec_->active()) {
    fec_->push_media(static_cast<std::uint16_t>(datagram[2] << 8U | datagram[3]), datagram);
  }
}

// True when the datagram is no matter of RTP any more.
bool RtpInput::push_plain(std::span<const std::uint8_t> datagram, const RemoteAddress& from,
                          Instant now) {
  const rtp::Receiver& receiver = media_.front()->receiver;
  const bool by_rtp = receiver.ssrc() && now.steady - receiver.last_received() < kRelease;
  if (by_rtp && !plain_) return false;
  // Only what is a transport stream keeps others out; but the odd rest of one may be anything.
  const bool silent = plain_ && now.steady - plain_->last >= kRelease;
  const bool good = holds_transport_stream(datagram);
  if (plain_ && plain_->address == from && (good || !silent)) {
    if (good) plain_->last = last_taken_ = now.steady;
    ++plain_packets_;
    plain_bytes_ += datagram.size();
    on_transport_stream(datagram, now);
    return true;
  }
  if (plain_ && !silent) {
    ++strange_;
    return true;
  }
  if (!good) return false;
  if (plain_ || receiver.ssrc()) {
    displaced_ = false;
    end_feed("another sender followed", now, State::kReconnecting);
    forget_senders();
  }
  sender_ = from;
  plain_ = PlainSender{from, now.steady};
  return push_plain(datagram, from, now);
}

void RtpInput::on_transport_stream(std::span<const std::uint8_t> bytes, Instant received) {
  if (!feed_ && !plain_ && (bytes.empty() || bytes[0] != kTsSync)) {
    ++strange_;  // RTP of the right type, but no transport stream
    return;
  }
  if (Feed* feed = feed_for(now_)) feed->demuxer->push(bytes, received);
}

void RtpInput::push_rtcp(std::size_t medium, std::span<const std::uint8_t> datagram,
                         const RemoteAddress& from, Instant now) {
  if (stopped_) return;
  now_ = now;
  Medium& of = *media_[medium];
  // What it says moves the clock and ends the feed: it is the sender's own, or nobody's.
  if (!settings_.senders.allows(from.ip) || !of.receiver.ssrc() || from.ip != sender_.ip) return;
  const auto compound = rtp::parse_rtcp(datagram);
  if (!compound) {
    ++strange_;
    return;
  }
  for (const rtp::SenderReport& report : compound->sender_reports) {
    of.on_sender_report(report, from, now);
  }
  if (std::ranges::find(compound->goodbyes, *of.receiver.ssrc()) == compound->goodbyes.end()) {
    return;
  }
  of.said_goodbye = true;
  const bool others_stay = std::ranges::any_of(
      media_, [](const auto& other) { return other->receiver.ssrc() && !other->said_goodbye; });
  if (others_stay) return;
  forget_senders();
  end_feed("the sender said goodbye", now, State::kReconnecting);
}

RtpInput::Feed* RtpInput::feed_for(Instant now) {
  if (!feed_ && now.steady >= ask_again_at_ && !stopped_) open_feed(now);
  return feed_.get();
}

void RtpInput::open_feed(Instant now) {
  ++state_.attempts;
  auto opened = gate_.open({.key = settings_.stream,
                            .protocol = plain_ ? "udp" : "rtp",
                            .remote = sender_.text(),
                            .configured = true,
                            .may_displace = !displaced_});
  if (!opened) {
    ask_again_at_ = now.steady + kAskAgain;
    const std::string& why = opened.error().message;
    const bool told = state_.state == State::kRefused && (state_.why == why || displaced_);
    if (told) return;
    set_state(State::kRefused, why, now);
    log_.warning("ingest", "the feed was refused, it is offered again every second",
                 {{"stream", settings_.stream.text()}, {"remote", sender_.text()}, {"why", why}});
    return;
  }
  displaced_ = false;
  warned_unusable_ = false;
  feed_ = std::make_unique<Feed>();
  feed_->publication = *std::move(opened);
  feed_->report_at = now.steady + kReportInterval;
  feed_->sender = sender_;
  feed_->base = before_feed_;
  if (is_transport_stream()) {
    feed_->demuxer =
        std::make_unique<mpegts::Demuxer>(mpegts::DemuxerOptions{}, *feed_->publication);
  }
  std::vector<media::Track> tracks;
  for (std::size_t i = 0; i < settings_.media.size(); ++i) {
    const rtp::SdpMedia& medium = settings_.media[i];
    const auto id = static_cast<media::TrackId>(i + 1);
    tracks.push_back({id, codec_of(medium), medium.language, ""});
    feed_->tracks.push_back(&feed_->clock.add_track(medium));
    // create() has tried it.
    feed_->depacketizers.push_back(*rtp::make_depacketizer(medium, id, *feed_->publication,
                                                           *feed_->tracks.back(), feed_->stats));
  }
  if (!tracks.empty()) feed_->publication->on_tracks(tracks);
  set_state(State::kLive, "", now);
  log_.info("ingest", "feed began",
            {{"stream", settings_.stream.text()},
             {"endpoint", settings_.endpoint},
             {"remote", sender_.text()},
             {"protocol", plain_ ? "udp" : "rtp"}});
}

void RtpInput::end_feed(std::string_view why, Instant now, State next) {
  if (!feed_) {
    // A refusal is not what keeps the next sender out.
    if (state_.state == State::kRefused && next == State::kReconnecting) {
      set_state(next, why, now);
      ask_again_at_ = {};
    }
    return;
  }
  feed_->flush();
  report();
  const media::TransportStats stats = since(totals(), feed_->base);
  const std::string remote = feed_->sender.text();
  feed_.reset();
  before_feed_ = totals();
  ask_again_at_ = {};
  set_state(next, why, now);
  log_.info("ingest", "feed ended",
            {{"stream", settings_.stream.text()},
             {"remote", remote},
             {"why", why},
             {"bytes", stats.bytes},
             {"packets_dropped", stats.packets_dropped}});
}

// Whoever comes next is taken, whatever their SSRC and address.
void RtpInput::forget_senders() {
  for (const auto& medium : media_) medium->forget_sender();
  if (fec_) fec_->reset();
  plain_.reset();
}

void RtpInput::idle(Instant now) {
  if (stopped_) return;
  now_ = now;
  if (!feed_) before_feed_ = totals();
  repair(now);
  for (const auto& medium : media_) medium->receiver.idle(now);
  if (feed_) {
    for (std::size_t i = 0; i < media_.size(); ++i) {
      if (media_[i]->receiver.holds_back()) continue;
      if (feed_->demuxer) feed_->demuxer->idle(now);
      if (!feed_->demuxer) feed_->depacketizers[i]->idle(now);
    }
    if (now.steady >= feed_->report_at) look_after(now);
  }
  const bool somebody = plain_ || std::ranges::any_of(media_, [](const auto& medium) {
                          return medium->receiver.ssrc().has_value();
                        });
  if (somebody && now.steady - last_taken_ >= settings_.silence) {
    forget_senders();
    displaced_ = false;
    end_feed(fmt::format("nothing has come for {} ms", settings_.silence.count()), now,
             State::kReconnecting);
  }
  say_nothing_usable_comes(now);
}

void RtpInput::repair(Instant now) {
  if (!fec_) return;
  rtp::Receiver& receiver = media_.front()->receiver;
  if (fec_->active() && now.steady - fec_last_ >= kParityGone) fec_->reset();
  receiver.expect_repair(fec_->repair_packets());
  fec_->recover([&](std::span<const std::uint8_t> made) { receiver.push_recovered(made, now); });
}

// About once a second.
void RtpInput::look_after(Instant now) {
  feed_->report_at = now.steady + kReportInterval;
  report();
  if (!feed_->publication->displaced()) return;
  const std::string why(feed_->publication->displaced_by());
  displaced_ = true;
  end_feed(why, now, State::kRefused);
  ask_again_at_ = now.steady + kAskAgain;
}

void RtpInput::report() {
  media::TransportStats stats = since(totals(), feed_->base);
  stats.latency_ms = static_cast<int>(settings_.reorder.count());
  feed_->publication->on_stats(stats, feed_->demux_stats());
}

media::TransportStats RtpInput::totals() const {
  media::TransportStats sum;
  for (const auto& medium : media_) add(sum, medium->receiver.stats());
  sum.bytes += plain_bytes_;
  sum.packets += plain_packets_;
  sum.packets_strange += strange_;
  return sum;
}

// Once: to an operator whose encoder sends, and nothing happens.
void RtpInput::say_nothing_usable_comes(Instant now) {
  const bool usable = feed_ || state_.state == State::kRefused || now.steady - last_any_ > kBusy ||
                      now.steady - last_taken_ < kBusy;
  if (usable) {
    unusable_since_.reset();
    return;
  }
  if (!unusable_since_) unusable_since_ = now.steady;
  if (warned_unusable_ || now.steady - *unusable_since_ < kUsableWithin) return;
  warned_unusable_ = true;
  set_state(state_.state, "what comes is not what is expected here, or not from whom", now);
  log_.warning("ingest", "datagrams come, but none of them is taken",
               {{"stream", settings_.stream.text()},
                {"endpoint", settings_.endpoint},
                {"expected", is_transport_stream()
                                 ? "MPEG-TS, by RTP of payload type 33 or the one configured"
                                 : "RTP as in the session description"},
                {"packets_strange", totals().packets_strange}});
}

std::optional<RtpInput::Report> RtpInput::take_report(Instant now) {
  for (std::size_t i = 0; i < media_.size(); ++i) {
    Medium& medium = *media_[i];
    if (!medium.rtcp_sender || now.steady < medium.report_at) continue;
    // RFC 3550 6.3.1, for a session of one sender and one receiver: 0.5 to 1.5 times the interval,
    // over e - 3/2 for what reconsideration adds.
    constexpr double kCompensation = 1.21828;
    std::uniform_real_distribution<double> factor(0.5, 1.5);
    medium.report_at =
        now.steady + std::chrono::duration_cast<SteadyTime::duration>(std::chrono::duration<double>(
                         kRtcpIntervalSeconds * factor(random_) / kCompensation));
    rtp::ReceptionReport block = medium.receiver.take_reception();
    block.last_sr = rtp::last_sr_of(medium.last_report);
    block.delay_since_last_sr = rtp::delay_since_last_sr(now.steady - medium.last_report_at);
    return Report{i, *medium.rtcp_sender,
                  rtp::make_receiver_report(own_ssrc_, {&block, 1}, canonical_name_)};
  }
  return std::nullopt;
}

void RtpInput::stop(Instant now) {
  now_ = now;
  forget_senders();
  stopped_ = true;
  end_feed("shutting down", now, State::kReconnecting);
}

bool RtpInput::busy(SteadyTime now) const { return feed_ || now - last_any_ < kBusy; }

bool RtpInput::fec_busy(SteadyTime now) const { return fec_ && now - fec_last_ < kBusy; }

void RtpInput::set_state(State state, std::string_view why, Instant now) {
  if (state_.state != state || state_version_ == 0) state_.since = now.wall;
  state_.state = state;
  state_.why = why;
  ++state_version_;
}

}  // namespace mirror::ingest
