# Every third-party library, as Debian packages it, in one place (scripts/install-deps installs them).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(ZLIB REQUIRED)

# libsrt in its GnuTLS flavour: libavformat links the same one, and a process that holds both
# flavours crashes at exit (docs/adr/0002).
find_library(SRT_GNUTLS srt-gnutls REQUIRED)
find_path(SRT_INCLUDE srt/srt.h REQUIRED)
add_library(srt_gnutls INTERFACE)
target_include_directories(srt_gnutls SYSTEM INTERFACE ${SRT_INCLUDE})
target_link_libraries(srt_gnutls INTERFACE ${SRT_GNUTLS})

pkg_check_modules(AVCODEC REQUIRED IMPORTED_TARGET libavcodec libavutil)
pkg_check_modules(AVFORMAT REQUIRED IMPORTED_TARGET libavformat libavcodec libavutil)
pkg_check_modules(SWSCALE REQUIRED IMPORTED_TARGET libswscale)
pkg_check_modules(SWRESAMPLE REQUIRED IMPORTED_TARGET libswresample)
pkg_check_modules(GNUTLS REQUIRED IMPORTED_TARGET gnutls)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
# Debian has ngtcp2's TLS part for GnuTLS only (docs/adr/0002).
pkg_check_modules(NGTCP2 REQUIRED IMPORTED_TARGET libngtcp2 libngtcp2_crypto_gnutls)
pkg_check_modules(NGHTTP3 REQUIRED IMPORTED_TARGET libnghttp3)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)

if(MIRROR_TESTS)
  find_package(GTest REQUIRED)
endif()
