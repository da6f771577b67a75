// Presentation: the renditions of one stream as viewers see them, in one epoch.
//
// Made and written by the stream's media thread; the set of renditions is fixed at construction, so
// network loops may call the reading functions from any thread. Holds one Window per rendition,
// whose limits are its limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/snapshot.h"
#include "base/wake.h"
#include "hls/bandwidth.h"
#include "hls/segmenter.h"
#include "hls/window.h"
#include "media/sample.h"

namespace mirror::hls {

struct PresentationSettings {
  std::string epoch;  // of URL-safe characters
  MediaSequence first_segment = 0;
  std::chrono::milliseconds listed{30'000};
  std::chrono::milliseconds kept{31'000};
  // Each video frame is a CMAF chunk of its own, so that a part can be read while it is made. (An
  // audio frame is hardly larger than the boxes around it.)
  bool frame_chunks = true;
  // See WindowSettings.
  const Clock* clock = nullptr;
};

// What a rendition is made of. Names are of URL-safe characters: "v360", "audio".
struct RenditionDescription {
  std::string name;
  media::TrackDescription track;
};

class Presentation {
 public:
  struct Rendition {
    std::string name;
    media::TrackDescription track;
    Bytes init;
    std::shared_ptr<Window> window;
  };

  // `wake` must outlive this; it is called after each publication.
  static Result<std::unique_ptr<Presentation>> create(PresentationSettings settings,
                                                      std::vector<RenditionDescription> renditions,
                                                      const WakeList& wake);
  Presentation(const Presentation&) = delete;
  Presentation& operator=(const Presentation&) = delete;

  // Any thread.
  const std::string& epoch() const { return settings_.epoch; }
  const std::vector<Rendition>& renditions() const { return renditions_; }
  const Rendition* find(std::string_view name) const;
  // index.m3u8; null until every rendition has a segment.
  struct Multivariant {
    std::shared_ptr<const Document> low_latency;
    std::shared_ptr<const Document> legacy;  // names the legacy form of each media playlist
  };
  std::shared_ptr<const Multivariant> multivariant() const { return multivariant_.read(); }

  // The media thread only. `rendition` is an index of renditions(), which keep the order given.
  void push(std::size_t rendition, media::Sample sample);
  // The publisher has left; the stream stays live (Segmenter::suspend). From its last picture to
  // the next one a date range of this class says so.
  static constexpr std::string_view kInterruptionClass = "live.mirror.interruption";
  void suspend();
  // The stream is over.
  void finish();
  std::uint64_t samples_dropped() const;

 private:
  // How a rendition is written, beside how it is read.
  struct Line {
    Segmenter segmenter;
    Bandwidth bandwidth;
    std::uint64_t version = 0;          // of its window, when last looked at
    std::uint64_t growth = 0;           // the same of its window's growth
    MediaSequence next_to_measure = 0;  // the first segment that bandwidth has not seen
  };

  Presentation(PresentationSettings settings, std::vector<Rendition> renditions,
               const WakeList& wake);
  bool take_publications(std::size_t rendition);
  bool measure(std::size_t rendition);
  void publish_multivariant();
  void begin_interruption();
  void end_interruption(WallTime end);
  void announce();

  const PresentationSettings settings_;
  const std::vector<Rendition> renditions_;
  const WakeList& wake_;
  Snapshot<Multivariant> multivariant_;

  // The media thread's.
  std::vector<Line> lines_;  // as many as renditions_
  std::optional<DateRange> interruption_;
  std::uint64_t interruptions_ = 0;
  std::uint64_t multivariants_ = 0;
};

}  // namespace mirror::hls
