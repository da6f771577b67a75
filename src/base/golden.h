// For tests: compares a text with a file of testdata/, and rewrites the file when the environment
// says MIRROR_UPDATE_GOLDEN=1; the difference is then reviewed as a diff.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace mirror {

inline void expect_golden(const std::string& name, const std::string& text) {
  const std::string path = std::string(MIRROR_TEST_DATA) + "/" + name;
  if (std::getenv("MIRROR_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << text;
    return;
  }
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << path << " is missing; run with MIRROR_UPDATE_GOLDEN=1";
  const std::string expected(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(text, expected) << "if this is meant, run with MIRROR_UPDATE_GOLDEN=1: " << path;
}

}  // namespace mirror
