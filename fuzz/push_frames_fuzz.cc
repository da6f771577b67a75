// A server that is not ours: a byte stream of push frames.
#include "push/frames_exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mirror::push::exercise_frames({data, size});
  return 0;
}
