#include "app/config_keys.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "media/stream_key.h"
#include "transcode/pairing.h"

namespace mirror::app {
namespace {

// ---- Kinds over members of Config --------------------------------------------------------------

// Integers, chrono durations and doubles differ only in how their number is reached.
template <class T>
std::int64_t number_of(const T& field) {
  if constexpr (requires { field.count(); }) {
    return static_cast<std::int64_t>(field.count());
  } else {
    return static_cast<std::int64_t>(field);
  }
}

template <auto kSection, auto kField>
IntegerKey integer(std::int64_t min, std::int64_t max, std::int64_t step = 1,
                   IntegerKey::Suffix suffix = IntegerKey::Suffix::kNone) {
  return {min,
          max,
          step,
          suffix,
          [](const Draft& draft) { return number_of(draft.*kSection.*kField); },
          [](Draft& draft, std::int64_t value) {
            auto& field = draft.*kSection.*kField;
            field = std::remove_reference_t<decltype(field)>(value);
          }};
}

template <auto kSection, auto kField>
IntegerKey quantity(std::int64_t min, std::int64_t max) {
  return integer<kSection, kField>(min, max, 1, IntegerKey::Suffix::kDecimal);
}

template <auto kSection, auto kField>
auto& member(Draft& draft) {
  return draft.*kSection.*kField;
}

Status anything(const std::string&) { return {}; }

template <auto kSection, auto kField>
TextKey text(Status (*check)(const std::string&) = anything) {
  return {member<kSection, kField>, check};
}

constexpr std::array kLevels{std::string_view("debug"), std::string_view("info"),
                             std::string_view("warning"), std::string_view("error")};
constexpr std::array kPolicies{std::string_view("takeover"), std::string_view("reject")};
constexpr std::array kFallbacks{std::string_view("always"), std::string_view("never")};
constexpr std::array kFormats{std::string_view("readable"), std::string_view("json")};

// A choice whose words stand for the values of an enum, in its order.
template <auto kSection, auto kField, const auto& kWords>
ChoiceKey enum_choice() {
  return {{kWords.begin(), kWords.end()},
          [](const Draft& draft) {
            return kWords.at(static_cast<std::size_t>(draft.*kSection.*kField));
          },
          [](Draft& draft, std::string_view word) {
            auto& field = draft.*kSection.*kField;
            const auto at = std::find(kWords.begin(), kWords.end(), word) - kWords.begin();
            field = static_cast<std::remove_reference_t<decltype(field)>>(at);
          }};
}

template <auto kSection, auto kField>
ChoiceKey word_choice(std::vector<std::string_view> words) {
  return {std::move(words),
          [](const Draft& draft) { return std::string_view(draft.*kSection.*kField); },
          [](Draft& draft, std::string_view word) { draft.*kSection.*kField = word; }};
}

// ---- Checks of texts ---------------------------------------------------------------------------

Status check_address(const std::string& value) {
  std::array<unsigned char, 16> parsed;
  if (value == "*" || ::inet_pton(AF_INET, value.c_str(), parsed.data()) == 1 ||
      ::inet_pton(AF_INET6, value.c_str(), parsed.data()) == 1) {
    return {};
  }
  return fail("\"{}\" is neither an IPv4 or IPv6 address nor \"*\"", value);
}

Status check_pairing(const std::string& value) {
  if (transcode::pairing_kind_of(value)) return {};
  return fail("\"{}\" is not one of nvidia, nvidia+x264, software", value);
}

Status check_device(const std::string& value) {
  if (!value.empty() && value.size() <= 2 &&
      std::ranges::all_of(value, [](unsigned char c) { return std::isdigit(c) != 0; })) {
    return {};
  }
  return fail("\"{}\" is not the number of a GPU, from 0", value);
}

// libsrt's own limits (SRTO_PASSPHRASE).
Status check_passphrase(const std::string& value) {
  if (value.empty() || (value.size() >= 10 && value.size() <= 79)) return {};
  return fail("has {} characters; a passphrase has 10 to 79, or none for no encryption",
              value.size());
}

// An origin as browsers send it (RFC 6454 section 6.2): scheme, host, port if not the usual one.
Status check_origin(const std::string& value) {
  if (value == "*") return {};
  const std::size_t host_at = value.find("://");
  const bool has_scheme = host_at == 4 ? value.starts_with("http") : value.starts_with("https");
  const auto is_allowed = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view(".-:[]").find(c) != std::string_view::npos;
  };
  const std::size_t from = host_at + 3;
  if (host_at != std::string::npos && has_scheme && host_at <= 5 && from < value.size() &&
      std::all_of(value.begin() + static_cast<std::ptrdiff_t>(from), value.end(), is_allowed)) {
    return {};
  }
  return fail("\"{}\" is not an origin such as https://example.org or http://localhost:3000",
              value);
}

Status check_directory(const std::string& value) {
  if (!value.empty()) return {};
  return fail("is empty; leave it out to get the default");
}

Status check_stream_key(const std::string& value) {
  if (auto key = media::StreamKey::parse(value); !key) return std::unexpected(key.error());
  return {};
}

bool is_visible(char c) { return c > ' ' && c < 0x7F; }

// Within a stream id a comma ends the token (SRT Access Control), and nothing there is encoded.
Status check_token(const std::string& value) {
  if (value.empty()) return {};
  if (value.size() < 8 || value.size() > 128) {
    return fail("has {} characters; a token has 8 to 128", value.size());
  }
  const bool fits = std::ranges::all_of(value, [](char c) { return is_visible(c) && c != ','; });
  if (!fits) return fail("holds what a token cannot: spaces, commas, or other than ASCII");
  return {};
}

// libsrt's own limit (SRTO_STREAMID).
Status check_stream_id(const std::string& value) {
  if (value.size() <= 512) return {};
  return fail("has {} bytes; a stream id has at most 512", value.size());
}

Status check_webhook_secret(const std::string& value) {
  if (value.empty() || (value.size() >= 16 && value.size() <= 256)) return {};
  return fail("has {} characters; a secret has 16 to 256", value.size());
}

Status check_webhook_url(const std::string& value) {
  if (value.empty()) return {};
  const std::size_t host_at = value.starts_with("https://") ? 8 : 7;
  const bool has_scheme = value.starts_with("https://") || value.starts_with("http://");
  const bool has_host =
      value.size() > host_at && std::string_view("/?#:@").find(value[host_at]) == std::string::npos;
  const bool fits = value.size() <= 2048 && std::ranges::all_of(value, is_visible);
  if (has_scheme && has_host && fits) return {};
  return fail("is not an address such as https://example.org/admission");
}

bool is_host(std::string_view text) {
  std::array<unsigned char, 16> parsed;
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
    const std::string inner(text.substr(1, text.size() - 2));
    return ::inet_pton(AF_INET6, inner.c_str(), parsed.data()) == 1;
  }
  return !text.empty() && text.size() <= 253 && std::ranges::all_of(text, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-';
  });
}

