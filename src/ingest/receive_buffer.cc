#include "ingest/receive_buffer.h"

#include <sys/socket.h>

namespace mirror::ingest {

int size_receive_buffer(int fd, int wanted_bytes) {
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted_bytes, sizeof wanted_bytes) != 0) {
    (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted_bytes, sizeof wanted_bytes);
  }
  int granted = 0;
  socklen_t size = sizeof granted;
  (void)::getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &size);
  return granted / 2;  // the kernel reports it doubled
}

}  // namespace mirror::ingest
