#include "app/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <initializer_list>
#include <string>
#include <vector>

namespace mirror::app {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
  int served = 0;
};

Outcome run(const std::vector<const char*>& arguments) {
  std::vector<const char*> argv{"mirror"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  Outcome outcome;
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  outcome.code = run_cli(static_cast<int>(argv.size()), argv.data(), [&outcome](const Config&) {
    ++outcome.served;
    return 7;
  });
  outcome.out = ::testing::internal::GetCapturedStdout();
  outcome.err = ::testing::internal::GetCapturedStderr();
  return outcome;
}

std::string file_with(const std::string& text) {
  const std::string path = ::testing::TempDir() + "mirror_cli_test.yaml";
  std::ofstream(path) << text;
  return path;
}

TEST(Cli, ServesWithTheExitCodeOfTheServer) {
  const Outcome outcome = run({"serve"});
  EXPECT_EQ(outcome.served, 1);
  EXPECT_EQ(outcome.code, 7);
}

TEST(Cli, ServesNothingWithAFaultyConfiguration) {
  const Outcome outcome = run({"serve", "-c", "/nowhere.yaml"});
  EXPECT_EQ(outcome.served, 0);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err, "/nowhere.yaml: cannot be opened: No such file or directory\n");
}

TEST(Cli, ChecksAFile) {
  const std::string good = file_with("srt: { port: 7000 }\n");
  EXPECT_EQ(run({"check", "-c", good.c_str()}).out, "ok\n");
  const std::string bad = file_with("srt: { port: 0, prot: 1 }\n");
  const Outcome outcome = run({"check", "--config", bad.c_str()});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err, bad + ":1:14: srt.port: 0 is out of range: 1 to 65535\n" + bad +
                             ":1:17: srt.prot: unknown key; did you mean port?\n");
}

TEST(Cli, PrintsTheConfiguration) {
  const std::string file = file_with("srt: { port: 7000 }\n");
  EXPECT_THAT(run({"config", "-c", file.c_str()}).out, HasSubstr("\n  port: 7000\n"));
}

TEST(Cli, TellsTheVersionsItRunsWith) {
  const Outcome outcome = run({"--version"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out,
              AllOf(StartsWith("mirror "), ContainsRegex("libsrt +1\\.[0-9]+\\.[0-9]+"),
                    ContainsRegex("GnuTLS +3\\."), ContainsRegex("nghttp2 +1\\."),
                    ContainsRegex("libavcodec +[0-9]+\\."), ContainsRegex("x264 +build [0-9]+")));
}

// On a machine without a GPU, as those that build this are; on others it prints them.
TEST(Cli, TellsWhatGpusThereAre) {
  const Outcome table = run({"devices"});
  EXPECT_EQ(table.code, 0);
  EXPECT_THAT(table.out, AnyOf(StartsWith("software only: "), StartsWith("NVIDIA driver, CUDA ")));
  EXPECT_THAT(table.out, HasSubstr("streams begin on: "));
  const Outcome json = run({"devices", "--json"});
  EXPECT_EQ(json.code, 0);
  EXPECT_THAT(json.out, AllOf(StartsWith("{\n"), HasSubstr("\"devices\": ["),
                              HasSubstr("\"streams_begin_on\": ")));
}

TEST(Cli, RefusesWhatItDoesNotKnow) {
  for (const auto& arguments : std::vector<std::vector<const char*>>{
           {}, {"surf"}, {"serve", "--prot", "1"}, {"serve", "-c"}, {"check", "a", "b"}}) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.served, 0);
    EXPECT_THAT(outcome.err, AllOf(StartsWith("mirror: "), HasSubstr("mirror --help")));
  }
  EXPECT_THAT(run({"serve", "--prot"}).err, HasSubstr("--prot"));
}

TEST(Cli, Helps) {
  const Outcome outcome = run({"--help"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("serve"), HasSubstr("check"), HasSubstr("config")));
}

}  // namespace
}  // namespace mirror::app
