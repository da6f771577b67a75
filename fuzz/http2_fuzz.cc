// The HTTP/2 codec against arbitrary frames and bytes.
#include <cstddef>
#include <cstdint>

#include "http/http2_exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mirror::http::exercise_http2({data, size});
  return 0;
}
