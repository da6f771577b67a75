// VideoTranscoder and AudioTranscoder: access units in, samples of one proxy rendition out.
//
// Both belong to their stream's media thread and share its Timeline. They outlive publishers: a
// publisher that returns continues the same encoder on the same grid, behind a discontinuity.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "media/access_unit.h"
#include "media/sample.h"
#include "media/still.h"
#include "transcode/timeline.h"

namespace mirror::transcode {

class PairingSource;

struct StillSettings {
  std::chrono::milliseconds every{2000};  // of presentation time; 0: none are made
  std::uint16_t width = 320;              // pixels, even; never wider than the proxy
};

struct VideoSettings {
  std::uint16_t width = 640;
  std::uint16_t height = 360;
  std::uint32_t bitrate_bps = 400'000;
  double frame_rate_max = 30;
  std::string preset = "superfast";  // x264
  int decode_threads = 1;
  PairingSource* pairings = nullptr;  // outlives the transcoders; null: software alone
  StillSettings stills;
  // Tells how long encoding takes; none: it is taken to cost nothing.
  const Clock* clock = nullptr;
};

// Where a stream's pictures are decoded, scaled and encoded, and why there (pairing.h).
struct PairingState {
  std::string name;         // "nvidia", "nvidia+x264" or "software"; empty: none yet
  std::string device;       // "0 NVIDIA H100"; empty: none
  std::string why;          // it is not the one before it; empty: it was the first choice
  std::uint64_t moves = 0;  // to another pairing because one failed
};

// What of the video is decoded. Less costs less; the frame rate stays, with pictures repeated.
enum class Effort {
  kAll,
  kReferenceOnly,  // no pictures that no other refers to
  kKeyFramesOnly,  // random access points
};

struct AudioSettings {
  std::uint32_t bitrate_bps = 64'000;
  std::string language;  // ISO 639-2 code, or empty; for the description only
};

// Takes what a transcoder makes, on the media thread.
class SampleSink {
 public:
  virtual ~SampleSink() = default;
  // Before the first sample, and again only if the rendition can no longer be the same one (another
  // frame grid): the receiver then starts a new presentation.
  virtual void on_description(const media::TrackDescription& description) = 0;
  virtual void on_sample(media::Sample sample) = 0;
  // Now and then one of the pictures, after its sample. Video only.
  virtual void on_still(const media::Still&) {}
};

// What a transcoder counted since it was made. Read on the media thread. For audio, a picture is a
// frame and a slot is 1024 samples.
struct TranscodeStats {
  std::uint64_t access_units = 0;
  std::uint64_t access_units_skipped = 0;  // before a random access point, or off the timeline
  std::uint64_t access_units_damaged = 0;  // came so; decoded as far as possible
  std::uint64_t access_units_omitted = 0;  // not decoded, to save time; see Effort and skip()
  std::uint64_t decode_errors = 0;
  std::uint64_t pictures_decoded = 0;
  std::uint64_t pictures_held = 0;     // too damaged to be shown: the last good one stood instead
  std::uint64_t slots_duplicated = 0;  // a hole in the source, filled: last picture, or silence
  std::uint64_t pictures_dropped = 0;  // late, two for one slot, or with a stray timestamp
  std::uint64_t samples = 0;
  std::uint64_t discontinuities = 0;
  std::uint64_t stills = 0;
  std::uint64_t still_failures = 0;
};

// HEVC or H.264 → H.264 of constant frame rate and size, in samples of one picture.
//
// Leads the timeline. Order of calls: create (begins the first turn), push…, end_turn, then
// begin_turn, push…, end_turn for each publisher that follows. Holds at most 16 canvases while the
// frame rate is being found, one afterwards.
class VideoTranscoder {
 public:
  // Fails for a codec that cannot be decoded, and if the encoder refuses the settings.
  static Result<std::unique_ptr<VideoTranscoder>> create(const VideoSettings& settings,
                                                         media::Codec codec, Timeline& timeline,
                                                         SampleSink& sink);
  ~VideoTranscoder();

