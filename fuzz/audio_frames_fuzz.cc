// libFuzzer: audio frames out of PES payloads (the input format is in exercises.h).
#include <cstddef>
#include <cstdint>

#include "mpegts/exercises.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mirror::mpegts::test::exercise_audio_frames({data, size});
  return 0;
}
