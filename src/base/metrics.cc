#include "base/metrics.h"

#include <prometheus/family.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>
#include <type_traits>
#include <unordered_map>

namespace mirror {
namespace {

// The families of one metric type. The registry owns them; `handles` remembers which handle carries
// which stream, because prometheus-cpp can remove a handle but not find it by a label.
template <class T>
struct Families {
  struct Handle {
    prometheus::Family<T>* family;
    T* metric;
  };
  std::unordered_map<std::string, prometheus::Family<T>*> by_name;
  std::unordered_map<std::string, std::vector<Handle>> of_stream;

  prometheus::Family<T>& family(prometheus::Registry& registry, const std::string& name,
                                const std::string& help) {
    const auto known = by_name.find(name);
    if (known != by_name.end()) return *known->second;
    prometheus::Family<T>& made = build(registry, name, help);
    by_name.emplace(name, &made);
    return made;
  }

  template <class... Args>
  T& handle(prometheus::Registry& registry, const std::string& name, const std::string& help,
            const Metrics::Labels& labels, Args&&... args) {
    prometheus::Family<T>& owner = family(registry, name, help);
    const bool is_new = !owner.Has(labels);
    T& metric = owner.Add(labels, std::forward<Args>(args)...);
    const auto stream = labels.find("stream");
    if (is_new && stream != labels.end()) of_stream[stream->second].push_back({&owner, &metric});
    return metric;
  }

  void remove_stream(const std::string& key) {
    const auto found = of_stream.find(key);
    if (found == of_stream.end()) return;
    for (const Handle& handle : found->second) handle.family->Remove(handle.metric);
    of_stream.erase(found);
  }

 private:
  static prometheus::Family<T>& build(prometheus::Registry& registry, const std::string& name,
                                      const std::string& help) {
    if constexpr (std::is_same_v<T, Counter>) {
      return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
    } else if constexpr (std::is_same_v<T, Gauge>) {
      return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
    } else {
      return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
    }
  }
};

}  // namespace

struct Metrics::Impl {
  // Throws when one name is asked for with two types or help texts: our own mistake, never input.
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Throw};

  std::mutex mutex;
  Families<Counter> counters;  // guarded by mutex, as all below
  Families<Gauge> gauges;
  Families<Histogram> histograms;
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

Counter& Metrics::counter(const std::string& name, const std::string& help, const Labels& labels) {
  const std::lock_guard lock(impl_->mutex);
  return impl_->counters.handle(impl_->registry, name, help, labels);
}

Gauge& Metrics::gauge(const std::string& name, const std::string& help, const Labels& labels) {
  const std::lock_guard lock(impl_->mutex);
  return impl_->gauges.handle(impl_->registry, name, help, labels);
}

Histogram& Metrics::histogram(const std::string& name, const std::string& help,
                              const Labels& labels, const std::vector<double>& buckets) {
  const std::lock_guard lock(impl_->mutex);
  return impl_->histograms.handle(impl_->registry, name, help, labels, buckets);
}

void Metrics::remove_stream(const std::string& key) {
  const std::lock_guard lock(impl_->mutex);
  impl_->counters.remove_stream(key);
  impl_->gauges.remove_stream(key);
  impl_->histograms.remove_stream(key);
}

std::string Metrics::render() const {
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace mirror
