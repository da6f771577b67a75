#include "transcode/pairing.h"

#include <algorithm>
#include <array>

namespace mirror::transcode {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"nvidia", "nvidia+x264", "software"};

class SoftwarePairing final : public Pairing {
 public:
  std::string decodes_on() const override { return "cpu"; }
  std::string encodes_on() const override { return "x264"; }

  Result<std::unique_ptr<VideoDecoder>> make_decoder(media::Codec codec,
                                                     const VideoSettings& settings) override {
    return VideoDecoder::create(codec, settings.decode_threads);
  }
  std::unique_ptr<PictureScaler> make_scaler(const VideoSettings& settings) override {
    return std::make_unique<PictureScaler>(settings.width, settings.height);
  }
  Result<std::unique_ptr<H264Encoder>> make_encoder(const VideoSettings& settings,
                                                    media::FrameRate rate,
                                                    ParameterSets ids) override {
    return H264Encoder::create(settings, rate, ids);
  }
};

class SoftwareOnly final : public PairingSource {
 public:
  Result<ChosenPairing> next(const std::vector<std::string>& failed) override {
    if (!failed.empty()) return std::unexpected(Error{});
    return ChosenPairing{.id = "software",
                         .name = "software",
                         .device = {},
                         .why = {},
                         .pairing = make_software_pairing(),
                         .place = nullptr};
  }
};

}  // namespace

std::string_view name_of(PairingKind kind) { return kNames.at(static_cast<std::size_t>(kind)); }

std::optional<PairingKind> pairing_kind_of(std::string_view name) {
  const auto at = std::ranges::find(kNames, name);
  if (at == kNames.end()) return std::nullopt;
  return static_cast<PairingKind>(at - kNames.begin());
}

std::unique_ptr<Pairing> make_software_pairing() { return std::make_unique<SoftwarePairing>(); }

PairingSource& software_only() {
  static SoftwareOnly source;
  return source;
}

}  // namespace mirror::transcode
