#include "histogram.h"

#include <algorithm>
#include <cmath>

namespace mirror::load {

std::size_t Histogram::bucket_of(std::uint64_t value) {
  if (value < 2 * kSubBuckets) return value;
  // The value's kSubBits + 1 leading bits; the first of them is always set.
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kSubBits - 1;
  return shift * kSubBuckets + (value >> shift);
}

std::uint64_t Histogram::highest_of(std::size_t bucket) {
  if (bucket < 2 * kSubBuckets) return bucket;
  const std::size_t shift = bucket / kSubBuckets - 1;
  const std::uint64_t leading = bucket - shift * kSubBuckets;
  return ((leading + 1) << shift) - 1;
}

void Histogram::record(Duration value) {
  const auto us = static_cast<std::uint64_t>(std::max<Duration::rep>(value.count(), 0));
  const std::uint64_t kept = std::min(us, kValueMax);
  ++buckets_[bucket_of(kept)];
  ++count_;
  min_ = std::min(min_, kept);
  max_ = std::max(max_, kept);
}

void Histogram::add(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

Histogram::Duration Histogram::quantile(double share) const {
  if (count_ == 0) return Duration(0);
  const double wanted = std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(count_));
  const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(wanted));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += buckets_[i];
    if (seen >= rank) return Duration(std::clamp(highest_of(i), min_, max_));
  }
  return max();
}

}  // namespace mirror::load
