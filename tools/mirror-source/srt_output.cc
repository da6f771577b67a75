#include <netdb.h>
#include <srt/access_control.h>
#include <srt/srt.h>

#include <charconv>
#include <cstring>
#include <utility>

#include "output.h"

namespace mirror::source {
namespace {

constexpr int kConnectTimeoutMs = 3000;
constexpr int kSendTimeoutMs = 2000;

// The library starts with the first call and ends with the process.
class SrtLibrary {
 public:
  SrtLibrary() {
    srt_startup();
    srt_setloglevel(LOG_CRIT);
  }
  ~SrtLibrary() { srt_cleanup(); }
  SrtLibrary(const SrtLibrary&) = delete;
  SrtLibrary& operator=(const SrtLibrary&) = delete;
};

class SrtOutput final : public Output {
 public:
  explicit SrtOutput(SRTSOCKET socket) : socket_(socket) {}
  ~SrtOutput() override { srt_close(socket_); }
  SrtOutput(const SrtOutput&) = delete;
  SrtOutput& operator=(const SrtOutput&) = delete;

  Status write(std::span<const std::uint8_t> bytes) override {
    const int sent = srt_sendmsg2(socket_, reinterpret_cast<const char*>(bytes.data()),
                                  static_cast<int>(bytes.size()), nullptr);
    if (sent == SRT_ERROR) return fail("the connection ended: {}", srt_getlasterror_str());
    return {};
  }

 private:
  const SRTSOCKET socket_;
};

std::string reject_reason(int code) {
  switch (code) {
    case SRT_REJX_BAD_REQUEST:
      return "the stream id is not valid here (1400)";
    case SRT_REJX_UNAUTHORIZED:
      return "not authorised (1401)";
    case SRT_REJX_OVERLOAD:
      return "the server is overloaded (1402)";
    case SRT_REJX_FORBIDDEN:
      return "forbidden (1403)";
    case SRT_REJX_NOTFOUND:
      return "not found (1404)";
    case SRT_REJX_BAD_MODE:
      return "this mode is not supported (1405)";
    case SRT_REJX_CONFLICT:
      return "somebody else publishes this stream (1409)";
    case SRT_REJX_ISE:
      return "an internal error of the server (1500)";
    case SRT_REJX_DOWN:
      return "the server is shutting down (1503)";
    case SRT_REJ_TIMEOUT:
      return "no answer";
    case SRT_REJ_UNSECURE:
      return "a passphrase is required, or none is expected";
    case SRT_REJ_BADSECRET:
      return "wrong passphrase";
    default:
      return fmt::format("{} ({})", srt_rejectreason_str(code), code);
  }
}

template <class T>
bool set_flag(SRTSOCKET socket, SRT_SOCKOPT option, T value) {
  return srt_setsockflag(socket, option, &value, sizeof value) != SRT_ERROR;
}

bool set_flag(SRTSOCKET socket, SRT_SOCKOPT option, const std::string& value) {
  return srt_setsockflag(socket, option, value.data(), static_cast<int>(value.size())) != SRT_ERROR;
}

Status configure(SRTSOCKET socket, const SrtTarget& target) {
  bool ok = set_flag(socket, SRTO_SENDER, 1) && set_flag(socket, SRTO_LATENCY, target.latency_ms) &&
            set_flag(socket, SRTO_CONNTIMEO, kConnectTimeoutMs) &&
            set_flag(socket, SRTO_SNDTIMEO, kSendTimeoutMs) &&
            set_flag(socket, SRTO_PAYLOADSIZE, SRT_LIVE_DEF_PLSIZE);
  if (!ok) return fail("the latency is out of range");
  if (!target.stream_id.empty() && !set_flag(socket, SRTO_STREAMID, target.stream_id)) {
    return fail("the stream id is longer than 512 bytes");
  }
  if (!target.passphrase.empty() && !set_flag(socket, SRTO_PASSPHRASE, target.passphrase)) {
    return fail("a passphrase has 10 to 79 characters");
  }
  return {};
}

Result<std::unique_ptr<Output>> call_address(const SrtTarget& target, const addrinfo& address) {
  const SRTSOCKET socket = srt_create_socket();
  if (socket == SRT_INVALID_SOCK) return fail("{}", srt_getlasterror_str());
  auto output = std::make_unique<SrtOutput>(socket);
  if (Status status = configure(socket, target); !status) return std::unexpected(status.error());
  if (srt_connect(socket, address.ai_addr, static_cast<int>(address.ai_addrlen)) == SRT_ERROR) {
    if (srt_getlasterror(nullptr) == SRT_ENOSERVER) return fail("no answer");
    return fail("refused: {}", reject_reason(srt_getrejectreason(socket)));
  }
  return output;
}

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2) {
      decoded.push_back(static_cast<char>(value));
      i += 2;
    } else {
      decoded.push_back(text[i]);
    }
  }
  return decoded;
}

Status apply_parameter(SrtTarget& target, std::string_view name, const std::string& value) {
  if (name == "streamid") {
    target.stream_id = value;
  } else if (name == "passphrase") {
    target.passphrase = value;
  } else if (name == "latency") {
    const char* end = value.data() + value.size();
    if (std::from_chars(value.data(), end, target.latency_ms).ptr != end || value.empty()) {
      return fail("latency={} is not a number of milliseconds", value);
    }
  } else if (name == "mode") {
    if (value != "caller") return fail("mode={}: only caller is supported", value);
  } else {
    return fail("unknown parameter {}", name);
  }
  return {};
}

Status apply_query(SrtTarget& target, std::string_view query) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return fail("{} has no value", pair);
    Status applied =
        apply_parameter(target, pair.substr(0, equals), percent_decoded(pair.substr(equals + 1)));
    if (!applied) return applied;
  }
  return {};
}

}  // namespace

Result<SrtTarget> parse_srt_url(const std::string& url) {
  constexpr std::string_view kScheme = "srt://";
  if (!url.starts_with(kScheme)) return fail("{}: must begin with srt://", url);
  const std::string_view rest = std::string_view(url).substr(kScheme.size());
  const std::size_t question = rest.find('?');
  std::string_view authority = rest.substr(0, question);
  if (authority.ends_with('/')) authority.remove_suffix(1);
  const std::size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == authority.size()) {
    return fail("{}: needs a host and a port", url);
  }
  SrtTarget target;
  std::string_view host = authority.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  target.host = host;
  target.port = authority.substr(colon + 1);
  if (question != std::string_view::npos) {
    if (Status applied = apply_query(target, rest.substr(question + 1)); !applied) {
      return std::unexpected(std::move(applied.error()).within(url));
    }
  }
  return target;
}

Result<std::unique_ptr<Output>> call_srt(const SrtTarget& target) {
  static const SrtLibrary library;
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int looked_up = getaddrinfo(target.host.c_str(), target.port.c_str(), &hints, &found);
  if (looked_up != 0) return fail("{}: {}", target.host, gai_strerror(looked_up));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, freeaddrinfo);
  Result<std::unique_ptr<Output>> result = fail("{} has no address", target.host);
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    result = call_address(target, *address);
    if (result) return result;
  }
  return std::unexpected(
      std::move(result.error()).within(fmt::format("srt://{}:{}", target.host, target.port)));
}

}  // namespace mirror::source