Status check_source_url(const std::string& value) {
  constexpr std::string_view kScheme = "srt://";
  std::string_view rest = value;
  if (rest.find('?') != std::string_view::npos) {
    return fail("holds a \"?\"; say stream_id, passphrase and latency_ms beside it");
  }
  int port = 0;
  const std::size_t colon = rest.rfind(':');
  if (rest.starts_with(kScheme) && colon >= kScheme.size() && colon != std::string_view::npos) {
    const std::string_view digits = rest.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    const bool is_port =
        error == std::errc() && end == digits.data() + digits.size() && port >= 1 && port <= 65535;
    if (is_port && is_host(rest.substr(kScheme.size(), colon - kScheme.size()))) return {};
  }
  return fail("\"{}\" is not of the form srt://HOST:PORT", value);
}

Status check_multicast(const std::string& value) {
  std::array<unsigned char, 16> parsed{};
  if (value.empty()) return {};
  if (::inet_pton(AF_INET, value.c_str(), parsed.data()) == 1 && (parsed[0] & 0xF0) == 0xE0) {
    return {};
  }
  if (::inet_pton(AF_INET6, value.c_str(), parsed.data()) == 1 && parsed[0] == 0xFF) return {};
  return fail("\"{}\" is not a multicast address (224.0.0.0/4, ff00::/8)", value);
}

