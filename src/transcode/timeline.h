// Timeline: the source's timestamps → the presentation's time → the wall clock.
//
// One per stream, on its media thread, shared by its video and audio transcoders. Presentation time
// starts at zero, never goes backward and is common to all renditions.
#pragma once

namespace mirror::transcode {}
