// What fuzz/http3_frames_fuzz.cc, http3_settings_fuzz.cc and webtransport_capsules_fuzz.cc do with
// one input, and a unit test with their corpora.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "http/http3_session.h"
#include "http/http3_settings.h"
#include "http/prepared.h"
#include "http/scripted_carrier.h"
#include "http/scripted_transport.h"
#include "http/webtransport.h"

namespace mirror::http {

// Steps of two bytes (which stream and what, how many bytes) and those bytes, given to a session
// whose handler answers at once, later, in pieces, by pushes and with WebTransport.
inline void exercise_http3_frames(std::span<const std::uint8_t> input) {
  struct Silent final : WebTransportSession::Observer {};
  ScriptedCarrier carrier;
  carrier.limits_.header_bytes_max = 1024;
  carrier.limits_.body_bytes_max = 2048;
  carrier.limits_.concurrent_streams_max = 8;
  carrier.limits_.queued_bytes_per_connection_max = 16 * 1024;
  carrier.limits_.webtransport_held_bytes_max = 1024;
  carrier.handler = [](const Request& request, Exchange& exchange) {
    if (auto* session = exchange.webtransport()) {
      if (request.path != "/later") session->accept(std::make_unique<Silent>());
      return true;
    }
    exchange.push(request, std::make_shared<const Prepared>(200, Headers{}, std::vector<Bytes>{}));
    return false;
  };
  ScriptedTransport transport(ScriptedTransport::Side::kServer);
  auto session = std::make_unique<Http3Session>(carrier, transport);
  session->on_open();
  constexpr quic::StreamId kStreams[] = {2, 0, 4, 8, 6, 10, 14, 12};
  bool over[std::size(kStreams)] = {};
  while (input.size() >= 2 && !transport.closed_with) {
    const std::uint8_t what = input[0];
    const std::size_t n = std::min<std::size_t>(input[1], input.size() - 2);
    // A copy of its own: reading past a piece is then seen by the sanitizer.
    const std::vector<std::uint8_t> piece(input.begin() + 2,
                                          input.begin() + 2 + static_cast<std::ptrdiff_t>(n));
    input = input.subspan(2 + n);
    const std::size_t which = what & 7;
    const quic::StreamId id = kStreams[which];
    switch (what >> 3 & 7) {
      case 0:
      case 1:
      case 2: {
        const bool fin = (what >> 3 & 7) == 2;
        if (over[which] || transport.streams[id].stopped) break;
        over[which] = fin;
        session->on_stream_data(id, piece, fin);
        break;
      }
      case 3:
        if (!over[which]) session->on_stream_reset(id, n);
        over[which] = true;
        break;
      case 4:
        session->on_stop_sending(which == 0 ? 3 : id, n);
        break;
      case 5:
        session->on_datagram(piece);
        break;
      case 6:
        transport.time += std::chrono::seconds(n);
        session->check_timeouts();
        break;
      case 7:
        carrier.answer_held();
        for (auto& [stream, state] : transport.streams) state.taken = state.out.size();
        break;
    }
    if ((what & 0x40) != 0) session->pump();
    if ((what & 0x80) != 0 && over[which] && id != 2) session->on_stream_closed(id);
    if (transport.queued_bytes() > 256 * 1024) std::abort();
  }
  session->drain();
  session->pump();
  transport.time += Http3Session::kGoawayGrace;
  session->check_timeouts();
  session->pump();
  session.reset();
  if (!carrier.held.empty()) std::abort();  // an exchange outlived its connection
}

// What was read can be written, and says the same when it is read again.
inline void exercise_http3_settings(std::span<const std::uint8_t> input) {
  const auto first = h3::parse_settings(input);
  if (first.error != 0) return;
  h3::Wire wire;
  h3::append_settings(wire, first.settings);
  std::span<const std::uint8_t> left(wire);
  const auto type = h3::take_varint(left);
  const auto length = h3::take_varint(left);
  if (type != h3::frame::kSettings || length != left.size()) std::abort();
  const auto again = h3::parse_settings(left);
  if (again.error != 0 ||
      again.settings.max_field_section_size != first.settings.max_field_section_size ||
      again.settings.connect_protocol != first.settings.connect_protocol ||
      again.settings.datagrams != first.settings.datagrams ||
      again.settings.webtransport_draft02 != first.settings.webtransport_draft02 ||
      again.settings.webtransport_sessions != first.settings.webtransport_sessions) {
    std::abort();
  }
}

// In one piece and byte by byte the same capsules are seen, up to the first that ends the session.
inline void exercise_webtransport_capsules(std::span<const std::uint8_t> input) {
  using Event = h3::CapsuleReader::Event;
  const auto read = [&](std::size_t piece_max) {
    h3::CapsuleReader reader;
    std::string seen;
    for (std::size_t at = 0; at < input.size(); at += piece_max) {
      const auto part = input.subspan(at, std::min(piece_max, input.size() - at));
      const std::vector<std::uint8_t> copy(part.begin(), part.end());
      std::span<const std::uint8_t> left(copy);
      for (auto event = reader.next(left); event != Event::kNeedMore; event = reader.next(left)) {
        seen += static_cast<char>('0' + static_cast<int>(event));
        if (event == Event::kDatagram) {
          seen.append(reader.payload().begin(), reader.payload().end());
        } else if (event == Event::kClose) {
          seen += std::to_string(reader.code());
          seen += reader.reason();
        } else {
          return seen;
        }
      }
      if (reader.payload().size() > h3::CapsuleReader::kKeptBytesMax) std::abort();
    }
    return seen;
  };
  if (read(1) != read(static_cast<std::size_t>(-1) / 2)) std::abort();
}

}  // namespace mirror::http
