// What a stream does when its device fails: pairings that fail on purpose, and software behind
// them.
#include "transcode/pairing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "transcode/device_pool.h"
#include "transcode/test_feed.h"

namespace mirror::transcode {
namespace {

using namespace std::chrono_literals;
using test::make_video;
using test::Recorder;
using ::testing::HasSubstr;

constexpr int kNever = std::numeric_limits<int>::max();

// Pictures until each part fails; 0: it cannot be made.
struct Faults {
  int decoder = kNever;
  int scaler = kNever;
  int encoder = kNever;
};

class FailingDecoder final : public VideoDecoder {
 public:
  FailingDecoder(media::Codec codec, int left)
      : VideoDecoder(std::move(*av::open_decoder(codec, 1))), left_(left) {}
  Taken take() override {
    if (left_ == 0) return Taken::kLost;
    const auto taken = VideoDecoder::take();
    if (taken == Taken::kPicture) --left_;
    return taken;
  }
  std::string why_lost() const override { return "the decoder was pulled out"; }

 private:
  int left_;
};

class FailingScaler final : public PictureScaler {
 public:
  FailingScaler(const VideoSettings& settings, int left)
      : PictureScaler(settings.width, settings.height), left_(left) {}
  Status render(const AVFrame& picture, AVFrame& canvas) override {
    if (left_ == 0) return fail("the scaler was pulled out");
    --left_;
    return PictureScaler::render(picture, canvas);
  }

 private:
  int left_;
};

// x264 in the place of NVENC: it has the first ids, and names the spare ones.
class FailingEncoder final : public H264Encoder {
 public:
  static Result<std::unique_ptr<H264Encoder>> create(const VideoSettings& settings,
                                                     media::FrameRate rate, int left) {
    if (left == 0) return fail("the encoder has no session left");
    auto inner = H264Encoder::create(settings, rate);
    if (!inner) return inner;
    auto description = (*inner)->description();
    if (auto added = add_spare_sets(settings, description); !added) {
      return std::unexpected(added.error());
    }
    return std::unique_ptr<H264Encoder>(
        new FailingEncoder(std::move(*inner), std::move(description), left));
  }
  Result<Bytes> encode(AVFrame& canvas, PictureKind kind) override {
    if (left_ == 0) return fail("the encoder was pulled out");
    --left_;
    return inner_->encode(canvas, kind);
  }

 private:
  FailingEncoder(std::unique_ptr<H264Encoder> inner, media::VideoDescription description, int left)
      : H264Encoder(nullptr, std::move(description)), inner_(std::move(inner)), left_(left) {}

  const std::unique_ptr<H264Encoder> inner_;
  int left_;
};

class FailingPairing final : public Pairing {
 public:
  FailingPairing(PairingKind kind, Faults faults) : kind_(kind), faults_(faults) {}

  std::string decodes_on() const override { return "cuda:0"; }
  std::string encodes_on() const override {
    return kind_ == PairingKind::kNvidia ? "nvenc:0" : "x264";
  }
  Result<std::unique_ptr<VideoDecoder>> make_decoder(media::Codec codec,
                                                     const VideoSettings&) override {
    if (faults_.decoder == 0) return fail("the decoder has no room");
    return std::make_unique<FailingDecoder>(codec, faults_.decoder);
  }
  std::unique_ptr<PictureScaler> make_scaler(const VideoSettings& settings) override {
    return std::make_unique<FailingScaler>(settings, faults_.scaler);
  }
  Result<std::unique_ptr<H264Encoder>> make_encoder(const VideoSettings& settings,
                                                    media::FrameRate rate,
                                                    ParameterSets ids) override {
    if (kind_ == PairingKind::kNvidia) {
      return FailingEncoder::create(settings, rate, faults_.encoder);
    }
    if (faults_.encoder == 0) return fail("no encoder");
    return H264Encoder::create(settings, rate, ids);
  }

