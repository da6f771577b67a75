// What mirror-load reads from a server: responses, playlists, media, URLs.
#include <cstddef>
#include <cstdint>

#include "input_exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mirror::load::exercise_input({data, size});
  return 0;
}
