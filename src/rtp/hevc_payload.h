// The RTP payload format of HEVC (RFC 7798): the NAL units of a packet, without DONs.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "rtp/nal_assembler.h"
#include "rtp/parameter_sets.h"
#include "rtp/sdp.h"

namespace mirror::rtp {

// Reads one payload: a single NAL unit (4.4.1), an aggregation packet (4.4.2) or a fragmentation
// unit (4.4.3). A PACI packet (4.4.4) is skipped; nobody sends any. What is cut off or reserved is
// skipped, too, which damages the unit. An empty payload says nothing.
void read_hevc_payload(std::span<const std::uint8_t> payload, NalAssembler& assembler);

// The parameter sets of sprop-vps, -sps and -pps (7.1). Refuses what would need more than the
// above: decoding order numbers, several sessions or streams.
Result<ParameterSets> hevc_parameter_sets(const SdpMedia& medium);

}  // namespace mirror::rtp