Status check_interface(const std::string& value) {
  // IFNAMSIZ counts the end of the text too.
  const bool fits = value.size() < IFNAMSIZ && value.find('/') == std::string::npos &&
                    std::ranges::all_of(value, is_visible);
  if (fits) return {};
  return fail("\"{}\" is not the name of a network interface", value);
}

Status check_prefix(const std::string& value) {
  const std::size_t slash = value.find('/');
  const std::string address = value.substr(0, slash);
  std::array<unsigned char, 16> parsed;
  const int bits = ::inet_pton(AF_INET, address.c_str(), parsed.data()) == 1    ? 32
                   : ::inet_pton(AF_INET6, address.c_str(), parsed.data()) == 1 ? 128
                                                                                : 0;
  int length = bits;
  bool is_number = true;
  if (slash != std::string::npos) {
    const char* const end = value.data() + value.size();
    const auto [at, error] = std::from_chars(value.data() + slash + 1, end, length);
    is_number = error == std::errc() && at == end;
  }
  if (bits != 0 && is_number && length >= 0 && length <= bits) return {};
  return fail("\"{}\" is neither an address nor a prefix such as 192.0.2.0/24", value);
}

// The last port whose five neighbours above it exist.
constexpr std::int64_t kRtpPortMax = 65'530;

template <auto kField>
TextKey webhook_text(Status (*check)(const std::string&)) {
  return {[](Draft& draft) -> std::string& { return draft.publish.webhook.*kField; }, check};
}

IntegerKey webhook_timeout(std::int64_t min, std::int64_t max) {
  return {min,
          max,
          1,
          IntegerKey::Suffix::kNone,
          [](const Draft& draft) { return number_of(draft.publish.webhook.timeout); },
          [](Draft& draft, std::int64_t value) {
            draft.publish.webhook.timeout = std::chrono::milliseconds(value);
          }};
}

// ---- The table ---------------------------------------------------------------------------------

