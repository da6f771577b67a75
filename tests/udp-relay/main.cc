// udp-relay: puts a bad link between a client and a server over UDP, for tests.
//
//   udp-relay --to 127.0.0.1:6000 [--listen PORT] [--seed NUMBER]
//
// Says {"listening": PORT}, then takes commands on standard input (command.h) until that ends.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "relay.h"

namespace mirror::relay {
namespace {

Result<sockaddr_in> parse_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  if (colon == std::string::npos ||
      std::from_chars(text.data() + colon + 1, end, port).ptr != end || port == 0 ||
      ::inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1) {
    return fail("{}: not an IPv4 address with a port", text);
  }
  address.sin_port = htons(port);
  return address;
}

Status run(const std::string& to, std::uint16_t port, std::uint64_t seed) {
  const Result<sockaddr_in> server = parse_address(to);
  if (!server) return std::unexpected(server.error());
  auto relay = Relay::create(port, *server, seed);
  if (!relay) return std::unexpected(relay.error());
  ::prctl(PR_SET_TIMERSLACK, 1);  // the default, 50 us, is jitter of our own
  fmt::print("{{\"listening\":{}}}\n", (*relay)->port());
  std::fflush(stdout);
  return (*relay)->run();
}

}  // namespace
}  // namespace mirror::relay

int main(int argc, char** argv) {
  CLI::App app("Puts a bad link between a client and a server over UDP.");
  std::string to;
  std::uint16_t port = 0;
  std::uint64_t seed = 1;
  app.add_option("--to", to, "the server, ADDRESS:PORT")->required();
  app.add_option("--listen", port, "UDP port on 127.0.0.1; 0: any free one");
  app.add_option("--seed", seed, "of what is lost, held back and sent twice");
  CLI11_PARSE(app, argc, argv);
  if (mirror::Status status = mirror::relay::run(to, port, seed); !status) {
    fmt::print(stderr, "udp-relay: {}\n", status.error().message);
    return 1;
  }
  return 0;
}
