// PictureScaler: any decoded picture → the proxy's canvas, 8-bit 4:2:0 BT.709 limited range, with
// the picture's aspect ratio kept and black around it.
//
// On the media thread, owned by a VideoTranscoder. Holds one swscale context, made anew when the
// source's format changes.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "transcode/av.h"

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
  // Paints all of `canvas`, which nobody else may be reading.
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
    bool full_range = false;
    bool same_as(const Source& other) const;
  };

  static Source source_of(const AVFrame& picture);
  Status prepare(const Source& source);
  void paint_borders(AVFrame& canvas) const;

  const int width_;
  const int height_;
  Source source_;
  Placement placement_;
  av::Scaler scaler_;
};

}  // namespace mirror::transcode
