#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "http/http3_exercise.h"

namespace mirror::http {
namespace {

void replay(const std::string& target, void (*exercise)(std::span<const std::uint8_t>)) {
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(MIRROR_FUZZ_CORPUS "/" + target)) {
    SCOPED_TRACE(entry.path());
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    exercise(bytes_of(text));
    ++inputs;
  }
  EXPECT_GT(inputs, 5);
}

TEST(Http3Corpus, Frames) { replay("http3_frames", &exercise_http3_frames); }
TEST(Http3Corpus, Settings) { replay("http3_settings", &exercise_http3_settings); }
TEST(Http3Corpus, Capsules) { replay("webtransport_capsules", &exercise_webtransport_capsules); }

}  // namespace
}  // namespace mirror::http
