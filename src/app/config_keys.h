// The table of configuration keys: the one place that knows each key's name, kind, range and help.
//
// Immutable, built on first use. Private to the config_*.cc files and their tests.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "app/config.h"
#include "base/result.h"

namespace mirror::app {

// What a value of each kind may be, and where in a Config it lives.

struct TextKey {
  std::string& (*in)(Config&);
  Status (*check)(const std::string&);
};

struct ListKey {  // of texts; in a variable, separated by commas
  static constexpr std::size_t kItemsMax = 64;
  std::vector<std::string>& (*in)(Config&);
  Status (*check)(const std::string&);
};

struct BoolKey {
  bool& (*in)(Config&);
};

struct ChoiceKey {
  std::vector<std::string_view> words;
  std::string_view (*get)(const Config&);
  void (*set)(Config&, std::string_view);
};

struct IntegerKey {
  enum class Suffix { kNone, kDecimal };  // kDecimal: "400k" and "2M" are thousands and millions
  std::int64_t min;
  std::int64_t max;
  std::int64_t step;  // the value is a multiple of it
  Suffix suffix;
  std::int64_t (*get)(const Config&);
  void (*set)(Config&, std::int64_t);
};

struct RealKey {
  double min;
  double max;
  double& (*in)(Config&);
};

struct Key {
  enum class Shown { kYes, kNever };

  std::string_view path;
  std::variant<TextKey, ListKey, BoolKey, ChoiceKey, IntegerKey, RealKey> kind;
  std::string_view help;
  Shown shown = Shown::kYes;

  std::string_view section() const;  // "srt" of "srt.port"; empty at the top
  std::string_view name() const;     // "port"
  std::string variable() const;      // "MIRROR_SRT_PORT"
};

std::span<const Key> keys();
const Key* find_key(std::string_view path);
bool is_section(std::string_view path);

// What may stand there, for a person: "an integer from 1 to 65535".
std::string expectation(const Key& key);

// Reads `text` into `config`; the error is what is wrong with it, without the key's name.
Status set_from_text(Config& config, const Key& key, std::string_view text);
Status set_list(Config& config, const ListKey& key, std::vector<std::string> items);

// The value as YAML that the reader takes back.
std::string value_text(const Config& config, const Key& key);

// The candidate that `word` is most likely a slip of; empty when none is near.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace mirror::app
