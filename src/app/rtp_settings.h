// The RTP inputs as the listener wants them: keys parsed, ports given, descriptions read.
#pragma once

#include "app/config.h"
#include "base/result.h"
#include "ingest/rtp_listener.h"

namespace mirror::app {

// The error names the input and, for a session description, the file and its line.
Result<ingest::RtpSettings> rtp_settings(const Config& config);

}  // namespace mirror::app
