#include "ingest/port_plan.h"

#include <map>
#include <utility>

namespace mirror::ingest {

Result<std::vector<std::uint16_t>> assign_ports(std::uint16_t first_port,
                                                std::span<const PortWish> wishes) {
  constexpr std::uint32_t kPortMax = 65535;
  std::vector<std::uint16_t> ports;
  std::map<std::pair<std::string, std::uint32_t>, std::size_t> owner;  // counted from 1
  std::uint32_t next = first_port;
  for (std::size_t i = 0; i < wishes.size(); ++i) {
    std::uint32_t port = wishes[i].port;
    if (port == 0) {
      port = next;
      next += kPortsApart;
    }
    std::vector<std::uint32_t> used = {port, port + 1};
    if (wishes[i].with_fec) used.insert(used.end(), {port + 2, port + 4});
    for (const std::uint32_t each : used) {
      if (each > kPortMax) {
        return fail("input {}: port {} and those beside it do not exist", i + 1, port);
      }
      const auto [found, fresh] = owner.emplace(std::pair(wishes[i].multicast, each), i + 1);
      if (!fresh) return fail("inputs {} and {}: both need port {}", found->second, i + 1, each);
    }
    ports.push_back(static_cast<std::uint16_t>(port));
  }
  return ports;
}

}  // namespace mirror::ingest
