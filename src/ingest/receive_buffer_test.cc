#include "ingest/receive_buffer.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

namespace mirror::ingest {
namespace {

TEST(ReceiveBuffer, IsAsLargeAsItMayBe) {
  constexpr int kWanted = 32 << 20;
  int allowed = 0;
  std::ifstream("/proc/sys/net/core/rmem_max") >> allowed;
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(fd, 0);
  const int granted = size_receive_buffer(fd, kWanted);
  const bool privileged =
      ::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kWanted, sizeof kWanted) == 0;
  EXPECT_EQ(granted, privileged ? kWanted : std::min(allowed, kWanted));
  ::close(fd);
}

TEST(ReceiveBuffer, OfNoSocketIsNothing) { EXPECT_EQ(size_receive_buffer(-1, 4096), 0); }

}  // namespace
}  // namespace mirror::ingest
