#include "media_probe.h"

#include <string>
#include <string_view>

namespace mirror::load {

namespace {

using Bytes = std::span<const std::uint8_t>;

std::uint64_t read(Bytes bytes, std::size_t offset, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) value = value << 8 | bytes[offset + i];
  return value;
}

struct Box {
  std::uint32_t type = 0;
  Bytes body;
};

constexpr std::uint32_t code(const char (&name)[5]) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<std::uint8_t>(name[i]);
  return value;
}

std::string name_of(std::uint32_t type) {
  std::string name;
  for (int shift = 24; shift >= 0; shift -= 8) {
    const char c = static_cast<char>(type >> shift & 0xff);
    name += c >= ' ' && c < 0x7f ? c : '?';
  }
  return name;
}

// Takes the first box off `rest` (4.2).
Result<Box> take_box(Bytes& rest) {
  if (rest.size() < 8) return fail("{} bytes are left where a box should be", rest.size());
  std::uint64_t size = read(rest, 0, 4);
  const auto type = static_cast<std::uint32_t>(read(rest, 4, 4));
  std::size_t head = 8;
  if (size == 1 && rest.size() >= 16) {
    size = read(rest, 8, 8);
    head = 16;
  } else if (size == 0) {
    size = rest.size();  // to the end
  }
  if (size < head || size > rest.size()) {
    return fail("box \"{}\" of {} bytes does not fit the {} that are left", name_of(type), size,
                rest.size());
  }
  const Box box{type, rest.subspan(head, size - head)};
  rest = rest.subspan(size);
  return box;
}

// The first child of this type; an empty optional when there is none or the boxes do not add up.
std::optional<Bytes> child(Bytes parent, std::uint32_t type) {
  while (!parent.empty()) {
    const auto box = take_box(parent);
    if (!box) return std::nullopt;
    if (box->type == type) return box->body;
  }
  return std::nullopt;
}

// RFC 5905, 6: seconds since 1900 and a binary fraction of one. Eras of 136 years: what lies before
// 1970 is in the next one.
WallTime from_ntp(std::uint64_t ntp) {
  constexpr std::int64_t kSecondsFrom1900To1970 = 2'208'988'800;
  std::int64_t seconds = static_cast<std::int64_t>(ntp >> 32) - kSecondsFrom1900To1970;
  if (seconds < 0) seconds += std::int64_t{1} << 32;
  const auto microseconds = static_cast<std::int64_t>((ntp & 0xffff'ffff) * 1'000'000 >> 32);
  return WallTime(std::chrono::seconds(seconds) + std::chrono::microseconds(microseconds));
}

std::optional<std::uint64_t> decode_time_of(Bytes tfdt) {
  const bool wide = !tfdt.empty() && tfdt[0] == 1;
  if (tfdt.size() < (wide ? 12U : 8U)) return std::nullopt;
  return read(tfdt, 4, wide ? 8 : 4);
}

// default_sample_duration of a tfhd (8.8.7), which stands behind two optional fields.
std::optional<std::uint64_t> default_duration_of(Bytes tfhd) {
  if (tfhd.size() < 8) return std::nullopt;
  const std::uint64_t flags = read(tfhd, 1, 3);
  if ((flags & 0x8) == 0) return std::nullopt;
  const std::size_t at = 8 + (flags & 0x1 ? 8 : 0) + (flags & 0x2 ? 4 : 0);
  if (tfhd.size() < at + 4) return std::nullopt;
  return read(tfhd, at, 4);
}

// The sum of a trun's sample durations (8.8.8).
std::optional<std::uint64_t> duration_of(Bytes trun, std::optional<std::uint64_t> each) {
  if (trun.size() < 8) return std::nullopt;
  const std::uint64_t flags = read(trun, 1, 3);
  const std::uint64_t count = read(trun, 4, 4);
  if ((flags & 0x100) == 0) return each ? std::optional(count * *each) : std::nullopt;
  std::size_t at = 8 + (flags & 0x1 ? 4 : 0) + (flags & 0x4 ? 4 : 0);
  std::size_t stride = 4;
  for (const std::uint64_t bit : {0x200U, 0x400U, 0x800U}) stride += (flags & bit) != 0 ? 4 : 0;
  if (at > trun.size() || count > (trun.size() - at) / stride) return std::nullopt;
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < count; ++i, at += stride) sum += read(trun, at, 4);
  return sum;
}

// The chunks of a part follow each other: their durations add up, and one that is unknown leaves
// the sum unknown.
void read_moof(Bytes moof, bool first, MediaFacts& facts) {
  const auto traf = child(moof, code("traf"));
  if (!traf) return;
  const auto tfdt = child(*traf, code("tfdt"));
  if (first && tfdt) facts.decode_time = decode_time_of(*tfdt);
  const auto tfhd = child(*traf, code("tfhd"));
  const auto trun = child(*traf, code("trun"));
  const auto duration =
      tfhd && trun ? duration_of(*trun, default_duration_of(*tfhd)) : std::nullopt;
  if (first) {
    facts.duration = duration;
  } else if (facts.duration) {
    facts.duration = duration ? std::optional(*facts.duration + *duration) : std::nullopt;
  }
}

void read_prft(Bytes prft, MediaFacts& facts) {
  if (prft.size() >= 16) facts.captured = from_ntp(read(prft, 8, 8));
}

}  // namespace

Result<MediaFacts> probe_part(std::span<const std::uint8_t> bytes) {
  MediaFacts facts;
  std::size_t chunks = 0;
  for (bool first = true; !bytes.empty(); first = false) {
    const auto box = take_box(bytes);
    if (!box) return std::unexpected(box.error());
    const bool begins = box->type == code("moof") || box->type == code("prft") ||
                        box->type == code("styp") || box->type == code("emsg") ||
                        box->type == code("sidx");
    if (first && !begins) return fail("it begins with a box \"{}\"", name_of(box->type));
    if (box->type == code("prft") && !facts.captured) read_prft(box->body, facts);
    if (box->type == code("moof")) read_moof(box->body, chunks++ == 0, facts);
  }
  if (chunks == 0) return fail("there is no moof");
  return facts;
}

Status probe_init(std::span<const std::uint8_t> bytes) {
  Bytes rest = bytes;
  const auto first = take_box(rest);
  if (!first) return std::unexpected(first.error());
  if (first->type != code("ftyp")) return fail("it begins with a box \"{}\"", name_of(first->type));
  if (!child(rest, code("moov"))) return fail("there is no moov");
  return {};
}

}  // namespace mirror::load
