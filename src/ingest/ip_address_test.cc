#include "ingest/ip_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mirror::ingest {
namespace {

using testing::HasSubstr;

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }

TEST(IpAddress, ReadsAndWritesBothFamilies) {
  for (const char* text : {"192.0.2.1", "2001:db8::1", "::1", "0.0.0.0"}) {
    ASSERT_TRUE(IpAddress::parse(text)) << text;
    EXPECT_EQ(ip(text).text(), text);
  }
  EXPECT_EQ(ip("::ffff:192.0.2.1"), ip("192.0.2.1"));
  for (const char* text : {"", "localhost", "192.0.2", "192.0.2.1 ", "2001:db8::g", "1.2.3.4/8"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
}

TEST(IpAddress, KnowsGroups) {
  for (const char* text : {"224.0.0.1", "239.255.1.1", "232.1.1.1", "ff02::1", "ff3e::8000:1"}) {
    EXPECT_TRUE(ip(text).is_multicast()) << text;
  }
  for (const char* text : {"192.0.2.1", "240.0.0.1", "2001:db8::1", "::"}) {
    EXPECT_FALSE(ip(text).is_multicast()) << text;
  }
}

TEST(RemoteAddress, GoesToSocketsAndBack) {
  const RemoteAddress v4{ip("192.0.2.1"), 40'000, 0};
  const RemoteAddress v6{ip("fe80::1"), 5, 3};
  sockaddr_storage out{};
  EXPECT_GT(v4.write(AF_INET, out), 0U);
  EXPECT_EQ(RemoteAddress::of(out), v4);
  EXPECT_GT(v4.write(AF_INET6, out), 0U);
  EXPECT_EQ(RemoteAddress::of(out), v4) << "as a socket of both families has it";
  EXPECT_GT(v6.write(AF_INET6, out), 0U);
  EXPECT_EQ(RemoteAddress::of(out), v6);
  EXPECT_EQ(v6.write(AF_INET, out), 0U);
  out = {};
  EXPECT_FALSE(RemoteAddress::of(out));
  EXPECT_EQ(v4.text(), "192.0.2.1:40000");
  EXPECT_EQ(v6.text(), "[fe80::1]:5");
}

TEST(SenderList, TakesEverybodyWhenItIsEmpty) {
  EXPECT_TRUE(SenderList().allows(ip("192.0.2.1")));
  EXPECT_TRUE(SenderList().allows(ip("2001:db8::1")));
}

TEST(SenderList, TakesAddressesAndPrefixes) {
  const auto list = SenderList::parse({"192.0.2.7", "198.51.100.0/23", "2001:db8:8000::/33"});
  ASSERT_TRUE(list);
  for (const char* text :
       {"192.0.2.7", "198.51.100.1", "198.51.101.255", "2001:db8:8000::1", "2001:db8:ffff::1"}) {
    EXPECT_TRUE(list->allows(ip(text))) << text;
  }
  for (const char* text : {"192.0.2.8", "198.51.102.0", "2001:db8:7fff::1", "::1", "::"}) {
    EXPECT_FALSE(list->allows(ip(text))) << text;
  }
  EXPECT_EQ(list->single_addresses(), std::vector{ip("192.0.2.7")});
  EXPECT_FALSE(SenderList::parse({"0.0.0.0/0"})->allows(ip("::1"))) << "every IPv4 address";
  EXPECT_TRUE(SenderList::parse({"::/0"})->allows(ip("192.0.2.1")));
}

TEST(SenderList, NamesWhatItCannotRead) {
  for (const char* entry :
       {"", "host", "192.0.2.1/33", "192.0.2.1/-1", "192.0.2.1/", "::/129", "192.0.2.1/8x", "/8"}) {
    const auto list = SenderList::parse({"192.0.2.1", entry});
    ASSERT_FALSE(list) << entry;
    EXPECT_THAT(list.error().message, HasSubstr(std::string("\"") + entry + "\""));
  }
  EXPECT_FALSE(SenderList::parse(std::vector<std::string>(65, "192.0.2.1")));
}

}  // namespace
}  // namespace mirror::ingest
