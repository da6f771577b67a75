// /live/{stream}/…: playlists, init segments, segments and parts of live streams.
//
//   /live/{stream}/index.m3u8                          multivariant playlist
//   /live/{stream}/thumbnail.jpg                       a still picture, new every few seconds
//   /live/{stream}/{rendition}/media.m3u8              media playlist, with delivery directives
//   /live/{stream}/{rendition}/{epoch}/init.mp4
//   /live/{stream}/{rendition}/{epoch}/{msn}.m4s       segment
//   /live/{stream}/{rendition}/{epoch}/{msn}.{part}.m4s
//
// What exists is answered at once, what is promised is held, the rest is refused in words. Every
// answer carries the CORS headers that its origin is due.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "api/answers.h"
#include "api/cors.h"
#include "api/held_requests.h"
#include "hls/presentation.h"
#include "hls/uri.h"
#include "http/conditional.h"
#include "http/http.h"
#include "net/event_loop.h"
#include "stream/registry.h"

namespace mirror::api {

class LiveRoutes {
 public:
  // All of them outlive this and belong to the same loop.
  LiveRoutes(const stream::Registry& registry, const Cors& cors, HeldRequests& held,
             const net::EventLoop& loop);

  // `rest` is the path after "/live/". GET and HEAD only.
  void handle(std::string_view rest, const http::Request& request, http::Exchange& exchange);
  // About twice a second.
  void on_tick() { answers_.on_tick(loop_.now()); }

 private:
  struct Asker;   // what every answer needs to know of the request
  struct Target;  // one found rendition
  struct Pushed;  // a part that a client is to be sent without asking

  void multivariant(const std::shared_ptr<stream::Stream>& stream, const http::Request& request,
                    Asker asker, http::Exchange& exchange);
  void thumbnail(const stream::Stream& stream, const Asker& asker, http::Exchange& exchange);
  void media_playlist(const Target& target, const http::Request& request, Asker asker,
                      http::Exchange& exchange);
  static std::optional<Pushed> pushed_with(const hls::PlaylistQuestion& question,
                                           const Target& target, const http::Request& request,
                                           const http::Exchange& exchange);
  void push(const Pushed& pushed, const hls::WindowView& view, http::Exchange& exchange);
  void media(const Target& target, std::string_view name, const http::Request& request, Asker asker,
             http::Exchange& exchange);
  void grow_part(const Target& target, hls::PartPosition position, Asker asker,
                 http::Exchange& exchange);
  void hold_media(const Target& target, const hls::MediaName& name, Asker asker,
                  http::Exchange& exchange);
  Answer media_answer(const Target& target, const hls::WindowView& view,
                      const hls::MediaName& name);

  const stream::Registry& registry_;
  const Cors& cors_;
  HeldRequests& held_;
  const net::EventLoop& loop_;
  Answers answers_;
};

}  // namespace mirror::api
