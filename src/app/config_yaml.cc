#include "app/config_yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <exception>
#include <sstream>
#include <utility>

namespace mirror::app {
namespace {

YamlPlace place_of(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {mark.line + 1, mark.column + 1};
}

class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(YamlDocument& document) : document_(document) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    add({.kind = YamlNode::Kind::kNull, .place = place_of(mark)});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    forbid(mark, "aliases are not accepted");
    add({.kind = YamlNode::Kind::kNull, .place = place_of(mark)});
  }
  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    forbid(mark, "anchors are not accepted");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    check_tag(mark, tag);
    add({.kind = YamlNode::Kind::kScalar,
         .place = place_of(mark),
         .scalar = value,
         .style = tag == "!" ? YamlNode::Style::kQuoted : YamlNode::Style::kPlain});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open_.push_back({.kind = YamlNode::Kind::kList, .place = place_of(mark)});
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open_.push_back({.kind = YamlNode::Kind::kMap, .place = place_of(mark)});
  }
  void OnMapEnd() override { close(); }

 private:
  void forbid(const YAML::Mark& mark, std::string what) {
    document_.problems.push_back({place_of(mark), std::move(what)});
  }

  // yaml-cpp says "?" for a plain node without a tag and "!" for a quoted one.
  void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") forbid(mark, "tags are not accepted");
  }

  void add(YamlNode node) {
    if (open_.empty()) {
      document_.root = std::move(node);
    } else {
      open_.back().children.push_back(std::move(node));
    }
  }

  void close() {
    YamlNode done = std::move(open_.back());
    open_.pop_back();
    add(std::move(done));
  }

  YamlDocument& document_;
  std::vector<YamlNode> open_;  // the lists and maps that the parser is inside of
};

// Takes the place of a second document, of which only the beginning matters.
class SecondDocument final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { place = place_of(mark); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  YamlPlace place;
};

// yaml-cpp has no words for the commonest slip of all, a tab before a key, and complains about
// something after it. Says where the first one is, if it comes no later than the complaint.
const char* const kTabProblem = "a tab in the indentation; YAML wants spaces";

bool find_indenting_tab(std::string_view text, YamlPlace& place) {
  for (int line = 1; line <= place.line; ++line) {
    const std::size_t tab = text.find_first_not_of(' ');
    if (tab != std::string_view::npos && text[tab] == '\t') {
      place = {line, static_cast<int>(tab) + 1};
      return true;
    }
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return false;
}

YamlProblem syntax_error(std::string_view text, const YAML::Exception& error) {
  YamlPlace place = place_of(error.mark);
  const bool is_tab = find_indenting_tab(text, place);
  return {place, "syntax error: " + (is_tab ? kTabProblem : error.msg)};
}

}  // namespace

YamlDocument parse_yaml(std::string_view text) {
  YamlDocument document;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder(document);
    parser.HandleNextDocument(builder);
    SecondDocument second;
    if (parser.HandleNextDocument(second)) {
      document.problems.push_back({second.place, "a second document begins here"});
    }
  } catch (const YAML::Exception& error) {
    document.root = {};
    document.problems.push_back(syntax_error(text, error));
  } catch (const std::exception& error) {
    document.root = {};
    document.problems.push_back({{}, std::string("cannot be parsed: ") + error.what()});
  }
  return document;
}

}  // namespace mirror::app
