#include "quic/kept_secret.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <string>

namespace mirror::quic {
namespace {

namespace fs = std::filesystem;

class KeptSecretTest : public testing::Test {
 protected:
  KeptSecretTest() {
    std::string name = fs::temp_directory_path() / "mirror_secret.XXXXXX";
    folder = ::mkdtemp(name.data());
  }
  ~KeptSecretTest() override { fs::remove_all(folder); }
  void write(const std::string& bytes) {
    std::ofstream(file(), std::ios::binary | std::ios::trunc) << bytes;
    fs::permissions(file(), fs::perms::owner_read | fs::perms::owner_write);
  }
  fs::path file() const { return folder / "quic-secret"; }

  fs::path folder;
};

TEST_F(KeptSecretTest, IsMadeOnceAndPrivate) {
  const fs::path state = folder / "not" / "yet";
  const KeptSecret made = load_or_make_secret(state);
  EXPECT_EQ(made.warning, "");
  EXPECT_NE(made.secret, Secret{});
  EXPECT_EQ(fs::file_size(state / "quic-secret"), made.secret.size());
  EXPECT_EQ(fs::status(state / "quic-secret").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
  const KeptSecret again = load_or_make_secret(state);
  EXPECT_EQ(again.secret, made.secret);
  EXPECT_EQ(again.warning, "");
}

TEST_F(KeptSecretTest, ADamagedOneIsMadeAnewAndSaid) {
  for (const std::string& bytes :
       {std::string(), std::string(31, 'x'), std::string(33, 'x'), std::string(32, '\0')}) {
    write(bytes);
    const KeptSecret made = load_or_make_secret(folder);
    EXPECT_NE(made.warning.find("quic-secret"), std::string::npos) << made.warning;
    const KeptSecret again = load_or_make_secret(folder);
    EXPECT_EQ(again.secret, made.secret);
    EXPECT_EQ(again.warning, "");
  }
}

TEST_F(KeptSecretTest, OneThatOthersMayHaveReadIsMadeAnew) {
  const KeptSecret made = load_or_make_secret(folder);
  fs::permissions(file(), fs::perms::group_read, fs::perm_options::add);
  const KeptSecret other = load_or_make_secret(folder);
  EXPECT_NE(other.secret, made.secret);
  EXPECT_NE(other.warning, "");
  EXPECT_EQ(fs::status(file()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(KeptSecretTest, WithoutAPlaceThereIsOneForThisProcess) {
  std::ofstream(folder / "file") << "in the way";
  const KeptSecret made = load_or_make_secret(folder / "file" / "state");
  EXPECT_NE(made.secret, Secret{});
  EXPECT_NE(made.warning, "");
}

}  // namespace
}  // namespace mirror::quic
