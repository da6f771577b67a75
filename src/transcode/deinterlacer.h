// Deinterlacer: of a frame of two fields, what can be scaled without combs.
//
// One picture comes out for each frame: a proxy keeps the cadence of frames (25, 29.97). On the
// media thread, owned by a PictureScaler. Holds one picture of the source's size, and only if
// kMedian was ever needed.
//
// Both ways were taken over libavfilter's (bwdif, yadif), which reckon with three frames at the
// full size to make what the scaler then throws away: a field of 1080i has 540 lines, a proxy 360,
// and scaling a field costs less than scaling a frame. Both come out the same whichever field is
// the first, so that a wrong top_field_first does no harm.
#pragma once

#include "transcode/av.h"

namespace mirror::transcode {

enum class Fields {
  kNone,    // a progressive picture, or one too small to tell
  kOne,     // the top field has lines enough: it alone is the picture, seen in place
  kMedian,  // it has not (576i): its lines, and those of the bottom field held between their
            // neighbours above and below, which leaves still detail and takes combs away
};

// How to deal with `picture`, which is to be scaled to `height` lines. A picture is interlaced if
// its decoder says so (AVFrame::interlaced_frame: H.264 fields, pic_struct or macroblock pairs).
Fields fields_of(const AVFrame& picture, int height);

class Deinterlacer {
 public:
  // A frame of `picture`'s size and format without combs, valid until the next call. Null for a
  // format whose samples are no whole bytes. The frame carries no properties, only samples.
  const AVFrame* median(const AVFrame& picture);

 private:
  av::Frame frame_;
};

}  // namespace mirror::transcode
