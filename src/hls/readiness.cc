// "Is it ready?" (RFC 8216bis, 6.2.5.2), asked by network loops of a view.
#include "hls/window.h"

namespace mirror::hls {

namespace {

constexpr MediaSequence kSegmentsAheadMax = 2;

// The newest segment, open or complete; before the first, the one that will be it.
MediaSequence newest_segment(const WindowView& view) {
  return view.segments.empty() ? view.next.segment : view.segments.back()->number;
}

// A part index past the end of a complete segment means the next segment's first part.
PartPosition normalised(const WindowView& view, PartPosition asked) {
  const Segment* segment = view.find(asked.segment);
  const bool past_the_end =
      segment != nullptr && segment->complete && asked.part >= segment->parts.size();
  return past_the_end ? PartPosition{asked.segment + 1, 0} : asked;
}

// Only what lies in the segment that is coming now can be judged by its index.
bool exceeds_advance_part_limit(const WindowView& view, PartPosition asked) {
  return asked >= view.next && asked.segment == view.next.segment &&
         asked.part - view.next.part >= view.advance_part_limit;
}

Readiness readiness_of_position(const WindowView& view, PartPosition asked) {
  const PartPosition wanted = normalised(view, asked);
  if (wanted < view.next) return Readiness::kReady;
  return exceeds_advance_part_limit(view, wanted) ? Readiness::kTooFar : Readiness::kNotYet;
}

}  // namespace

Readiness readiness_of(const WindowView& view, const PlaylistQuestion& question) {
  if (view.ended) return Readiness::kReady;
  if (!question.msn) return view.segments.empty() ? Readiness::kNotYet : Readiness::kReady;
  const MediaSequence msn = *question.msn;
  const MediaSequence newest = newest_segment(view);
  if (msn > newest && msn - newest > kSegmentsAheadMax) return Readiness::kTooFar;
  if (view.segments.empty()) return Readiness::kNotYet;  // there is no playlist to answer with
  if (question.part) return readiness_of_position(view, {msn, *question.part});
  return msn < view.next.segment ? Readiness::kReady : Readiness::kNotYet;
}

Readiness readiness_of_segment(const WindowView& view, MediaSequence number) {
  if (const Segment* segment = view.find(number)) {
    if (!segment->complete) return Readiness::kNotYet;
    return segment->gap() ? Readiness::kNotFound : Readiness::kReady;
  }
  const bool coming = !view.ended && number == view.next.segment;
  return coming ? Readiness::kNotYet : Readiness::kNotFound;
}

Readiness readiness_of_part(const WindowView& view, MediaSequence number, PartIndex part) {
  const Segment* segment = view.find(number);
  if (segment != nullptr && part < segment->parts.size()) {
    return segment->parts[part].gap ? Readiness::kNotFound : Readiness::kReady;
  }
  const bool hinted = !view.ended && PartPosition{number, part} == view.next;
  return hinted ? Readiness::kNotYet : Readiness::kNotFound;
}

}  // namespace mirror::hls
