#include "net/tcp.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

namespace mirror::net {
namespace {

using testing::HasSubstr;

TEST(ListenTcp, GivesOneSocketPerLoopOnOnePort) {
  const auto sockets = listen_tcp("127.0.0.1", 0, 3);
  ASSERT_TRUE(sockets) << sockets.error().message;
  ASSERT_EQ(sockets->size(), 3u);
  const std::uint16_t port = local_port(sockets->front().get());
  EXPECT_NE(port, 0);
  for (const UniqueFd& fd : *sockets) EXPECT_EQ(local_port(fd.get()), port);
}

TEST(ListenTcp, APortInUseIsNamed) {
  const auto first = listen_tcp("127.0.0.1", 0, 1);
  ASSERT_TRUE(first);
  const std::uint16_t port = local_port(first->front().get());
  const auto second = listen_tcp("127.0.0.1", port, 1);
  ASSERT_FALSE(second) << "the first socket shares its port, and still";
  EXPECT_EQ(second.error().message,
            fmt::format("cannot listen on 127.0.0.1 port {}/tcp: the port is in use by another "
                        "program",
                        port));
}

TEST(ListenTcp, StarTakesBothFamilies) {
  const auto sockets = listen_tcp("*", 0, 1);
  ASSERT_TRUE(sockets) << sockets.error().message;
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(local_port(sockets->front().get()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
}

TEST(ListenTcp, WhatIsNoAddressIsNamed) {
  EXPECT_THAT(listen_tcp("localhost:80", 0, 1).error().message, HasSubstr("not a numeric"));
  EXPECT_THAT(listen_tcp("192.0.2.77", 0, 1).error().message,
              HasSubstr("no interface of this machine has that address"));
}

TEST(NameOfPeer, WritesBothFamilies) {
  sockaddr_storage storage{};
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(40000);
  ::inet_pton(AF_INET6, "::ffff:192.0.2.1", &v6.sin6_addr);
  EXPECT_EQ(name_of_peer(storage), "192.0.2.1:40000");
  ::inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr);
  EXPECT_EQ(name_of_peer(storage), "[2001:db8::1]:40000");
}

}  // namespace
}  // namespace mirror::net
