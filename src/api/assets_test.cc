#include "api/assets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace mirror::api {
namespace {

std::string_view text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Assets, ThePageIsThereAndNamesFilesThatAre) {
  const Asset* page = find_asset("/");
  ASSERT_NE(page, nullptr);
  EXPECT_EQ(page, find_asset("/index.html"));
  EXPECT_EQ(page->content_type, "text/html; charset=utf-8");
  EXPECT_FALSE(page->immutable);
  EXPECT_TRUE(text(page->body).starts_with("<!doctype html>"));
  int named = 0;
  for (const Asset& asset : assets()) {
    if (!asset.immutable) continue;
    ++named;
    EXPECT_NE(text(page->body).find(asset.path), std::string_view::npos) << asset.path;
  }
  EXPECT_EQ(named, 2);  // one script, one style sheet
}

TEST(Assets, EachIsWholeAndHasItsTagsAndItsGzip) {
  for (const Asset& asset : assets()) {
    SCOPED_TRACE(std::string(asset.path));
    EXPECT_TRUE(asset.path.starts_with('/'));
    EXPECT_FALSE(asset.content_type.empty());
    EXPECT_FALSE(asset.body.empty());
    ASSERT_GT(asset.gzip.size(), 2U);
    EXPECT_EQ(asset.gzip[0], 0x1F);
    EXPECT_EQ(asset.gzip[1], 0x8B);
    EXPECT_NE(asset.etag, asset.etag_gzip);
    EXPECT_TRUE(asset.etag.starts_with('"') && asset.etag.ends_with('"'));
    EXPECT_EQ(find_asset(asset.path), &asset);
  }
}

TEST(Assets, NothingElseIsFound) {
  EXPECT_EQ(find_asset(""), nullptr);
  EXPECT_EQ(find_asset("/nothing"), nullptr);
  EXPECT_EQ(find_asset("/../index.html"), nullptr);
  EXPECT_EQ(find_asset("index.html"), nullptr);
}

}  // namespace
}  // namespace mirror::api
