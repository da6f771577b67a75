#include "admission/notice.h"

#include <fmt/format.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include <array>
#include <chrono>
#include <nlohmann/json.hpp>

namespace mirror::admission {
namespace {

std::int64_t unix_seconds(WallTime now) {
  return std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
}

// Cut between characters of UTF-8 (RFC 3629), and safe to print.
std::string presentable(std::string_view text) {
  if (text.size() > kReasonBytesMax) {
    std::size_t size = kReasonBytesMax;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
    text = text.substr(0, size);
  }
  std::string out(text);
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) c = ' ';
  }
  return out;
}

}  // namespace

std::string notice_body(const Question& question, std::string_view id, WallTime now) {
  const media::PublishRequest& request = question.request;
  nlohmann::ordered_json body = {{"id", id},
                                 {"time", unix_seconds(now)},
                                 {"action", "publish"},
                                 {"stream", request.key.text()},
                                 {"protocol", request.protocol},
                                 {"remote", request.remote},
                                 {"user", request.user}};
  if (question.token_unjudged && !request.token.empty()) body["token"] = request.token;
  // The user and the token are the publisher's to choose: what is no UTF-8 is replaced.
  return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string signature(std::string_view secret, std::int64_t seconds, std::string_view body) {
  const std::string text = fmt::format("{}.{}", seconds, body);
  std::array<unsigned char, 32> digest{};
  gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret.data(), secret.size(), text.data(), text.size(),
                   digest.data());
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

std::string signature_header(std::string_view secret, WallTime now, std::string_view body) {
  const std::int64_t seconds = unix_seconds(now);
  return fmt::format("t={},v1={}", seconds, signature(secret, seconds, body));
}

std::optional<std::string> refusal_of(long http_status, std::string_view body) {
  if (http_status >= 200 && http_status < 300) return std::nullopt;
  if (http_status != 401 && http_status != 403) {
    return fmt::format("the webhook answered with status {}", http_status);
  }
  const auto json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) {
    const auto reason = json.find("reason");
    if (reason != json.end() && reason->is_string()) {
      const std::string text = presentable(reason->get_ref<const std::string&>());
      if (!text.empty()) return fmt::format("the webhook refuses it: {}", text);
    }
  }
  return "the webhook refuses it";
}

}  // namespace mirror::admission
