#include "transcode/device_probe.h"

#include <algorithm>
#include <array>
#include <span>

#include "transcode/nvidia_pairing.h"

namespace mirror::transcode {
namespace {

// One grey picture of 256x144, the least that NVDEC takes being 144x144 (HEVC); made by x264 and
// x265.
constexpr auto kH264Picture = std::to_array<std::uint8_t>(
    {0x00, 0x00, 0x00, 0x01, 0x67, 0x64, 0x00, 0x0c, 0xac, 0xd9, 0x41, 0x01, 0x3b, 0x01, 0x10,
     0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x42, 0x99, 0x60, 0x00,
     0x00, 0x00, 0x01, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0x00, 0x00, 0x01, 0x65, 0x88, 0x84,
     0x00, 0x27, 0xff, 0xfe, 0xf5, 0xb1, 0x7c, 0x7f, 0xc7, 0x8b, 0x3a, 0x0c, 0x8b, 0xb8, 0x65,
     0xc9, 0x32, 0x6b, 0xad, 0x88, 0xb8, 0x9b, 0x40, 0x3d, 0x42, 0xc1, 0x8a, 0x97, 0x78, 0x71,
     0x64, 0x9c, 0x22, 0xfb, 0x80, 0x00, 0x01, 0xc0, 0x04, 0x3a, 0x99, 0x2e, 0x2d, 0xeb});
constexpr auto kHevcPicture = std::to_array<std::uint8_t>(
    {0x00, 0x00, 0x00, 0x01, 0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x04, 0x08, 0x00, 0x00, 0x03, 0x00,
     0x9f, 0xa8, 0x00, 0x00, 0x03, 0x00, 0x00, 0x3c, 0xba, 0x02, 0x40, 0x00, 0x00, 0x00, 0x01, 0x42,
     0x01, 0x01, 0x04, 0x08, 0x00, 0x00, 0x03, 0x00, 0x9f, 0xa8, 0x00, 0x00, 0x03, 0x00, 0x00, 0x3c,
     0xa0, 0x08, 0x08, 0x09, 0x16, 0x5b, 0xa9, 0x24, 0xca, 0xf0, 0x16, 0x80, 0x80, 0x00, 0x00, 0x03,
     0x00, 0x80, 0x00, 0x00, 0x0f, 0x04, 0x00, 0x00, 0x00, 0x01, 0x44, 0x01, 0xc1, 0x72, 0xb0, 0x62,
     0x40, 0x00, 0x00, 0x01, 0x28, 0x01, 0xaf, 0x76, 0x57, 0xa2, 0xeb, 0xae, 0xfb, 0xfe, 0x75, 0x57,
     0xca, 0xc1, 0x71, 0x43, 0x16, 0xf5, 0xc2, 0x40, 0xbd, 0x80, 0xa6, 0x65, 0x35, 0x20, 0x28, 0x81,
     0xa2, 0x5e, 0xc0, 0x93, 0x06, 0x08, 0xbc, 0x00, 0x75, 0xc0});

Trial works() { return {.works = true, .why = {}}; }
Trial does_not(std::string why) { return {.works = false, .why = std::move(why)}; }

// The GPU's picture of `coded`; what is missing is told in the trial.
struct Decoded {
  Trial trial;
  std::unique_ptr<VideoDecoder> decoder;  // owns the picture
};

Decoded try_decoding(media::Codec codec, std::span<const std::uint8_t> coded,
                     const AVBufferRef& cuda) {
  auto decoder = make_nvdec(codec, cuda);
  if (!decoder) return {does_not(std::move(decoder.error().message)), nullptr};
  media::AccessUnit unit;
  unit.codec = codec;
  unit.random_access = true;
  unit.data = Bytes::of_static(coded);
  if (!(*decoder)->push(unit)) return {does_not("the GPU refuses a picture"), nullptr};
  (*decoder)->finish();
  switch ((*decoder)->take()) {
    case VideoDecoder::Taken::kPicture:
      return {works(), std::move(*decoder)};
    case VideoDecoder::Taken::kLost:
      return {does_not((*decoder)->why_lost()), nullptr};
    default:
      return {does_not("the GPU makes no picture"), nullptr};
  }
}

Trial try_scaling(const Decoded& decoded, Pairing& pairing, const VideoSettings& settings) {
  if (!decoded.decoder) return does_not("no picture to try with");
  const auto scaler = pairing.make_scaler(settings);
  const auto canvas = scaler->make_canvas();
  if (auto scaled = scaler->render(decoded.decoder->picture(), *canvas); !scaled) {
    return does_not(scaled.error().message);
  }
  return works();
}

Trial try_encoding(const VideoSettings& settings, const AVBufferRef& cuda) {
  auto encoder = make_nvenc(settings, {30, 1}, cuda);
  if (!encoder) return does_not(std::move(encoder.error().message));
  PictureScaler scaler(settings.width, settings.height);
  const auto canvas = scaler.make_canvas();
  for (int plane = 0; plane < 3; ++plane) {
    const int rows = plane == 0 ? canvas->height : canvas->height / 2;
    std::fill_n(canvas->data[plane], std::ptrdiff_t{rows} * canvas->linesize[plane],
                std::uint8_t{128});
  }
  if (auto coded = (*encoder)->encode(*canvas, PictureKind::kIdr); !coded) {
    return does_not(std::move(coded.error().message));
  }
  return works();
}

Device try_device(int index) {
  Device device;
  device.index = index;
  device.name = cuda::name_of(index);
  device.memory = cuda::memory_of(index);
  auto context = cuda::open(index);
  if (!context) {
    device.context = does_not(explain_nvidia(context.error().message));
    device.decode_h264 = device.decode_hevc = device.scale = device.encode = device.context;
    return device;
  }
  device.cuda = std::move(*context);
  device.context = works();
  const VideoSettings settings;
  auto h264 = try_decoding(media::Codec::kH264, kH264Picture, *device.cuda);
  auto hevc = try_decoding(media::Codec::kHevc, kHevcPicture, *device.cuda);
  const auto pairing = make_nvidia_pairing(PairingKind::kNvidiaX264, index, *device.cuda);
  device.scale = try_scaling(hevc.decoder ? hevc : h264, *pairing, settings);
  device.decode_h264 = std::move(h264.trial);
  device.decode_hevc = std::move(hevc.trial);
  device.encode = try_encoding(settings, *device.cuda);
  return device;
}

}  // namespace

bool Device::can(PairingKind kind) const { return why_not(kind).empty(); }

std::string Device::why_not(PairingKind kind) const {
  if (kind == PairingKind::kSoftware) return {};
  for (const Trial* trial : {&context, &decode_hevc, &decode_h264, &scale}) {
    if (!trial->works) return trial->why;
  }
  return kind == PairingKind::kNvidia && !encode.works ? encode.why : std::string();
}

Discovery discover_devices() {
  Discovery found;
  found.driver = cuda::driver_version();
  const auto count = cuda::count_devices();
  if (!count) {
    found.why_none = count.error().message;
    return found;
  }
  if (*count == 0) found.why_none = "an NVIDIA driver, but no GPU that it may use";
  for (int index = 0; index < std::min(*count, kDevicesMax); ++index) {
    found.devices.push_back(try_device(index));
  }
  return found;
}

}  // namespace mirror::transcode
