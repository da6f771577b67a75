#include "transcode/nvidia_pairing.h"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "transcode/filters.h"
#include "transcode/nvidia_options.h"

namespace mirror::transcode {
namespace {

// Device errors in a row, and access units without a picture (the longest reordering is 16), until
// a GPU's decoder is given up.
constexpr int kDeviceErrorsMax = 3;
constexpr int kUnitsWithoutPictureMax = 48;

av::BufferRef share(const AVBufferRef& reference) {
  av::BufferRef shared(av_buffer_ref(&reference));
  if (!shared) throw std::bad_alloc();
  return shared;
}

bool is_device_error(int error) {
  return error == AVERROR_EXTERNAL || error == AVERROR_UNKNOWN || error == AVERROR(ENOMEM) ||
         error == AVERROR(ENOSYS) || error == AVERROR(EIO);
}

class NvidiaDecoder final : public VideoDecoder {
 public:
  explicit NvidiaDecoder(av::CodecContext context) : VideoDecoder(std::move(context)) {}

  bool push(const media::AccessUnit& unit, bool tainted) override {
    const bool taken = VideoDecoder::push(unit, tainted);
    count(taken ? 1 : 0);
    return taken;
  }

  Taken take() override {
    if (!why_.empty()) return Taken::kLost;
    const auto taken = VideoDecoder::take();
    if (taken == Taken::kPicture) {
      errors_in_row_ = 0;
      units_without_picture_ = 0;
      if (picture().format == AV_PIX_FMT_CUDA) return taken;
      why_ = "the GPU does not decode this format, or has no room for one decoder more";
      return Taken::kLost;
    }
    count(0);
    return why_.empty() ? taken : Taken::kLost;
  }

  std::string why_lost() const override { return why_; }

 private:
  void count(int units) {
    units_without_picture_ += units;
    if (is_device_error(last_error()) && ++errors_in_row_ >= kDeviceErrorsMax) {
      why_ = explain_nvidia(av::describe(last_error()));
    } else if (units_without_picture_ > kUnitsWithoutPictureMax) {
      why_ = fmt::format("the GPU made no picture of {} access units", kUnitsWithoutPictureMax);
    }
  }

  int errors_in_row_ = 0;
  int units_without_picture_ = 0;
  std::string why_;
};

// One picture in, one smaller one out, on the GPU. Made anew for each kind of picture.
class GpuReducer {
 public:
  static Result<std::unique_ptr<GpuReducer>> create(const AVFrame& picture, int width, int height,
                                                    AVPixelFormat format);
  ~GpuReducer() { filters_.graph_free(&graph_); }
  GpuReducer(const GpuReducer&) = delete;
  GpuReducer& operator=(const GpuReducer&) = delete;

  bool fits(const AVFrame& picture, int width, int height, AVPixelFormat format) const {
    return pool_ == picture.hw_frames_ctx->data && source_width_ == picture.width &&
           source_height_ == picture.height && width_ == width && height_ == height &&
           format_ == format;
  }
  // `small` is empty, and holds the picture afterwards.
  Status reduce(const AVFrame& picture, AVFrame& small);

 private:
  GpuReducer(const Filters& filters, const AVFrame& picture, int width, int height,
             AVPixelFormat format)
      : filters_(filters),
        graph_(filters.graph_alloc()),
        pool_(picture.hw_frames_ctx->data),
        source_width_(picture.width),
        source_height_(picture.height),
        width_(width),
        height_(height),
        format_(format) {
    if (!graph_) throw std::bad_alloc();
  }
  Status build(const AVFrame& picture);
  Status add_source(const AVFrame& picture);

