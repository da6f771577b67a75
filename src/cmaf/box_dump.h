// For tests: ISO BMFF boxes as text, one line per box, with the fields that our files use.
//
// Independent of BoxWriter: reads bytes, trusts nothing, and says so when a size is wrong.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mirror::cmaf {

class BoxDump {
 public:
  static std::string of(std::span<const std::uint8_t> bytes) {
    BoxDump dump;
    dump.boxes(bytes, 0);
    return std::move(dump.text_);
  }

  static std::uint64_t number(std::span<const std::uint8_t> bytes, std::size_t at,
                              std::size_t width) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < width; ++i) value = value << 8 | bytes[at + i];
    return value;
  }

  // The body (after size and type) of the first box of this type, searched through containers.
  static std::optional<std::span<const std::uint8_t>> find(std::span<const std::uint8_t> bytes,
                                                           std::string_view type) {
    while (bytes.size() >= 8) {
      const std::size_t size = number(bytes, 0, 4);
      if (size < 8 || size > bytes.size()) return std::nullopt;
      const auto body = bytes.subspan(8, size - 8);
      const std::string_view name = type_of(bytes);
      if (name == type) return body;
      if (is_container(name)) {
        if (const auto found = find(body, type)) return found;
      }
      bytes = bytes.subspan(size);
    }
    return std::nullopt;
  }

 private:
  static std::string_view type_of(std::span<const std::uint8_t> box) {
    return {reinterpret_cast<const char*>(box.data()) + 4, 4};
  }
  static bool is_container(std::string_view type) {
    constexpr std::string_view kContainers[] = {"moov", "trak", "mdia", "minf", "dinf",
                                                "stbl", "mvex", "moof", "traf"};
    return std::ranges::find(kContainers, type) != std::end(kContainers);
  }

  void boxes(std::span<const std::uint8_t> bytes, int depth) {
    while (!bytes.empty()) {
      const std::size_t size = bytes.size() < 8 ? 0 : number(bytes, 0, 4);
      if (size < 8 || size > bytes.size()) {
        text_ +=
            fmt::format("{:{}}BROKEN BOX: {} bytes of {}\n", "", 2 * depth, size, bytes.size());
        return;
      }
      box(bytes.first(size), depth);
      bytes = bytes.subspan(size);
    }
  }

  void box(std::span<const std::uint8_t> box, int depth) {
    const std::string_view type = type_of(box);
    const auto body = box.subspan(8);
    text_ += fmt::format("{:{}}{} {}", "", 2 * depth, type, box.size());
    fields(type, body);
    text_ += '\n';
    if (is_container(type)) return boxes(body, depth + 1);
    if (type == "stsd" || type == "dref") boxes(body.subspan(8), depth + 1);
    if (type == "avc1") boxes(body.subspan(78), depth + 1);
    if (type == "mp4a") boxes(body.subspan(28), depth + 1);
  }

  void field(std::string_view name, std::uint64_t value) {
    text_ += fmt::format(" {}={}", name, value);
  }
  void flags(std::span<const std::uint8_t> b) {
    text_ += fmt::format(" version={} flags={:06x}", b[0], number(b, 1, 3));
  }
  void hex(std::span<const std::uint8_t> b) {
    text_ += ' ';
    for (const std::uint8_t byte : b) text_ += fmt::format("{:02x}", byte);
  }

  void fields(std::string_view type, std::span<const std::uint8_t> b) {
    if (type == "ftyp") {
      text_ += ' ';
      text_.append(reinterpret_cast<const char*>(b.data()), 4);
      text_ += fmt::format(" minor={} compatible=", number(b, 4, 4));
      text_.append(reinterpret_cast<const char*>(b.data()) + 8, b.size() - 8);
    } else if (type == "mvhd") {
      flags(b), field("timescale", number(b, 12, 4)), field("duration", number(b, 16, 4));
      field("next_track", number(b, 96, 4));
    } else if (type == "tkhd") {
      flags(b), field("track", number(b, 12, 4)), field("duration", number(b, 20, 4));
      field("volume", number(b, 36, 2));
      field("width", number(b, 76, 4) >> 16), field("height", number(b, 80, 4) >> 16);
    } else if (type == "mdhd") {
      const auto l = number(b, 20, 2);
      flags(b), field("timescale", number(b, 12, 4)), field("duration", number(b, 16, 4));
      text_ +=
          fmt::format(" language={:c}{:c}{:c}", static_cast<char>(0x60 + (l >> 10 & 31)),
                      static_cast<char>(0x60 + (l >> 5 & 31)), static_cast<char>(0x60 + (l & 31)));
    } else if (type == "hdlr") {
      text_ += ' ';
      text_.append(reinterpret_cast<const char*>(b.data()) + 8, 4);
    } else if (type == "avc1") {
      field("width", number(b, 24, 2)), field("height", number(b, 26, 2));
    } else if (type == "mp4a") {
      field("channels", number(b, 16, 2)), field("rate", number(b, 24, 4) >> 16);
    } else if (type == "avcC" || type == "esds" || type == "colr" || type == "pasp") {
      hex(b);
    } else if (type == "trex") {
      field("track", number(b, 4, 4)), field("duration", number(b, 12, 4));
    } else if (type == "prft") {
      flags(b), field("track", number(b, 4, 4));
      text_ += fmt::format(" ntp={:08x}.{:08x}", number(b, 8, 4), number(b, 12, 4));
      field("media_time", number(b, 16, 8));
    } else if (type == "mfhd") {
      field("sequence", number(b, 4, 4));
    } else if (type == "tfhd") {
      flags(b), field("track", number(b, 4, 4)), field("duration", number(b, 8, 4));
      text_ += fmt::format(" sample_flags={:08x}", number(b, 12, 4));
    } else if (type == "tfdt") {
      flags(b), field("decode_time", number(b, 4, 8));
    } else if (type == "trun") {
      flags(b), field("samples", number(b, 4, 4)), field("data_offset", number(b, 8, 4));
      text_ += fmt::format(" first_flags={:08x} sizes=", number(b, 12, 4));
      for (std::size_t at = 16; at + 4 <= b.size(); at += 4) {
        text_ += fmt::format("{}{}", at == 16 ? "" : ",", number(b, at, 4));
      }
    } else if (type == "url ") {
      flags(b);
    }
  }

  std::string text_;
};

}  // namespace mirror::cmaf
