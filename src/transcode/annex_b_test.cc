#include "transcode/annex_b.h"

#include <gtest/gtest.h>

namespace mirror::transcode {
namespace {

using Octets = std::vector<std::uint8_t>;

TEST(AnnexB, KeepsSlicesAndLeavesOutTheRest) {
  const Octets stream = {0, 0, 0, 1, 0x67, 1, 2,    0, 0, 1, 0x68, 3, 0,    0, 1,
                         6, 9, 0, 0, 0,    1, 0x65, 4, 5, 0, 0,    1, 0x61, 6, 0};
  const auto sets = find_h264_parameter_sets(stream);
  EXPECT_EQ(sets.sps, (Octets{0x67, 1, 2}));
  EXPECT_EQ(sets.pps, (Octets{0x68, 3}));
  EXPECT_EQ(h264_slices_length_prefixed(stream),
            (Octets{0, 0, 0, 3, 0x65, 4, 5, 0, 0, 0, 2, 0x61, 6}));
}

TEST(AnnexB, NothingInNothingOut) {
  EXPECT_TRUE(h264_slices_length_prefixed({}).empty());
  EXPECT_TRUE(h264_slices_length_prefixed(Octets{0, 0, 1}).empty());
  EXPECT_TRUE(h264_slices_length_prefixed(Octets{0, 0, 1, 0, 0, 1}).empty());
  EXPECT_TRUE(find_h264_parameter_sets(Octets{1, 2, 3}).sps.empty());
}

}  // namespace
}  // namespace mirror::transcode
