// What the fuzzers keep is tried with every build.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "mpegts/exercises.h"

namespace mirror::mpegts {
namespace {

void replay(const std::string& target, void (*exercise)(std::span<const std::uint8_t>)) {
  std::size_t files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(MIRROR_FUZZ_CORPUS) + "/" + target)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::vector<std::uint8_t> bytes(std::istreambuf_iterator<char>(file), {});
    exercise(bytes);
    ++files;
  }
  EXPECT_GT(files, 0U);
}

TEST(FuzzCorpus, SectionsAreReadWithoutHarm) { replay("psi", test::exercise_psi); }
TEST(FuzzCorpus, PesPacketsAreReadWithoutHarm) { replay("pes", test::exercise_pes); }
TEST(FuzzCorpus, AudioFramesAreReadWithoutHarm) {
  replay("audio_frames", test::exercise_audio_frames);
}

}  // namespace
}  // namespace mirror::mpegts