  // The next access unit in decoding order. Bad input is counted, and the grid goes on with the
  // last picture. What a device does wrong moves the stream to its next pairing. Fails only where
  // there is none: then this transcoder is at its end.
  //
  // Pictures that damage has reached are not shown: the last good one stands for them. Damage to a
  // picture that no other refers to ends with it; any other ends at the next random access point
  // that came whole, or after kDamageHeldMax: a viewer would rather see smeared pictures than none.
  //
  // A unit of another codec is the same track under other parameters: the run goes on if its
  // timestamps and its frame rate do.
  Status push(const media::AccessUnit& unit);
  // How much of what is pushed from now on is decoded.
  void set_effort(Effort effort);
  // In place of push(): this unit is not decoded, nor are those after it up to the next random
  // access unit. The grid goes on with the last picture, by the unit's time of decoding.
  Status skip(const media::AccessUnit& unit);
  // Units were lost on our side, not the source's: the hole is filled, however long (up to
  // kLongestBridge), if the source's clock shows the time that has passed and filling is quick.
  void note_lost();

  static constexpr std::chrono::milliseconds kDamageHeldMax{1'000};
  static constexpr std::chrono::seconds kLongestBridge{10};
  // Filling a hole may take so long.
  static constexpr std::chrono::milliseconds kBridgingMax{200};

  // The publisher left: what the decoder still holds comes out.
  Status end_turn();
  // A publisher (re)connected, perhaps with another codec, size or rate. Its first picture begins a
  // new run at a segment's start, as a discontinuity if anything came before.
  Status begin_turn(media::Codec codec);

  const PairingState& pairing() const;

  // Once the frame rate is known; what on_description() was given last.
  const media::VideoDescription* description() const;
  const TranscodeStats& stats() const;

 private:
  class Line;
  explicit VideoTranscoder(std::unique_ptr<Line> line);
  std::unique_ptr<Line> line_;
};

// AAC (ADTS), MPEG audio, AC-3, E-AC-3 or Opus → AAC-LC, 48 kHz, stereo; samples of one raw frame.
//
// Each run is gapless from the run's start: silence fills holes, overlaps are cut. Follows the
// timeline; units that do not fit it yet (no anchor, or a jump that video has not seen) wait, at
// most kHeldUnits. A run's first sample may lie at any 1/48000 s; from there on each is 1024 long.
//
// Every run in which video made a sample has one here too, at its start, and goes on to video's
// end (or less than a sample short of it): players align renditions by the number of their
// discontinuities (RFC 8216, 6.2.2 and 6.3.3), so that none may have one that another lacks. When
// a run or a turn ends, all of it comes out at once, and nothing of it later.
//
// Sound that arrives far behind its video (broadcast muxes do that) is waited for: once kLateUnits
// units in a row came too late by about the same, silence stays further behind video until the run
// ends, so that the sound catches up with what was given out. The units until then are lost, and
// counted as skipped or dropped. Sound that is more than kLagMax behind is never heard.
class AudioTranscoder {
 public:
  static constexpr std::size_t kHeldUnits = 64;
  // Silence is made once audio is so far behind what it is filled to, and leaves it behind by so
  // much.
  static constexpr std::chrono::milliseconds kFillAfter{1000};
  static constexpr std::chrono::milliseconds kFillBehind{700};
  static constexpr int kLateUnits = 8;
  static constexpr std::chrono::milliseconds kLagMax{3000};

  static Result<std::unique_ptr<AudioTranscoder>> create(const AudioSettings& settings,
                                                         media::Codec codec, Timeline& timeline,
                                                         SampleSink& sink);
  ~AudioTranscoder();

  // Fails only if the encoder does.
  Status push(const media::AccessUnit& unit);
  // Video has come to `time` (Timeline::video_end()): audio follows, with silence if it must.
  Status fill_to(PresentationTime time);
  // The publisher left (and video's turn has ended): the run ends, with silence up to video's end.
  // Until video begins another, there is no sound.
  Status end_turn();
  Status begin_turn(media::Codec codec);

  // From the beginning; on_description() gets it before the first sample.
  const media::AudioDescription& description() const;
  const TranscodeStats& stats() const;

 private:
  class Line;
  explicit AudioTranscoder(std::unique_ptr<Line> line);
  std::unique_ptr<Line> line_;
};

}  // namespace mirror::transcode