 private:
  const PairingKind kind_;
  const Faults faults_;
};

Discovery one_gpu() {
  Discovery found;
  Device device;
  device.name = "GPU";
  device.context.works = device.decode_h264.works = device.decode_hevc.works = true;
  device.scale.works = device.encode.works = true;
  found.devices.push_back(std::move(device));
  return found;
}

// A stream on a machine whose GPU has these faults, as (a) and as (b).
struct Stream {
  explicit Stream(Faults nvidia, Faults nvidia_x264 = {}, PoolSettings settings = {})
      : pool(
            std::move(settings), one_gpu(),
            [nvidia, nvidia_x264](PairingKind kind, const Device*) -> std::unique_ptr<Pairing> {
              if (kind == PairingKind::kSoftware) return make_software_pairing();
              return std::make_unique<FailingPairing>(
                  kind, kind == PairingKind::kNvidia ? nvidia : nvidia_x264);
            },
            [](int) { return std::optional<std::uint64_t>(); }) {
    auto created =
        VideoTranscoder::create({.pairings = &pool}, media::Codec::kHevc, timeline, video);
    if (created) {
      transcoder = std::move(*created);
    } else {
      error = created.error().message;
    }
  }

  void push(const test::Feed& feed) {
    for (const auto& unit : feed) {
      if (const auto status = transcoder->push(unit); !status) {
        error = status.error().message;
        return;
      }
    }
    ASSERT_TRUE(transcoder->end_turn());
  }
  const PairingState& pairing() const { return transcoder->pairing(); }
  const TranscodeStats& stats() const { return transcoder->stats(); }

  // Every slot has its picture, no player is told of anything, and all of it can be decoded.
  void expect_unbroken(std::size_t samples) {
    EXPECT_EQ(error, "");
    EXPECT_EQ(video.descriptions.size(), 1U);
    ASSERT_EQ(video.samples.size(), samples);
    for (std::size_t i = 0; i < samples; ++i) {
      EXPECT_EQ(video.samples[i].decode_time,
                static_cast<std::int64_t>(i) * video.grid().sample_duration);
      EXPECT_EQ(video.samples[i].sync, i % 15 == 0);
      EXPECT_FALSE(video.samples[i].discontinuity);
    }
    EXPECT_EQ(test::luma_of(video).size(), samples);
  }

