// PushDoors: how what is asked of a push session reaches the loop that it lives on.
//
// A session's id begins with the number of its loop; a control request may come to any. Made by
// `app`; each loop's handler adds its door before the loops run, and nothing changes afterwards.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "net/event_loop.h"
#include "push/control.h"
#include "push/hub.h"

namespace mirror::api {

class PushDoors {
 public:
  // Called on the door's loop.
  using Open = std::function<push::Hub::Answer(const std::string& session,
                                               const std::vector<push::ControlMessage>& messages)>;

  // Returns the door's number. `loop` and `open` outlive all knocking.
  std::size_t add(net::EventLoop& loop, Open open) {
    doors_.push_back({&loop, std::move(open)});
    return doors_.size() - 1;
  }
  std::size_t size() const { return doors_.size(); }

  // Any loop: applies `messages` behind door `number`, then calls `answer` on `asker`'s loop. False
  // when a loop has too many tasks waiting; `answer` is not called then. If the way back is full,
  // the answer is lost: who asks sets itself a limit.
  bool knock(std::size_t number, std::string session, std::vector<push::ControlMessage> messages,
             net::EventLoop& asker, std::move_only_function<void(push::Hub::Answer)> answer) const {
    const Door& door = doors_[number];
    return door.loop->post([&door, &asker, session = std::move(session),
                            messages = std::move(messages), answer = std::move(answer)]() mutable {
      const push::Hub::Answer result = door.open(session, messages);
      asker.post([result, answer = std::move(answer)]() mutable { answer(result); });
    });
  }

 private:
  struct Door {
    net::EventLoop* loop;
    Open open;
  };

  std::vector<Door> doors_;
};

}  // namespace mirror::api
