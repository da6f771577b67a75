// WebTransportCarrier: a push session over WebTransport (docs/push-protocol.md, "Carriers"): a
// stream for each part, one for all other frames, and the viewer's control messages on a stream
// that it opens.
//
// Lives on its loop; owned by the WebTransport session, whose end is the push session's. Limits:
// what the push session gives it (SessionSettings::carrier_bytes), one control stream, a request of
// kControlBytesMax on it. When the push session ends, the WebTransport session is closed only when
// the viewer has everything: closing it resets what is still on its way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "http/webtransport.h"
#include "push/hub.h"

namespace mirror::api {

class WebTransportCarrier final : public http::WebTransportSession::Observer, public push::Carrier {
 public:
  using StreamId = http::WebTransportSession::StreamId;

  static constexpr std::size_t kControlBytesMax = 16 * 1024;

  // Applies control messages to the push session and tells what is answered: one line.
  using Control = std::function<std::string(push::Session& session, std::string_view lines)>;

  WebTransportCarrier(http::WebTransportSession& transport, const std::shared_ptr<push::Hub>& hub,
                      std::function<Instant()> now, Control control)
      : transport_(transport), hub_(hub), now_(std::move(now)), control_(std::move(control)) {}
  ~WebTransportCarrier() override;
  void set_session(push::Session& session) { session_ = &session; }

  // http::WebTransportSession::Observer
  void on_stream_data(StreamId stream, std::span<const std::uint8_t> bytes, bool fin) override;
  void on_stream_reset(StreamId stream, std::uint32_t code) override;
  void on_stop_sending(StreamId stream, std::uint32_t code) override;
  void on_writable(StreamId stream) override;
  void on_stream_closed(StreamId stream) override;
  void on_streams_available() override;

  // push::Carrier
  void send(const push::Outgoing& frame) override;
  std::size_t pending_bytes() const override;
  void tell_below(std::size_t bytes) override;
  std::optional<push::LostParts> abandon(push::TrackNumber track) override;
  std::optional<push::LostParts> take_loss() override;
  void end() override;

 private:
  // The stream of a part that is not on its way as a whole yet.
  struct PartStream {
    StreamId id = 0;
    push::TrackNumber track = 0;
    hls::PartPosition at;
    bool finished = false;  // nothing of the part follows
    bool refused = false;   // by the viewer: what follows is not sent
  };

  // The viewer breaks the protocol: its control stream is over, the frames go on.
  void refuse_control(StreamId stream);
  // A stream of ours. Empty: the viewer's limit is reached.
  std::optional<StreamId> open_stream();
  void finish_all();
  // False: the viewer's limit on streams is reached, and the frame waits.
  bool try_send(const push::Outgoing& frame);
  bool send_part(const push::Outgoing& frame);
  // False: the stream is lost.
  bool write(StreamId stream, const push::Outgoing& frame);
  void forget_sent();
  void tell_if_below();

  http::WebTransportSession& transport_;
  const std::weak_ptr<push::Hub> hub_;
  const std::function<Instant()> now_;
  const Control control_;
  push::Session* session_ = nullptr;

  std::optional<StreamId> frames_;      // ours, of all frames but PART
  std::size_t open_streams_ = 0;        // ours, the transport is not done with them
  bool ending_ = false;                 // nothing follows what was taken
  std::vector<PartStream> parts_;       // in the order of their beginning
  std::deque<push::Outgoing> waiting_;  // for the viewer to allow more streams
  std::size_t waiting_bytes_ = 0;
  std::vector<push::LostParts> lost_;  // by the transport, one a track; the session asks for them
  std::size_t tell_below_ = 0;

  std::optional<StreamId> control_stream_;  // the viewer's
  bool control_refused_ = false;
  std::string control_text_;
};

}  // namespace mirror::api
