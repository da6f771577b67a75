#include "http/qpack.h"

#include <fmt/format.h>
#include <nghttp3/nghttp3.h>

namespace mirror::http {

namespace {

nghttp3_nv to_nv(const QpackField& field) {
  return {reinterpret_cast<const std::uint8_t*>(field.name.data()),
          reinterpret_cast<const std::uint8_t*>(field.value.data()), field.name.size(),
          field.value.size(), NGHTTP3_NV_FLAG_NO_COPY_NAME | NGHTTP3_NV_FLAG_NO_COPY_VALUE};
}

struct Buffer : nghttp3_buf {
  Buffer() : nghttp3_buf{} {}
  ~Buffer() { nghttp3_buf_free(this, nghttp3_mem_default()); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::string_view text() const {
    return {reinterpret_cast<const char*>(pos), static_cast<std::size_t>(last - pos)};
  }
};

void append(h3::Wire& out, std::string_view text) {
  out.insert(out.end(), text.begin(), text.end());
}

// RFC 7541 5.1, with `bits` of the first byte for the value.
void append_integer(h3::Wire& out, std::uint8_t first, unsigned bits, std::size_t value) {
  const std::size_t limit = (std::size_t{1} << bits) - 1;
  if (value < limit) {
    out.push_back(static_cast<std::uint8_t>(first | value));
    return;
  }
  out.push_back(static_cast<std::uint8_t>(first | limit));
  for (value -= limit; value >= 0x80; value >>= 7) {
    out.push_back(static_cast<std::uint8_t>(value | 0x80));
  }
  out.push_back(static_cast<std::uint8_t>(value));
}

}  // namespace

// A new encoder is a few small allocations; it has no state worth keeping without a dynamic table.
// Fails for want of memory only, and then there is no field section.
std::string qpack_encode(std::span<const QpackField> fields) {
  nghttp3_qpack_encoder* raw = nullptr;
  if (nghttp3_qpack_encoder_new(&raw, 0, nghttp3_mem_default()) != 0) return {};
  const std::unique_ptr<nghttp3_qpack_encoder, decltype(&nghttp3_qpack_encoder_del)> encoder(
      raw, &nghttp3_qpack_encoder_del);
  fmt::basic_memory_buffer<nghttp3_nv, 24> list;
  for (const QpackField& field : fields) list.push_back(to_nv(field));
  Buffer prefix;
  Buffer lines;
  Buffer instructions;  // stays empty
  if (nghttp3_qpack_encoder_encode(raw, &prefix, &lines, &instructions, 0, list.data(),
                                   list.size()) != 0) {
    return {};
  }
  std::string section(prefix.text());
  section.append(lines.text());
  return section;
}

// RFC 9204 4.5.4: 01, never-indexed 0, static 1, 4 bits of index; appendix A: 6 is date.
void append_qpack_date(h3::Wire& out, std::string_view date) {
  out.push_back(0x56);
  append_integer(out, 0x00, 7, date.size());
  append(out, date);
}

// RFC 9204 4.5.6: 001, never-indexed 0, no Huffman code, 3 bits of the name's length.
void append_qpack_field(h3::Wire& out, std::string_view name, std::string_view value) {
  append_integer(out, 0x20, 3, name.size());
  append(out, name);
  append_integer(out, 0x00, 7, value.size());
  append(out, value);
}

QpackDecoder::QpackDecoder() {
  if (nghttp3_qpack_decoder_new(&decoder_, 0, 0, nghttp3_mem_default()) != 0) decoder_ = nullptr;
  if (nghttp3_qpack_stream_context_new(&context_, 0, nghttp3_mem_default()) != 0) {
    context_ = nullptr;
  }
}

QpackDecoder::~QpackDecoder() {
  nghttp3_qpack_stream_context_del(context_);
  nghttp3_qpack_decoder_del(decoder_);
}

bool QpackDecoder::decode(std::span<const std::uint8_t> section, const Sink& sink) {
  if (decoder_ == nullptr || context_ == nullptr) return false;
  nghttp3_qpack_stream_context_reset(context_);
  for (;;) {
    nghttp3_qpack_nv field{};
    std::uint8_t flags = 0;
    const nghttp3_ssize n = nghttp3_qpack_decoder_read_request(decoder_, context_, &field, &flags,
                                                               section.data(), section.size(), 1);
    if (n < 0 || (flags & NGHTTP3_QPACK_DECODE_FLAG_BLOCKED) != 0) return false;
    section = section.subspan(static_cast<std::size_t>(n));
    if ((flags & NGHTTP3_QPACK_DECODE_FLAG_EMIT) != 0) {
      const nghttp3_vec name = nghttp3_rcbuf_get_buf(field.name);
      const nghttp3_vec value = nghttp3_rcbuf_get_buf(field.value);
      const bool more = sink({reinterpret_cast<const char*>(name.base), name.len},
                             {reinterpret_cast<const char*>(value.base), value.len});
      nghttp3_rcbuf_decref(field.name);
      nghttp3_rcbuf_decref(field.value);
      if (!more) return true;
    }
    if ((flags & NGHTTP3_QPACK_DECODE_FLAG_FINAL) != 0) return true;
    if (n == 0 && (flags & NGHTTP3_QPACK_DECODE_FLAG_EMIT) == 0) return false;
  }
}

}  // namespace mirror::http
