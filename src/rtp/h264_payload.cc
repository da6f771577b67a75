#include "rtp/h264_payload.h"

#include <array>

#include "codec/nal.h"
#include "rtp/big_endian.h"

namespace mirror::rtp {
namespace {

using Span = std::span<const std::uint8_t>;

// nal_unit_type of the payload structures (RFC 6184, table 1). 25 to 27 and 29 interleave; 0, 30
// and 31 are reserved.
constexpr int kNalFirst = 1;
constexpr int kNalLast = 23;
constexpr int kStapA = 24;
constexpr int kFuA = 28;

bool is_nal(int type) { return type >= kNalFirst && type <= kNalLast; }

void read_aggregation(Span rest, NalAssembler& assembler) {
  while (!rest.empty()) {
    const std::size_t size = rest.size() < 2 ? 0 : read_u16(rest);
    if (size == 0 || size > rest.size() - 2) return assembler.skip(rest.size());
    const Span nal = rest.subspan(2, size);
    if (is_nal(codec::h264_nal_type(nal))) {
      assembler.nal(nal);
    } else {
      assembler.skip(size);
    }
    rest = rest.subspan(2 + size);
  }
}

void read_fragment(Span payload, NalAssembler& assembler) {
  if (payload.size() <= 2 || !is_nal(payload[1] & 0x1f)) return assembler.skip(payload.size());
  const std::array<std::uint8_t, 1> header = {
      static_cast<std::uint8_t>((payload[0] & 0xe0) | (payload[1] & 0x1f))};
  assembler.fragment({.header = header,
                      .payload = payload.subspan(2),
                      .first = (payload[1] & 0x80) != 0,
                      .last = (payload[1] & 0x40) != 0});
}

}  // namespace

void read_h264_payload(Span payload, NalAssembler& assembler) {
  if (payload.empty()) return;
  const int type = codec::h264_nal_type(payload);
  if (type == kStapA) return read_aggregation(payload.subspan(1), assembler);
  if (type == kFuA) return read_fragment(payload, assembler);
  if (!is_nal(type)) return assembler.skip(payload.size());
  assembler.nal(payload);
}

Result<ParameterSets> h264_parameter_sets(const SdpMedia& medium) {
  const auto& parameters = medium.parameters;
  const auto mode = parameters.find("packetization-mode");
  if (mode != parameters.end() && mode->second != "0" && mode->second != "1") {
    return fail("H.264 with packetization-mode={}: only 0 and 1 are supported", mode->second);
  }
  ParameterSets sets(media::Codec::kH264);
  const auto found = parameters.find("sprop-parameter-sets");
  if (found == parameters.end()) return sets;
  if (auto status = sets.offer_list(found->second); !status) {
    return std::unexpected(std::move(status.error()).within("sprop-parameter-sets"));
  }
  return sets;
}

}  // namespace mirror::rtp
