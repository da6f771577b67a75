// Http1Codec: HTTP/1.0 and 1.1 on one connection (RFC 9112). Requests are answered one at a time in
// the order in which they came; those that follow wait in the parser's buffer.
#pragma once

#include <memory>

#include "http/codec.h"
#include "http/http1_parser.h"

namespace mirror::http {

class Http1Codec final : public Codec, private Exchange {
 public:
  explicit Http1Codec(Carrier& carrier);
  ~Http1Codec() override;

  void receive(std::span<const std::uint8_t> bytes) override;
  bool wants_input() const override;
  bool input_ended() override;
  void pump() override;
  bool finished() const override { return closing_ && answer_ == Answer::kNone; }
  Phase phase() const override { return phase_; }
  SteadyTime phase_since() const override { return phase_since_; }
  void time_out() override;
  void drain() override;

 private:
  enum class Answer { kNone, kDue, kGrowing };  // of the current request

  // Exchange
  void respond(Response response) override;
  void respond(std::shared_ptr<const Prepared> answer, std::span<const Header> extra) override;
  void start(int status, Headers headers) override;
  void write(Bytes bytes) override;
  void finish() override;
  void abort() override;
  std::size_t queued_bytes() const override { return output_.size(); }
  void tell_below(std::size_t bytes) override;
  void attach(std::unique_ptr<Attachment> attachment) override;

  void proceed();
  void begin_request();
  void refuse(const Fault& fault);
  void send_head(int status, const Headers& headers, std::string_view framing);
  void end_head(std::span<const Header> headers);
  void end_answer();
  void update_phase();
  void set_phase(Phase phase);
  bool output_full() const;

  Carrier& carrier_;
  Http1Parser parser_;
  std::unique_ptr<Attachment> attachment_;
  std::unique_ptr<Attachment> finished_attachment_;  // destroyed by pump()
  Answer answer_ = Answer::kNone;
  bool head_only_ = false;
  bool chunked_ = false;
  std::size_t tell_below_ = 0;  // bytes queued; 0: nobody waits for room
  bool keep_alive_ = true;
  bool closing_ = false;  // no further request is read
  bool draining_ = false;
  bool in_proceed_ = false;
  Version version_ = Version::kHttp11;
  Phase phase_ = Phase::kHead;
  SteadyTime phase_since_;
};

}  // namespace mirror::http
