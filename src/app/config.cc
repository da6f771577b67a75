#include "app/config.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <functional>
#include <system_error>
#include <utility>

#include "app/config_keys.h"
#include "app/config_yaml.h"
#include "base/result.h"
#include "media/stream_key.h"

// The environment of the process, as exec left it (POSIX environ(7)).
extern "C" char** environ;

namespace mirror::app {
namespace {

constexpr std::string_view kPrefix = "MIRROR_";

std::string in_words(int error) { return std::generic_category().message(error); }

Result<std::string> read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail("cannot be opened: {}", in_words(errno));
  std::string text(kConfigFileBytesMax + 1, '\0');
  std::size_t size = 0;
  ssize_t got = 0;
  while (size < text.size() && (got = ::read(fd, text.data() + size, text.size() - size)) > 0) {
    size += static_cast<std::size_t>(got);
  }
  const int error = errno;
  ::close(fd);
  if (got < 0) return fail("cannot be read: {}", in_words(error));
  if (size > kConfigFileBytesMax) return fail("is larger than {} bytes", kConfigFileBytesMax);
  text.resize(size);
  return text;
}

std::string hint(const std::string& candidate) {
  return candidate.empty() ? std::string() : fmt::format("; did you mean {}?", candidate);
}

// One load: collects faults, and remembers who set what, so that a fault which takes two keys to
// see can still name a place.
class Loader {
 public:
  void read_yaml(const std::string& name, std::string_view text) {
    name_ = name;
    const YamlDocument document = parse_yaml(text);
    for (const YamlProblem& problem : document.problems) add(problem.place, "", problem.what);
    switch (document.root.kind) {
      case YamlNode::Kind::kNull:
        break;  // nothing but comments
      case YamlNode::Kind::kMap:
        read_map(document.root, "");
        break;
      default:
        add(document.root.place, "", "is not a map of keys and values");
    }
  }

  void read_environment(const std::map<std::string, std::string>& variables) {
    for (auto at = variables.lower_bound(std::string(kPrefix));
         at != variables.end() && at->first.starts_with(kPrefix); ++at) {
      read_variable(at->first, at->second);
    }
  }

  void check_together() {
    check_https();
    check_webhook();
    check_feeds();
  }

  void check_https() {
    const auto& https = draft_.https;
    if (https.certificate.empty() != https.key.empty()) {
      const bool has_key = https.certificate.empty();
      add_for(has_key ? "https.key" : "https.certificate",
              fmt::format("is set, but {} is not; set both or none",
                          has_key ? "https.certificate" : "https.key"));
    }
    const auto& http = draft_.http;
    const bool overlap =
        http.address == https.address || http.address == "*" || https.address == "*";
    if (http.enabled && http.port == https.port && overlap) {
      add_for(set_by_.contains("http.port") ? "http.port" : "https.port",
              fmt::format("{} is the port of both http and https", http.port));
    }
  }

  void check_webhook() {
    const auto& webhook = draft_.publish.webhook;
    if (webhook.url.empty() == webhook.secret.empty()) return;
    const bool has_url = !webhook.url.empty();
    add_for(has_url ? "publish.webhook_url" : "publish.webhook_secret",
            fmt::format("is set, but {} is not; set both or none",
                        has_url ? "publish.webhook_secret" : "publish.webhook_url"));
  }

  // Feeds that the configuration names: each has a stream of its own, and ports of its own.
  void check_feeds() {
    std::map<std::string, std::string> streams;  // key → who has it
    const auto claim_stream = [&](const std::string& item, const std::string& stream) {
      const auto [first, is_new] = streams.emplace(stream, item);
      if (is_new || stream.empty()) return;
      add_for(item + ".stream",
              fmt::format("\"{}\" is the stream of {} already", stream, first->second));
    };
    for (std::size_t i = 0; i < draft_.rtp.inputs.size(); ++i) {
      claim_stream(fmt::format("rtp.inputs[{}]", i), draft_.rtp.inputs[i].stream);
    }
    for (std::size_t i = 0; i < draft_.sources.size(); ++i) {
      claim_stream(fmt::format("sources[{}]", i), draft_.sources[i].stream);
    }
    check_rtp_ports();
  }

