// Descriptors of every kind for tests, which hand them to a ring and keep a copy or the other end.
#ifndef IORING_RING_CORE_POSIX_TESTING_SHARED_DESCRIPTORS_H_
#define IORING_RING_CORE_POSIX_TESTING_SHARED_DESCRIPTORS_H_

#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/log/check.h"

namespace ioring::posix {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) { PCHECK(fd >= 0); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// dup(2).
Descriptor Copy(const Descriptor& descriptor);

// Something that can be registered, and what keeps it what it is.
struct Shared {
  const char* name;
  Descriptor descriptor;
  std::vector<Descriptor> others;  // the other end
};

Shared Pipe();      // the end to read from
Shared Terminal();  // the other end is its master
Shared Listening();
Shared UnixStreams();
Shared UnixDatagrams();
Shared TcpPair();
Shared Udp();

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_TESTING_SHARED_DESCRIPTORS_H_
