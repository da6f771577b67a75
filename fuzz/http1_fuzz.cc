// The HTTP/1.1 codec against arbitrary bytes in arbitrary pieces.
#include <cstddef>
#include <cstdint>

#include "http/http1_exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mirror::http::exercise_http1({data, size});
  return 0;
}
