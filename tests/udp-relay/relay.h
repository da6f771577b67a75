// Relay: the sockets around Impairment. Clients send to one UDP port; each gets a flow of its own,
// with its own socket towards the server, so that the server tells them apart by their addresses.
//
// One thread ("main"), which calls run(). At most kFlowsMax flows; the one that was silent for
// longest makes room for a new one. Each direction's conditions hold for every flow.
#pragma once

#include <netinet/in.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "command.h"
#include "impairment.h"
#include "net/unique_fd.h"

namespace mirror::relay {

class Relay {
 public:
  static constexpr std::size_t kFlowsMax = 256;
  static constexpr std::size_t kDatagramBytesMax = 2048;  // what is longer is cut, and so of no use

  // Listens on 127.0.0.1:`port` (0: any free one) and relays to `server`.
  static Result<std::unique_ptr<Relay>> create(std::uint16_t port, const sockaddr_in& server,
                                               std::uint64_t seed);

  std::uint16_t port() const { return port_; }

  // Relays until standard input ends. Each line there is a command (command.h) or `counts`, and is
  // answered with one line of JSON: {"ok": true}, {"error": "…"} or what was counted.
  Status run();

 private:
  struct Flow {
    sockaddr_in client{};
    net::UniqueFd to_server;
    Impairment up;
    Impairment down;
    SteadyTime heard;
  };
  using FlowKey = std::uint64_t;  // address and port of the client

  Relay(net::UniqueFd listener, std::uint16_t port, const sockaddr_in& server, std::uint64_t seed);

  void take_from_clients(SteadyTime now);
  void take_from_server(Flow& flow, SteadyTime now);
  void deliver(Flow& flow, SteadyTime now);
  Flow* flow_of(const sockaddr_in& client, SteadyTime now);
  SteadyTime next_arrival() const;
  bool take_commands();  // false: standard input has ended
  std::string answer_to(std::string_view line);
  std::string counted() const;

  const net::UniqueFd listener_;
  const std::uint16_t port_;
  const sockaddr_in server_;
  std::uint64_t next_seed_;
  Link link_;
  Counts up_;
  Counts down_;
  std::uint64_t flows_made_ = 0;
  std::uint64_t flows_refused_ = 0;
  std::map<FlowKey, std::unique_ptr<Flow>> flows_;
  std::string commands_;  // of a line that has not ended; at most kCommandBytesMax
  std::array<std::uint8_t, kDatagramBytesMax> inbox_{};
  std::vector<std::uint8_t> outbox_;
};

}  // namespace mirror::relay