  const Filters& filters_;
  AVFilterGraph* graph_;
  AVFilterContext* source_ = nullptr;  // these belong to the graph
  AVFilterContext* sink_ = nullptr;
  const std::uint8_t* const pool_;  // the decoder's; the graph holds a reference to it
  const int source_width_;
  const int source_height_;
  const int width_;
  const int height_;
  const AVPixelFormat format_;  // AV_PIX_FMT_NONE: the source's
};

Result<std::unique_ptr<GpuReducer>> GpuReducer::create(const AVFrame& picture, int width,
                                                       int height, AVPixelFormat format) {
  const auto filters = Filters::load();
  if (!filters) return std::unexpected(filters.error());
  std::unique_ptr<GpuReducer> reducer(new GpuReducer(**filters, picture, width, height, format));
  if (auto built = reducer->build(picture); !built) {
    return std::unexpected(std::move(built.error()));
  }
  return reducer;
}

Status GpuReducer::add_source(const AVFrame& picture) {
  source_ = filters_.graph_alloc_filter(graph_, filters_.get_by_name("buffer"), "in");
  if (!source_) return fail("libavfilter has no source");
  AVBufferSrcParameters* parameters = filters_.source_parameters_alloc();
  if (!parameters) throw std::bad_alloc();
  parameters->format = AV_PIX_FMT_CUDA;
  parameters->width = picture.width;
  parameters->height = picture.height;
  parameters->time_base = {1, 90'000};
  parameters->hw_frames_ctx = picture.hw_frames_ctx;  // the filter takes a reference of its own
  int error = filters_.source_parameters_set(source_, parameters);
  av_free(parameters);
  if (error >= 0) error = filters_.init_str(source_, nullptr);
  if (error < 0) return fail("scaling on the GPU: {}", av::describe(error));
  return {};
}

Status GpuReducer::build(const AVFrame& picture) {
  if (auto added = add_source(picture); !added) return added;
  auto* scale = filters_.graph_alloc_filter(graph_, filters_.get_by_name("scale_cuda"), "scale");
  sink_ = filters_.graph_alloc_filter(graph_, filters_.get_by_name("buffersink"), "out");
  if (!scale || !sink_) return fail("libavfilter has no scale_cuda");

  AVDictionary* options = nullptr;
  for (const auto& option : kScaleCudaOptions) av_dict_set(&options, option.name, option.value, 0);
  av_dict_set_int(&options, "w", width_, 0);
  av_dict_set_int(&options, "h", height_, 0);
  if (format_ != AV_PIX_FMT_NONE) {
    av_dict_set(&options, "format", av_get_pix_fmt_name(format_), 0);
  }
  int error = filters_.init_dict(scale, &options);
  av_dict_free(&options);
  if (error >= 0) error = filters_.init_str(sink_, nullptr);
  if (error >= 0) error = filters_.link(source_, 0, scale, 0);
  if (error >= 0) error = filters_.link(scale, 0, sink_, 0);
  if (error >= 0) error = filters_.graph_config(graph_, nullptr);
  if (error < 0) return fail("scaling on the GPU: {}", explain_nvidia(av::describe(error)));
  return {};
}

Status GpuReducer::reduce(const AVFrame& picture, AVFrame& small) {
  // KEEP_REF: the filter takes a reference of its own, and leaves `picture` alone.
  int error = filters_.source_add(source_, const_cast<AVFrame*>(&picture),
                                  AV_BUFFERSRC_FLAG_KEEP_REF | AV_BUFFERSRC_FLAG_NO_CHECK_FORMAT);
  if (error >= 0) error = filters_.sink_get(sink_, &small);
  if (error < 0) return fail("scaling on the GPU: {}", explain_nvidia(av::describe(error)));
  return {};
}

class NvidiaScaler final : public PictureScaler {
 public:
  enum class Canvas { kMemory, kDevice };
  NvidiaScaler(int canvas_width, int canvas_height, Canvas canvas)
      : PictureScaler(canvas_width, canvas_height), canvas_(canvas) {}

  Status render(const AVFrame& picture, AVFrame& canvas) override;

 private:
  bool is_finished(const AVFrame& picture, const Placement& placement) const;
  Status reduce(const AVFrame& picture, const Placement& placement, AVPixelFormat format,
                AVFrame& small);
  Status render_in_memory(const AVFrame& on_device, const AVFrame& source, AVFrame& canvas);

  const Canvas canvas_;
  std::unique_ptr<GpuReducer> reducer_;
};

// Whether scaling is all that a picture needs.
bool NvidiaScaler::is_finished(const AVFrame& picture, const Placement& placement) const {
  const bool matrix = picture.colorspace == AVCOL_SPC_BT709 ||
                      (picture.colorspace == AVCOL_SPC_UNSPECIFIED && picture.height > 576);
  const bool transfer =
      picture.color_trc == AVCOL_TRC_BT709 || picture.color_trc == AVCOL_TRC_UNSPECIFIED;
  const bool primaries =
      picture.color_primaries != AVCOL_PRI_BT2020 && picture.color_primaries != AVCOL_PRI_SMPTE432;
  return matrix && transfer && primaries && picture.color_range != AVCOL_RANGE_JPEG &&
         placement == Placement{0, 0, width(), height()};
}

Status NvidiaScaler::render(const AVFrame& picture, AVFrame& canvas) {
  if (picture.format != AV_PIX_FMT_CUDA || picture.hw_frames_ctx == nullptr) {
    return fail("not a picture of this GPU");
  }
  if (picture.interlaced_frame) return render_in_memory(picture, picture, canvas);
  const auto placement = place_on_canvas(width(), height(), picture.width, picture.height,
                                         picture.sample_aspect_ratio);
  const bool finished = canvas_ == Canvas::kDevice && is_finished(picture, placement);
  auto small = av::make_frame();
  if (auto reduced =
          reduce(picture, placement, finished ? AV_PIX_FMT_YUV420P : AV_PIX_FMT_NONE, *small);
      !reduced) {
    return reduced;
  }
  if (!finished) return render_in_memory(*small, picture, canvas);
  small->sample_aspect_ratio = {1, 1};
  av_frame_unref(&canvas);
  av_frame_move_ref(&canvas, small.get());
  return {};
}

Status NvidiaScaler::reduce(const AVFrame& picture, const Placement& placement,
                            AVPixelFormat format, AVFrame& small) {
  if (!reducer_ || !reducer_->fits(picture, placement.width, placement.height, format)) {
    reducer_.reset();
    auto reducer = GpuReducer::create(picture, placement.width, placement.height, format);
    if (!reducer) return std::unexpected(std::move(reducer.error()));
    reducer_ = std::move(*reducer);
  }
  return reducer_->reduce(picture, small);
}

// What lies on the device is fetched, and painted as `source`'s colours ask for.
Status NvidiaScaler::render_in_memory(const AVFrame& on_device, const AVFrame& source,
                                      AVFrame& canvas) {
  auto fetched = av::make_frame();
  if (const int error = av_hwframe_transfer_data(fetched.get(), &on_device, 0); error < 0) {
    return fail("fetching a picture from the GPU: {}", explain_nvidia(av::describe(error)));
  }
  if (av_frame_copy_props(fetched.get(), &source) < 0) throw std::bad_alloc();
  if (fetched->width != source.width || fetched->height != source.height) {
    fetched->sample_aspect_ratio = {1, 1};
  }
  // Those who say nothing are judged by their size, which the small picture does not have any more;
  // PictureScaler knows the matrix of those who speak of BT.2020 or BT.2100 otherwise.
  const bool hdr =
      source.color_trc == AVCOL_TRC_SMPTE2084 || source.color_trc == AVCOL_TRC_ARIB_STD_B67;
  const bool wide = source.color_primaries == AVCOL_PRI_BT2020 ||
                    (source.color_primaries == AVCOL_PRI_UNSPECIFIED && hdr);
  if (fetched->colorspace == AVCOL_SPC_UNSPECIFIED && !wide) {
    fetched->colorspace = source.height > 576 ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
  }
  if (canvas.hw_frames_ctx) {
    av_frame_unref(&canvas);
    auto fresh = make_canvas();
    av_frame_move_ref(&canvas, fresh.get());
  }
  return PictureScaler::render(*fetched, canvas);
}

// Room on the device for canvases of x264's format, laid out as scale_cuda's are.
Result<av::BufferRef> make_canvas_pool(const VideoSettings& settings, const AVBufferRef& device) {
  auto shared = share(device);
  av::BufferRef pool(av_hwframe_ctx_alloc(shared.get()));
  if (!pool) throw std::bad_alloc();
  auto* frames = reinterpret_cast<AVHWFramesContext*>(pool->data);
  frames->format = AV_PIX_FMT_CUDA;
  frames->sw_format = AV_PIX_FMT_YUV420P;
  frames->width = FFALIGN(settings.width, 32);
  frames->height = FFALIGN(settings.height, 32);
  if (const int error = av_hwframe_ctx_init(pool.get()); error < 0) {
    return fail("room on the GPU: {}", explain_nvidia(av::describe(error)));
  }
  return pool;
}

class NvencEncoder final : public H264Encoder {
 public:
  NvencEncoder(av::CodecContext context, media::VideoDescription description, av::BufferRef pool,
               av::BufferRef device)
      : H264Encoder(std::move(context), std::move(description)),
        pool_(std::move(pool)),
        device_(std::move(device)) {}

  Result<Bytes> encode(AVFrame& canvas, PictureKind kind) override {
    if (canvas.hw_frames_ctx) return explained(H264Encoder::encode(canvas, kind));
    auto uploaded = av::make_frame();
    int error = av_hwframe_get_buffer(pool_.get(), uploaded.get(), 0);
    uploaded->width = canvas.width;
    uploaded->height = canvas.height;
    if (error >= 0) error = av_hwframe_transfer_data(uploaded.get(), &canvas, 0);
    if (error < 0) return fail("to the GPU: {}", explain_nvidia(av::describe(error)));
    uploaded->sample_aspect_ratio = {1, 1};
    return explained(H264Encoder::encode(*uploaded, kind));
  }

  bool takes(const AVFrame& canvas) const override {
    if (!canvas.hw_frames_ctx) return true;
    const auto* frames = reinterpret_cast<const AVHWFramesContext*>(canvas.hw_frames_ctx->data);
    return frames->device_ref->data == device_->data;
  }

 private:
  static Result<Bytes> explained(Result<Bytes> encoded) {
    if (encoded) return encoded;
    return std::unexpected(Error{explain_nvidia(encoded.error().message)});
  }

  const av::BufferRef pool_;
  const av::BufferRef device_;
};

class NvidiaPairing final : public Pairing {
 public:
  NvidiaPairing(PairingKind kind, int index, av::BufferRef device)
      : kind_(kind), index_(index), device_(std::move(device)) {}

  std::string decodes_on() const override { return fmt::format("cuda:{}", index_); }
  std::string encodes_on() const override {
    return encodes() ? fmt::format("nvenc:{}", index_) : std::string("x264");
  }

  Result<std::unique_ptr<VideoDecoder>> make_decoder(media::Codec codec,
                                                     const VideoSettings&) override {
    return make_nvdec(codec, *device_);
  }
  std::unique_ptr<PictureScaler> make_scaler(const VideoSettings& settings) override {
    return std::make_unique<NvidiaScaler>(
        settings.width, settings.height,
        encodes() ? NvidiaScaler::Canvas::kDevice : NvidiaScaler::Canvas::kMemory);
  }
  Result<std::unique_ptr<H264Encoder>> make_encoder(const VideoSettings& settings,
                                                    media::FrameRate rate,
                                                    ParameterSets ids) override {
    if (!encodes()) return H264Encoder::create(settings, rate, ids);
    return make_nvenc(settings, rate, *device_);
  }

 private:
  bool encodes() const { return kind_ == PairingKind::kNvidia; }

  const PairingKind kind_;
  const int index_;
  const av::BufferRef device_;
};

struct Explanation {
  std::string_view said;  // a part of it
  std::string_view means;
};

// In this order: the first that is found is the answer. The texts are those of libavcodec 59's
// nvenc.c and nvdec.c, libavutil's CUDA context and the driver.
constexpr std::array kExplanations = {
    Explanation{"libcuda.so", "no NVIDIA driver: libcuda.so.1 is not there"},
    Explanation{"dynamically load CUDA", "no NVIDIA driver: libcuda.so.1 is not there"},
    Explanation{"libnvidia-encode.so",
                "the driver's encoder library libnvidia-encode.so.1 is not there (in a container, "
                "NVIDIA_DRIVER_CAPABILITIES must hold \"video\")"},
    Explanation{"libnvcuvid.so",
                "the driver's decoder library libnvcuvid.so.1 is not there (in a container, "
                "NVIDIA_DRIVER_CAPABILITIES must hold \"video\")"},
    Explanation{"nvenc API version", "the NVIDIA driver is too old for this libavcodec's NVENC"},
    Explanation{"nvcuvid", "the driver's decoder library libnvcuvid.so.1 cannot be used"},
    Explanation{"incompatible client key",
                "the driver allows no further NVENC session (consumer GPUs have a limit)"},
    Explanation{"OpenEncodeSessionEx failed: out of memory",
                "the driver allows no further NVENC session (consumer GPUs have a limit), or the "
                "GPU's memory is full"},
    Explanation{"unsupported device", "this GPU has no NVENC engine (as H100 and A100)"},
    Explanation{"no encode device", "this GPU has no NVENC engine (as H100 and A100)"},
    Explanation{"required NVENC features", "this GPU's NVENC lacks what is asked of it"},
    Explanation{"No capable devices found", "no GPU here has an NVENC engine that can do this"},
    Explanation{"CUDA_ERROR_OUT_OF_MEMORY", "the GPU's memory is full"},
    Explanation{"CUDA_ERROR_NO_DEVICE", "an NVIDIA driver, but no GPU that it may use"},
    Explanation{"CUDA_ERROR_INVALID_DEVICE", "there is no such GPU"},
    Explanation{"CUDA_ERROR_ECC", "the GPU's memory is damaged (ECC)"},
    Explanation{"CUDA_ERROR_UNSUPPORTED_PTX", "the NVIDIA driver is too old for scale_cuda"},
    Explanation{"No decoder surfaces left", "the GPU's decoder has no picture memory left"},
    Explanation{"CUDA_ERROR_", "the GPU failed, and may be lost"},
};

}  // namespace

std::string explain_nvidia(std::string_view said) {
  for (const auto& explanation : kExplanations) {
    if (said.find(explanation.said) == std::string_view::npos) continue;
    return fmt::format("{} [{}]", explanation.means, said);
  }
  return std::string(said);
}

Result<std::unique_ptr<VideoDecoder>> make_nvdec(media::Codec codec, const AVBufferRef& device) {
  const auto shared = share(device);
  auto context = av::open_decoder(codec, 1, {}, shared.get());
  if (!context) return std::unexpected(Error{explain_nvidia(context.error().message)});
  return std::make_unique<NvidiaDecoder>(std::move(*context));
}

Result<std::unique_ptr<H264Encoder>> make_nvenc(const VideoSettings& settings,
                                                media::FrameRate rate, const AVBufferRef& device) {
  av::take_over_log();
  const AVCodec* codec = avcodec_find_encoder_by_name("h264_nvenc");
  if (!codec) return fail("this libavcodec was built without NVENC");
  auto pool = make_canvas_pool(settings, device);
  if (!pool) return std::unexpected(std::move(pool.error()));
  av::CodecContext context(avcodec_alloc_context3(codec));
  if (!context) throw std::bad_alloc();
  set_proxy(*context, settings, rate);
  context->pix_fmt = AV_PIX_FMT_CUDA;
  context->hw_frames_ctx = share(**pool).release();
  for (const auto& option : kNvencOptions) {
    if (av_opt_set(context->priv_data, option.name, option.value, 0) < 0) {
      return fail("this libavcodec's NVENC knows no {}={}", option.name, option.value);
    }
  }
  if (const int error = avcodec_open2(context.get(), codec, nullptr); error < 0) {
    return fail("NVENC: {}", explain_nvidia(av::describe(error)));
  }
  auto description = describe_encoder(*context, settings, rate);
  if (!description) return std::unexpected(std::move(description.error()));
  if (auto added = add_spare_sets(settings, *description); !added) {
    return std::unexpected(std::move(added.error()));
  }
  return std::make_unique<NvencEncoder>(std::move(context), *std::move(description),
                                        *std::move(pool), share(device));
}

std::unique_ptr<Pairing> make_nvidia_pairing(PairingKind kind, int index,
                                             const AVBufferRef& device) {
  return std::make_unique<NvidiaPairing>(kind, index, share(device));
}

}  // namespace mirror::transcode
