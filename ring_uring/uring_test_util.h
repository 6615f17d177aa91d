// What the tests of this backend do over and over: sockets made by hand, a ring whose
// completions are sorted by token.
//
// Everything that waits gives up after kPatience and reports a failure, so that a test
// whose completion never comes ends all the same.
#ifndef IORING_RING_URING_URING_TEST_UTIL_H_
#define IORING_RING_URING_URING_TEST_UTIL_H_

#include <liburing.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/token.h"
#include "ring_uring/uring_ring.h"

namespace ioring {

// So that a failed expectation names the error.
void PrintTo(Error error, std::ostream* out);

namespace uring {

// How long a test waits for what must happen.
inline constexpr std::chrono::seconds kPatience{20};

// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Descriptor() { reset(); }

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

// Two ends of a connection, blocking; reads give up after kPatience.
struct SocketPair {
  Descriptor a;
  Descriptor b;
};
SocketPair TcpPair();
SocketPair UnixPair();
// A blocking client that is connected to `endpoint` (IPv4). Reads give up after kPatience.
Descriptor ConnectTo(const Endpoint& endpoint);
// The number of the error that connecting gives, or 0.
int ConnectError(const Endpoint& endpoint);
// Closes with a reset instead of the end of the stream.
void CloseWithReset(Descriptor socket);

// recv(2), again where it is interrupted: the ring's work interrupts its thread's calls.
ssize_t ReceiveSome(int socket, void* memory, size_t size);
// True when all of it was sent.
bool SendAll(int socket, std::string_view bytes);
// What arrives, up to `size` bytes; shorter at the end of the stream, a failure or when it
// takes too long.
std::string ReceiveExactly(int socket, size_t size);
// True when the next thing that arrives is the end of the stream.
bool ReceivesEnd(int socket);

std::span<const std::byte> AsBytes(std::string_view text);
std::span<std::byte> AsWritableBytes(std::string& text);
std::string_view AsText(std::span<const std::byte> bytes);
// `size` bytes that tell their position.
std::string Pattern(size_t size);

// What the descriptor refers to, as /proc says: "anon_inode:[io_uring]".
std::string DescriptorTarget(int fd);
std::string ReadFile(const std::string& path);

// The submission entries of the only ring that this process has, mapped a second time: a test sees
// what the ring is about to submit, and may change it.
class SubmissionEntries {
 public:
  // `count`: of the ring's options, a power of two.
  explicit SubmissionEntries(size_t count);
  SubmissionEntries(const SubmissionEntries&) = delete;
  SubmissionEntries& operator=(const SubmissionEntries&) = delete;
  ~SubmissionEntries();

  // Those not yet submitted, and old ones.
  std::span<io_uring_sqe> all() const { return entries_; }

 private:
  std::span<io_uring_sqe> entries_;
};

// A ring without some features, for tests that run over several.
struct Mask {
  const char* name;
  CapabilitySet disabled;
};
inline std::string MaskName(const testing::TestParamInfo<Mask>& mask) { return mask.param.name; }
inline void PrintTo(const Mask& mask, std::ostream* out) { *out << mask.name; }

// A completion that was taken from the ring, with its buffer where it has one.
struct Event : Completion {
  ManagedBuffer buffer;
};

// A ring, and its completions sorted by token. Brings the ring to rest at the end: where
// that fails, the test fails.
//
// Numbers of entries and connections that are RingOptions' defaults are replaced by small
// ones. The kernel takes rings down some time after their end, and counts them as the
// user's locked memory until then: many large ones would not fit in.
class UringTester {
 public:
  explicit UringTester(const RingOptions& options = {});
  UringTester(const UringTester&) = delete;
  UringTester& operator=(const UringTester&) = delete;
  ~UringTester();

  UringRing& ring() { return *ring_; }
  UringRing* operator->() { return ring_.get(); }

  // A token that no other operation of this tester has.
  Token NewToken() { return Token{++last_token_}; }
  // Prepares by calling `prepare` with a new token, which it returns.
  template <typename Prepare>
  Token Start(Prepare prepare) {
    const Token token = NewToken();
    if (prepare(token) != Prepared::kAccepted) ReportRefused();
    return token;
  }

  // Submits and waits for the next completion with this token.
  Event Next(Token token);
  // Submits, and takes what is ready, without waiting; how many completions of this token there
  // are.
  size_t Ready(Token token);
  // Takes what arrives until `quiet` has passed.
  void PumpFor(std::chrono::milliseconds quiet);

  // Runs one operation to its end.
  template <typename Prepare>
  Event Run(Prepare prepare) {
    return Next(Start(prepare));
  }
  std::string Receive(ConnectionId connection, size_t size_max);
  Event Send(ConnectionId connection, std::string_view bytes);
  Event Close(ConnectionId connection, CloseMode mode = CloseMode::kGraceful);

  // A TCP listener on a free port of the loopback.
  ListenerId Listen();
  Endpoint EndpointOf(ListenerId listener);
  // A connection of the ring and its peer.
  struct Accepted {
    ConnectionId id;
    Descriptor peer;
  };
  // Accepted by the ring: with a direct descriptor, unless the options forbid it.
  Accepted Accept(ListenerId listener);
  Accepted Accept();
  // Registered with the ring: an ordinary descriptor.
  Accepted Register(SocketPair pair);

 private:
  void Take();
  void ReportRefused();

  std::unique_ptr<UringRing> ring_;
  std::vector<Event> events_;  // taken from the ring, not yet asked for
  uint64_t last_token_ = 0;
  bool out_of_patience_ = false;
  ListenerId listener_;
};

}  // namespace uring
}  // namespace ioring

#endif  // IORING_RING_URING_URING_TEST_UTIL_H_