  DevicePool pool;
  Timeline timeline;
  Recorder video;
  std::unique_ptr<VideoTranscoder> transcoder;
  std::string error;
};

test::Feed a_feed(int frames = 90) { return make_video({.frames = frames, .gop = 15}); }

TEST(Pairing, TheFirstChoiceStays) {
  Stream stream({});
  stream.push(a_feed());
  stream.expect_unbroken(90);
  EXPECT_EQ(stream.pairing().name, "nvidia");
  EXPECT_EQ(stream.pairing().device, "0 GPU");
  EXPECT_EQ(stream.pairing().why, "");
  EXPECT_EQ(stream.pairing().moves, 0U);
}

TEST(Pairing, AnEncoderThatCannotBeMadeCostsNothing) {
  Stream stream({.encoder = 0});
  stream.push(a_feed());
  stream.expect_unbroken(90);
  EXPECT_EQ(stream.pairing().name, "nvidia+x264");
  EXPECT_EQ(stream.pairing().why, "the encoder has no session left");
  EXPECT_EQ(stream.pairing().moves, 1U);
}

TEST(Pairing, ADecoderThatCannotBeMadeCostsNothing) {
  Stream stream({.decoder = 0});
  stream.push(a_feed());
  stream.expect_unbroken(90);
  EXPECT_EQ(stream.pairing().name, "software");
  EXPECT_EQ(stream.pairing().why, "the decoder has no room");
  EXPECT_EQ(stream.pairing().moves, 1U);
}

// In the middle of a segment: the other encoder begins with an IDR picture in the same slot, and
// its parameter sets were in the init segment from the start.
TEST(Pairing, AnEncoderThatFailsIsReplacedWithinTheSlot) {
  Stream stream({.encoder = 40});
  stream.push(a_feed());
  stream.expect_unbroken(90);
  EXPECT_EQ(stream.pairing().name, "nvidia+x264");
  EXPECT_EQ(stream.pairing().why, "the encoder was pulled out");
  EXPECT_EQ(stream.stats().pictures_dropped, 0U);
  EXPECT_EQ(stream.stats().slots_duplicated, 0U);
  EXPECT_EQ(stream.video.samples[40].data.data()[4] & 0x1f, 5);
  EXPECT_EQ(stream.video.samples[41].data.data()[4] & 0x1f, 1);
  const auto& description = std::get<media::VideoDescription>(stream.video.descriptions[0]);
  EXPECT_NE(description.sps, description.spare_sps);
  EXPECT_FALSE(description.spare_pps.empty());
}

// The next decoder needs a random access point (here every half second); the slots until then show
// the last picture.
TEST(Pairing, ADecoderThatFailsIsReplacedAtTheNextRandomAccessPoint) {
  Stream stream({.decoder = 40});
  stream.push(a_feed());
  stream.expect_unbroken(90);
  EXPECT_EQ(stream.pairing().name, "software");
  EXPECT_GT(stream.stats().slots_duplicated, 0U);
  EXPECT_LE(stream.stats().slots_duplicated, 15U);
  EXPECT_EQ(stream.stats().discontinuities, 0U);
}

TEST(Pairing, ADeviceThatIsLostTakesEverythingWithIt) {
  Stream stream({.decoder = 47, .encoder = 46}, {.decoder = 0, .encoder = 0});
  stream.push(a_feed());
  stream.expect_unbroken(90);
  EXPECT_EQ(stream.pairing().name, "software");
  EXPECT_LE(stream.pairing().moves, 2U);
  EXPECT_EQ(stream.pool.sessions(0), 0);
}

TEST(Pairing, AScalerThatFailsIsNotTriedForEver) {
  Stream stream({.scaler = 35});
  stream.push(a_feed());
  stream.expect_unbroken(90);
  EXPECT_EQ(stream.pairing().name, "software");
  EXPECT_THAT(stream.pairing().why, HasSubstr("cannot scale"));
  EXPECT_LE(stream.stats().decode_errors, 3U);
}

TEST(Pairing, ALongWaitForARandomAccessPointIsNoBreak) {
  Stream stream({.decoder = 61});
  stream.push(make_video({.frames = 150, .gop = 60}));
  stream.expect_unbroken(150);
  EXPECT_EQ(stream.pairing().name, "software");
  EXPECT_EQ(stream.stats().discontinuities, 0U);
  EXPECT_GT(stream.stats().slots_duplicated, 45U);
}

TEST(Pairing, NeverFallingBackEndsWithTheReason) {
  Stream stream({.encoder = 40}, {}, {.fallback = PoolSettings::Fallback::kNever});
  for (const auto& unit : a_feed()) {
    if (const auto status = stream.transcoder->push(unit); !status) {
      stream.error = status.error().message;
      break;
    }
  }
  EXPECT_THAT(stream.error, HasSubstr("the encoder was pulled out"));
  EXPECT_THAT(stream.error, HasSubstr("transcode.fallback is never"));
  EXPECT_EQ(stream.video.samples.size(), 40U);
}

TEST(Pairing, OneStreamsFailureIsNobodyElses) {
  Stream stream({.encoder = 40});
  Recorder other_video;
  Timeline other_timeline;
  auto other = VideoTranscoder::create({.pairings = &stream.pool}, media::Codec::kHevc,
                                       other_timeline, other_video);
  ASSERT_TRUE(other);
  stream.push(a_feed(60));
  for (const auto& unit : a_feed(30)) ASSERT_TRUE((*other)->push(unit));
  EXPECT_EQ(stream.pairing().moves, 1U);
  EXPECT_EQ((*other)->pairing().moves, 0U);
  EXPECT_EQ((*other)->pairing().name, "nvidia");
  EXPECT_EQ(stream.pool.sessions(0), 2);
  stream.transcoder.reset();
  EXPECT_EQ(stream.pool.sessions(0), 1);
}

TEST(Pairing, AStreamThatMovesOnAFullDeviceKeepsItsPlaceThere) {
  Stream stream({.encoder = 40}, {}, {.sessions_per_device = 1});
  stream.push(a_feed());
  EXPECT_EQ(stream.pairing().name, "nvidia+x264");
  EXPECT_EQ(stream.pool.sessions(0), 1);
}

TEST(Pairing, APublisherWhoReturnsFindsTheSamePairing) {
  Stream stream({.encoder = 40});
  stream.push(a_feed(60));
  ASSERT_TRUE(stream.transcoder->begin_turn(media::Codec::kHevc));
  stream.push(test::shifted(a_feed(60), 10s, 3s));
  EXPECT_EQ(stream.error, "");
  EXPECT_EQ(stream.pairing().moves, 1U);
  EXPECT_EQ(stream.stats().discontinuities, 1U);
  EXPECT_EQ(stream.video.descriptions.size(), 1U);
}

}  // namespace
}  // namespace mirror::transcode
