// Result<T>: what a call that the outside world can make fail returns.
//
// The one place that knows which `expected` we build on (std::expected on libstdc++ 12, which has
// no monadic calls). Broken invariants are assertions, never errors; bad input is an error, never
// an assertion.
#pragma once

#include <fmt/format.h>

#include <expected>
#include <string>
#include <utility>

namespace mirror {

// Why something failed, in words for an operator. Context is added in front on the way up, so that
// the message reads from the outside in: "listener 8443: certificate cert.pem: file not found".
struct Error {
  std::string message;

  Error within(std::string_view context) && {
    message.insert(0, fmt::format("{}: ", context));
    return std::move(*this);
  }
};

template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
};

using Status = Result<void>;

template <class... Args>
std::unexpected<Error> fail(fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error{fmt::format(format, std::forward<Args>(args)...)});
}

}  // namespace mirror
