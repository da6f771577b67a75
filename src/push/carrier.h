// Carrier: what a push session needs from the transport that brings its frames to one viewer.
//
// Implemented over a growing HTTP response (one ordered byte stream), and fit for a transport with
// a stream per part, which can be thrown away on its own. Lives on the session's loop. A session
// gives its carrier only a little at a time (SessionSettings::carrier_bytes), so that what waits
// can still be dropped.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "hls/segment.h"
#include "push/frame.h"

namespace mirror::push {

struct MediaFrame;

// One frame on its way: the concatenation of the pieces, shared with whoever else is sent it.
struct Outgoing {
  std::array<Bytes, 2> pieces;
  // Set for PART frames and nothing else: a carrier with a stream per part goes by it.
  std::shared_ptr<const MediaFrame> media;

  std::size_t size() const { return pieces[0].size() + pieces[1].size(); }
};

// Parts of one track that were taken and will not arrive as a whole: the first, the last, and how
// many.
struct LostParts {
  TrackNumber track = 0;
  hls::PartPosition from;
  hls::PartPosition to;
  std::uint64_t parts = 0;

  // Another piece of it, in the order of sending.
  void add(hls::PartPosition at) {
    if (parts > 0 && at == to) return;
    from = parts == 0 ? at : std::min(from, at);
    to = parts == 0 ? at : std::max(to, at);
    ++parts;
  }
};

class Carrier {
 public:
  virtual ~Carrier() = default;

  // Takes the frame, whatever its size. Frames without media, and the parts of one track, stay in
  // order. May find that the viewer is gone, but does not say so from within.
  virtual void send(const Outgoing& frame) = 0;
  // Bytes that were taken and not yet handed to the transport.
  virtual std::size_t pending_bytes() const = 0;
  // Call Hub::on_room() once, when pending_bytes() is below `bytes`; never from within a call.
  virtual void tell_below(std::size_t bytes) = 0;
  // What was taken of this track's media and not sent yet is stale. None where nothing can be taken
  // back.
  virtual std::optional<LostParts> abandon(TrackNumber track) {
    static_cast<void>(track);
    return std::nullopt;
  }
  // What the transport let fall since it was taken (it held too much), a track at a time; none: it
  // holds what it was given. What is given of such a track before this was asked is lost, too: the
  // session asks after each frame.
  virtual std::optional<LostParts> take_loss() { return std::nullopt; }
  // Nothing follows. Hub::close() comes later, as it does when the viewer leaves.
  virtual void end() = 0;
};

}  // namespace mirror::push
