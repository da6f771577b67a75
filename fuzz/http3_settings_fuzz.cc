// SETTINGS of HTTP/3.
#include <cstddef>
#include <cstdint>

#include "http/http3_exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mirror::http::exercise_http3_settings({data, size});
  return 0;
}