std::vector<Key> make_keys() {
  using C = Config;
  return {
      {"state_dir",
       TextKey{[](Draft& draft) -> std::string& { return draft.state_dir; }, check_directory},
       "Where Mirror keeps what must outlive it, such as the generated certificate. Default: "
       "$STATE_DIRECTORY, else /var/lib/mirror for root, else $XDG_STATE_HOME/mirror or "
       "~/.local/state/mirror."},

      {"log.level", enum_choice<&C::log, &C::Log::level, kLevels>(), "The least that is logged."},
      {"log.format", enum_choice<&C::log, &C::Log::format, kFormats>(),
       "For people, or one JSON object a line."},

      {"srt.address", text<&C::srt, &C::Srt::address>(check_address),
       "Where publishers connect; \"*\" is every address, IPv4 and IPv6."},
      {"srt.port", integer<&C::srt, &C::Srt::port>(1, 65535), "UDP."},
      {"srt.latency_ms", integer<&C::srt, &C::Srt::latency>(20, 8000),
       "How long SRT waits for a lost packet to be sent again: part of the delay that viewers see. "
       "The larger one of both sides holds. About four round trips are safe."},
      {"srt.passphrase", text<&C::srt, &C::Srt::passphrase>(check_passphrase),
       "What publishers must encrypt with (10 to 79 characters); empty: encryption is not asked "
       "for.",
       Key::Shown::kNever},
      {"srt.max_publishers", integer<&C::srt, &C::Srt::max_publishers>(1, 10'000),
       "Connections at once, those still in their handshake included."},
      {"srt.peer_idle_timeout_ms", integer<&C::srt, &C::Srt::peer_idle_timeout>(1000, 60'000),
       "A publisher that is silent for so long is gone."},
      {"srt.call_private_addresses", BoolKey{member<&C::srt, &C::Srt::call_private_addresses>},
       "Whether `sources` may name private, link-local and loopback addresses."},

      {"https.address", text<&C::https, &C::Https::address>(check_address),
       "Where viewers connect."},
      {"https.port", integer<&C::https, &C::Https::port>(1, 65535),
       "TCP; UDP too where https.http3 is on."},
      {"https.certificate", text<&C::https, &C::Https::certificate>(),
       "PEM file: the certificate, then its chain. Empty, with an empty key: Mirror makes a "
       "self-signed one and keeps it in state_dir. Read again on SIGHUP."},
      {"https.key", text<&C::https, &C::Https::key>(), "PEM file: the certificate's private key."},
      {"https.http3", BoolKey{member<&C::https, &C::Https::http3>},
       "HTTP/3 and WebTransport over QUIC. Browsers use it only with a certificate that they "
       "trust."},
      {"https.early_data", BoolKey{member<&C::https, &C::Https::early_data>},
       "HTTP/3 viewers who come back may ask within their first packet (0-RTT): a round trip less. "
       "Only requests that change nothing are answered then, and no ticket is taken twice; but "
       "what "
       "they ask for is not protected against a later theft of the server's keys."},

      {"http.enabled", BoolKey{member<&C::http, &C::Http::enabled>},
       "Plain HTTP, for probes and local use."},
      {"http.address", text<&C::http, &C::Http::address>(check_address),
       "Plain HTTP can be read and changed on its way: keep it on this machine."},
      {"http.port", integer<&C::http, &C::Http::port>(1, 65535), "TCP."},

      {"network.loops", integer<&C::network, &C::Network::loops>(0, 256),
       "Threads that serve viewers; 0: half the processors, from 1 to 16."},
      {"network.connections_per_loop_max",
       integer<&C::network, &C::Network::connections_per_loop_max>(1, 1'000'000),
       "Connections over it are closed at once and counted."},
      {"network.idle_timeout_ms", integer<&C::network, &C::Network::idle_timeout>(1000, 3'600'000),
       "A connection without a request for so long is closed."},
      {"network.header_timeout_ms", integer<&C::network, &C::Network::header_timeout>(100, 600'000),
       "How long a client may take for its TLS handshake, and for the head of a request."},

      {"cors.allow_origins", ListKey{member<&C::cors, &C::Cors::allow_origins>, check_origin},
       "Web sites whose pages may play the streams; \"*\" is every one."},

      {"transcode.width", integer<&C::transcode, &C::Transcode::width>(64, 1920, 2),
       "The proxy picture, in pixels. The source keeps its shape; what is left over is black."},
      {"transcode.height", integer<&C::transcode, &C::Transcode::height>(64, 1080, 2), ""},
      {"transcode.video_bitrate",
       quantity<&C::transcode, &C::Transcode::video_bitrate_bps>(50'000, 20'000'000),
       "Bits a second; 400k is 400000."},
      {"transcode.audio_bitrate",
       quantity<&C::transcode, &C::Transcode::audio_bitrate_bps>(16'000, 320'000),
       "Bits a second."},
      {"transcode.frame_rate_max",
       RealKey{1, 60, member<&C::transcode, &C::Transcode::frame_rate_max>},
       "Frames a second; a source with more is halved until it fits."},
      {"transcode.preset",
       word_choice<&C::transcode, &C::Transcode::preset>(
           {"ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"}),
       "x264's trade of processor time for picture quality."},
      {"transcode.decode_threads", integer<&C::transcode, &C::Transcode::decode_threads>(1, 16),
       "For each stream. More than one lets a heavy feed use several processors and adds a frame "
       "of delay for each."},
      {"transcode.prefer", ListKey{member<&C::transcode, &C::Transcode::prefer>, check_pairing},
       "Where streams are transcoded, best first: nvidia (decoded, scaled and encoded on the GPU), "
       "nvidia+x264 (encoded by the processor), software. `mirror devices` tells what works here."},
      {"transcode.devices", ListKey{member<&C::transcode, &C::Transcode::devices>, check_device},
       "The numbers of the GPUs that may be used; none means all."},
      {"transcode.sessions_per_device",
       integer<&C::transcode, &C::Transcode::sessions_per_device>(0, 1000),
       "Streams on one GPU at most; 0 sets no limit."},
      {"transcode.device_memory_floor_mb",
       integer<&C::transcode, &C::Transcode::device_memory_floor_mb>(0, 1'000'000),
       "A GPU with less free memory gets no further stream."},
      {"transcode.fallback", enum_choice<&C::transcode, &C::Transcode::fallback, kFallbacks>(),
       "When a GPU fails or is full, streams go to the next in transcode.prefer (always), or end "
       "with an error rather than cost processor time (never)."},
      {"transcode.queue_frames", integer<&C::transcode, &C::Transcode::queue_frames>(8, 10'000),
       "How far a stream's decoder may fall behind before pictures are dropped up to the next "
       "random access point."},
      {"transcode.queue_bytes",
       quantity<&C::transcode, &C::Transcode::queue_bytes>(1'000'000, 1'000'000'000),
       "The same in memory, for each stream."},
      {"transcode.queue_milliseconds",
       integer<&C::transcode, &C::Transcode::queue_milliseconds>(200, 10'000),
       "The same in time: latency grows by no more than that. From half of it on, a stream "
       "gives up pictures to catch up."},

      {"thumbnails.every_ms", integer<&C::thumbnails, &C::Thumbnails::every>(0, 60'000, 100),
       "How often each stream's /live/STREAM/thumbnail.jpg changes; 0: there is none."},
      {"thumbnails.width", integer<&C::thumbnails, &C::Thumbnails::width>(64, 1920, 2),
       "In pixels; no more than transcode.width is made of it. The height follows the proxy's "
       "shape."},

      {"hls.window_seconds", integer<&C::hls, &C::Hls::window>(6, 21'600),
       "How far back a live playlist reaches. All of it is held in memory: about 60 KB a second "
       "and stream."},
      {"hls.frame_chunks", BoolKey{member<&C::hls, &C::Hls::frame_chunks>},
       "Makes each video frame a CMAF chunk, so that a part can be read while it is made; costs "
       "about 2 KB a second and viewer."},
      {"hls.reconnect_hold_seconds", integer<&C::hls, &C::Hls::reconnect_hold>(0, 3600),
       "How long a stream waits for a publisher that went away before it ends."},

      {"streams.max", integer<&C::streams, &C::Streams::max>(1, 1000),
       "Live streams at once; publishers of more are refused."},

      {"publish.policy", enum_choice<&C::publish, &C::Publish::policy, kPolicies>(),
       "What becomes of a publisher whose key is live already. takeover: it is let in and the "
       "other one is sent away, at most once in 2 s a stream. reject: it is refused, unless the "
       "other one has been silent for publish.silence_ms."},
      {"publish.silence_ms", integer<&C::publish, &C::Publish::silence>(200, 60'000),
       "A publisher that has sent nothing for so long has no right to its key any more."},
      {"publish.token", text<&C::publish, &C::Publish::token>(check_token),
       "What publishers must say to be let in (8 to 128 characters; over SRT s= in the stream id); "
       "empty: nothing. Feeds that this file names are not asked.",
       Key::Shown::kNever},
      {"publish.webhook_url", webhook_text<&C::Publish::Webhook::url>(check_webhook_url),
       "Who else decides: each publication is told to this http:// or https:// address by POST, "
       "and "
       "begins when the answer is 2xx; see docs/admission.md. Empty: nobody is asked.",
       Key::Shown::kHost},
      {"publish.webhook_secret", webhook_text<&C::Publish::Webhook::secret>(check_webhook_secret),
       "The key of the requests' HMAC-SHA256 signature (16 to 256 characters).",
       Key::Shown::kNever},
      {"publish.webhook_timeout_ms", webhook_timeout(100, 30'000),
       "From asking to the whole answer. Without one by then, the publication is refused."},

      {"rtp.address", text<&C::rtp, &C::Rtp::address>(check_address),
       "Where inputs listen that join no multicast group."},
      {"rtp.first_port", integer<&C::rtp, &C::Rtp::first_port>(1, kRtpPortMax),
       "UDP. The port of the first input that names none; the next one's is 6 higher."},
      {"rtp.reorder_ms", integer<&C::rtp, &C::Rtp::reorder>(0, 1000),
       "How long packets that come too early wait for those before them."},
      {"rtp.silence_ms", integer<&C::rtp, &C::Rtp::silence>(500, 60'000),
       "A feed of which nothing comes for so long has ended; the next one may begin."},
  };
}

std::vector<Group> make_groups() {
  using C = Config;
  using D = Draft;
  using Rule = Config::Streams::Rule;
  using Source = Config::Source;
  using Input = Config::Rtp::Input;
  return {
      {.path = "streams.rules",
       .form = Group::Form::kByStreamKey,
       .help = "What differs for one stream, by its key.",
       .fields = {{"passphrase", text<&D::rule, &Rule::passphrase>(check_passphrase),
                   "Instead of srt.passphrase.", Key::Shown::kNever},
                  {"token", text<&D::rule, &Rule::token>(check_token), "Instead of publish.token.",
                   Key::Shown::kNever},
                  {"latency_ms", integer<&D::rule, &Rule::latency>(20, 8000),
                   "Instead of srt.latency_ms."}},
       .required = 0,
       .items_max = 1000,
       .begin = [](D& draft) { draft.rule = {}; },
       .add =
           [](D& draft, const std::string& key) {
             draft.streams.rules.insert_or_assign(key, std::move(draft.rule));
           },
       .count = [](const C& config) { return config.streams.rules.size(); },
       .recall =
           [](D& draft, std::size_t index) {
             const auto at =
                 std::next(draft.streams.rules.begin(), static_cast<std::ptrdiff_t>(index));
             draft.rule = at->second;
             return at->first;
           }},

      {.path = "rtp.inputs",
       .form = Group::Form::kList,
       .help = "Feeds that come to a port of their own, by RTP or as MPEG-TS in plain UDP.",
       .fields =
           {{"stream", text<&D::input, &Input::stream>(check_stream_key), "The stream's key."},
            {"port", integer<&D::input, &Input::port>(1, kRtpPortMax),
             "UDP; the next one is RTCP's. Without: by rtp.first_port."},
            {"multicast", text<&D::input, &Input::multicast>(check_multicast), "A group to join."},
            {"interface", text<&D::input, &Input::interface>(check_interface),
             "The network interface by which to join. Without: the system chooses."},
            {"senders", ListKey{member<&D::input, &Input::senders>, check_prefix},
             "Addresses, or prefixes such as 192.0.2.0/24, that packets are taken from. Without: "
             "anybody's."},
            {"payload_type", integer<&D::input, &Input::payload_type>(0, 127),
             "Of MPEG-TS; 33 is always taken too."},
            {"sdp", text<&D::input, &Input::sdp>(),
             "A file that describes native HEVC, H.264 or AAC. Without: MPEG-TS."},
            {"fec", BoolKey{member<&D::input, &Input::fec>},
             "SMPTE ST 2022-1 on port + 2 and + 4; true unless said otherwise."}},
       .required = 1,
       .items_max = 256,
       .begin = [](D& draft) { draft.input = {}; },
       .add = [](D& draft,
                 const std::string&) { draft.rtp.inputs.push_back(std::move(draft.input)); },
       .count = [](const C& config) { return config.rtp.inputs.size(); },
       .recall =
           [](D& draft, std::size_t index) {
             draft.input = draft.rtp.inputs.at(index);
             return std::string();
           }},

      {.path = "sources",
       .form = Group::Form::kList,
       .help = "Feeds that Mirror fetches: called over SRT, again and again until they come.",
       .fields = {{"stream", text<&D::source, &Source::stream>(check_stream_key),
                   "The stream's key."},
                  {"url", text<&D::source, &Source::url>(check_source_url), "srt://HOST:PORT."},
                  {"stream_id", text<&D::source, &Source::stream_id>(check_stream_id),
                   "What the far side is asked for. Not shown: it may hold a token.",
                   Key::Shown::kNever},
                  {"passphrase", text<&D::source, &Source::passphrase>(check_passphrase),
                   "What the far side encrypts with.", Key::Shown::kNever},
                  {"latency_ms", integer<&D::source, &Source::latency>(20, 8000),
                   "Instead of srt.latency_ms."}},
       .required = 2,
       .items_max = 64,
       .begin = [](D& draft) { draft.source = {}; },
       .add = [](D& draft,
                 const std::string&) { draft.sources.push_back(std::move(draft.source)); },
       .count = [](const C& config) { return config.sources.size(); },
       .recall =
           [](D& draft, std::size_t index) {
             draft.source = draft.sources.at(index);
             return std::string();
           }},
  };
}

// ---- Reading -----------------------------------------------------------------------------------

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Powers of ten that a suffix stands for; nothing when the product would not fit.
std::optional<std::int64_t> parse_integer(std::string_view text, IntegerKey::Suffix suffix) {
  std::int64_t unit = 1;
  if (suffix == IntegerKey::Suffix::kDecimal && !text.empty()) {
    if (text.back() == 'k') unit = 1000;
    if (text.back() == 'M') unit = 1'000'000;
    if (unit != 1) text.remove_suffix(1);
  }
  const auto value = parse_number<std::int64_t>(text);
  if (!value || std::abs(static_cast<double>(*value)) > 1e12) return std::nullopt;
  return *value * unit;
}

// Long values are not repeated in a message.
std::string quoted(std::string_view text) {
  constexpr std::size_t kShownMax = 40;
  if (text.size() <= kShownMax) return fmt::format("\"{}\"", text);
  return fmt::format("\"{}…\"", text.substr(0, kShownMax));
}

Status set(Draft& draft, const TextKey& key, std::string_view text) {
  const std::string value(text);
  if (value.find('\0') != std::string::npos) return fail("holds a zero byte");
  if (auto checked = key.check(value); !checked) return checked;
  key.in(draft) = value;
  return {};
}

Status set(Draft& draft, const ListKey& key, std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    items.emplace_back(item);
  }
  return set_list(draft, key, std::move(items));
}

Status set(Draft& draft, const BoolKey& key, std::string_view text) {
  if (text != "true" && text != "false") return fail("{} is not true or false", quoted(text));
  key.in(draft) = text == "true";
  return {};
}

Status set(Draft& draft, const ChoiceKey& key, std::string_view text) {
  if (std::find(key.words.begin(), key.words.end(), text) == key.words.end()) {
    return fail("{} is not one of {}", quoted(text), fmt::join(key.words, ", "));
  }
  key.set(draft, text);
  return {};
}

Status set(Draft& draft, const IntegerKey& key, std::string_view text) {
  const auto value = parse_integer(text, key.suffix);
  if (!value) return fail("{} is not an integer", quoted(text));
  if (*value < key.min || *value > key.max) {
    return fail("{} is out of range: {} to {}", text, key.min, key.max);
  }
  if (*value % key.step != 0) return fail("{} is not a multiple of {}", text, key.step);
  key.set(draft, *value);
  return {};
}

Status set(Draft& draft, const RealKey& key, std::string_view text) {
  const auto value = parse_number<double>(text);
  if (!value || !std::isfinite(*value)) return fail("{} is not a number", quoted(text));
  if (*value < key.min || *value > key.max) {
    return fail("{} is out of range: {} to {}", text, key.min, key.max);
  }
  key.in(draft) = *value;
  return {};
}

// ---- Writing -----------------------------------------------------------------------------------

std::string integer_text(const IntegerKey& key, std::int64_t value) {
  if (key.suffix == IntegerKey::Suffix::kDecimal && value != 0) {
    if (value % 1'000'000 == 0) return fmt::format("{}M", value / 1'000'000);
    if (value % 1000 == 0) return fmt::format("{}k", value / 1000);
  }
  return fmt::format("{}", value);
}

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal
// string alignment distance).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> above(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before.swap(above);
    above.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replaced});
      const bool is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (is_swap) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

std::string_view section_of(std::string_view path) {
  const std::size_t dot = path.find('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}

std::string_view name_of(std::string_view path) {
  const std::size_t dot = path.find('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

}  // namespace

std::string_view Key::section() const { return section_of(path); }
std::string_view Key::name() const { return name_of(path); }
std::string_view Group::section() const { return section_of(path); }
std::string_view Group::name() const { return name_of(path); }

const Key* Group::find_field(std::string_view name) const {
  const auto found = std::ranges::find(fields, name, &Key::path);
  return found == fields.end() ? nullptr : &*found;
}

std::span<const Group> groups() {
  static const std::vector<Group> table = make_groups();
  return table;
}

const Group* find_group(std::string_view path) {
  const auto found = std::ranges::find(groups(), path, &Group::path);
  return found == groups().end() ? nullptr : &*found;
}

std::string Key::variable() const {
  std::string name = "MIRROR_";
  for (const char c : path) {
    name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

std::span<const Key> keys() {
  static const std::vector<Key> table = make_keys();
  return table;
}

const Key* find_key(std::string_view path) {
  const auto found =
      std::find_if(keys().begin(), keys().end(), [&](const Key& key) { return key.path == path; });
  return found == keys().end() ? nullptr : &*found;
}

bool is_section(std::string_view path) {
  return !path.empty() && std::any_of(keys().begin(), keys().end(),
                                      [&](const Key& key) { return key.section() == path; });
}

std::string expectation(const Key& key) {
  return std::visit(
      Overloaded{
          [](const TextKey&) -> std::string { return "a text"; },
          [](const ListKey&) -> std::string { return "a list of texts"; },
          [](const BoolKey&) -> std::string { return "true or false"; },
          [](const ChoiceKey& k) { return fmt::format("one of {}", fmt::join(k.words, ", ")); },
          [](const IntegerKey& k) {
            return fmt::format("{} from {} to {}", k.step == 2 ? "an even number" : "an integer",
                               integer_text(k, k.min), integer_text(k, k.max));
          },
          [](const RealKey& k) { return fmt::format("a number from {} to {}", k.min, k.max); }},
      key.kind);
}

Status set_from_text(Draft& draft, const Key& key, std::string_view text) {
  return std::visit([&](const auto& kind) { return set(draft, kind, text); }, key.kind);
}

Status set_list(Draft& draft, const ListKey& key, std::vector<std::string> items) {
  if (items.size() > ListKey::kItemsMax) {
    return fail("has {} items, more than {}", items.size(), ListKey::kItemsMax);
  }
  for (const std::string& item : items) {
    if (auto checked = key.check(item); !checked) return checked;
  }
  key.in(draft) = std::move(items);
  return {};
}

std::string value_text(const Draft& draft, const Key& key) {
  Draft copy = draft;  // the accessors are for writing too
  return std::visit(
      Overloaded{[&](const TextKey& k) { return yaml_text(k.in(copy)); },
                 [&](const ListKey& k) {
                   std::vector<std::string> items;
                   for (const std::string& item : k.in(copy)) {
                     items.push_back(yaml_text(item));
                   }
                   return fmt::format("[{}]", fmt::join(items, ", "));
                 },
                 [&](const BoolKey& k) -> std::string { return k.in(copy) ? "true" : "false"; },
                 [&](const ChoiceKey& k) { return std::string(k.get(copy)); },
                 [&](const IntegerKey& k) { return integer_text(k, k.get(copy)); },
                 [&](const RealKey& k) { return fmt::format("{}", k.in(copy)); }},
      key.kind);
}

std::string yaml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  constexpr std::size_t kWordBytesMax = 64;  // the distance costs the product of both lengths
  if (word.size() > kWordBytesMax) return {};
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace mirror::app
