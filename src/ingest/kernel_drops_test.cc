#include "ingest/kernel_drops.h"

#include <gtest/gtest.h>

namespace mirror::ingest {
namespace {

TEST(KernelDrops, ReadsBothFamilies) {
  EXPECT_EQ(udp_receive_buffer_errors("Ip: Forwarding DefaultTTL\nIp: 1 64\n"
                                      "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors "
                                      "SndbufErrors\nUdp: 7156907 19529 0 7168973 6498 0\n"
                                      "UdpLite: InDatagrams RcvbufErrors\nUdpLite: 0 9\n"),
            6498U);
  EXPECT_EQ(udp6_receive_buffer_errors("Udp6OutDatagrams                \t5\n"
                                       "Udp6RcvbufErrors                \t17\n"),
            17U);
}

TEST(KernelDrops, KnowsNothingFromOtherText) {
  for (const char* text : {"", "Udp:", "Udp:\n", "Udp: RcvbufErrors\n", "Udp: RcvbufErrors\nUdp:\n",
                           "Udp: RcvbufErrors\nUdp: x\n", "Udp: A B\nUdp: 1 2\n"}) {
    EXPECT_EQ(udp_receive_buffer_errors(text), std::nullopt) << text;
  }
  EXPECT_EQ(udp6_receive_buffer_errors("Udp6RcvbufErrors\n"), std::nullopt);
}

TEST(KernelDrops, CountsFromTheStartOfTheProcess) {
  Metrics metrics;
  KernelDrops drops(metrics);
  drops.look();
  EXPECT_NE(metrics.render().find("mirror_udp_receive_buffer_errors_total"), std::string::npos);
}

}  // namespace
}  // namespace mirror::ingest