  // Two inputs may share a port when each has a multicast group of its own.
  void check_rtp_ports() {
    std::map<std::pair<std::string, int>, std::string> owners;  // group and port → who has it
    owners[{"", draft_.srt.port}] = "srt";
    if (draft_.https.http3) owners[{"", draft_.https.port}] = "https (HTTP/3)";
    for (std::size_t i = 0; i < draft_.rtp.inputs.size(); ++i) {
      const Config::Rtp::Input& input = draft_.rtp.inputs[i];
      const std::string item = fmt::format("rtp.inputs[{}]", i);
      if (!input.interface.empty() && input.multicast.empty()) {
        add_for(item + ".interface", "is set, but multicast is not");
      }
      const int first = rtp_port(draft_.rtp, i);
      if (first + 5 > 65'535) {
        add_for(port_path(item), fmt::format("its port would be {}, and there is none", first));
        continue;
      }
      std::vector<int> ports{first, first + 1};  // media and RTCP
      if (input.fec && input.sdp.empty()) ports.insert(ports.end(), {first + 2, first + 4});
      for (const int port : ports) {
        const auto [owner, is_new] = owners.emplace(std::pair(input.multicast, port), item);
        if (is_new) continue;
        add_for(port_path(item),
                fmt::format("needs port {}, which {} has already", port, owner->second));
        break;
      }
    }
  }

  // What an operator changes to give `item` another port.
  std::string port_path(const std::string& item) const {
    return set_by_.contains(item + ".port") ? item + ".port" : item + ".stream";
  }

  void fail_file(const std::string& name, std::string what) {
    faults_.push_back({name, "", std::move(what)});
  }

  std::expected<Config, std::vector<Fault>> finish(const Surroundings& surroundings) {
    check_together();
    if (draft_.state_dir.empty()) set_state_dir(surroundings);
    if (!faults_.empty()) return std::unexpected(std::move(faults_));
    return std::move(static_cast<Config&>(draft_));
  }

 private:
  // The entries of `map` whose keys are words, each of them once; the others are faults.
  void for_each_entry(const YamlNode& map, std::string_view section,
                      const std::function<void(const std::string& path, const YamlNode& name,
                                               const YamlNode& value)>& read) {
    std::map<std::string, YamlPlace> seen;
    for (std::size_t i = 0; i + 1 < map.children.size(); i += 2) {
      const YamlNode& key = map.children[i];
      if (key.kind != YamlNode::Kind::kScalar) {
        add(key.place, section, "a key must be a word");
        continue;
      }
      const std::string path =
          section.empty() ? key.scalar : fmt::format("{}.{}", section, key.scalar);
      const auto [first, is_new] = seen.emplace(key.scalar, key.place);
      if (!is_new) {
        add(key.place, path, fmt::format("duplicate key, first on line {}", first->second.line));
        continue;
      }
      read(path, key, map.children[i + 1]);
    }
  }

  void read_map(const YamlNode& map, std::string_view section) {
    for_each_entry(map, section,
                   [&](const std::string& path, const YamlNode& name, const YamlNode& value) {
                     read_entry(path, name, value, section);
                   });
  }

  void read_entry(const std::string& path, const YamlNode& name, const YamlNode& value,
                  std::string_view section) {
    // A dot in a key would name a path that the file does not have: "srt.port: 1" at the top.
    const bool is_plain_name = name.scalar.find('.') == std::string::npos;
    const Key* key = is_plain_name ? find_key(path) : nullptr;
    const Group* group = is_plain_name ? find_group(path) : nullptr;
    if (key != nullptr) {
      read_value(*key, path, value, place_of(name, value));
    } else if (group != nullptr) {
      read_group(*group, value);
    } else if (section.empty() && is_section(path)) {
      read_section(path, value);
    } else {
      add(name.place, path, "unknown key" + hint(suggestion(name.scalar, section)));
    }
  }

