// A YAML document as a plain tree in which every node knows its place. The one door to yaml-cpp.
//
// Built from parser events, not from yaml-cpp's own nodes: those keep neither duplicate keys nor
// their places, and share aliased nodes so that walking a small file can take for ever. Here there
// are no anchors, aliases or tags at all. The tree is as large as its text, which the caller
// limits; yaml-cpp limits the depth.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mirror::app {

struct YamlPlace {
  int line = 1;  // from 1, as editors count
  int column = 1;
};

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  enum class Style { kPlain, kQuoted };

  Kind kind = Kind::kNull;
  YamlPlace place{};
  std::string scalar{};
  Style style = Style::kPlain;
  // Items of a list; of a map keys and values in turn, in the order of the file, duplicates kept.
  std::vector<YamlNode> children{};
};

struct YamlProblem {
  YamlPlace place{};
  std::string what;
};

struct YamlDocument {
  YamlNode root;
  // What YAML itself or our strictness forbids. With a syntax error the tree is empty.
  std::vector<YamlProblem> problems;
};

YamlDocument parse_yaml(std::string_view text);

}  // namespace mirror::app
