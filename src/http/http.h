// One request/response model over every HTTP version: what handlers see.
//
// A handler lives on one network loop and never leaves it. It is given a Request and an Exchange,
// and answers now, later, or piece by piece; it does not know whether HTTP/1.1, 2 or 3 carries it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace mirror::http {

enum class Method { kGet, kHead, kOptions, kPost, kPut, kDelete, kPatch, kConnect, kOther };
enum class Version { kHttp10, kHttp11, kHttp2, kHttp3 };

std::string_view name_of(Method method);
std::string_view name_of(Version version);   // "HTTP/1.1", …
std::string_view reason_phrase(int status);  // "Not Found"; RFC 9110 15

struct Header {
  std::string name;  // lower case
  std::string value;
};
using Headers = std::vector<Header>;

struct Request {
  Method method = Method::kGet;
  Version version = Version::kHttp11;
  bool secure = false;    // came over TLS
  std::string path;       // percent-decoded, begins with '/', dot segments removed, no NUL
  std::string query;      // raw, without '?'
  std::string authority;  // Host or :authority
  Headers headers;
  std::string body;    // whole, within the server's limit
  std::string remote;  // "192.0.2.1:40000"

  // The first header of this (lower-case) name.
  std::optional<std::string_view> header(std::string_view name) const;
};

// A head whose headers were made once (by the publisher) is shared by all who answer with it.
struct Response {
  int status = 200;
  Headers headers;          // content-length is the server's business, and so is date
  std::vector<Bytes> body;  // sent in order; shared with whoever else sends the same bytes

  static Response text(int status, std::string_view body);  // text/plain, no-store
};

class Prepared;
class WebTransportSession;

// One request on its way to being answered. Lives on its connection's loop, owned by the
// connection; valid from handle() until the answer is finished or the peer goes, whichever comes
// first. A handler that answers later must attach() something whose destructor forgets the
// Exchange.
class Exchange {
 public:
  class Attachment {
   public:
    virtual ~Attachment() = default;
    // queued_bytes() fell below half of kQueuedBytesHigh after it had reached it, or below what
    // tell_below() asked for (only for growing bodies). Never called from within a call of the
    // Exchange.
    virtual void on_writable() {}
  };

  virtual ~Exchange() = default;

  // The whole answer. HEAD sends the head only. Nothing more may be called afterwards; the
  // attachment is destroyed soon after this returns, in the same turn of the loop, never within it.
  // A header that could not be sent as it is (CR, LF or NUL in it) is left out.
  virtual void respond(Response response) = 0;
  // The same for an answer that was made once for many; `extra` are fields of this one alone.
  virtual void respond(std::shared_ptr<const Prepared> answer,
                       std::span<const Header> extra = {}) = 0;

  // A growing answer: start once, write any number of times, then finish, or abort (the peer sees
  // a broken response, not a short one). `headers` without content-length.
  virtual void start(int status, Headers headers) = 0;
  virtual void write(Bytes bytes) = 0;
  virtual void finish() = 0;
  virtual void abort() = 0;

  // Body bytes accepted by write() and not yet handed to the transport (HTTP/1.1: framing
  // included). A writer stops at kQueuedBytesHigh and goes on at on_writable(); one that lets the
  // queue grow past the server's limit has its answer aborted.
  static constexpr std::size_t kQueuedBytesHigh = 256 * 1024;
  virtual std::size_t queued_bytes() const = 0;
  // For writers who keep the queue shorter than that: on_writable() is due once, as soon as
  // queued_bytes() is below `bytes`; at the end of this turn when it is so already.
  virtual void tell_below(std::size_t bytes) = 0;

  // Server push (RFC 9114 4.6), before this exchange's own answer is finished: promises `promise`
  // (GET or HEAD; authority, path and query are needed, headers are sent along) on this request and
  // sends `answer` on a stream of its own. False, and nothing is sent: this is not HTTP/3, the peer
  // takes no pushes or no more of them, or Limits::pushes_max are on their way.
  virtual bool push(const Request& promise, const std::shared_ptr<const Prepared>& answer) {
    (void)promise, (void)answer;
    return false;
  }
  // Whether push() could be of use: what it would send need not be made for the others.
  virtual bool takes_pushes() const { return false; }

  // The session that this request asks for (Method::kConnect), to be accepted instead of a
  // respond(); null for every other request, and over every other version. See webtransport.h.
  virtual WebTransportSession* webtransport() { return nullptr; }

  // Kept until the exchange ends in any way (answered, peer gone, server stopping), then destroyed
  // on the loop. At most one.
  virtual void attach(std::unique_ptr<Attachment> attachment) = 0;
};

// One per network loop, called only there. Must not block. The request is valid within the call.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual void handle(const Request& request, Exchange& exchange) = 0;
  // May a page of this origin open a WebTransport session? Asked before handle(), which is not
  // called when the answer is no (403). By default: the origin that was asked, and programs that
  // name none.
  virtual bool admits_origin(const Request& request) const;
};

}  // namespace mirror::http
