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
// BT.2020 with constant luminance, which nobody sends, passes as the usual one.
int matrix_of(AVColorSpace space, int height) {
  switch (space) {
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return SWS_CS_ITU601;
    case AVCOL_SPC_SMPTE240M:
      return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return SWS_CS_BT2020;
    case AVCOL_SPC_UNSPECIFIED:
      return height <= 576 ? SWS_CS_ITU601 : SWS_CS_ITU709;
    default:
      return SWS_CS_ITU709;
  }
}

LumaWeights weights_of(int matrix) {
  switch (matrix) {
    case SWS_CS_ITU601:
      return {0.299, 0.114};
    case SWS_CS_SMPTE240M:
      return {0.212, 0.087};
    case SWS_CS_BT2020:
      return {0.2627, 0.0593};
    default:
      return {0.2126, 0.0722};
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

// SWS_AREA averages: as quick as bilinear here, and free of aliases (docs/performance.md). The
// range must be known before the context is: sws_setColorspaceDetails() alone changes it for RGB
// only.
av::Scaler make_scaler(int width, int height, AVPixelFormat format, const Placement& to,
                       AVPixelFormat to_format, bool full_range) {
  av::Scaler scaler(sws_alloc_context());
  if (!scaler) throw std::bad_alloc();
  const auto set = [&](const char* name, std::int64_t value) {
    av_opt_set_int(scaler.get(), name, value, 0);
  };
  set("srcw", width);
  set("srch", height);
  set("src_format", format);
  set("src_range", full_range ? 1 : 0);
  set("dstw", to.width);
  set("dsth", to.height);
  set("dst_format", to_format);
  set("sws_flags", SWS_AREA);
  if (sws_init_context(scaler.get(), nullptr, nullptr) < 0) scaler.reset();
  return scaler;
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
         primaries == other.primaries && transfer == other.transfer &&
         full_range == other.full_range;
}

PictureScaler::Source PictureScaler::source_of(const AVFrame& picture) {
  auto shape = picture.sample_aspect_ratio;
  if (shape.num <= 0 || shape.den <= 0) shape = {1, 1};
  Source source{
      picture.width,      picture.height,          picture.format,    shape,
      picture.colorspace, picture.color_primaries, picture.color_trc, is_full_range(picture)};
  // Whoever says only one half of BT.2020 or BT.2100 means the other half too.
  const bool hdr =
      source.transfer == AVCOL_TRC_SMPTE2084 || source.transfer == AVCOL_TRC_ARIB_STD_B67;
  const bool wide_space =
      source.space == AVCOL_SPC_BT2020_NCL || source.space == AVCOL_SPC_BT2020_CL;
  if (source.primaries == AVCOL_PRI_UNSPECIFIED && (hdr || wide_space)) {
    source.primaries = AVCOL_PRI_BT2020;
  }
  if (source.space == AVCOL_SPC_UNSPECIFIED && source.primaries == AVCOL_PRI_BT2020) {
    source.space = AVCOL_SPC_BT2020_NCL;
  }
  return source;
}

// Nothing if the samples are BT.709's, or so near that they may pass as that (BT.601's primaries).
std::optional<Colour> PictureScaler::colour_of(const Source& source) {
  Colour colour{.weights = weights_of(matrix_of(source.space, source.height))};
  if (source.transfer == AVCOL_TRC_SMPTE2084) colour.transfer = Transfer::kPq;
  if (source.transfer == AVCOL_TRC_ARIB_STD_B67) colour.transfer = Transfer::kHlg;
  if (source.primaries == AVCOL_PRI_BT2020) colour.primaries = Primaries::kBt2020;
  if (source.primaries == AVCOL_PRI_SMPTE432) colour.primaries = Primaries::kP3;
  if (colour.transfer == Transfer::kSdr && colour.primaries == Primaries::kBt709) return {};
  return colour;
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

Status PictureScaler::prepare(Path& path, const Source& source, Fields fields) {
  path.scaler.reset();
  const auto& placement = path.placement =
      place_on_canvas(width_, height_, source.width, source.height, source.sample_aspect_ratio);
  const auto format = static_cast<AVPixelFormat>(source.format);
  const auto colour = colour_of(source);
  path.scaler = make_scaler(
      source.width, fields == Fields::kOne ? source.height / 2 : source.height, format, placement,
      colour ? AV_PIX_FMT_YUV420P10LE : AV_PIX_FMT_YUV420P, source.full_range);
  if (!path.scaler) {
    const char* name = av_get_pix_fmt_name(format);
    return fail("cannot scale {}x{} {}", source.width, source.height, name ? name : "?");
  }
  const int matrix = matrix_of(source.space, source.height);
  sws_setColorspaceDetails(
      path.scaler.get(), sws_getCoefficients(matrix), source.full_range ? 1 : 0,
      sws_getCoefficients(colour ? matrix : SWS_CS_ITU709), 0, 0, 1 << 16, 1 << 16);
  if (!colour) {
    path.tone_map.reset();
    path.wide.reset();
  } else {
    if (!path.tone_map || path.tone_map->colour() != *colour) path.tone_map.emplace(*colour);
    path.wide = av::make_frame();
    path.wide->width = placement.width;
    path.wide->height = placement.height;
    path.wide->format = AV_PIX_FMT_YUV420P10LE;
    if (av_frame_get_buffer(path.wide.get(), 0) < 0) throw std::bad_alloc();
  }
  path.source = source;
  return {};
}

Status PictureScaler::scale(const Path& path, const AVFrame& picture, Fields fields,
                            const std::array<std::uint8_t*, 4>& planes, const int* strides) {
  std::array<int, AV_NUM_DATA_POINTERS> lines{};
  const int apart = fields == Fields::kOne ? 2 : 1;
  for (std::size_t i = 0; i < lines.size(); ++i) lines[i] = picture.linesize[i] * apart;
  const int rows = sws_scale(path.scaler.get(), picture.data, lines.data(), 0,
                             picture.height / apart, planes.data(), strides);
  if (rows != path.placement.height) return fail("scaling: {}", av::describe(rows));
  return {};
}

Status PictureScaler::render(const AVFrame& picture, AVFrame& canvas) {
  const auto fields = fields_of(picture, height_);
  auto& path = fields == Fields::kOne ? fields_ : frames_;
  const auto source = source_of(picture);
  if (!path.scaler || !source.same_as(path.source)) {
    if (auto status = prepare(path, source, fields); !status) return status;
  }
  const AVFrame* samples = &picture;
  if (fields == Fields::kMedian) {
    samples = deinterlacer_.median(picture);
    if (!samples) {
      return fail("cannot deinterlace {}",
                  av_get_pix_fmt_name(static_cast<AVPixelFormat>(picture.format)));
    }
  }
  const auto& placement = path.placement;
  std::array<std::uint8_t*, 4> planes{};
  for (int plane = 0; plane < 3; ++plane) {
    const int shift = plane == 0 ? 0 : 1;
    planes[plane] = canvas.data[plane] +
                    std::ptrdiff_t{placement.y >> shift} * canvas.linesize[plane] +
                    (placement.x >> shift);
  }
  if (!path.tone_map) {
    if (auto status = scale(path, *samples, fields, planes, canvas.linesize); !status) {
      return status;
    }
  } else {
    const auto& wide = *path.wide;
    if (auto status = scale(path, *samples, fields,
                            {wide.data[0], wide.data[1], wide.data[2], nullptr}, wide.linesize);
        !status) {
      return status;
    }
    path.tone_map->apply({{wide.data[0], wide.data[1], wide.data[2]},
                          {wide.linesize[0], wide.linesize[1], wide.linesize[2]}},
                         {{planes[0], planes[1], planes[2]},
                          {canvas.linesize[0], canvas.linesize[1], canvas.linesize[2]}},
                         placement.width, placement.height);
  }
  // After the picture: swscale's vectors may write some samples past its right edge.
  paint_borders(placement, canvas);
  return {};
}

void PictureScaler::paint_borders(const Placement& placement, AVFrame& canvas) const {
  if (placement == Placement{0, 0, width_, height_}) return;
  for (int plane = 0; plane < 3; ++plane) {
    const int shift = plane == 0 ? 0 : 1;
    const std::uint8_t value = plane == 0 ? kBlackLuma : kNoChroma;
    const int width = width_ >> shift;
    const int height = height_ >> shift;
    const int left = placement.x >> shift;
    const int top = placement.y >> shift;
    const int right = (placement.x + placement.width) >> shift;
    const int bottom = (placement.y + placement.height) >> shift;
    fill(canvas, plane, 0, 0, width, top, value);
    fill(canvas, plane, 0, bottom, width, height - bottom, value);
    fill(canvas, plane, 0, top, left, bottom - top, value);
    fill(canvas, plane, right, top, width - right, bottom - top, value);
  }
}

}  // namespace mirror::transcode
