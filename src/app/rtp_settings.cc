#include "app/rtp_settings.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>

namespace mirror::app {
namespace {

Result<rtp::SessionDescription> read_description(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  if (!file) return fail("{}: {}", name, std::strerror(errno));
  // One byte more than is taken, so that a longer file is seen.
  std::string text(rtp::kSdpBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > rtp::kSdpBytesMax) {
    return fail("{}: longer than {} bytes", name, rtp::kSdpBytesMax);
  }
  auto description = rtp::parse_sdp(text);
  if (!description) return std::unexpected(std::move(description.error()).within(name));
  if (description->media.empty()) return fail("{}: no medium that comes by RTP", name);
  return description;
}

}  // namespace

Result<ingest::RtpSettings> rtp_settings(const Config& config) {
  ingest::RtpSettings settings{
      .address = config.rtp.address, .reorder = config.rtp.reorder, .silence = config.rtp.silence};
  for (std::size_t i = 0; i < config.rtp.inputs.size(); ++i) {
    const Config::Rtp::Input& input = config.rtp.inputs[i];
    const std::string where = fmt::format("rtp.inputs[{}]", i);
    auto key = media::StreamKey::parse(input.stream);
    if (!key) return std::unexpected(std::move(key.error()).within(where));
    ingest::RtpSettings::Input made{.stream = *std::move(key),
                                    .port = static_cast<std::uint16_t>(rtp_port(config.rtp, i)),
                                    .multicast = input.multicast,
                                    .interface = input.interface,
                                    .senders = input.senders,
                                    .payload_type = static_cast<std::uint8_t>(input.payload_type),
                                    .fec = input.fec};
    if (!input.sdp.empty()) {
      auto description = read_description(input.sdp);
      if (!description) return std::unexpected(std::move(description.error()).within(where));
      made.description = *std::move(description);
    }
    settings.inputs.push_back(std::move(made));
  }
  return settings;
}

}  // namespace mirror::app
