// The table of configuration keys: the one place that knows each key's name, kind, range and help.
//
// Immutable, built on first use. Private to the config_*.cc files and their tests.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "app/config.h"
#include "base/result.h"

namespace mirror::app {

// A Config that is being read, and one item of each kind, which its fields are read into before it
// joins the Config.
struct Draft : Config {
  Draft() = default;
  explicit Draft(Config config) : Config(std::move(config)) {}

  Config::Streams::Rule rule;
  Config::Source source;
  Config::Rtp::Input input;
};

// What a value of each kind may be, and where in a Draft it lives.

struct TextKey {
  std::string& (*in)(Draft&);
  Status (*check)(const std::string&);
};

struct ListKey {  // of texts; in a variable, separated by commas
  static constexpr std::size_t kItemsMax = 64;
  std::vector<std::string>& (*in)(Draft&);
  Status (*check)(const std::string&);
};

struct BoolKey {
  bool& (*in)(Draft&);
};

struct ChoiceKey {
  std::vector<std::string_view> words;
  std::string_view (*get)(const Draft&);
  void (*set)(Draft&, std::string_view);
};

struct IntegerKey {
  enum class Suffix { kNone, kDecimal };  // kDecimal: "400k" and "2M" are thousands and millions
  std::int64_t min;
  std::int64_t max;
  std::int64_t step;  // the value is a multiple of it
  Suffix suffix;
  std::int64_t (*get)(const Draft&);
  void (*set)(Draft&, std::int64_t);
};

struct RealKey {
  double min;
  double max;
  double& (*in)(Draft&);
};

struct Key {
  // kHost: of an address no more than scheme, host and port; user, path and query may be secrets.
  enum class Shown { kYes, kHost, kNever };

  std::string_view path;
  std::variant<TextKey, ListKey, BoolKey, ChoiceKey, IntegerKey, RealKey> kind;
  std::string_view help;
  Shown shown = Shown::kYes;

  std::string_view section() const;  // "srt" of "srt.port"; empty at the top
  std::string_view name() const;     // "port"
  std::string variable() const;      // "MIRROR_SRT_PORT"
};

// Several items of the same fields: a list of them, or a map by stream key.
struct Group {
  enum class Form { kList, kByStreamKey };

  std::string_view path;  // "rtp.inputs"
  Form form;
  std::string_view help;
  std::vector<Key> fields;  // their paths are names, and they live in one of Draft's items
  std::size_t required;     // so many of the first fields must be there
  std::size_t items_max;

  void (*begin)(Draft&);  // the Draft's item is fresh
  void (*add)(Draft&, const std::string& stream_key);
  std::size_t (*count)(const Config&);
  // Makes an item the Draft's again; returns its stream key, if it is known by that.
  std::string (*recall)(Draft&, std::size_t index);

  std::string_view section() const;  // "rtp" of "rtp.inputs"; empty at the top
  std::string_view name() const;     // "inputs"
  const Key* find_field(std::string_view name) const;
};

std::span<const Group> groups();
const Group* find_group(std::string_view path);

std::span<const Key> keys();
const Key* find_key(std::string_view path);
bool is_section(std::string_view path);

// What may stand there, for a person: "an integer from 1 to 65535".
std::string expectation(const Key& key);

// Reads `text` into `draft`; the error is what is wrong with it, without the key's name.
Status set_from_text(Draft& draft, const Key& key, std::string_view text);
Status set_list(Draft& draft, const ListKey& key, std::vector<std::string> items);

// The value as YAML that the reader takes back.
std::string value_text(const Draft& draft, const Key& key);

// A YAML double-quoted scalar (YAML 1.2 section 7.3.1).
std::string yaml_text(std::string_view text);

// The candidate that `word` is most likely a slip of; empty when none is near.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace mirror::app
