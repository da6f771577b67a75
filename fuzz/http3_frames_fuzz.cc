// The server's side of HTTP/3 against arbitrary bytes on arbitrary streams.
#include <cstddef>
#include <cstdint>

#include "http/http3_exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mirror::http::exercise_http3_frames({data, size});
  return 0;
}
