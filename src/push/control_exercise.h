// For the fuzzer and the replay of its corpus: bytes as a control request and as a query.
#pragma once

#include <cstdlib>
#include <string_view>
#include <variant>

#include "media/stream_key.h"
#include "push/control.h"

namespace mirror::push {

// Aborts when something is accepted that breaks a promise of push/control.h.
inline void exercise_control(std::string_view text) {
  const auto valid = [](const Target& target) {
    return media::StreamKey::parse(target.stream) && media::StreamKey::parse(target.rendition);
  };
  if (const auto messages = parse_control(text)) {
    if (messages->size() > kControlLinesMax) std::abort();
    for (const ControlMessage& message : *messages) {
      std::visit(
          [&](const auto& one) {
            if constexpr (requires { one.target; }) {
              if (!valid(one.target)) std::abort();
            }
            if constexpr (requires { one.to; }) {
              if (!valid(one.to) || one.to == one.target) std::abort();
            }
          },
          message);
    }
  }
  if (const auto subscriptions = parse_subscribe_query(text)) {
    if (subscriptions->size() > kControlLinesMax) std::abort();
    for (const Subscribe& one : *subscriptions) {
      if (!valid(one.target)) std::abort();
    }
  }
}

}  // namespace mirror::push