  // An empty value has no place of its own: the parser is already past it.
  static YamlPlace place_of(const YamlNode& name, const YamlNode& value) {
    return value.kind == YamlNode::Kind::kNull ? name.place : value.place;
  }

  void read_group(const Group& group, const YamlNode& value) {
    if (value.kind == YamlNode::Kind::kNull) return;  // all its items are commented out
    const bool is_list = group.form == Group::Form::kList;
    if (value.kind != (is_list ? YamlNode::Kind::kList : YamlNode::Kind::kMap)) {
      add(value.place, group.path,
          is_list ? "must be a list, an item a line behind \"-\"" : "must be a map of stream keys");
      return;
    }
    const std::size_t count = is_list ? value.children.size() : value.children.size() / 2;
    if (count > group.items_max) {
      add(value.place, group.path,
          fmt::format("has {} items, more than {}", count, group.items_max));
    } else if (is_list) {
      for (std::size_t i = 0; i < value.children.size(); ++i) {
        const YamlNode& item = value.children[i];
        read_item(group, fmt::format("{}[{}]", group.path, i), "", item, place_of(value, item));
      }
    } else {
      for_each_entry(value, group.path,
                     [&](const std::string& path, const YamlNode& name, const YamlNode& item) {
                       if (auto key = media::StreamKey::parse(name.scalar); !key) {
                         add(name.place, path, key.error().message);
                       } else {
                         read_item(group, path, name.scalar, item, place_of(name, item));
                       }
                     });
    }
  }

  void read_item(const Group& group, const std::string& item, const std::string& stream_key,
                 const YamlNode& value, YamlPlace place) {
    const bool is_empty = value.kind == YamlNode::Kind::kNull;
    if (value.kind != YamlNode::Kind::kMap && !is_empty) {
      add(place, item, "must be a map of keys and values");
      return;
    }
    group.begin(draft_);
    std::vector<std::string> there;
    for_each_entry(value, item,
                   [&](const std::string& path, const YamlNode& name, const YamlNode& field) {
                     there.push_back(name.scalar);
                     if (const Key* key = group.find_field(name.scalar); key != nullptr) {
                       read_value(*key, path, field, place_of(name, field));
                     } else {
                       std::vector<std::string> known;
                       known.reserve(group.fields.size());
                       for (const Key& each : group.fields) known.emplace_back(each.path);
                       add(name.place, path, "unknown key" + hint(nearest(name.scalar, known)));
                     }
                   });
    for (std::size_t i = 0; i < group.required; ++i) {
      const Key& key = group.fields[i];
      if (std::ranges::find(there, key.path) != there.end()) continue;
      add(place, item, fmt::format("{} is missing", key.path));
    }
    group.add(draft_, stream_key);
  }

  void read_section(const std::string& path, const YamlNode& value) {
    if (value.kind == YamlNode::Kind::kNull) return;  // all its keys are commented out
    if (value.kind != YamlNode::Kind::kMap) {
      add(value.place, path, "must be a map of keys and values");
      return;
    }
    read_map(value, path);
  }

