// libavfilter, loaded when a GPU is found: it draws in some hundred libraries that nobody else
// needs.
//
// Immutable once loaded, any thread. Its header is the one that we were built with, its major
// version part of the name that is loaded.
#pragma once

#include "base/result.h"
#include "transcode/av.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wconversion"
extern "C" {
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
}
#pragma GCC diagnostic pop

namespace mirror::transcode {

struct Filters {
  decltype(&avfilter_get_by_name) get_by_name;
  decltype(&avfilter_graph_alloc) graph_alloc;
  decltype(&avfilter_graph_free) graph_free;
  decltype(&avfilter_graph_alloc_filter) graph_alloc_filter;
  decltype(&avfilter_init_str) init_str;
  decltype(&avfilter_init_dict) init_dict;
  decltype(&avfilter_link) link;
  decltype(&avfilter_graph_config) graph_config;
  decltype(&av_buffersrc_parameters_alloc) source_parameters_alloc;
  decltype(&av_buffersrc_parameters_set) source_parameters_set;
  decltype(&av_buffersrc_add_frame_flags) source_add;
  decltype(&av_buffersink_get_frame) sink_get;

  // The same for everybody. Fails if the library is not there.
  static Result<const Filters*> load();
};

}  // namespace mirror::transcode
