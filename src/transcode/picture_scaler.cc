#include "transcode/picture_scaler.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <new>

namespace mirror::transcode {
namespace {

constexpr std::uint8_t kBlackLuma = 16;
constexpr std::uint8_t kNoChroma = 128;

int even(double value) { return static_cast<int>(std::lround(value / 2)) * 2; }

// The matrix of YCbCr that the source uses. What says nothing is taken as its size suggests.
// BT.2020 passes as BT.709: without tone mapping its colours are off by far more than the matrix.
int matrix_of(AVColorSpace space, int height) {
  switch (space) {
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return SWS_CS_ITU601;
    case AVCOL_SPC_SMPTE240M:
      return SWS_CS_SMPTE240M;
    case AVCOL_SPC_UNSPECIFIED:
      return height <= 576 ? SWS_CS_ITU601 : SWS_CS_ITU709;
    default:
      return SWS_CS_ITU709;
  }
}

bool is_full_range(const AVFrame& picture) {
  if (picture.color_range == AVCOL_RANGE_JPEG) return true;
  switch (picture.format) {
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUVJ444P:
      return true;
    default:
      return false;
  }
}

void fill(AVFrame& frame, int plane, int x, int y, int width, int height, std::uint8_t value) {
  for (int row = y; row < y + height; ++row) {
    std::memset(frame.data[plane] + std::ptrdiff_t{row} * frame.linesize[plane] + x, value,
                static_cast<std::size_t>(width));
  }
}

}  // namespace

Placement place_on_canvas(int canvas_width, int canvas_height, int source_width, int source_height,
                          AVRational sample_aspect_ratio) {
  const double shape = sample_aspect_ratio.num > 0 && sample_aspect_ratio.den > 0
                           ? av_q2d(sample_aspect_ratio)
                           : 1.0;
  const double aspect = shape * source_width / source_height;
  Placement placement{0, 0, canvas_width, canvas_height};
  if (aspect * canvas_height > canvas_width) {
    placement.height = std::clamp(even(canvas_width / aspect), 2, canvas_height);
  } else {
    placement.width = std::clamp(even(canvas_height * aspect), 2, canvas_width);
  }
  placement.x = (canvas_width - placement.width) / 4 * 2;
  placement.y = (canvas_height - placement.height) / 4 * 2;
  return placement;
}

bool PictureScaler::Source::same_as(const Source& other) const {
  return width == other.width && height == other.height && format == other.format &&
         av_cmp_q(sample_aspect_ratio, other.sample_aspect_ratio) == 0 && space == other.space &&
         full_range == other.full_range;
}

PictureScaler::Source PictureScaler::source_of(const AVFrame& picture) {
  auto shape = picture.sample_aspect_ratio;
  if (shape.num <= 0 || shape.den <= 0) shape = {1, 1};
  return {picture.width, picture.height,     picture.format,
          shape,         picture.colorspace, is_full_range(picture)};
}

av::Frame PictureScaler::make_canvas() const {
  auto canvas = av::make_frame();
  canvas->width = width_;
  canvas->height = height_;
  canvas->format = AV_PIX_FMT_YUV420P;
  canvas->sample_aspect_ratio = {1, 1};
  if (av_frame_get_buffer(canvas.get(), 0) < 0) throw std::bad_alloc();
  return canvas;
}

Status PictureScaler::prepare(const Source& source) {
  scaler_.reset();
  placement_ =
      place_on_canvas(width_, height_, source.width, source.height, source.sample_aspect_ratio);
  // SWS_AREA averages: as quick as bilinear here, and free of aliases (docs/performance.md).
  scaler_.reset(sws_getContext(
      source.width, source.height, static_cast<AVPixelFormat>(source.format), placement_.width,
      placement_.height, AV_PIX_FMT_YUV420P, SWS_AREA, nullptr, nullptr, nullptr));
  if (!scaler_) {
    const char* name = av_get_pix_fmt_name(static_cast<AVPixelFormat>(source.format));
    return fail("cannot scale {}x{} {}", source.width, source.height, name ? name : "?");
  }
  sws_setColorspaceDetails(
      scaler_.get(), sws_getCoefficients(matrix_of(source.space, source.height)),
      source.full_range ? 1 : 0, sws_getCoefficients(SWS_CS_ITU709), 0, 0, 1 << 16, 1 << 16);
  source_ = source;
  return {};
}

Status PictureScaler::render(const AVFrame& picture, AVFrame& canvas) {
  const auto source = source_of(picture);
  if (!scaler_ || !source.same_as(source_)) {
    if (auto status = prepare(source); !status) return status;
  }
  std::array<std::uint8_t*, 4> planes{};
  for (int plane = 0; plane < 3; ++plane) {
    const int shift = plane == 0 ? 0 : 1;
    planes[plane] = canvas.data[plane] +
                    std::ptrdiff_t{placement_.y >> shift} * canvas.linesize[plane] +
                    (placement_.x >> shift);
  }
  const int rows = sws_scale(scaler_.get(), picture.data, picture.linesize, 0, picture.height,
                             planes.data(), canvas.linesize);
  if (rows != placement_.height) return fail("scaling: {}", av::describe(rows));
  // After the picture: swscale's vectors may write some samples past its right edge.
  paint_borders(canvas);
  return {};
}

void PictureScaler::paint_borders(AVFrame& canvas) const {
  if (placement_ == Placement{0, 0, width_, height_}) return;
  for (int plane = 0; plane < 3; ++plane) {
    const int shift = plane == 0 ? 0 : 1;
    const std::uint8_t value = plane == 0 ? kBlackLuma : kNoChroma;
    const int width = width_ >> shift;
    const int height = height_ >> shift;
    const int left = placement_.x >> shift;
    const int top = placement_.y >> shift;
    const int right = (placement_.x + placement_.width) >> shift;
    const int bottom = (placement_.y + placement_.height) >> shift;
    fill(canvas, plane, 0, 0, width, top, value);
    fill(canvas, plane, 0, bottom, width, height - bottom, value);
    fill(canvas, plane, 0, top, left, bottom - top, value);
    fill(canvas, plane, right, top, width - right, bottom - top, value);
  }
}

}  // namespace mirror::transcode
