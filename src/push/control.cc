#include "push/control.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>

#include "media/stream_key.h"
#include "push/varint.h"

namespace mirror::push {
namespace {

constexpr std::size_t kKeysMax = 8;

using Value = std::variant<std::string, std::uint64_t, bool>;

struct Field {
  std::string key;
  Value value;
  bool used = false;
};

// One flat object: keys with texts, whole numbers and booleans. Stops at whatever else comes.
class FlatObject final : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<Field> fields;
  std::string error;

  bool null() override { return refuse("null"); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(std::int64_t) override { return refuse("a negative number"); }
  bool number_unsigned(std::uint64_t value) override { return add(value); }
  bool number_float(double, const std::string&) override { return refuse("a fraction"); }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(nlohmann::json::binary_t&) override { return refuse("binary"); }
  bool start_object(std::size_t) override {
    if (std::exchange(inside_, true)) return refuse("an object");
    return true;
  }
  bool key(std::string& name) override {
    const bool twice = std::ranges::find(fields, name, &Field::key) != fields.end();
    if (twice) error = "a key comes twice";
    if (fields.size() >= kKeysMax) error = "too many keys";
    name_ = std::move(name);
    return error.empty();
  }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return refuse("an array"); }
  bool end_array() override { return true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    error = "not a JSON object";
    return false;
  }

 private:
  bool add(Value value) {
    if (!inside_) return refuse("a bare value");
    fields.push_back({std::move(name_), std::move(value)});
    return true;
  }
  bool refuse(std::string_view what) {
    error = fmt::format("{} has no place here", what);
    return false;
  }

  bool inside_ = false;
  std::string name_;
};

// Takes the fields that a message has; remembers the first fault.
class Reader {
 public:
  explicit Reader(std::vector<Field> fields) : fields_(std::move(fields)) {}

  std::string text(std::string_view key) { return required<std::string>(key, "a text"); }
  std::uint64_t number(std::string_view key, std::uint64_t max) {
    const auto value = required<std::uint64_t>(key, "a whole number");
    if (value > max) note(fmt::format("{} is above {}", key, max));
    return value;
  }
  template <class T>
  T optional(std::string_view key, const T& otherwise, std::string_view kind) {
    return find(key) == nullptr ? otherwise : required<T>(key, kind);
  }
  std::string name(std::string_view key) {
    std::string value = text(key);
    check_name(key, value);
    return value;
  }
  Target target() {
    Target target;
    target.stream = name("stream");
    target.rendition = name("rendition");
    return target;
  }
  // The same with what is not said as in `otherwise`.
  Target to(const Target& otherwise) {
    Target target;
    target.stream = optional<std::string>("to_stream", otherwise.stream, "a text");
    target.rendition = optional<std::string>("to_rendition", otherwise.rendition, "a text");
    check_name("to_stream", target.stream);
    check_name("to_rendition", target.rendition);
    if (target == otherwise) note("the switch leads nowhere");
    return target;
  }
  Priority priority(std::uint64_t otherwise) {
    const auto value = optional<std::uint64_t>("priority", otherwise, "a whole number");
    if (value > std::numeric_limits<Priority>::max()) note("priority is above 255");
    return static_cast<Priority>(value);
  }
  WallTime time(std::string_view key) {
    return WallTime(std::chrono::microseconds(number(key, kVarintMax)));
  }

  void check_name(std::string_view key, const std::string& value) {
    if (!media::StreamKey::parse(value)) note(fmt::format("{} is not a name", key));
  }
  void note(std::string fault) {
    if (fault_.empty()) fault_ = std::move(fault);
  }
  // Whether all that was asked for was there, and nothing else.
  Status finish() {
    for (const Field& field : fields_) {
      if (!field.used) note("a key that this message does not have");
    }
    if (!fault_.empty()) return std::unexpected(Error{fault_});
    return {};
  }

 private:
  Field* find(std::string_view key) {
    const auto found = std::ranges::find(fields_, key, &Field::key);
    return found == fields_.end() ? nullptr : &*found;
  }
  template <class T>
  T required(std::string_view key, std::string_view kind) {
    Field* field = find(key);
    if (field == nullptr) {
      note(fmt::format("{} is missing", key));
      return {};
    }
    field->used = true;
    auto* value = std::get_if<T>(&field->value);
    if (value == nullptr) {
      note(fmt::format("{} is not {}", key, kind));
      return {};
    }
    return std::move(*value);
  }

