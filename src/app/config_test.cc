#include "app/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "app/config_keys.h"

namespace mirror::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

const Surroundings kRoot{.variables = {}, .is_root = true};

std::vector<std::string> texts(const std::vector<Fault>& faults) {
  std::vector<std::string> out;
  for (const Fault& fault : faults) out.push_back(fault.text());
  return out;
}

std::vector<std::string> faults_of(std::string_view yaml,
                                   const Surroundings& surroundings = kRoot) {
  const auto loaded = load_text("m.yaml", yaml, surroundings);
  return loaded ? std::vector<std::string>{} : texts(loaded.error());
}

Config config_of(std::string_view yaml, const Surroundings& surroundings = kRoot) {
  auto loaded = load_text("m.yaml", yaml, surroundings);
  if (!loaded) {
    ADD_FAILURE() << ::testing::PrintToString(texts(loaded.error()));
    return {};
  }
  return std::move(*loaded);
}

TEST(Config, NeedsNothing) {
  const auto config = load(std::nullopt, kRoot);
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->srt.port, 6000);
  EXPECT_EQ(config->https.port, 8443);
  EXPECT_EQ(config->http.address, "127.0.0.1");
  EXPECT_EQ(config->transcode.video_bitrate_bps, 400'000u);
  EXPECT_EQ(config->state_dir, "/var/lib/mirror");
  EXPECT_EQ(config_of("").srt.port, 6000);
  EXPECT_EQ(config_of("# nothing\n---\n").srt.port, 6000);
}

