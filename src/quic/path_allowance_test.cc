#include "quic/path_allowance.h"

#include <gtest/gtest.h>

namespace mirror::quic {
namespace {

using std::chrono::seconds;

class PathAllowanceTest : public testing::Test {
 protected:
  SteadyTime now_{seconds(10)};
  PathAllowance allowance_;
};

TEST_F(PathAllowanceTest, StaysBelowThreeTimesWhatCame) {
  EXPECT_EQ(allowance_.left(now_), PathAllowance::kUnlimited);
  allowance_.moved(now_);
  EXPECT_EQ(allowance_.left(now_), 0u);
  allowance_.received(100);
  EXPECT_EQ(allowance_.left(now_), 299u);
  allowance_.sent(200);
  EXPECT_EQ(allowance_.left(now_), 99u);
  allowance_.sent(99);
  EXPECT_EQ(allowance_.left(now_), 0u);
  allowance_.received(21);  // 63 more are not worth a packet
  EXPECT_EQ(allowance_.left(now_), 0u);
  allowance_.received(1);
  EXPECT_EQ(allowance_.left(now_), 66u);
}

TEST_F(PathAllowanceTest, EndsWithTheProofOrInTime) {
  allowance_.moved(now_);
  allowance_.proven();
  EXPECT_EQ(allowance_.left(now_), PathAllowance::kUnlimited);
  allowance_.moved(now_);
  EXPECT_EQ(allowance_.left(now_ + PathAllowance::kLongest - seconds(1)), 0u);
  EXPECT_EQ(allowance_.left(now_ + PathAllowance::kLongest), PathAllowance::kUnlimited);
}

}  // namespace
}  // namespace mirror::quic
