#include "rtp/hevc_payload.h"

#include <array>
#include <string_view>

#include "codec/nal.h"
#include "rtp/big_endian.h"

namespace mirror::rtp {
namespace {

using Span = std::span<const std::uint8_t>;

// nal_unit_type of the payload structures (RFC 7798, 4.4); all above them is reserved.
constexpr int kAggregation = 48;
constexpr int kFragmentation = 49;
constexpr std::size_t kNalHeaderBytes = 2;

void read_aggregation(Span rest, NalAssembler& assembler) {
  while (!rest.empty()) {
    const std::size_t size = rest.size() < 2 ? 0 : read_u16(rest);
    if (size == 0 || size > rest.size() - 2) return assembler.skip(rest.size());
    const Span nal = rest.subspan(2, size);
    const int type = codec::hevc_nal_type(nal);
    if (type < 0 || type >= kAggregation) {
      assembler.skip(size);
    } else {
      assembler.nal(nal);
    }
    rest = rest.subspan(2 + size);
  }
}

void read_fragment(Span payload, NalAssembler& assembler) {
  if (payload.size() <= kNalHeaderBytes + 1) return assembler.skip(payload.size());
  const std::uint8_t fu_header = payload[kNalHeaderBytes];
  const int type = fu_header & 0x3f;
  if (type >= kAggregation) return assembler.skip(payload.size());
  const std::array<std::uint8_t, kNalHeaderBytes> header = {
      static_cast<std::uint8_t>((payload[0] & 0x81) | type << 1), payload[1]};
  assembler.fragment({.header = header,
                      .payload = payload.subspan(kNalHeaderBytes + 1),
                      .first = (fu_header & 0x80) != 0,
                      .last = (fu_header & 0x40) != 0});
}

}  // namespace

void read_hevc_payload(Span payload, NalAssembler& assembler) {
  if (payload.empty()) return;
  const int type = codec::hevc_nal_type(payload);
  if (type == kAggregation) return read_aggregation(payload.subspan(kNalHeaderBytes), assembler);
  if (type == kFragmentation) return read_fragment(payload, assembler);
  if (type < 0 || type > kFragmentation) return assembler.skip(payload.size());
  assembler.nal(payload);
}

Result<ParameterSets> hevc_parameter_sets(const SdpMedia& medium) {
  const auto& parameters = medium.parameters;
  for (const std::string_view name : {"sprop-max-don-diff", "sprop-depack-buf-nalus"}) {
    const auto found = parameters.find(name);
    if (found == parameters.end() || found->second == "0") continue;
    return fail("H.265 with {}={}: decoding order numbers are not supported", name, found->second);
  }
  const auto mode = parameters.find("tx-mode");
  if (mode != parameters.end() && mode->second != "SRST") {
    return fail("H.265 with tx-mode={}: only SRST is supported", mode->second);
  }
  ParameterSets sets(media::Codec::kHevc);
  for (const std::string_view name : {"sprop-vps", "sprop-sps", "sprop-pps"}) {
    const auto found = parameters.find(name);
    if (found == parameters.end()) continue;
    if (auto status = sets.offer_list(found->second); !status) {
      return std::unexpected(std::move(status.error()).within(name));
    }
  }
  return sets;
}

}  // namespace mirror::rtp
