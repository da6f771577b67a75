// Metrics: Prometheus handles, resolved once and then only incremented.
//
// Thread-safe. A family look-up costs a mutex and a hash, so ask for a handle when a stream or loop
// starts, never per packet or request. Labels come from bounded sets (stream keys, loop numbers,
// fixed words), never from what a stranger sends; `remove_stream` frees the handles of a stream.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace mirror {

using Counter = prometheus::Counter;
using Gauge = prometheus::Gauge;
using Histogram = prometheus::Histogram;

// Carries a running total that somebody else keeps into a counter. What began anew counts nothing.
inline void grow(Counter& counter, std::uint64_t before, std::uint64_t now) {
  if (now > before) counter.Increment(static_cast<double>(now - before));
}

class Metrics {
 public:
  using Labels = std::map<std::string, std::string>;

  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Each name has one help text and one type for the life of the process; the same name and labels
  // give the same handle. Handles live until remove() or the Metrics dies. Names follow the
  // Prometheus rules: base units, `_total` on counters.
  Counter& counter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  // `buckets` are upper bounds in the metric's unit, ascending.
  Histogram& histogram(const std::string& name, const std::string& help, const Labels& labels,
                       const std::vector<double>& buckets);

  // Frees every handle whose label `stream` has this value; nobody may use them afterwards.
  void remove_stream(const std::string& key);

  // The text exposition format 0.0.4.
  std::string render() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mirror
