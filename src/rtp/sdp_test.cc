#include "rtp/sdp.h"

#include <gtest/gtest.h>

#include <string>

namespace mirror::rtp {
namespace {

std::string fault_of(std::string_view text) {
  const auto description = parse_sdp(text);
  return description ? "" : description.error().message;
}

// As ffmpeg 5.1 prints it for "-f rtp" of two outputs.
constexpr std::string_view kFfmpeg =
    "SDP:\n"
    "v=0\r\n"
    "o=- 0 0 IN IP4 127.0.0.1\r\n"
    "s=No Name\r\n"
    "t=0 0\r\n"
    "a=tool:libavformat 59.27.100\r\n"
    "m=video 5004 RTP/AVP 96\r\n"
    "c=IN IP4 127.0.0.1\r\n"
    "b=AS:2000\r\n"
    "a=rtpmap:96 H265/90000\r\n"
    "a=fmtp:96 sprop-vps=QAEMAf//AWAAAAMAkAAAAwAAAwBdlZgJ; sprop-sps=QgEB; "
    "sprop-pps=RAHBcrRiQA==\r\n"
    "m=audio 5010 RTP/AVP 97\r\n"
    "c=IN IP4 239.1.2.3/127\r\n"
    "a=rtpmap:97 MPEG4-GENERIC/48000/2\r\n"
    "a=fmtp:97 profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3; "
    "config=119056E500\r\n";

TEST(Sdp, ReadsWhatFfmpegWrites) {
  const auto description = parse_sdp(kFfmpeg);
  ASSERT_TRUE(description) << description.error().message;
  ASSERT_EQ(description->media.size(), 2U);
  const auto& video = description->media[0];
  EXPECT_EQ(video.kind, "video");
  EXPECT_EQ(video.port, 5004);
  EXPECT_EQ(video.rtcp_port, 5005);
  EXPECT_EQ(video.payload_type, 96);
  EXPECT_EQ(video.encoding, "h265");
  EXPECT_EQ(video.clock_rate, 90'000U);
  EXPECT_EQ(video.channels, 0);
  EXPECT_EQ(video.parameters.size(), 3U);
  EXPECT_EQ(video.parameters.at("sprop-pps"), "RAHBcrRiQA==");
  EXPECT_EQ(video.connection, "127.0.0.1");
  const auto& audio = description->media[1];
  EXPECT_EQ(audio.kind, "audio");
  EXPECT_EQ(audio.encoding, "mpeg4-generic");
  EXPECT_EQ(audio.clock_rate, 48'000U);
  EXPECT_EQ(audio.channels, 2);
  EXPECT_EQ(audio.parameters.at("config"), "119056E500");
  EXPECT_EQ(audio.parameters.at("mode"), "AAC-hbr");
  EXPECT_EQ(audio.connection, "239.1.2.3");
}

// Written by hand from the caps that GStreamer's payloaders print; with what else may stand there.
TEST(Sdp, ReadsBothLevelsAndAnyOrder) {
  const auto description = parse_sdp(
      "v=0\n"
      "c=IN IP6 ff15::101/3\n"
      "a=lang:deu\n"
      "m=video 5004/2 RTP/AVPF 98 96\n"
      "a=fmtp:96 Packetization-Mode=1; profile-level-id=4d0015;;sprop-parameter-sets=Z00A,aO4=\n"
      "a=rtcp:5100 IN IP4 192.0.2.1\n"
      "a=rtpmap:96 H264/90000\n"
      "m=application 5020 UDP/TLS/RTP/XX foo\n"
      "c=\n"
      "a=rtpmap:nonsense\n"
      "m=audio 5010 RTP/AVP 97\n"
      "c=IN IP4 192.0.2.7\n"
      "a=lang:fra\n"
      "a=rtcp-mux\n"
      "a=rtpmap:97 mpeg4-generic/44100\n"
      "m=video 5016 RTP/AVP 33");
  ASSERT_TRUE(description) << description.error().message;
  ASSERT_EQ(description->media.size(), 3U);
  const auto& video = description->media[0];
  EXPECT_EQ(video.payload_type, 96);
  EXPECT_EQ(video.rtcp_port, 5100);
  EXPECT_EQ(video.connection, "ff15::101");
  EXPECT_EQ(video.language, "deu");
  EXPECT_EQ(video.parameters.at("packetization-mode"), "1");
  EXPECT_EQ(video.parameters.at("sprop-parameter-sets"), "Z00A,aO4=");
  const auto& audio = description->media[1];
  EXPECT_EQ(audio.connection, "192.0.2.7");
  EXPECT_EQ(audio.language, "fra");
  EXPECT_EQ(audio.rtcp_port, 5010);
  EXPECT_EQ(audio.channels, 1);
  const auto& transport_stream = description->media[2];
  EXPECT_EQ(transport_stream.encoding, "mp2t");
  EXPECT_EQ(transport_stream.clock_rate, 90'000U);
}

TEST(Sdp, NamesTheLineOfAFault) {
  EXPECT_EQ(fault_of(""), "no m= line with RTP/AVP in it");
  EXPECT_EQ(fault_of("hello\nworld\n"), "no m= line with RTP/AVP in it");
  EXPECT_EQ(fault_of("v=0\nm=video x RTP/AVP 96\n"),
            "line 2: m=: the port is no number up to 65535");
  EXPECT_EQ(fault_of("m=video 5004 RTP/AVP 128"),
            "line 1: m=: a payload type is no number up to 127");
  EXPECT_EQ(fault_of("m=video 5004 RTP/AVP"), "line 1: m=: no payload type");
  EXPECT_EQ(fault_of("v=0\nm=video 5004 RTP/SAVP 96"),
            "line 2: m=: encrypted media (SRTP) is not supported");
  EXPECT_EQ(fault_of("v=0\nm=video 5004 RTP/AVP 96\na=fmtp:96 x=1\nb=AS:1\n"),
            "line 2: m=: payload type 96 has no a=rtpmap");
  EXPECT_EQ(fault_of("m=video 5004 RTP/AVP 96\na=rtpmap:96 H265\n"),
            "line 2: a=rtpmap: an encoding and its clock rate are needed, as in H265/90000");
  EXPECT_EQ(fault_of("m=video 5004 RTP/AVP 96\na=rtcp:0\n"),
            "line 2: a=rtcp: the port is no number from 1 to 65535");
  EXPECT_EQ(fault_of("m=video 5004 RTP/AVP 96\nc=IN IP4\n"), "line 2: c=: no address");
}

TEST(Sdp, HasLimits) {
  EXPECT_NE(fault_of(std::string(kSdpBytesMax + 1, 'x')), "");
  std::string many;
  for (std::size_t i = 0; i <= kSdpMediaMax; ++i) many += "m=video 5004 RTP/AVP 33\n";
  EXPECT_EQ(fault_of(many), "line 17: more than 16 m= lines");
}

}  // namespace
}  // namespace mirror::rtp