TEST(Config, ReadsEveryKindOfValue) {
  const Config config = config_of(R"(
log: { level: debug, format: json }
srt:
  port: 7000
  latency_ms: 300
  passphrase: "correct horse"
https: { address: "::1", certificate: a.pem, key: a.key }
http: { enabled: false }
cors:
  allow_origins: [https://a.example, "http://localhost:3000"]
transcode: { video_bitrate: 600k, audio_bitrate: 96000, frame_rate_max: 29.97, preset: veryfast }
hls: { window_seconds: 12 }
state_dir: /tmp/mirror
)");
  EXPECT_EQ(config.log.level, LogLevel::kDebug);
  EXPECT_EQ(config.log.format, LogFormat::kJson);
  EXPECT_EQ(config.srt.port, 7000);
  EXPECT_EQ(config.srt.latency, 300ms);
  EXPECT_EQ(config.srt.passphrase, "correct horse");
  EXPECT_EQ(config.https.address, "::1");
  EXPECT_FALSE(config.http.enabled);
  EXPECT_THAT(config.cors.allow_origins, ElementsAre("https://a.example", "http://localhost:3000"));
  EXPECT_EQ(config.transcode.video_bitrate_bps, 600'000u);
  EXPECT_EQ(config.transcode.audio_bitrate_bps, 96'000u);
  EXPECT_EQ(config.transcode.frame_rate_max, 29.97);
  EXPECT_EQ(config.transcode.preset, "veryfast");
  EXPECT_EQ(config.hls.window, 12s);
  EXPECT_EQ(config.state_dir, "/tmp/mirror");
  EXPECT_EQ(config.srt.max_publishers, 64);
}

struct BadFile {
  std::string_view yaml;
  std::vector<std::string> faults;
};

TEST(Config, SaysWhereAndWhatIsWrong) {
  const std::vector<BadFile> cases{
      // Unknown keys.
      {"srt:\n  prot: 1\n", {"m.yaml:2:3: srt.prot: unknown key; did you mean port?"}},
      {"str:\n  port: 1\n", {"m.yaml:1:1: str: unknown key; did you mean srt?"}},
      {"srt.port: 1\n", {"m.yaml:1:1: srt.port: unknown key; did you mean srt: port?"}},
      {"srt:\n  preset: fast\n",
       {"m.yaml:2:3: srt.preset: unknown key; did you mean transcode.preset?"}},
      {"quite_something_else: 1\n", {"m.yaml:1:1: quite_something_else: unknown key"}},
      {"srt:\n  port:\n    x: 1\n",
       {"m.yaml:3:5: srt.port: wrong type: expected an integer from 1 to 65535"}},
      // Wrong types.
      {"srt:\n  port: six\n", {"m.yaml:2:9: srt.port: \"six\" is not an integer"}},
      {"srt:\n  port: 6000.5\n", {"m.yaml:2:9: srt.port: \"6000.5\" is not an integer"}},
      {"srt:\n  port: '6000'\n",
       {"m.yaml:2:9: srt.port: wrong type: a text in quotes, expected an integer from 1 to 65535"}},
      {"srt:\n  port: 6k\n", {"m.yaml:2:9: srt.port: \"6k\" is not an integer"}},
      {"srt:\n  port:\n",
       {"m.yaml:2:3: srt.port: has no value; expected an integer from 1 to 65535"}},
      {"srt: 6000\n", {"m.yaml:1:6: srt: must be a map of keys and values"}},
      {"http:\n  enabled: yes\n", {"m.yaml:2:12: http.enabled: \"yes\" is not true or false"}},
      {"cors:\n  allow_origins: '*'\n",
       {"m.yaml:2:18: cors.allow_origins: wrong type: expected a list of texts"}},
      {"cors:\n  allow_origins: [[x]]\n",
       {"m.yaml:2:18: cors.allow_origins: wrong type: expected a list of texts"}},
      {"transcode:\n  frame_rate_max: nan\n",
       {"m.yaml:2:19: transcode.frame_rate_max: \"nan\" is not a number"}},
      {"- srt\n", {"m.yaml:1:1: is not a map of keys and values"}},
      {"[1, 2]: 3\n", {"m.yaml:1:1: a key must be a word"}},
      // Out of range.
      {"srt:\n  port: 65536\n", {"m.yaml:2:9: srt.port: 65536 is out of range: 1 to 65535"}},
      {"srt:\n  port: -1\n", {"m.yaml:2:9: srt.port: -1 is out of range: 1 to 65535"}},
      {"srt:\n  port: 99999999999999999999\n",
       {"m.yaml:2:9: srt.port: \"99999999999999999999\" is not an integer"}},
      {"srt:\n  passphrase: short\n",
       {"m.yaml:2:15: srt.passphrase: has 5 characters; a passphrase has 10 to 79, or none for no "
        "encryption"}},
      {"srt:\n  address: localhost\n",
       {"m.yaml:2:12: srt.address: \"localhost\" is neither an IPv4 or IPv6 address nor \"*\""}},
      {"transcode:\n  width: 641\n", {"m.yaml:2:10: transcode.width: 641 is not a multiple of 2"}},
      {"transcode:\n  video_bitrate: 1k\n",
       {"m.yaml:2:18: transcode.video_bitrate: 1k is out of range: 50000 to 20000000"}},
      {"log:\n  level: loud\n",
       {"m.yaml:2:10: log.level: \"loud\" is not one of debug, info, warning, error"}},
      {"cors:\n  allow_origins: [example.org]\n",
       {"m.yaml:2:18: cors.allow_origins: \"example.org\" is not an origin such as "
        "https://example.org or http://localhost:3000"}},
      {"state_dir: ''\n", {"m.yaml:1:12: state_dir: is empty; leave it out to get the default"}},
      // Twice.
      {"srt:\n  port: 1\n  port: 2\n", {"m.yaml:3:3: srt.port: duplicate key, first on line 2"}},
      {"srt: {}\nhttp: {}\nsrt: {}\n", {"m.yaml:3:1: srt: duplicate key, first on line 1"}},
      // YAML.
      {"srt:\n  port: [1\n", {"m.yaml:3:1: syntax error: end of sequence flow not found"}},
      {"srt:\n\tport: 1\n",
       {"m.yaml:2:1: syntax error: a tab in the indentation; YAML wants spaces"}},
      {"a: &x 1\nb: *x\n",
       {"m.yaml:1:4: anchors are not accepted", "m.yaml:2:4: aliases are not accepted",
        "m.yaml:1:1: a: unknown key", "m.yaml:2:1: b: unknown key"}},
      {"srt:\n  port: !!int 1\n", {"m.yaml:2:9: tags are not accepted"}},
      {"srt: {}\n---\nsrt: {}\n", {"m.yaml:2:1: a second document begins here"}},
      // What takes two keys to see.
      {"https:\n  certificate: a.pem\n",
       {"m.yaml:2:16: https.certificate: is set, but https.key is not; set both or none"}},
      {"http:\n  port: 8443\n", {"m.yaml:2:9: http.port: 8443 is the port of both http and https"}},
      // All at once.
      {"srt:\n  port: 0\n  prot: 1\nlog:\n  level: loud\n  format: xml\n",
       {"m.yaml:2:9: srt.port: 0 is out of range: 1 to 65535",
        "m.yaml:3:3: srt.prot: unknown key; did you mean port?",
        "m.yaml:5:10: log.level: \"loud\" is not one of debug, info, warning, error",
        "m.yaml:6:11: log.format: \"xml\" is not one of readable, json"}},
  };
  for (const BadFile& bad : cases) {
    EXPECT_EQ(faults_of(bad.yaml), bad.faults) << bad.yaml;
  }
}

TEST(Config, RefusesWhatIsMadeToHurt) {
  EXPECT_THAT(faults_of(std::string(kConfigFileBytesMax + 1, '#')),
              ElementsAre("m.yaml: is larger than 65536 bytes"));
  EXPECT_THAT(faults_of(std::string(60'000, '[')), ElementsAre(HasSubstr("syntax error")));
  EXPECT_THAT(faults_of(std::string(60'000, '{')), ElementsAre(HasSubstr("syntax error")));
  // "Billion laughs": with aliases refused it is as small as it looks.
  std::string laughs = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 30; ++i) {
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" +
              std::to_string(i - 1) + ", *a" + std::to_string(i - 1) + "]\n";
  }
  EXPECT_FALSE(faults_of(laughs).empty());
  EXPECT_FALSE(faults_of(std::string("\0\xff\xfe: \x01", 6)).empty());
}

TEST(Config, NamesAFileThatCannotBeRead) {
  const auto missing = load("/nowhere/mirror.yaml", kRoot);
  ASSERT_FALSE(missing.has_value());
  EXPECT_THAT(texts(missing.error()),
              ElementsAre("/nowhere/mirror.yaml: cannot be opened: No such file or directory"));
  const auto folder = load("/", kRoot);
  ASSERT_FALSE(folder.has_value());
  EXPECT_THAT(texts(folder.error()), ElementsAre("/: cannot be read: Is a directory"));
}

TEST(Config, TheEnvironmentOverridesTheFile) {
  const Surroundings surroundings{
      .variables = {{"MIRROR_SRT_PORT", "7001"},
                    {"MIRROR_HTTP_ENABLED", "false"},
                    {"MIRROR_TRANSCODE_VIDEO_BITRATE", "1M"},
                    {"MIRROR_CORS_ALLOW_ORIGINS", "https://a, http://b"},
                    {"MIRROR_STATE_DIR", "/x"},
                    {"PATH", "/bin"}},
      .is_root = true};
  const Config config = config_of("srt: { port: 7000, latency_ms: 200 }", surroundings);
  EXPECT_EQ(config.srt.port, 7001);
  EXPECT_EQ(config.srt.latency, 200ms);
  EXPECT_FALSE(config.http.enabled);
  EXPECT_EQ(config.transcode.video_bitrate_bps, 1'000'000u);
  EXPECT_THAT(config.cors.allow_origins, ElementsAre("https://a", "http://b"));
  EXPECT_EQ(config.state_dir, "/x");
}

TEST(Config, SaysWhatIsWrongInTheEnvironment) {
  const Surroundings surroundings{.variables = {{"MIRROR_HTTPS_KEY", "k.pem"},
                                                {"MIRROR_SRT_PORT", "x"},
                                                {"MIRROR_SRT_PRT", "1"},
                                                {"MIRROR_UTTERLY_STRANGE", "1"}},
                                  .is_root = true};
  EXPECT_THAT(
      faults_of("srt:\n  prot: 1\n", surroundings),
      ElementsAre(
          "m.yaml:2:3: srt.prot: unknown key; did you mean port?",
          "environment: MIRROR_SRT_PORT: \"x\" is not an integer",
          "environment: MIRROR_SRT_PRT: unknown variable; did you mean MIRROR_SRT_PORT?",
          "environment: MIRROR_UTTERLY_STRANGE: unknown variable",
          "environment: MIRROR_HTTPS_KEY: is set, but https.certificate is not; set both or none"));
}

TEST(Config, FindsAStateDirectory) {
  const auto dir = [](std::map<std::string, std::string> variables, bool is_root) {
    return config_of("", {.variables = std::move(variables), .is_root = is_root}).state_dir;
  };
  EXPECT_EQ(dir({{"STATE_DIRECTORY", "/var/lib/a:/var/lib/b"}, {"HOME", "/h"}}, true),
            "/var/lib/a");
  EXPECT_EQ(dir({{"HOME", "/root"}}, true), "/var/lib/mirror");
  EXPECT_EQ(dir({{"HOME", "/home/u"}, {"XDG_STATE_HOME", "/s"}}, false), "/s/mirror");
  // The XDG specification: a relative path is to be ignored.
  EXPECT_EQ(dir({{"HOME", "/home/u"}, {"XDG_STATE_HOME", "s"}}, false),
            "/home/u/.local/state/mirror");
  EXPECT_THAT(faults_of("", {}),
              ElementsAre("environment: state_dir: has no default, as HOME is not set; set it"));
}

TEST(Config, WhatIsRenderedReadsBackTheSame) {
  Config config = config_of(
      "srt: { address: \"::\", port: 1234 }\ntranscode: { video_bitrate: 123456, frame_rate_max: "
      "29.97 }\ncors: { allow_origins: [] }\nstate_dir: \"/a \\\"b\\\" \\\\ \\t ü\"\n"
      "streams: { rules: { cam1: { latency_ms: 300 }, \"1.5\": {} } }\n"
      "sources: [{ stream: c, url: 'srt://h:1', latency_ms: 90 }, { stream: d, url: 'srt://h:1' "
      "}]\n"
      "rtp: { inputs: [{ stream: e, port: 7000, fec: false, senders: ['::1'] }, { stream: f }] "
      "}\n");
  const std::string text = render(config);
  EXPECT_EQ(render(config_of(text)), text);
  EXPECT_EQ(config_of(text).state_dir, "/a \"b\" \\ \t ü");
}

TEST(Config, NeverShowsASecret) {
  const std::string text = render(config_of(R"(
srt: { passphrase: correct horse }
publish: { token: horse-token, webhook_url: "https://horse:horses@example.org:8443/horse?token=horse#horse", webhook_secret: horse-horse-horse }
streams: { rules: { cam1: { passphrase: horse horse, token: horses-for-cam1 } } }
sources: [{ stream: cam2, url: "srt://a:1", stream_id: "#!::r=x,s=horse", passphrase: horse horse }]
)"));
  EXPECT_THAT(text, Not(HasSubstr("horse")));
  EXPECT_THAT(text, HasSubstr("  # passphrase: set, not shown\n"));
  EXPECT_THAT(text, HasSubstr("  # token: set, not shown\n"));
  EXPECT_THAT(text,
              HasSubstr("  # webhook_url: set, at https://example.org:8443; not shown whole\n"));
  EXPECT_THAT(text, HasSubstr("  # webhook_secret: set, not shown\n"));
  EXPECT_THAT(text, HasSubstr("    \"cam1\":\n"
                              "      # passphrase: set, not shown\n"
                              "      # token: set, not shown\n"));
  EXPECT_THAT(text, HasSubstr("  - stream: \"cam2\"\n"
                              "    url: \"srt://a:1\"\n"
                              "    # stream_id: set, not shown\n"
                              "    # passphrase: set, not shown\n"));
}

TEST(Config, ShowsOfTheWebhookNoMoreThanItsHost) {
  const auto shown = [](const std::string& url) {
    const std::string text = render(config_of(
        fmt::format("publish: {{ webhook_url: '{}', webhook_secret: sixteen-at-least }}", url)));
    const std::size_t from = text.find("webhook_url: ");
    return text.substr(from, text.find('\n', from) - from);
  };
  const std::string expected = "webhook_url: set, at https://h.example:1; not shown whole";
  for (const std::string url :
       {"https://h.example:1", "https://h.example:1/hooks/SECRET", "https://h.example:1?t=SECRET",
        "https://u:SECRET@h.example:1", "https://u:p@SECRET@h.example:1/a@b?c@d",
        R"(https://h.example:1\SECRET@x)"}) {
    EXPECT_EQ(shown(url), expected) << url;
  }
  EXPECT_EQ(shown("http://[::1]:9000/x"),
            "webhook_url: set, at http://[::1]:9000; not shown whole");
}

TEST(Config, ReadsRulesAndLists) {
  const Config config = config_of(R"(
publish:
  policy: reject
  token: everybody-says
  webhook_url: https://example.org/admission
  webhook_secret: 0123456789abcdef
  webhook_timeout_ms: 500
streams:
  rules:
    cam1: { passphrase: correct horse, token: cam1-says, latency_ms: 400 }
    cam2:
rtp:
  address: 127.0.0.1
  first_port: 7000
  reorder_ms: 20
  inputs:
    - stream: a
    - { stream: b, port: 9000, payload_type: 96, fec: false, senders: [192.0.2.0/24, "::1"] }
    - { stream: c, multicast: 239.1.2.3, interface: eth0 }
    - { stream: d, multicast: "ff02::1", port: 7006, sdp: d.sdp }
sources:
  - stream: e
    url: srt://studio.example.org:7001
    stream_id: "#!::r=feed,m=request"
    passphrase: correct horse
    latency_ms: 500
  - { stream: f, url: "srt://[2001:db8::1]:7001" }
srt: { call_private_addresses: true }
)");
  EXPECT_EQ(config.publish.policy, Config::Publish::Policy::kReject);
  EXPECT_EQ(config.publish.token, "everybody-says");
  EXPECT_EQ(config.publish.webhook.url, "https://example.org/admission");
  EXPECT_EQ(config.publish.webhook.secret, "0123456789abcdef");
  EXPECT_EQ(config.publish.webhook.timeout, 500ms);
  ASSERT_EQ(config.streams.rules.size(), 2u);
  EXPECT_EQ(config.streams.rules.at("cam1").passphrase, "correct horse");
  EXPECT_EQ(config.streams.rules.at("cam1").token, "cam1-says");
  EXPECT_EQ(config.streams.rules.at("cam1").latency, 400ms);
  EXPECT_EQ(config.streams.rules.at("cam2").token, "");
  ASSERT_EQ(config.rtp.inputs.size(), 4u);
  EXPECT_EQ(config.rtp.reorder, 20ms);
  EXPECT_EQ(rtp_port(config.rtp, 0), 7000);
  EXPECT_EQ(rtp_port(config.rtp, 1), 9000);
  EXPECT_EQ(rtp_port(config.rtp, 2), 7006);
  EXPECT_EQ(rtp_port(config.rtp, 3), 7006);  // of another group
  EXPECT_EQ(config.rtp.inputs[1].payload_type, 96);
  EXPECT_FALSE(config.rtp.inputs[1].fec);
  EXPECT_THAT(config.rtp.inputs[1].senders, ElementsAre("192.0.2.0/24", "::1"));
  EXPECT_EQ(config.rtp.inputs[2].interface, "eth0");
  EXPECT_TRUE(config.rtp.inputs[2].fec);
  EXPECT_EQ(config.rtp.inputs[2].port, 0);  // nothing of the item before it
  EXPECT_EQ(config.rtp.inputs[3].sdp, "d.sdp");
  ASSERT_EQ(config.sources.size(), 2u);
  EXPECT_EQ(config.sources[0].url, "srt://studio.example.org:7001");
  EXPECT_EQ(config.sources[0].stream_id, "#!::r=feed,m=request");
  EXPECT_EQ(config.sources[0].passphrase, "correct horse");
  EXPECT_EQ(config.sources[0].latency, 500ms);
  EXPECT_EQ(config.sources[1].stream, "f");
  EXPECT_EQ(config.sources[1].passphrase, "");
  EXPECT_TRUE(config.srt.call_private_addresses);
}

TEST(Config, SaysWhereAndWhatIsWrongInRulesAndLists) {
  const std::vector<BadFile> cases{
      {"source: []\n", {"m.yaml:1:1: source: unknown key; did you mean sources?"}},
      {"streams:\n  rule: {}\n", {"m.yaml:2:3: streams.rule: unknown key; did you mean rules?"}},
      {"sources: {}\n", {"m.yaml:1:10: sources: must be a list, an item a line behind \"-\""}},
      {"streams:\n  rules: [cam1]\n", {"m.yaml:2:10: streams.rules: must be a map of stream keys"}},
      {"sources: [cam1]\n", {"m.yaml:1:11: sources[0]: must be a map of keys and values"}},
      {"sources:\n  -\n",
       {"m.yaml:2:3: sources[0]: stream is missing", "m.yaml:2:3: sources[0]: url is missing"}},
      {"streams:\n  rules:\n    -x: {}\n    cam1: { tokn: abcdefgh }\n    cam1: {}\n",
       {"m.yaml:3:5: streams.rules.-x: a stream key begins with a letter or a digit",
        "m.yaml:4:13: streams.rules.cam1.tokn: unknown key; did you mean token?",
        "m.yaml:5:5: streams.rules.cam1: duplicate key, first on line 4"}},
      // Every fault of every item; a secret is not repeated.
      {"sources:\n"
       "  - stream: a b\n"
       "    url: srt://host\n"
       "    passphrase: short\n"
       "    latency_ms: 5\n"
       "    url: srt://host:1\n"
       "  - { stream: c, url: 'srt://host:1?streamid=x' }\n"
       "  - { stream: c, url: 'srt://ho st:1' }\n",
       {"m.yaml:2:13: sources[0].stream: a stream key holds only letters, digits, '.', '_' and '-'",
        "m.yaml:3:10: sources[0].url: \"srt://host\" is not of the form srt://HOST:PORT",
        "m.yaml:4:17: sources[0].passphrase: has 5 characters; a passphrase has 10 to 79, or none "
        "for no encryption",
        "m.yaml:5:17: sources[0].latency_ms: 5 is out of range: 20 to 8000",
        "m.yaml:6:5: sources[0].url: duplicate key, first on line 3",
        "m.yaml:7:23: sources[1].url: holds a \"?\"; say stream_id, passphrase and latency_ms "
        "beside "
        "it",
        "m.yaml:8:23: sources[2].url: \"srt://ho st:1\" is not of the form srt://HOST:PORT",
        "m.yaml:8:15: sources[2].stream: \"c\" is the stream of sources[1] already"}},
      {"rtp:\n  inputs:\n"
       "    - { stream: a, senders: [10.0.0.0/33] }\n"
       "    - { stream: b, multicast: 10.0.0.1, interface: a-very-long-name }\n"
       "    - { stream: c, payload_type: 128 }\n",
       {"m.yaml:3:29: rtp.inputs[0].senders: \"10.0.0.0/33\" is neither an address nor a prefix "
        "such "
        "as 192.0.2.0/24",
        "m.yaml:4:31: rtp.inputs[1].multicast: \"10.0.0.1\" is not a multicast address "
        "(224.0.0.0/4, ff00::/8)",
        "m.yaml:4:52: rtp.inputs[1].interface: \"a-very-long-name\" is not the name of a network "
        "interface",
        "m.yaml:5:34: rtp.inputs[2].payload_type: 128 is out of range: 0 to 127"}},
      // What takes two items to see.
      {"rtp:\n  inputs:\n    - { stream: a }\n    - { stream: b, port: 5006 }\n"
       "    - { stream: c, port: 6000 }\n    - { stream: d, interface: lo, port: 9000 }\n"
       "sources: [{ stream: a, url: 'srt://h:1' }]\n",
       {"m.yaml:7:21: sources[0].stream: \"a\" is the stream of rtp.inputs[0] already",
        "m.yaml:4:26: rtp.inputs[1].port: needs port 5006, which rtp.inputs[0] has already",
        "m.yaml:5:26: rtp.inputs[2].port: needs port 6000, which srt has already",
        "m.yaml:6:31: rtp.inputs[3].interface: is set, but multicast is not"}},
      {"rtp:\n  first_port: 65528\n  inputs: [{ stream: a }, { stream: b }]\n",
       {"m.yaml:3:37: rtp.inputs[1].stream: its port would be 65534, and there is none"}},
      {"publish:\n  token: short\n  webhook_url: ftp://x\n  policy: fight\n",
       {"m.yaml:2:10: publish.token: has 5 characters; a token has 8 to 128",
        "m.yaml:3:16: publish.webhook_url: is not an address such as https://example.org/admission",
        "m.yaml:4:11: publish.policy: \"fight\" is not one of takeover, reject"}},
      {"publish:\n  webhook_url: http://localhost:9000/\n",
       {"m.yaml:2:16: publish.webhook_url: is set, but publish.webhook_secret is not; set both or "
        "none"}},
      {"publish:\n  token: 'with,comma'\n  webhook_secret: 'seven77'\n",
       {"m.yaml:2:10: publish.token: holds what a token cannot: spaces, commas, or other than "
        "ASCII",
        "m.yaml:3:19: publish.webhook_secret: has 7 characters; a secret has 16 to 256"}},
  };
  for (const BadFile& bad : cases) {
    EXPECT_EQ(faults_of(bad.yaml), bad.faults) << bad.yaml;
  }
  std::string many = "sources:\n";
  for (std::size_t i = 0; i <= find_group("sources")->items_max; ++i)
    many += " - {stream: a, url: srt://h:1}\n";
  EXPECT_EQ(faults_of(many),
            std::vector<std::string>{"m.yaml:2:2: sources: has 65 items, more than 64"});
}

// Refresh with: MIRROR_GOLDEN=write build/dev/bin/app_test --gtest_filter='*ExampleFile*'
TEST(Config, TheExampleFileIsWhatTheTableSays) {
  const std::string path = "configs/mirror.yaml";
  if (const char* golden = std::getenv("MIRROR_GOLDEN"); golden != nullptr) {
    std::ofstream(path) << render(Config{});
  }
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), render(Config{}));
  EXPECT_EQ(render(config_of(text.str())), render(config_of("")));
}

TEST(ConfigKeys, EveryDefaultIsWithinItsOwnRange) {
  for (const Key& key : keys()) {
    if (key.path == "state_dir" || std::holds_alternative<ListKey>(key.kind)) continue;
    Draft draft;
    std::string value = value_text(draft, key);
    if (std::holds_alternative<TextKey>(key.kind)) value = value.substr(1, value.size() - 2);
    EXPECT_TRUE(set_from_text(draft, key, value).has_value()) << key.path;
  }
}

TEST(ConfigKeys, HaveNamesOfTheirOwn) {
  std::set<std::string> paths;
  std::set<std::string> variables;
  for (const Key& key : keys()) {
    EXPECT_TRUE(paths.insert(std::string(key.path)).second) << key.path;
    EXPECT_TRUE(variables.insert(key.variable()).second) << key.path;
  }
}

TEST(ConfigKeys, GroupsHaveNamesOfTheirOwn) {
  for (const Group& group : groups()) {
    EXPECT_EQ(find_key(group.path), nullptr) << group.path;
    EXPECT_TRUE(group.section().empty() || is_section(group.section())) << group.path;
    EXPECT_LE(group.required, group.fields.size()) << group.path;
    std::set<std::string_view> names;
    for (const Key& field : group.fields)
      EXPECT_TRUE(names.insert(field.path).second) << field.path;
    // What begins a rendered item must be there to be seen.
    if (group.form == Group::Form::kList) {
      EXPECT_GE(group.required, 1u);
      EXPECT_EQ(group.fields.front().shown, Key::Shown::kYes);
    }
  }
}

TEST(ConfigKeys, LoopsFollowTheMachine) {
  EXPECT_EQ(loops_for({.loops = 0}, 0), 1);
  EXPECT_EQ(loops_for({.loops = 0}, 2), 1);
  EXPECT_EQ(loops_for({.loops = 0}, 12), 6);
  EXPECT_EQ(loops_for({.loops = 0}, 128), 16);
  EXPECT_EQ(loops_for({.loops = 3}, 128), 3);
}

}  // namespace
}  // namespace mirror::app