  std::vector<Field> fields_;
  std::string fault_;
};

ControlMessage read_subscribe(Reader& reader) {
  Subscribe message;
  message.target = reader.target();
  message.priority = reader.priority(kPriorityDefault);
  message.chunks = reader.optional<bool>("chunks", false, "true or false");
  return message;
}

ControlMessage read_priority(Reader& reader) {
  SetPriority message;
  message.target = reader.target();
  message.priority = static_cast<Priority>(reader.number("priority", 255));
  return message;
}

ControlMessage read_switch(Reader& reader) {
  Switch message;
  message.target = reader.target();
  message.to = reader.to(message.target);
  return message;
}

ControlMessage read_rendered(Reader& reader) {
  Rendered message;
  message.track = reader.number("track", kVarintMax);
  message.at.segment = reader.number("msn", kVarintMax);
  message.at.part = static_cast<hls::PartIndex>(
      reader.number("part", std::numeric_limits<hls::PartIndex>::max()));
  message.captured = reader.time("captured_us");
  message.rendered = reader.time("rendered_us");
  return message;
}

template <class Message>
ControlMessage read_target(Reader& reader) {
  return Message{reader.target()};
}

struct Kind {
  std::string_view name;
  ControlMessage (*read)(Reader& reader);
};
constexpr std::array kKinds = {
    Kind{"subscribe", read_subscribe},   Kind{"unsubscribe", read_target<Unsubscribe>},
    Kind{"priority", read_priority},     Kind{"pause", read_target<Pause>},
    Kind{"resume", read_target<Resume>}, Kind{"switch", read_switch},
    Kind{"rendered", read_rendered},
};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

// stream/rendition[:priority]
Result<Subscribe> parse_subscription(std::string_view text) {
  Subscribe subscribe;
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return fail("subscribe is stream/rendition[:priority]");
  std::string_view rendition = text.substr(slash + 1);
  if (const std::size_t colon = rendition.find(':'); colon != std::string_view::npos) {
    const std::string_view number = rendition.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), subscribe.priority);
    if (error != std::errc() || end != number.data() + number.size()) {
      return fail("a priority is a whole number from 0 to 255");
    }
    rendition = rendition.substr(0, colon);
  }
  subscribe.target = {std::string(text.substr(0, slash)), std::string(rendition)};
  if (!media::StreamKey::parse(subscribe.target.stream) ||
      !media::StreamKey::parse(subscribe.target.rendition)) {
    return fail("subscribe is stream/rendition[:priority]");
  }
  return subscribe;
}

}  // namespace

Result<ControlMessage> parse_control_line(std::string_view line) {
  if (line.size() > kControlLineBytesMax) return fail("longer than {} bytes", kControlLineBytesMax);
  FlatObject object;
  const bool parsed = nlohmann::json::sax_parse(line, &object);
  if (!parsed || !object.error.empty()) {
    return fail("{}", object.error.empty() ? "not a JSON object" : object.error);
  }
  Reader reader(std::move(object.fields));
  const std::string type = reader.text("type");
  const auto kind = std::ranges::find(kKinds, type, &Kind::name);
  if (kind == kKinds.end()) {
    reader.note("type names no message");
    return std::unexpected(std::move(reader.finish().error()));
  }
  ControlMessage message = kind->read(reader);
  if (auto whole = reader.finish(); !whole) return std::unexpected(std::move(whole.error()));
  return message;
}

Result<std::vector<ControlMessage>> parse_control(std::string_view text) {
  std::vector<ControlMessage> messages;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (++number > kControlLinesMax) return fail("more than {} lines", kControlLinesMax);
    if (line.empty()) continue;
    auto message = parse_control_line(line);
    if (!message) {
      return std::unexpected(std::move(message.error()).within(fmt::format("line {}", number)));
    }
    messages.push_back(std::move(*message));
  }
  return messages;
}

Result<std::vector<Subscribe>> parse_subscribe_query(std::string_view query) {
  std::vector<Subscribe> subscriptions;
  bool chunks = false;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view parameter = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    const std::string_view key = parameter.substr(0, equals);
    const auto value = percent_decoded(parameter.substr(std::min(equals + 1, parameter.size())));
    if (key == "chunks") {
      if (value != "0" && value != "1") return fail("chunks is 0 or 1");
      chunks = value == "1";
    } else if (key == "subscribe") {
      if (!value) return fail("bad percent-encoding");
      if (subscriptions.size() >= kControlLinesMax) return fail("too many subscriptions");
      auto subscription = parse_subscription(*value);
      if (!subscription) return std::unexpected(std::move(subscription.error()));
      const bool twice = std::ranges::any_of(subscriptions, [&](const Subscribe& other) {
        return other.target == subscription->target;
      });
      if (twice) return fail("a subscription comes twice");
      subscriptions.push_back(std::move(*subscription));
    }
  }
  for (Subscribe& subscription : subscriptions) subscription.chunks = chunks;
  return subscriptions;
}

}  // namespace mirror::push
