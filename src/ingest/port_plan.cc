#include "ingest/port_plan.h"

#include <map>

namespace mirror::ingest {

Result<std::vector<std::uint16_t>> assign_ports(std::uint16_t first_port,
                                                std::span<const std::uint16_t> wanted,
                                                const std::vector<bool>& with_fec) {
  constexpr std::uint32_t kPortMax = 65535;
  std::vector<std::uint16_t> ports;
  std::map<std::uint32_t, std::size_t> owner;  // of each port, counted from 1
  std::uint32_t next = first_port;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    std::uint32_t port = wanted[i];
    if (port == 0) {
      port = next;
      next += kPortsApart;
    }
    std::vector<std::uint32_t> used = {port, port + 1};
    if (with_fec[i]) used.insert(used.end(), {port + 2, port + 4});
    for (const std::uint32_t each : used) {
      if (each > kPortMax) {
        return fail("input {}: port {} and those beside it do not exist", i + 1, port);
      }
      const auto [found, fresh] = owner.emplace(each, i + 1);
      if (!fresh) return fail("inputs {} and {}: both need port {}", found->second, i + 1, each);
    }
    ports.push_back(static_cast<std::uint16_t>(port));
  }
  return ports;
}

}  // namespace mirror::ingest
