#include "base/bytes.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace mirror {
namespace {

TEST(Bytes, TakesWithoutACopy) {
  std::vector<std::uint8_t> source{1, 2, 3};
  const std::uint8_t* const data = source.data();
  const Bytes bytes = Bytes::take(std::move(source));
  EXPECT_EQ(bytes.data(), data);
  EXPECT_EQ(bytes.size(), 3u);

  const Bytes copy = bytes;
  EXPECT_EQ(copy.data(), data);
}

TEST(Bytes, ATakenShortStringMovesWithItsOwner) {
  // Short strings live inside their object; the view must follow the object that is kept.
  EXPECT_EQ(Bytes::take(std::string("short")).text(), "short");
  EXPECT_EQ(Bytes::take(std::string(100, 'x')).text(), std::string(100, 'x'));
}

TEST(Bytes, ASliceKeepsTheAllocationAlive) {
  Bytes slice;
  {
    const Bytes whole = Bytes::take(std::string("moof and mdat"));
    slice = whole.slice(5, 3);
  }
  EXPECT_EQ(slice.text(), "and");
}

TEST(Bytes, ASliceIsClippedToWhatThereIs) {
  const Bytes bytes = Bytes::take(std::string("0123456789"));
  EXPECT_EQ(bytes.slice(8).text(), "89");
  EXPECT_EQ(bytes.slice(8, 100).text(), "89");
  EXPECT_EQ(bytes.slice(10).text(), "");
  EXPECT_TRUE(bytes.slice(11, 5).empty());
  EXPECT_TRUE(Bytes().slice(3, 4).empty());
}

TEST(Bytes, CopiesAndStaticsCompareByContent) {
  static constexpr std::array<std::uint8_t, 2> kAsset{'h', 'i'};
  EXPECT_EQ(Bytes::of_static(kAsset), Bytes::copy_of(kAsset));
  EXPECT_EQ(Bytes::of_static(kAsset).data(), kAsset.data());
  EXPECT_FALSE(Bytes::of_static(kAsset) == Bytes::take(std::string("ho")));
}

}  // namespace
}  // namespace mirror
