#include "transcode/filters.h"

#include <dlfcn.h>

#include <string>

namespace mirror::transcode {
namespace {

template <class F>
bool find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(::dlsym(library, name));
  return function != nullptr;
}

// Never unloaded: graphs may live until the process ends.
Result<Filters> open() {
  const std::string name = fmt::format("libavfilter.so.{}", LIBAVFILTER_VERSION_MAJOR);
  void* library = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return fail("{} is not there, and scaling on the GPU needs it", name);
  Filters filters{};
  const bool complete =
      find(library, "avfilter_get_by_name", filters.get_by_name) &&
      find(library, "avfilter_graph_alloc", filters.graph_alloc) &&
      find(library, "avfilter_graph_free", filters.graph_free) &&
      find(library, "avfilter_graph_alloc_filter", filters.graph_alloc_filter) &&
      find(library, "avfilter_init_str", filters.init_str) &&
      find(library, "avfilter_init_dict", filters.init_dict) &&
      find(library, "avfilter_link", filters.link) &&
      find(library, "avfilter_graph_config", filters.graph_config) &&
      find(library, "av_buffersrc_parameters_alloc", filters.source_parameters_alloc) &&
      find(library, "av_buffersrc_parameters_set", filters.source_parameters_set) &&
      find(library, "av_buffersrc_add_frame_flags", filters.source_add) &&
      find(library, "av_buffersink_get_frame", filters.sink_get);
  if (!complete) return fail("{} lacks what we need of it", name);
  if (!filters.get_by_name("scale_cuda")) return fail("{} has no scale_cuda", name);
  return filters;
}

}  // namespace

Result<const Filters*> Filters::load() {
  static const Result<Filters> loaded = open();
  if (!loaded) return std::unexpected(loaded.error());
  return &*loaded;
}

}  // namespace mirror::transcode
