// PictureScaler: any decoded picture → the proxy's canvas, 8-bit 4:2:0 BT.709 limited range, with
// the picture's aspect ratio kept, no combs, and black around it.
//
// On the media thread, owned by a VideoTranscoder. Holds a swscale context for frames and one for
// fields (a feed may mix them picture by picture), each made anew when its source's format changes.
// SDR in BT.709 or BT.601 goes from the picture to the canvas in that one pass; what has a high
// dynamic range or a wide gamut is scaled in 10 bits first, and then goes through a ToneMap.
//
// Side data is ignored: a display matrix too, which contribution feeds have by mistake if at all.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/result.h"
#include "transcode/av.h"
#include "transcode/deinterlacer.h"
#include "transcode/tone_map.h"

namespace mirror::transcode {

// Where the picture lies on the canvas; everything even, as 4:2:0 needs it.
struct Placement {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
  friend bool operator==(const Placement&, const Placement&) = default;
};

// The largest area of the canvas with the display aspect ratio of a source of so many samples of
// the given shape (a ratio that is not positive means square).
Placement place_on_canvas(int canvas_width, int canvas_height, int source_width, int source_height,
                          AVRational sample_aspect_ratio);

class PictureScaler {
 public:
  PictureScaler(int canvas_width, int canvas_height)
      : width_(canvas_width), height_(canvas_height) {}
  virtual ~PictureScaler() = default;

  // An empty canvas of the right format. Aborts only if memory is out.
  av::Frame make_canvas() const;
  // Paints all of `canvas`, which nobody else may be reading. Fails, with the format's name, for
  // samples that it cannot read; every format that the software decoders of H.264 and HEVC give is
  // read by this one.
  virtual Status render(const AVFrame& picture, AVFrame& canvas);

 protected:
  int width() const { return width_; }
  int height() const { return height_; }

 private:
  struct Source {
    int width = 0;
    int height = 0;
    int format = -1;
    AVRational sample_aspect_ratio{};
    AVColorSpace space = AVCOL_SPC_UNSPECIFIED;
    AVColorPrimaries primaries = AVCOL_PRI_UNSPECIFIED;
    AVColorTransferCharacteristic transfer = AVCOL_TRC_UNSPECIFIED;
    bool full_range = false;
    bool same_as(const Source& other) const;
  };
  // The way of one kind of source.
  struct Path {
    Source source;
    Placement placement;
    av::Scaler scaler;
    std::optional<ToneMap> tone_map;
    av::Frame wide;  // for tone_map: 10 bits, of the placement's size
  };

  static Source source_of(const AVFrame& picture);
  static std::optional<Colour> colour_of(const Source& source);
  Status prepare(Path& path, const Source& source, Fields fields);
  static Status scale(const Path& path, const AVFrame& picture, Fields fields,
                      const std::array<std::uint8_t*, 4>& planes, const int* strides);
  void paint_borders(const Placement& placement, AVFrame& canvas) const;

  const int width_;
  const int height_;
  Path frames_;
  Path fields_;
  Deinterlacer deinterlacer_;
};

}  // namespace mirror::transcode
