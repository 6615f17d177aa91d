// What tests of the kqueue double and of what runs on it have in common: a kqueue, and pairs
// of connected descriptors whose state they can wait for without sleeping.
#ifndef IORING_RING_KQUEUE_TESTING_DOUBLE_TEST_UTIL_H_
#define IORING_RING_KQUEUE_TESTING_DOUBLE_TEST_UTIL_H_

#include <netinet/in.h>
#include <sys/event.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace ioring::kqueue_double {

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
  uintptr_t udata = 0;
};
struct kevent ToKevent(const Change& change);
uintptr_t UdataOf(const struct kevent& event);

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

// Both ends are non-blocking.
struct Pair {
  Descriptor near;
  Descriptor far;
};
Pair TcpPair();
Pair UnixPair();
// near reads what is written to far.
Pair PipePair();

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
void Reset(Pair& pair);

}  // namespace ioring::kqueue_double

#endif  // IORING_RING_KQUEUE_TESTING_DOUBLE_TEST_UTIL_H_
