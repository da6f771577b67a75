#include "ingest/port_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mirror::ingest {
namespace {

using testing::ElementsAre;

Result<std::vector<std::uint16_t>> plan(std::uint16_t first,
                                        const std::vector<std::uint16_t>& wanted) {
  std::vector<PortWish> wishes;
  for (const std::uint16_t port : wanted) wishes.push_back({.port = port});
  return assign_ports(first, wishes);
}

TEST(PortPlan, PutsInputsSixApart) {
  EXPECT_THAT(*plan(5004, {0, 0, 0}), ElementsAre(5004, 5010, 5016));
  EXPECT_THAT(*plan(5004, {}), ElementsAre());
}

TEST(PortPlan, LeavesAloneWhoHasOne) {
  EXPECT_THAT(*plan(5004, {0, 7000, 0}), ElementsAre(5004, 7000, 5010));
}

TEST(PortPlan, NamesTwoThatMeet) {
  EXPECT_EQ(plan(5004, {0, 5005}).error().message, "inputs 1 and 2: both need port 5005");
  EXPECT_EQ(plan(5004, {5006, 0}).error().message, "inputs 1 and 2: both need port 5006");
  EXPECT_EQ(plan(5004, {5000, 0}).error().message, "inputs 1 and 2: both need port 5004");
  std::vector<PortWish> wishes = {{.port = 5000}, {.port = 5002}, {.port = 5004}};
  EXPECT_FALSE(assign_ports(1, wishes));
  for (PortWish& wish : wishes) wish.with_fec = false;
  EXPECT_TRUE(assign_ports(1, wishes)) << "without parity they fit";
}

TEST(PortPlan, GroupsDoNotMeet) {
  const std::vector<PortWish> wishes = {{.port = 5004, .multicast = "239.1.1.1"},
                                        {.port = 5004, .multicast = "239.1.1.2"},
                                        {.port = 5004}};
  EXPECT_THAT(*assign_ports(1, wishes), ElementsAre(5004, 5004, 5004));
}

TEST(PortPlan, EndsWhereThePortsEnd) {
  EXPECT_TRUE(plan(65531, {0}));
  EXPECT_EQ(plan(65532, {0}).error().message,
            "input 1: port 65532 and those beside it do not exist");
  EXPECT_FALSE(plan(65500, std::vector<std::uint16_t>(10, 0)));
  EXPECT_FALSE(plan(5004, {65535}));
}

}  // namespace
}  // namespace mirror::ingest
