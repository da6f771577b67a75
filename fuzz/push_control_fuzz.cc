// What strangers ask of push sessions: the lines of a control request, and the query that opens
// one.
#include "push/control_exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mirror::push::exercise_control({reinterpret_cast<const char*>(data), size});
  return 0;
}
