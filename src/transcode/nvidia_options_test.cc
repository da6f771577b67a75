// Every option that NVIDIA's encoder and scaler are given exists, by name and by value, in the
// libraries that we run with: nobody needs a GPU to ask that.
#include "transcode/nvidia_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "transcode/cuda.h"
#include "transcode/filters.h"
#include "transcode/nvidia_pairing.h"

namespace mirror::transcode {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// libav's way to ask about the options of a class without an object of it.
void expect_option(const AVClass* options, const CodecOption& option) {
  const AVOption* found = av_opt_find(&options, option.name, nullptr, 0, AV_OPT_SEARCH_FAKE_OBJ);
  ASSERT_NE(found, nullptr) << option.name;
  char* end = nullptr;
  const double number = std::strtod(option.value, &end);
  if (end != option.value && *end == 0) {
    EXPECT_GE(number, found->min) << option.name;
    EXPECT_LE(number, found->max) << option.name;
    return;
  }
  ASSERT_NE(found->unit, nullptr) << option.name << " has no named values";
  const AVOption* constant =
      av_opt_find(&options, option.value, found->unit, 0, AV_OPT_SEARCH_FAKE_OBJ);
  ASSERT_NE(constant, nullptr) << option.name << "=" << option.value;
  EXPECT_EQ(constant->type, AV_OPT_TYPE_CONST);
}

TEST(NvidiaOptions, NvencKnowsThemAll) {
  const AVCodec* codec = avcodec_find_encoder_by_name("h264_nvenc");
  ASSERT_NE(codec, nullptr);
  for (const auto& option : kNvencOptions) expect_option(codec->priv_class, option);
}

TEST(NvidiaOptions, NvencTakesPicturesOfTheDevice) {
  const AVCodec* codec = avcodec_find_encoder_by_name("h264_nvenc");
  ASSERT_NE(codec, nullptr);
  bool takes_cuda = false;
  for (const auto* format = codec->pix_fmts; format && *format != AV_PIX_FMT_NONE; ++format) {
    takes_cuda = takes_cuda || *format == AV_PIX_FMT_CUDA;
  }
  EXPECT_TRUE(takes_cuda);
}

TEST(NvidiaOptions, ScaleCudaKnowsThemAll) {
  const auto filters = Filters::load();
  ASSERT_TRUE(filters) << filters.error().message;
  const AVFilter* scale = (*filters)->get_by_name("scale_cuda");
  ASSERT_NE(scale, nullptr);
  for (const auto& option : kScaleCudaOptions) expect_option(scale->priv_class, option);
  for (const char* name : kScaleCudaVariable) {
    EXPECT_NE(av_opt_find(const_cast<AVClass**>(&scale->priv_class), name, nullptr, 0,
                          AV_OPT_SEARCH_FAKE_OBJ),
              nullptr)
        << name;
  }
}

TEST(NvidiaOptions, BothDecodersCanBeAcceleratedByCuda) {
  for (const AVCodecID id : {AV_CODEC_ID_H264, AV_CODEC_ID_HEVC}) {
    const AVCodec* decoder = avcodec_find_decoder(id);
    ASSERT_NE(decoder, nullptr);
    bool found = false;
    for (int i = 0; const auto* config = avcodec_get_hw_config(decoder, i); ++i) {
      found = found || (config->pix_fmt == AV_PIX_FMT_CUDA &&
                        (config->methods & AV_CODEC_HW_CONFIG_METHOD_HW_DEVICE_CTX) != 0);
    }
    EXPECT_TRUE(found) << decoder->name;
  }
}

// What libavcodec 59 says, as its sources have it; none of it was seen on hardware.
TEST(ExplainNvidia, SpeaksAnOperatorsLanguage) {
  EXPECT_THAT(explain_nvidia("Operation not permitted (Cannot load libcuda.so.1)"),
              StartsWith("no NVIDIA driver: libcuda.so.1 is not there ["));
  EXPECT_THAT(explain_nvidia("Operation not permitted (Cannot load libnvidia-encode.so.1)"),
              HasSubstr("NVIDIA_DRIVER_CAPABILITIES"));
  EXPECT_THAT(explain_nvidia("Generic error (OpenEncodeSessionEx failed: unsupported device (2))"),
              StartsWith("this GPU has no NVENC engine (as H100 and A100) ["));
  EXPECT_THAT(explain_nvidia("OpenEncodeSessionEx failed: out of memory (10): "),
              StartsWith("the driver allows no further NVENC session"));
  EXPECT_THAT(explain_nvidia("OpenEncodeSessionEx failed: incompatible client key (21): "),
              StartsWith("the driver allows no further NVENC session"));
  EXPECT_THAT(explain_nvidia("Driver does not support the required nvenc API version. Required: "
                             "11.1 Found: 10.0"),
              StartsWith("the NVIDIA driver is too old"));
  EXPECT_EQ(explain_nvidia("something else"), "something else");
}

TEST(ExplainNvidia, ThisMachineSaysWhyItHasNoGpu) {
  const auto devices = cuda::count_devices();
  if (devices && *devices > 0) GTEST_SKIP() << "this machine has a GPU";
  const auto context = cuda::open(0);
  ASSERT_FALSE(context);
  EXPECT_NE(explain_nvidia(context.error().message), context.error().message);
}

}  // namespace
}  // namespace mirror::transcode