  void read_value(const Key& key, const std::string& path, const YamlNode& value, YamlPlace place) {
    const auto* list = std::get_if<ListKey>(&key.kind);
    const bool is_text = std::holds_alternative<TextKey>(key.kind);
    Status status;
    if (value.kind == YamlNode::Kind::kNull) {
      status = fail("has no value; expected {}", expectation(key));
    } else if (list != nullptr && value.kind == YamlNode::Kind::kList) {
      status = read_list(*list, value);
    } else if (list != nullptr || value.kind != YamlNode::Kind::kScalar) {
      status = fail("wrong type: expected {}", expectation(key));
    } else if (!is_text && value.style == YamlNode::Style::kQuoted &&
               !std::holds_alternative<ChoiceKey>(key.kind)) {
      status = fail("wrong type: a text in quotes, expected {}", expectation(key));
    } else {
      status = set_from_text(draft_, key, value.scalar);
    }
    if (!status) {
      // Of a secret not even the wrong value is repeated; its check does not quote it.
      add(place, path, status.error().message);
      return;
    }
    set_by_[path] = where(place);
  }

  Status read_list(const ListKey& key, const YamlNode& value) {
    std::vector<std::string> items;
    for (const YamlNode& item : value.children) {
      if (item.kind != YamlNode::Kind::kScalar) return fail("wrong type: expected a list of texts");
      items.push_back(item.scalar);
    }
    return set_list(draft_, key, std::move(items));
  }

  void read_variable(const std::string& name, const std::string& value) {
    const auto key = std::find_if(keys().begin(), keys().end(),
                                  [&](const Key& k) { return k.variable() == name; });
    if (key == keys().end()) {
      std::vector<std::string> names;
      for (const Key& known : keys()) names.push_back(known.variable());
      faults_.push_back({"environment", name, "unknown variable" + hint(nearest(name, names))});
      return;
    }
    if (auto status = set_from_text(draft_, *key, value); !status) {
      faults_.push_back({"environment", name, status.error().message});
      return;
    }
    set_by_[std::string(key->path)] = "environment";
  }

  // What an unknown key was meant to be: a neighbour that looks like it, or the same word
  // elsewhere.
  static std::string suggestion(const std::string& word, std::string_view section) {
    std::vector<std::string> neighbours;
    for (const Key& key : keys()) {
      if (key.section() == section) neighbours.emplace_back(key.name());
      if (section.empty() && !key.section().empty()) neighbours.emplace_back(key.section());
      if (section.empty()) neighbours.emplace_back(key.path);
    }
    for (const Group& group : groups()) {
      if (group.section() == section) neighbours.emplace_back(group.name());
    }
    if (std::string near = nearest(word, neighbours); !near.empty()) {
      const bool is_dotted_path = section.empty() && near.find('.') != std::string::npos;
      return is_dotted_path ? near.replace(near.find('.'), 1, ": ") : near;
    }
    for (const Key& key : keys()) {
      if (key.name() == word) return std::string(key.path);
    }
    return {};
  }

  // $STATE_DIRECTORY is systemd's (StateDirectory=, systemd.exec(5)), a list separated by colons;
  // the rest follows the XDG Base Directory Specification.
  void set_state_dir(const Surroundings& surroundings) {
    const auto variable = [&](const char* name) -> std::string {
      const auto found = surroundings.variables.find(name);
      return found == surroundings.variables.end() ? "" : found->second;
    };
    if (const std::string dirs = variable("STATE_DIRECTORY"); !dirs.empty()) {
      draft_.state_dir = dirs.substr(0, dirs.find(':'));
    } else if (surroundings.is_root) {
      draft_.state_dir = "/var/lib/mirror";
    } else if (const std::string state = variable("XDG_STATE_HOME"); state.starts_with('/')) {
      draft_.state_dir = state + "/mirror";
    } else if (const std::string home = variable("HOME"); !home.empty()) {
      draft_.state_dir = home + "/.local/state/mirror";
    } else {
      faults_.push_back({"environment", "state_dir", "has no default, as HOME is not set; set it"});
    }
  }

  std::string where(YamlPlace place) const {
    return fmt::format("{}:{}:{}", name_, place.line, place.column);
  }
  void add(YamlPlace place, std::string_view path, std::string what) {
    faults_.push_back({where(place), std::string(path), std::move(what)});
  }
  void add_for(const std::string& path, std::string what) {
    const auto by = set_by_.find(path);
    faults_.push_back(
        {by == set_by_.end() ? "defaults" : by->second,
         by != set_by_.end() && by->second == "environment" ? find_key(path)->variable() : path,
         std::move(what)});
  }

