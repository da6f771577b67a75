#include "net/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "net/unique_fd.h"

namespace mirror::net {

namespace {

Status write_all(int fd, std::string_view text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail("{}", std::strerror(errno));
    done += static_cast<std::size_t>(n);
  }
  if (::fsync(fd) != 0) return fail("{}", std::strerror(errno));
  return {};
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, std::size_t bytes_max) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail("{}: {}", path.string(), std::strerror(errno));
  std::string text;
  std::array<char, 4096> block;
  for (;;) {
    const ssize_t n = ::read(fd.get(), block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail("{}: {}", path.string(), std::strerror(errno));
    if (n == 0) return text;
    text.append(block.data(), static_cast<std::size_t>(n));
    if (text.size() > bytes_max) return fail("{}: longer than {} bytes", path.string(), bytes_max);
  }
}

// Temporary file, fsync, rename: a crash or a full disk leaves the old file or none.
Status write_file(const std::filesystem::path& path, std::string_view bytes, mode_t mode) {
  std::string temporary = path.string() + ".XXXXXX";
  const UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));  // mode 0600
  if (!fd) return fail("cannot write {}: {}", path.string(), std::strerror(errno));
  Status status = write_all(fd.get(), bytes);
  if (status && (::fchmod(fd.get(), mode) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0)) {
    status = fail("{}", std::strerror(errno));
  }
  if (!status) {
    ::unlink(temporary.c_str());
    return fail("cannot write {}: {}", path.string(), status.error().message);
  }
  return {};
}

}  // namespace mirror::net
