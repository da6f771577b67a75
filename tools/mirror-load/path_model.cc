#include "path_model.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace mirror::load {

// SplitMix64: small, and good enough to lose packets by.
double PathModel::random() {
  state_ += 0x9e3779b97f4a7c15;
  std::uint64_t mixed = state_;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return static_cast<double>((mixed ^ (mixed >> 31)) >> 11) * 0x1p-53;
}

bool PathModel::over_rate(std::size_t bytes, SteadyTime now) {
  if (quality_.bytes_per_second == 0) return false;
  if (refilled_ == SteadyTime{}) refilled_ = now;
  const double seconds = std::chrono::duration<double>(now - std::exchange(refilled_, now)).count();
  const double rate = static_cast<double>(quality_.bytes_per_second);
  tokens_ = std::min(tokens_ + seconds * rate, static_cast<double>(kBurstBytes));
  const double size = static_cast<double>(bytes);
  if (tokens_ < size) return true;
  tokens_ -= size;
  return false;
}

bool PathModel::loses(Way way, std::size_t bytes, SteadyTime now) {
  if (quality_.loss > 0 && random() < quality_.loss) return true;
  return way == Way::kIn && over_rate(bytes, now);
}

}  // namespace mirror::load