  Draft draft_;
  std::string name_;
  std::map<std::string, std::string> set_by_;  // path → the place, or "environment"
  std::vector<Fault> faults_;
};

// Breaks `text` into lines behind `lead` that fit the width of the source.
void append_comment(std::string& out, std::string_view lead, std::string_view text) {
  constexpr std::size_t kWidth = 100;
  const std::size_t room = kWidth - lead.size();
  while (!text.empty()) {
    std::size_t size = text.size();
    if (size > room) {
      size = text.rfind(' ', room);
      if (size == std::string_view::npos || size == 0) size = room;
    }
    out += fmt::format("{}{}\n", lead, text.substr(0, size));
    text.remove_prefix(std::min(text.size(), size + 1));
  }
}

bool has_range(const Key& key) {
  return !std::holds_alternative<TextKey>(key.kind) && !std::holds_alternative<ListKey>(key.kind) &&
         !std::holds_alternative<BoolKey>(key.kind);
}

// What a key means, and what it may be.
std::string help_text(const Key& key) {
  std::string help(key.help);
  if (!has_range(key)) return help;
  std::string range = expectation(key);
  range.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(range.front())));
  return help + fmt::format("{}{}.", help.empty() ? "" : " ", range);
}

// "https://example.org:8443" of an address that has it: RFC 3986's scheme, host and port.
std::string host_of(std::string_view url) {
  const std::size_t after_scheme = url.find("://");
  if (after_scheme == std::string_view::npos) return {};
  const std::size_t from = after_scheme + 3;
  // Whoever reads the address may end its authority at a backslash, too.
  std::string_view authority = url.substr(from, url.find_first_of("/?#\\", from) - from);
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    authority.remove_prefix(at + 1);
  }
  return fmt::format("{}{}", url.substr(0, from), authority);
}

void append_value(std::string& out, std::string_view indent, const Draft& draft, const Key& key) {
  const std::string value = value_text(draft, key);
  const bool is_unset = value == "\"\"";
  if (key.shown == Key::Shown::kHost && !is_unset) {
    Draft copy = draft;
    const std::string host = host_of(std::get<TextKey>(key.kind).in(copy));
    out += fmt::format("{}# {}: set, at {}; not shown whole\n", indent, key.name(), host);
  } else if (key.shown == Key::Shown::kNever && !is_unset) {
    out += fmt::format("{}# {}: set, not shown\n", indent, key.name());
  } else if (key.path == "state_dir" && is_unset) {
    out += fmt::format("{}# {}: /var/lib/mirror\n", indent, key.name());
  } else {
    out += fmt::format("{}{}: {}\n", indent, key.name(), value);
  }
}

void append_key(std::string& out, const Draft& draft, const Key& key) {
  const std::string_view indent = key.section().empty() ? "" : "  ";
  append_comment(out, fmt::format("{}# ", indent), help_text(key));
  append_value(out, indent, draft, key);
}

// The fields of the item that `draft` holds, as far as they say anything.
std::string fields_text(const Group& group, std::string_view indent, const Draft& draft) {
  const Draft fresh;
  std::string out;
  for (const Key& key : group.fields) {
    if (value_text(draft, key) != value_text(fresh, key)) append_value(out, indent, draft, key);
  }
  return out;
}

