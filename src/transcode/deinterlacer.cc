#include "transcode/deinterlacer.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace mirror::transcode {
namespace {

template <typename Sample>
void hold_between(const std::uint8_t* above, const std::uint8_t* line, const std::uint8_t* below,
                  std::uint8_t* out, int bytes) {
  const auto* a = reinterpret_cast<const Sample*>(above);
  const auto* x = reinterpret_cast<const Sample*>(line);
  const auto* b = reinterpret_cast<const Sample*>(below);
  auto* to = reinterpret_cast<Sample*>(out);
  const int count = bytes / static_cast<int>(sizeof(Sample));
  for (int i = 0; i < count; ++i) {
    const Sample low = std::min(a[i], b[i]);
    const Sample high = std::max(a[i], b[i]);
    to[i] = std::min(std::max(x[i], low), high);
  }
}

}  // namespace

Fields fields_of(const AVFrame& picture, int height) {
  if (!picture.interlaced_frame || picture.height < 8) return Fields::kNone;
  return picture.height / 2 >= height ? Fields::kOne : Fields::kMedian;
}

const AVFrame* Deinterlacer::median(const AVFrame& picture) {
  const auto format = static_cast<AVPixelFormat>(picture.format);
  const auto* about = av_pix_fmt_desc_get(format);
  constexpr std::uint64_t kOdd = AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_HWACCEL |
                                 AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BE;
  if (!about || (about->flags & kOdd) != 0) return nullptr;
  if (!frame_ || frame_->width != picture.width || frame_->height != picture.height ||
      frame_->format != picture.format) {
    frame_ = av::make_frame();
    frame_->width = picture.width;
    frame_->height = picture.height;
    frame_->format = picture.format;
    if (av_frame_get_buffer(frame_.get(), 0) < 0) throw std::bad_alloc();
  }
  const auto hold =
      about->comp[0].depth > 8 ? hold_between<std::uint16_t> : hold_between<std::uint8_t>;
  for (int plane = 0; plane < av_pix_fmt_count_planes(format); ++plane) {
    const bool chroma = about->nb_components >= 3 && (plane == 1 || plane == 2) &&
                        (about->flags & AV_PIX_FMT_FLAG_RGB) == 0;
    const int rows = chroma ? AV_CEIL_RSHIFT(picture.height, about->log2_chroma_h) : picture.height;
    const int bytes = av_image_get_linesize(format, picture.width, plane);
    if (bytes <= 0) return nullptr;
    const auto line = [&](int row) {
      return picture.data[plane] + std::ptrdiff_t{row} * picture.linesize[plane];
    };
    for (int row = 0; row < rows; ++row) {
      auto* to = frame_->data[plane] + std::ptrdiff_t{row} * frame_->linesize[plane];
      if (row % 2 == 0) {
        std::memcpy(to, line(row), static_cast<std::size_t>(bytes));
      } else {
        hold(line(row - 1), line(row), line(std::min(row + 1, rows - 1) / 2 * 2), to, bytes);
      }
    }
  }
  return frame_.get();
}

}  // namespace mirror::transcode
