#include "app/version.h"

#include <fmt/format.h>
#include <gnutls/gnutls.h>
#include <link.h>
#include <nghttp2/nghttp2.h>
#include <srt/srt.h>
#include <CLI/Version.hpp>

#include <cstddef>
#include <string_view>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavutil/avutil.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
}

namespace mirror::app {
namespace {

// FFmpeg: three bytes.
std::string ffmpeg_version(unsigned version) {
  return fmt::format("{}.{}.{}", AV_VERSION_MAJOR(version), AV_VERSION_MINOR(version),
                     AV_VERSION_MICRO(version));
}

std::string srt_version(unsigned version) {
  return fmt::format("{}.{}.{}", version >> 16, version >> 8 & 0xFF, version & 0xFF);
}

// libavcodec loads x264 and tells nobody which; the name of the loaded file ends in its build.
std::string x264_build() {
  std::string build = "not loaded";
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* out) {
        constexpr std::string_view kName = "libx264.so.";
        const std::string_view path(info->dlpi_name);
        const std::size_t at = path.rfind(kName);
        if (at == std::string_view::npos) return 0;
        *static_cast<std::string*>(out) = fmt::format("build {}", path.substr(at + kName.size()));
        return 1;
      },
      &build);
  return build;
}

}  // namespace

std::string version_text() {
  const nghttp2_info* const nghttp2 = ::nghttp2_version(0);
  std::string text = fmt::format("mirror {}\n", MIRROR_VERSION);
  const auto line = [&text](std::string_view name, std::string_view version) {
    text += fmt::format("  {:<16} {}\n", name, version);
  };
  line("libavcodec",
       fmt::format("{} (FFmpeg {})", ffmpeg_version(::avcodec_version()), ::av_version_info()));
  line("libavutil", ffmpeg_version(::avutil_version()));
  line("libswscale", ffmpeg_version(::swscale_version()));
  line("libswresample", ffmpeg_version(::swresample_version()));
  line("x264", x264_build());
  line("libsrt", srt_version(::srt_getversion()));
  line("GnuTLS", ::gnutls_check_version(nullptr));
  line("nghttp2", nghttp2->version_str);
  // These cannot be asked at run time; what stands here was compiled in.
  line("yaml-cpp", MIRROR_YAML_CPP_VERSION " (built with)");
  line("CLI11", CLI11_VERSION " (built with)");
  text.pop_back();  // CLI11 ends the line
  return text;
}

}  // namespace mirror::app
