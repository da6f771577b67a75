#include "http/negotiation.h"

#include <gtest/gtest.h>

namespace mirror::http {
namespace {

bool takes_gzip(Headers headers) {
  Request request;
  request.headers = std::move(headers);
  return accepts_gzip(request);
}

TEST(Negotiation, Gzip) {
  const std::pair<const char*, bool> table[] = {
      {"gzip", true},
      {"GZIP", true},
      {"x-gzip", true},
      {"gzip, deflate, br, zstd", true},
      {"br;q=1.0, gzip;q=0.8, *;q=0.1", true},
      {"gzip;q=0.001", true},
      {" gzip ; q=1", true},
      {"gzip;Q=1.000", true},
      {"*", true},
      {"*;q=0.5", true},
      {"identity;q=0.5, gzip", true},
      {"identity, gzip", true},
      {"identity;q=0, gzip;q=0.1", true},
      {"gzip;q=0.5, *;q=0", true},
      {"", false},
      {"identity", false},
      {"br", false},
      {"gzip;q=0", false},
      {"gzip;q=0.0", false},
      {"gzip;q=0.000", false},
      {"*;q=0", false},
      {"*, gzip;q=0", false},
      {"gzip;q=0.5, identity", false},
      {"gzip;q=0.5, identity;q=0.6", false},
      {"gzip;q=0.5, *", false},
      {"gzip;q=", false},
      {"gzip;q=2", false},
      {"gzip;q=1.001", false},
      {"gzip;q=0.0001", false},
      {"gzip;q=-1", false},
      {"gzip;q=1a", false},
      {"gzip;level=9", false},
      {"notgzip", false},
      {"gzipped", false},
      {",,;,", false},
  };
  for (const auto& [value, expected] : table) {
    EXPECT_EQ(takes_gzip({{"accept-encoding", value}}), expected) << value;
  }
}

TEST(Negotiation, WithoutTheFieldNothingIsCompressed) {
  EXPECT_FALSE(takes_gzip({}));
  EXPECT_FALSE(takes_gzip({{"accept", "gzip"}}));
}

TEST(Negotiation, SeveralFieldsAreOneList) {
  EXPECT_TRUE(takes_gzip({{"accept-encoding", "br"}, {"accept-encoding", "gzip"}}));
  EXPECT_FALSE(takes_gzip({{"accept-encoding", "gzip;q=0.1"}, {"accept-encoding", "identity"}}));
}

}  // namespace
}  // namespace mirror::http