void append_group(std::string& out, Draft& draft, const Group& group) {
  const std::string indent = group.section().empty() ? "" : "  ";
  const bool is_list = group.form == Group::Form::kList;
  append_comment(out, indent + "# ",
                 fmt::format("{} {} (not by the environment):", group.help,
                             is_list ? "Each item has" : "Each stream may have"));
  for (std::size_t i = 0; i < group.fields.size(); ++i) {
    const Key& key = group.fields[i];
    append_comment(
        out, indent + "#   ",
        fmt::format("{}: {}{}", key.path, help_text(key), i < group.required ? " Required." : ""));
  }
  const std::size_t count = group.count(draft);
  out += fmt::format("{}{}:{}\n", indent, group.name(), count > 0 ? "" : is_list ? " []" : " {}");
  for (std::size_t i = 0; i < count; ++i) {
    const std::string key = group.recall(draft, i);
    const std::string fields = fields_text(group, indent + "    ", draft);
    if (is_list) {
      // The first field is a required one, so there is something behind the dash.
      out += fmt::format("{}  - {}", indent, fields.substr(indent.size() + 4));
    } else {
      out += fmt::format("{}  {}:\n{}", indent, yaml_text(key), fields);
    }
  }
}

}  // namespace

int loops_for(const Config::Network& network, unsigned cores) {
  constexpr int kAutomaticMax = 16;
  if (network.loops > 0) return network.loops;
  return std::clamp(static_cast<int>(cores / 2), 1, kAutomaticMax);
}

int rtp_port(const Config::Rtp& rtp, std::size_t index) {
  constexpr int kPortsApart = 6;  // media, RTCP, and FEC in columns and rows with their own
  const Config::Rtp::Input& input = rtp.inputs.at(index);
  if (input.port != 0) return input.port;
  const auto unnamed =
      std::count_if(rtp.inputs.begin(), rtp.inputs.begin() + static_cast<std::ptrdiff_t>(index),
                    [](const auto& each) { return each.port == 0; });
  return rtp.first_port + kPortsApart * static_cast<int>(unnamed);
}

std::string Fault::text() const {
  return path.empty() ? fmt::format("{}: {}", where, what)
                      : fmt::format("{}: {}: {}", where, path, what);
}

Surroundings Surroundings::of_process() {
  Surroundings surroundings;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    surroundings.variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  surroundings.is_root = ::geteuid() == 0;
  return surroundings;
}

std::expected<Config, std::vector<Fault>> load(const std::optional<std::string>& file,
                                               const Surroundings& surroundings) {
  Loader loader;
  if (file) {
    if (const auto text = read_file(*file)) {
      loader.read_yaml(*file, *text);
    } else {
      loader.fail_file(*file, text.error().message);
    }
  }
  loader.read_environment(surroundings.variables);
  return loader.finish(surroundings);
}

std::expected<Config, std::vector<Fault>> load_text(const std::string& name, std::string_view text,
                                                    const Surroundings& surroundings) {
  Loader loader;
  if (text.size() > kConfigFileBytesMax) {
    loader.fail_file(name, fmt::format("is larger than {} bytes", kConfigFileBytesMax));
  } else {
    loader.read_yaml(name, text);
  }
  loader.read_environment(surroundings.variables);
  return loader.finish(surroundings);
}

std::string render(const Config& config) {
  std::string out =
      "# Mirror's configuration. Every key may be left out. A variable of the environment "
      "overrides\n"
      "# its key: MIRROR_SRT_PORT for srt.port. `mirror check -c FILE` finds mistakes.\n";
  Draft draft(config);
  std::string_view section;
  const auto end_section = [&] {
    for (const Group& group : groups()) {
      if (!section.empty() && group.section() == section) append_group(out, draft, group);
    }
  };
  for (const Key& key : keys()) {
    if (key.section() != section) end_section();
    if (key.section() != section || section.empty()) out += '\n';
    if (key.section() != section) out += fmt::format("{}:\n", key.section());
    section = key.section();
    append_key(out, draft, key);
  }
  end_section();
  for (const Group& group : groups()) {
    if (!group.section().empty()) continue;
    out += '\n';
    append_group(out, draft, group);
  }
  return out;
}

}  // namespace mirror::app
