// What tests of kqueues have in common: a kqueue, and pairs of connected descriptors whose
// state they can wait for without sleeping.
#ifndef IORING_RING_KQUEUE_KQUEUE_TEST_UTIL_H_
#define IORING_RING_KQUEUE_KQUEUE_TEST_UTIL_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "ring_kqueue/kevent_change.h"

namespace ioring::kqueue {

// Closes its descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() { Close(); }

  int get() const { return value_; }
  // Gives it to somebody else, who closes it.
  int Release() { return std::exchange(value_, -1); }
  // Its number, which is free then.
  int Close();

 private:
  int value_ = -1;
};

// One change, or one event.
struct Change {
  uintptr_t ident = 0;
  int filter = 0;
  unsigned flags = 0;
  unsigned fflags = 0;
  int64_t data = 0;
  uint64_t udata = 0;
};
struct kevent ToKevent(const Change& change);
uint64_t UdataOf(const struct kevent& event);

class Kqueue {
 public:
  Kqueue();

  int get() const { return descriptor_.get(); }
  // One change without a list of events: 0, or errno's value.
  int Apply(const Change& change) const;
  // What is ready now; at most `most`.
  std::vector<struct kevent> TakeNow(size_t most = 16) const;
  // Sleeps until something is ready. Empty, after a long time: the test has failed.
  std::vector<struct kevent> Take(size_t most = 16) const;

 private:
  Descriptor descriptor_;
};

// A TCP socket, non-blocking.
Descriptor OpenStream();
// Starts to connect. False: it goes on.
bool ConnectAtOnce(const Descriptor& descriptor, const sockaddr_in& address);

// Both ends are non-blocking.
struct Ends {
  Descriptor near;
  Descriptor far;
};
Ends TcpPair();
Ends UnixPair(int type = SOCK_STREAM);
// near reads what is written to far.
Ends PipePair();

// A TCP listener on a free port of the loopback, non-blocking.
struct Listener {
  Listener();
  // Connects, and returns when it can be accepted.
  Descriptor Connect() const;

  Descriptor socket;
  sockaddr_in address{};
};
// Like Listener, but nobody listens.
sockaddr_in ClosedPort();

// Sends all of it.
void Send(const Descriptor& descriptor, std::string_view bytes);
// Returns when so many bytes wait, or the peer's end.
void AwaitBytes(const Descriptor& descriptor, size_t count);
void AwaitEnd(const Descriptor& descriptor);
// Takes exactly so many bytes.
void Receive(const Descriptor& descriptor, size_t count);
// Sends until nothing more fits; how much that was.
size_t Fill(const Descriptor& descriptor);
// Closes with a reset, which has arrived at the other end when this returns.
void Reset(Ends& pair);

}  // namespace ioring::kqueue

#endif  // IORING_RING_KQUEUE_KQUEUE_TEST_UTIL_H_
