// The RTP payload format of H.264 (RFC 6184): the NAL units of a packet, not interleaved.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "rtp/nal_assembler.h"
#include "rtp/parameter_sets.h"
#include "rtp/sdp.h"

namespace mirror::rtp {

// Reads one payload: a single NAL unit (5.6), a STAP-A (5.7.1) or an FU-A (5.8), whatever the
// packetization mode. What only the interleaved mode has (STAP-B, MTAP, FU-B), what is cut off or
// reserved is skipped, which damages the unit. An empty payload says nothing.
void read_h264_payload(std::span<const std::uint8_t> payload, NalAssembler& assembler);

// The parameter sets of sprop-parameter-sets (8.1). Refuses packetization-mode 2, which
// interleaves.
Result<ParameterSets> h264_parameter_sets(const SdpMedia& medium);

}  // namespace mirror::rtp
