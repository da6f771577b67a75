#include "http/http3_frames.h"

#include <gtest/gtest.h>

#include <random>

#include "http/http3_fields.h"
#include "http/http3_script.h"
#include "http/http3_settings.h"
#include "http/qpack.h"

namespace mirror::http::h3 {
namespace {

std::span<const std::uint8_t> octets(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

TEST(Varint, GoesThereAndBack) {
  for (const std::uint64_t value :
       {0ull, 1ull, 63ull, 64ull, 16383ull, 16384ull, 1073741823ull, 1073741824ull, 1ull << 40,
        static_cast<unsigned long long>(kVarintMax)}) {
    const std::string wire = varint(value);
    EXPECT_EQ(wire.size(), varint_size(value));
    auto left = octets(wire);
    EXPECT_EQ(take_varint(left), value);
    EXPECT_TRUE(left.empty());
    VarintReader reader;
    for (std::size_t i = 0; i < wire.size(); ++i) {
      auto one = octets(wire).subspan(i, 1);
      const auto got = reader.read(one);
      EXPECT_EQ(got.has_value(), i + 1 == wire.size());
      EXPECT_EQ(got.value_or(value), value);
    }
    if (wire.size() > 1) {
      auto cut = octets(wire).first(wire.size() - 1);
      EXPECT_FALSE(take_varint(cut));
    }
  }
}

// RFC 9000 A.1, and the long form of a short value.
TEST(Varint, KnownOnes) {
  const std::pair<std::string, std::uint64_t> table[] = {
      {"\xc2\x19\x7c\x5e\xff\x14\xe8\x8c", 151'288'809'941'952'652},
      {"\x9d\x7f\x3e\x7d", 494'878'333},
      {"\x7b\xbd", 15'293},
      {"\x25", 37},
      {"\x40\x25", 37}};
  for (const auto& [wire, value] : table) EXPECT_EQ(only_varint(octets(wire)), value);
  EXPECT_FALSE(only_varint(octets("\x25\x25")));
}

std::string describe(FrameReader& reader, const std::vector<std::string>& pieces) {
  std::string seen;
  for (const std::string& piece : pieces) {
    auto left = octets(piece);
    for (auto event = reader.next(left); event != FrameReader::Event::kNeedMore;
         event = reader.next(left)) {
      if (event == FrameReader::Event::kHead) {
        seen += "[" + std::to_string(reader.type()) + "," + std::to_string(reader.length()) + ":";
      } else if (event == FrameReader::Event::kPayload) {
        seen.append(reader.payload().begin(), reader.payload().end());
      } else if (event == FrameReader::Event::kEnd) {
        seen += "]";
      }
    }
  }
  return seen;
}

TEST(FrameReader, TheSameHoweverItIsCut) {
  const std::string wire = make_frame(0, "abc") + make_frame(1, "") + make_frame(0x4000, "defgh");
  const std::string whole = "[0,3:abc][1,0:][16384,5:defgh]";
  for (std::size_t a = 0; a <= wire.size(); ++a) {
    for (std::size_t b = a; b <= wire.size(); ++b) {
      FrameReader reader;
      EXPECT_EQ(describe(reader, {wire.substr(0, a), wire.substr(a, b - a), wire.substr(b)}),
                whole);
      EXPECT_TRUE(reader.at_boundary());
    }
  }
}

TEST(FrameReader, KnowsWhereAStreamMayEnd) {
  const std::string wire = make_frame(0x40, "abc");
  for (std::size_t n = 1; n < wire.size(); ++n) {
    FrameReader reader;
    describe(reader, {wire.substr(0, n)});
    EXPECT_FALSE(reader.at_boundary()) << n;
  }
}

TEST(QpackStreams, CarryWhatNeedsNoTable) {
  const auto takes = [](QpackStreamReader::Kind kind, const std::string& bytes) {
    QpackStreamReader reader(kind);
    for (const char& c : bytes) {
      if (!reader.read(octets({c}))) return false;
    }
    return true;
  };
  using Kind = QpackStreamReader::Kind;
  EXPECT_TRUE(takes(Kind::kEncoder, "\x20\x20"));
  EXPECT_FALSE(takes(Kind::kEncoder, "\x21"));
  EXPECT_FALSE(takes(Kind::kEncoder, std::string(1, '\0')));
  EXPECT_TRUE(takes(Kind::kDecoder, "\x40\x7e\x7f\xff\x01\x7f\x05"));
  EXPECT_FALSE(takes(Kind::kDecoder, "\x7f" + std::string(12, '\xff')));
  EXPECT_FALSE(takes(Kind::kDecoder, "\x81"));
}

TEST(Qpack, SectionsCanBeExtended) {
  Wire tail;
  append_qpack_date(tail, "Sun, 22 Nov 2026 12:00:00 GMT");
  append_qpack_field(tail, "x", "y");
  append_qpack_field(tail, "access-control-allow-origin", std::string(300, 'o'));
  const std::string whole = section({{":status", "200"}, {"etag", "\"e\""}}) + text_of(tail);
  Fields fields;
  QpackDecoder decoder;
  for (int i = 0; i < 2; ++i) {  // nothing is left behind
    fields.clear();
    ASSERT_TRUE(decoder.decode(octets(whole), [&](auto name, auto value) {
      fields.emplace_back(name, value);
      return true;
    }));
  }
  EXPECT_EQ(fields, (Fields{{":status", "200"},
                            {"etag", "\"e\""},
                            {"date", "Sun, 22 Nov 2026 12:00:00 GMT"},
                            {"x", "y"},
                            {"access-control-allow-origin", std::string(300, 'o')}}));
}

TEST(Qpack, AnySectionThatIsCutIsNone) {
  const std::string whole = section({{":status", "200"}, {"etag", "\"e\""}});
  for (std::size_t n = 0; n < 2; ++n) {
    EXPECT_FALSE(
        QpackDecoder().decode(octets(whole.substr(0, n)), [](auto, auto) { return true; }));
  }
  EXPECT_FALSE(QpackDecoder().decode(octets(whole.substr(0, whole.size() - 1)),
                                     [](auto, auto) { return true; }));
}

TEST(Settings, SayWhatTheySaid) {
  Wire wire;
  append_settings(wire, {.max_field_section_size = 9000,
                         .connect_protocol = true,
                         .datagrams = true,
                         .webtransport_draft02 = true,
                         .webtransport_sessions = 16});
  std::span<const std::uint8_t> left(wire);
  EXPECT_EQ(take_varint(left), frame::kSettings);
  const auto length = take_varint(left);
  EXPECT_EQ(length, left.size());
  const auto result = parse_settings(left);
  EXPECT_EQ(result.error, 0u);
  EXPECT_EQ(result.settings.max_field_section_size, 9000u);
  EXPECT_EQ(result.settings.webtransport_sessions, 16u);
}

TEST(Settings, AFloodOfThemIsExcessive) {
  std::string payload;
  for (std::uint64_t i = 0; i < 65; ++i) payload += varint(0x1f * i + 0x21) + varint(i);
  EXPECT_EQ(parse_settings(octets(payload)).error, error::kExcessiveLoad);
}

TEST(Priority, IsAStructuredField) {
  EXPECT_EQ(parse_priority("u=2, i"), (quic::Priority{2, true}));
  EXPECT_EQ(parse_priority(""), (quic::Priority{3, false}));
  EXPECT_EQ(parse_priority("other, u=6"), (quic::Priority{6, false}));
  EXPECT_EQ(parse_priority("((("), std::nullopt);
}

TEST(Targets, AreEncodedForAPromise) {
  Request request;
  request.path = "/a b/\xc3\xa4%?#";
  request.query = "q=%20";
  EXPECT_EQ(encode_target(request), "/a%20b/%C3%A4%25%3F%23?q=%20");
}

}  // namespace
}  // namespace mirror::http::h3
