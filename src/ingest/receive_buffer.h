// How much the kernel holds of what has come to a UDP socket and was not taken yet.
#pragma once

namespace mirror::ingest {

// Asks for `wanted_bytes`. Who has CAP_NET_ADMIN is given them; everybody else no more than
// net.core.rmem_max. Returns what was granted.
int size_receive_buffer(int fd, int wanted_bytes);

}  // namespace mirror::ingest
