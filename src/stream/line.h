// Line: the straight line of one stream on its media thread, access unit in, parts out.
//
//   VideoTranscoder ┐
//                   ├→ samples → hls::Presentation (segmenters, windows, playlists)
//   AudioTranscoder ┘
//
// Built and used on the media thread only. It knows publishers' turns: the first one decides what
// the presentation holds; a later one continues it behind a discontinuity, or, when it cannot
// (another frame grid, sound where there was none), ends it and starts another under a new epoch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/wake.h"
#include "hls/presentation.h"
#include "media/access_unit.h"
#include "media/still.h"
#include "stream/status.h"
#include "transcode/timeline.h"
#include "transcode/transcoder.h"

namespace mirror::stream {

class Line {
 public:
  // Called when another presentation takes the place of the one before (which has ended).
  using OnPresentation = std::function<void(std::shared_ptr<const hls::Presentation>)>;
  using OnStill = std::function<void(media::Still)>;
  struct Settings {
    transcode::VideoSettings video;
    transcode::AudioSettings audio;
    std::chrono::seconds window;
    bool frame_chunks = true;
    std::string epoch;  // the presentations are numbered behind it
    // Tells when samples were encoded and parts published; none: nobody wants to know.
    const Clock* clock = nullptr;
    OnStill on_still = nullptr;  // none: nobody wants them
    // Takes how long each picture was on its way, from its unit's last byte to its sample; seconds.
    Histogram* transcode_seconds = nullptr;
  };

  Line(Settings settings, OnPresentation on_presentation, const WakeList& wake_list);
  ~Line();

  // A publisher came, or its tracks changed. Access units of other tracks are ignored.
  void begin_turn(const std::vector<media::Track>& tracks);
  void push(const media::AccessUnit& unit);
  // What to do when there is no time for all (see VideoTranscoder): of the track that is_video().
  bool is_video(const media::AccessUnit& unit) const {
    return video_track_ && unit.track == video_track_->id;
  }
  void set_effort(transcode::Effort effort);
  void skip(const media::AccessUnit& unit);
  void note_lost();
  // The publisher left: what it sent is packaged to the last picture, and the windows stay.
  void end_turn();
  // Nobody will come back: ENDLIST.
  void finish();

  // Why the current publisher's feed cannot be shown; empty when it can.
  const std::string& error() const { return error_; }
  // Video parts published by this line, and of the newest one: when the access unit that completed
  // it had arrived, and when its last picture was captured.
  std::uint64_t parts() const { return parts_; }
  std::optional<SteadyTime> newest_received() const { return newest_received_; }
  std::optional<WallTime> newest_captured() const { return newest_captured_; }
  const transcode::PairingState& pairing() const;
  transcode::TranscodeStats video_stats() const;
  transcode::TranscodeStats audio_stats() const;

 private:
  // Receives one transcoder's output.
  class Output;

  bool goes_on_with(const std::optional<media::Track>& video,
                    const std::optional<media::Track>& audio) const;
  Status fill_audio();
  void start_over();
  void break_down(const Error& error);
  mirror::Status make_transcoders();
  hls::MediaSequence first_sequence() const;
  void on_description(std::size_t rendition, const media::TrackDescription& description);
  void on_sample(std::size_t rendition, media::Sample sample);
  void on_still(media::Still still);

  const Settings settings_;
  const OnPresentation on_presentation_;
  const WakeList& wake_list_;

  std::optional<media::Track> video_track_;
  std::optional<media::Track> audio_track_;
  std::string error_;
  transcode::Effort effort_ = transcode::Effort::kAll;
  bool in_turn_ = false;  // between begin_turn() and end_turn()
  bool broken_ = false;   // a transcoder is at its end; start_over() before it is used again

  std::unique_ptr<transcode::Timeline> timeline_;
  std::unique_ptr<Output> video_output_;
  std::unique_ptr<Output> audio_output_;
  std::unique_ptr<transcode::VideoTranscoder> video_;
  std::unique_ptr<transcode::AudioTranscoder> audio_;
  std::shared_ptr<hls::Presentation> presentation_;
  std::uint64_t presentations_made_ = 0;
  std::uint64_t stills_ = 0;
  WallTime newest_arrival_{};

  std::uint64_t parts_ = 0;
  std::optional<SteadyTime> newest_received_;
  std::optional<WallTime> newest_captured_;
};

}  // namespace mirror::stream
