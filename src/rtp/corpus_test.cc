// What the fuzzers once found, and their seeds (payload_exercise.h gives the formats).
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "rtp/payload_exercise.h"

namespace mirror::rtp {
namespace {

using Exercise = void (*)(std::span<const std::uint8_t>);

void replay(const std::string& target, Exercise run) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(MIRROR_FUZZ_CORPUS "/" + target)) {
    std::ifstream in(entry.path(), std::ios::binary);
    const std::vector<std::uint8_t> data(std::istreambuf_iterator<char>(in), {});
    run(data);
    ++files;
  }
  EXPECT_GT(files, 0) << target;
}

TEST(Corpus, IsSurvived) {
  replay("rtp_hevc", exercise::hevc);
  replay("rtp_h264", exercise::h264);
  replay("rtp_aac", exercise::aac);
  replay("rtcp", exercise::rtcp);
  replay("sdp", exercise::sdp);
}

}  // namespace
}  // namespace mirror::rtp
