// Http2Codec: HTTP/2 on one connection (RFC 9113), framing and HPACK by nghttp2.
//
// A stream that the client resets takes its Exchange with it at once. Limits: concurrent streams
// and the header list (advertised in SETTINGS and kept), CONTINUATION frames per header block and
// unacknowledged replies (nghttp2), resets (CVE-2023-44487 and its kin, whoever sends the
// RST_STREAM) and frames that bring no progress, both per time. A peer over a limit is told
// ENHANCE_YOUR_CALM.
#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/rate_limit.h"
#include "base/result.h"
#include "http/codec.h"
#include "http/header_store.h"
#include "http/request_rules.h"

namespace mirror::http {

class Http2Codec final : public Codec {
 public:
  static Result<std::unique_ptr<Http2Codec>> create(Carrier& carrier);
  ~Http2Codec() override;

  void receive(std::span<const std::uint8_t> bytes) override;
  bool wants_input() const override;
  bool input_ended() override { return false; }  // without a peer no stream can go on
  void pump() override;
  bool finished() const override;
  Phase phase() const override;
  SteadyTime phase_since() const override;
  void time_out() override;
  std::size_t end_stalled() override;
  void drain() override;

  std::size_t streams() const { return streams_.size(); }

 private:
  class Stream;
  struct Callbacks;
  using SessionPointer = std::unique_ptr<nghttp2_session, decltype(&nghttp2_session_del)>;

  explicit Http2Codec(Carrier& carrier);
  Stream* find(std::int32_t id);
  void request_complete(Stream& stream);
  Request take_request();
  void keep_request(Request&& request);
  void refuse(Stream& stream, const Fault& fault);
  void note_reset();
  void note_idle_frame();
  void calm_down();
  void stream_changed();
  void wake_writers();

  Carrier& carrier_;
  SessionPointer session_;
  std::vector<std::unique_ptr<Exchange::Attachment>> finished_attachments_;
  std::vector<std::int32_t> writable_;  // streams whose writers are to be told
  Stream* reading_ = nullptr;           // whose header block comes in: nothing else may meanwhile
  // What requests that are done with leave for the next one.
  Request spare_request_;
  HeaderStore header_store_;
  std::size_t growing_cost_ = 0;  // of all bodies that grow, not yet handed to nghttp2
  RateLimit resets_;
  RateLimit idle_frames_;
  SteadyTime created_;
  SteadyTime idle_since_;
  bool greeted_ = false;  // the peer's first SETTINGS have come
  bool calming_ = false;
  bool dead_ = false;  // nghttp2 gave up
  // Last, so that a stream that dies with the codec still finds the rest.
  std::unordered_map<std::int32_t, std::unique_ptr<Stream>> streams_;
};

}  // namespace mirror::http
