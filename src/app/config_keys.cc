#include "app/config_keys.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>

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
          [](const Config& config) { return number_of(config.*kSection.*kField); },
          [](Config& config, std::int64_t value) {
            auto& field = config.*kSection.*kField;
            field = std::remove_reference_t<decltype(field)>(value);
          }};
}

template <auto kSection, auto kField>
IntegerKey quantity(std::int64_t min, std::int64_t max) {
  return integer<kSection, kField>(min, max, 1, IntegerKey::Suffix::kDecimal);
}

template <auto kSection, auto kField>
auto& member(Config& config) {
  return config.*kSection.*kField;
}

Status anything(const std::string&) { return {}; }

template <auto kSection, auto kField>
TextKey text(Status (*check)(const std::string&) = anything) {
  return {member<kSection, kField>, check};
}

constexpr std::array kLevels{std::string_view("debug"), std::string_view("info"),
                             std::string_view("warning"), std::string_view("error")};
constexpr std::array kFormats{std::string_view("readable"), std::string_view("json")};

// A choice whose words stand for the values of an enum, in its order.
template <auto kSection, auto kField, const auto& kWords>
ChoiceKey enum_choice() {
  return {{kWords.begin(), kWords.end()},
          [](const Config& config) {
            return kWords.at(static_cast<std::size_t>(config.*kSection.*kField));
          },
          [](Config& config, std::string_view word) {
            auto& field = config.*kSection.*kField;
            const auto at = std::find(kWords.begin(), kWords.end(), word) - kWords.begin();
            field = static_cast<std::remove_reference_t<decltype(field)>>(at);
          }};
}

template <auto kSection, auto kField>
ChoiceKey word_choice(std::vector<std::string_view> words) {
  return {std::move(words),
          [](const Config& config) { return std::string_view(config.*kSection.*kField); },
          [](Config& config, std::string_view word) { config.*kSection.*kField = word; }};
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

// ---- The table ---------------------------------------------------------------------------------

std::vector<Key> make_keys() {
  using C = Config;
  return {
      {"state_dir",
       TextKey{[](Config& config) -> std::string& { return config.state_dir; }, check_directory},
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
      {"transcode.queue_frames", integer<&C::transcode, &C::Transcode::queue_frames>(8, 10'000),
       "How far a stream's decoder may fall behind before pictures are dropped up to the next "
       "random access point."},
      {"transcode.queue_bytes",
       quantity<&C::transcode, &C::Transcode::queue_bytes>(1'000'000, 1'000'000'000),
       "The same in memory, for each stream."},

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

Status set(Config& config, const TextKey& key, std::string_view text) {
  const std::string value(text);
  if (value.find('\0') != std::string::npos) return fail("holds a zero byte");
  if (auto checked = key.check(value); !checked) return checked;
  key.in(config) = value;
  return {};
}

Status set(Config& config, const ListKey& key, std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    items.emplace_back(item);
  }
  return set_list(config, key, std::move(items));
}

Status set(Config& config, const BoolKey& key, std::string_view text) {
  if (text != "true" && text != "false") return fail("{} is not true or false", quoted(text));
  key.in(config) = text == "true";
  return {};
}

Status set(Config& config, const ChoiceKey& key, std::string_view text) {
  if (std::find(key.words.begin(), key.words.end(), text) == key.words.end()) {
    return fail("{} is not one of {}", quoted(text), fmt::join(key.words, ", "));
  }
  key.set(config, text);
  return {};
}

Status set(Config& config, const IntegerKey& key, std::string_view text) {
  const auto value = parse_integer(text, key.suffix);
  if (!value) return fail("{} is not an integer", quoted(text));
  if (*value < key.min || *value > key.max) {
    return fail("{} is out of range: {} to {}", text, key.min, key.max);
  }
  if (*value % key.step != 0) return fail("{} is not a multiple of {}", text, key.step);
  key.set(config, *value);
  return {};
}

Status set(Config& config, const RealKey& key, std::string_view text) {
  const auto value = parse_number<double>(text);
  if (!value || !std::isfinite(*value)) return fail("{} is not a number", quoted(text));
  if (*value < key.min || *value > key.max) {
    return fail("{} is out of range: {} to {}", text, key.min, key.max);
  }
  key.in(config) = *value;
  return {};
}

// ---- Writing -----------------------------------------------------------------------------------

// A YAML double-quoted scalar (YAML 1.2 section 7.3.1).
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

}  // namespace

std::string_view Key::section() const {
  const std::size_t dot = path.find('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}

std::string_view Key::name() const {
  const std::size_t dot = path.find('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
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

Status set_from_text(Config& config, const Key& key, std::string_view text) {
  return std::visit([&](const auto& kind) { return set(config, kind, text); }, key.kind);
}

Status set_list(Config& config, const ListKey& key, std::vector<std::string> items) {
  if (items.size() > ListKey::kItemsMax) {
    return fail("has {} items, more than {}", items.size(), ListKey::kItemsMax);
  }
  for (const std::string& item : items) {
    if (auto checked = key.check(item); !checked) return checked;
  }
  key.in(config) = std::move(items);
  return {};
}

std::string value_text(const Config& config, const Key& key) {
  Config copy = config;  // the accessors are for writing too
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
