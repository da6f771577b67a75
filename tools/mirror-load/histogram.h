// Histogram: how often which duration was seen, in microseconds, within 0.2 % of the value.
//
// Log-linear: each power of two is divided into kSubBuckets equal buckets, so that recording costs
// a shift and an addition, and two histograms of different threads add up. From 0 to kValueMax;
// what lies outside counts as the nearest of both. One thread at a time.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace mirror::load {

class Histogram {
 public:
  using Duration = std::chrono::microseconds;
  static constexpr std::uint64_t kValueMax = (1ULL << 30) - 1;  // 18 minutes

  void record(Duration value);
  void add(const Histogram& other);

  std::uint64_t count() const { return count_; }
  // Exact; zero when nothing was recorded, as quantile().
  Duration min() const { return Duration(count_ == 0 ? 0 : min_); }
  Duration max() const { return Duration(max_); }
  // The least value that at least `share` (0 to 1) of the values do not exceed; never above max()
  // nor below min().
  Duration quantile(double share) const;

 private:
  static constexpr unsigned kSubBits = 9;
  static constexpr std::uint64_t kSubBuckets = 1ULL << kSubBits;
  // Values below 2 * kSubBuckets have a bucket each; every power of two above adds kSubBuckets.
  static constexpr std::size_t kBuckets = kSubBuckets * (30 - kSubBits + 1);

  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t highest_of(std::size_t bucket);

  std::array<std::uint32_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t min_ = kValueMax;
  std::uint64_t max_ = 0;
};

}  // namespace mirror::load
