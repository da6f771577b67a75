// For tests: the smallest init sections and fragments that mean something, made byte by byte, with
// every number that a rule looks at in the test's hand.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mirror::lint {

inline std::string be(std::uint64_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    text += static_cast<char>(value >> shift & 0xff);
  return text;
}
inline std::string box(std::string_view type, const std::string& body) {
  return be(body.size() + 8, 4) + std::string(type) + body;
}
inline std::string zeros(std::size_t count) { return std::string(count, '\0'); }

// x264's SPS for 640x360 at 30 frames a second: High, level 3.
inline std::string sps_640x360() {
  constexpr unsigned char kBytes[] = {0x67, 0x64, 0x00, 0x1e, 0xac, 0xd9, 0x40, 0xa0, 0x2f,
                                      0xf9, 0x70, 0x11, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00,
                                      0x00, 0x03, 0x00, 0x3c, 0x0f, 0x16, 0x2d, 0x96};
  return {reinterpret_cast<const char*>(kBytes), sizeof(kBytes)};
}

inline std::string init_of(std::string_view handler, std::uint32_t timescale,
                           const std::string& sample_entry) {
  const std::string tkhd = box("tkhd", zeros(12) + be(1, 4) + zeros(68));
  const std::string mdhd = box("mdhd", zeros(12) + be(timescale, 4) + zeros(8));
  const std::string hdlr = box("hdlr", zeros(8) + std::string(handler) + zeros(13));
  const std::string stsd = box("stsd", zeros(4) + be(1, 4) + sample_entry);
  const std::string mdia = box("mdia", mdhd + hdlr + box("minf", box("stbl", stsd)));
  const std::string trex = box("trex", zeros(4) + be(1, 4) + be(1, 4) + zeros(12));
  return box("ftyp", "cmf2" + zeros(4)) + box("moov", box("trak", tkhd + mdia) + box("mvex", trex));
}

inline std::string video_init(std::string_view profile_of_avcc = "\x64") {
  const std::string sps = sps_640x360();
  const std::string avcc = box("avcC", "\x01" + std::string(profile_of_avcc) + zeros(1) +
                                           "\x1e\xff\xe1" + be(sps.size(), 2) + sps + be(0, 1));
  const std::string visual = zeros(6) + be(1, 2) + zeros(16) + be(640, 2) + be(360, 2) + zeros(50);
  return init_of("vide", 30'000, box("avc1", visual + avcc));
}

// AAC-LC, 48 kHz, two channels.
inline std::string audio_init(char channel_configuration = 2) {
  const std::string config = {0x11, static_cast<char>(0x80 | channel_configuration << 3)};
  const std::string specific = "\x05" + be(config.size(), 1) + config;
  const std::string decoder = "\x04" + be(13 + specific.size(), 1) + "\x40" + zeros(12) + specific;
  const std::string esds =
      box("esds", zeros(4) + "\x03" + be(3 + decoder.size(), 1) + zeros(3) + decoder);
  const std::string audio =
      zeros(6) + be(1, 2) + zeros(8) + be(2, 2) + be(16, 2) + zeros(4) + be(48'000U << 16, 4);
  return init_of("soun", 48'000, box("mp4a", audio + esds));
}

struct FragmentSpec {
  std::uint64_t decode_time = 0;
  std::uint32_t sample_duration = 1000;
  int samples = 3;
  bool sync = false;       // the first sample's flags
  bool idr = false;        // its NAL unit; of no meaning to audio
  std::size_t bytes = 60;  // a sample
  char filling = 'x';
  bool with_tfdt = true;
};

inline std::string fragment(const FragmentSpec& spec) {
  const std::string tfhd =
      box("tfhd", be(0x02'0028, 4) + be(1, 4) + be(spec.sample_duration, 4) + be(0x0101'0000, 4));
  const std::string tfdt =
      spec.with_tfdt ? box("tfdt", be(0x0100'0000, 4) + be(spec.decode_time, 8)) : "";
  std::string run = be(0x205, 4) + be(static_cast<std::uint64_t>(spec.samples), 4);
  const std::size_t trun_bytes = 8 + 4 + 4 + 4 + 4 + 4 * static_cast<std::size_t>(spec.samples);
  const std::size_t moof_bytes = 8 + 16 + 8 + tfhd.size() + tfdt.size() + trun_bytes;
  run += be(moof_bytes + 8, 4) + be(spec.sync ? 0x0200'0000 : 0x0101'0000, 4);
  std::string media;
  for (int i = 0; i < spec.samples; ++i) {
    run += be(spec.bytes, 4);
    const char nal = i == 0 && spec.idr ? 0x65 : 0x41;
    media += be(spec.bytes - 4, 4) + nal + std::string(spec.bytes - 5, spec.filling);
  }
  const std::string traf = box("traf", tfhd + tfdt + box("trun", run));
  return box("moof", box("mfhd", zeros(4) + be(1, 4)) + traf) + box("mdat", media);
}

}  // namespace mirror::lint
