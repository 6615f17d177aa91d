// TestRing: a ring of a conformance test, with what tests do over and over.
//
// On top of the books of LedgerRing it hands out tokens and memory, waits for the
// completions of one operation while it keeps others aside, makes connections, and
// brings itself to rest at the end. It owns all memory that operations use, so that a
// test that fails half-way leaves nothing in flight on memory that is gone.
#ifndef IORING_RING_CONFORMANCE_TEST_RING_H_
#define IORING_RING_CONFORMANCE_TEST_RING_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/ledger.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {

// So that a failed expectation names the error, and what was full.
void PrintTo(Error error, std::ostream* out);
void PrintTo(Prepared prepared, std::ostream* out);

// How long a test waits for what must happen.
inline constexpr std::chrono::seconds kPatience{20};
// How long it waits to see that something does not happen.
inline constexpr std::chrono::milliseconds kQuietTime{20};

// A completion that was taken, with its bytes where it has some.
struct Arrival {
  Completion completion;
  // Its place among all completions of its ring.
  uint64_t order = 0;
  // When it was seen.
  std::chrono::steady_clock::time_point time;
  // Managed receives: the bytes, or while buffers are held back, where they lie.
  std::string bytes;
  ManagedBuffer buffer;

  int32_t result() const { return completion.result; }
  Error error() const { return completion.error(); }
  bool ok() const { return completion.ok(); }
  bool more() const { return completion.more(); }
  ConnectionId connection() const { return completion.connection(); }
  PollEvents poll_events() const { return completion.poll_events(); }
};

// Two ends of a connection.
struct Pair {
  ConnectionId client;
  ConnectionId server;
};

struct TestGroup {
  BufferGroupId id;
  uint32_t buffers = 0;
};

struct TestBuffer {
  BufferId id;
  std::span<std::byte> memory;

  BufferSlice Slice(uint32_t offset, uint32_t length) const {
    return BufferSlice{id, offset, length};
  }
};

std::span<const std::byte> AsBytes(std::string_view text);
std::string_view AsText(std::span<const std::byte> bytes);

class TestRing final : public LedgerRing {
 public:
  TestRing(std::unique_ptr<Ring> ring, const RingOptions& options);

  // ---- Tokens and memory. Memory lives as long as this, and is zero.

  Token NewToken() { return Token{++last_token_}; }
  std::span<std::byte> Memory(size_t bytes);
  // Memory that holds `text`.
  std::span<std::byte> Text(std::string_view text);
  Endpoint* NewEndpoint();

  // ---- Starting. Each takes a new token and expects to be accepted.

  template <typename Prepare>
  Token Start(Prepare prepare) {
    const Token token = NewToken();
    EXPECT_EQ(prepare(token), Prepared::kAccepted);
    return token;
  }
  Token StartRecv(ConnectionId connection, std::span<std::byte> memory,
                  TransferFlags flags = TransferFlags::kNone);
  Token StartSend(ConnectionId connection, std::span<const std::byte> memory,
                  TransferFlags flags = TransferFlags::kNone);
  Token StartManaged(ConnectionId connection, BufferGroupId group, Shots shots);
  Token StartClose(ConnectionId connection, CloseMode mode = CloseMode::kGraceful);
  Token StartTimeout(std::chrono::nanoseconds delay, Shots shots = Shots::kOneShot);
  Token StartCancel(Token target);
  Token StartNop();

  // ---- Taking.

  // Takes what is ready, without waiting or entering the kernel.
  void Take();
  // Submits, waits, and takes. Returns what the wait did.
  uint32_t Pump(const WaitOptions& options = {.timeout = std::chrono::nanoseconds{0}});
  // Submits, and lets the quiet time pass, however much arrives.
  void Quiet();
  // The next completion of this operation: submits and waits for it. Fails the test, and
  // gives Error::kUnknown, where it does not come in time. A send's second completion
  // (kMemoryFree) is passed over.
  Arrival Next(Token token);
  // As Next, of an operation that has but one.
  Arrival Await(Token token);
  // All completions to the final one.
  std::vector<Arrival> AwaitAll(Token token);
  // Starts and awaits.
  template <typename Prepare>
  Arrival Run(Prepare prepare) {
    return Await(Start(prepare));
  }
  // Whether a completion that nobody awaited yet has come.
  bool HasArrived(Token token) const;
  // Whether the final one has.
  bool HasArrivedFinally(Token token) const;
  // How many have come that nobody awaited.
  size_t Unawaited(Token token) const;
  // Completions that Wake caused and nobody awaited; they are forgotten then.
  std::vector<Arrival> TakeWakes();
  // From now on managed buffers stay in the test's hands (Arrival::buffer).
  void HoldBuffers() { hold_buffers_ = true; }

  // ---- Connections.

  // Listens on a free port of the loopback, or fails the test.
  ListenerId Listen(const ListenerOptions& options = {});
  Endpoint EndpointOf(ListenerId listener);
  Pair MakePair();
  Pair MakePair(ListenerId listener);
  // What a connect to an endpoint says where nobody listens, or ought to.
  Error ConnectError(const Endpoint& endpoint);
  ConnectionId Datagram();
  // One transfer as it is, and one that goes on until all is done.
  Arrival Recv(ConnectionId connection, std::span<std::byte> memory);
  Arrival Send(ConnectionId connection, std::string_view text);
  Arrival Close(ConnectionId connection, CloseMode mode = CloseMode::kGraceful);
  // Receives `bytes` bytes; fewer, and a failure, where the stream ends before.
  std::string RecvText(ConnectionId connection, size_t bytes);
  // What a receive of one byte says: 0 at the end of the stream, or an error.
  Arrival RecvEnd(ConnectionId connection);
  // Both directions carry bytes.
  void ExpectAlive(const Pair& pair);

  // ---- Memory of the ring; given back, and checked, at the end.

  TestGroup MakeGroup(uint32_t buffers, uint32_t buffer_bytes,
                      ExhaustionPolicy policy = ExhaustionPolicy::kWait, uint32_t max_buffers = 0);
  TestBuffer MakeBuffer(size_t bytes, uint32_t unit_bytes = 0, BufferUse use = BufferUse::kAny);
  absl::Status UnregisterBufferGroup(BufferGroupId group) override;

  // Brings the ring to rest and compares the books. Called at the end of each test.
  void Finish();

 private:
  // Of the same names, with other arguments: the tests' functions above are to hide none of these.
  using LedgerRing::Start;
  using LedgerRing::StartRecv;
  using LedgerRing::StartSend;

  void Keep(const Completion& completion);
  void ReleaseAll();

  const bool zero_copy_;
  const Token wake_token_;
  uint64_t last_token_ = 0;
  uint64_t order_ = 0;
  bool hold_buffers_ = false;
  bool finished_ = false;
  // Nothing is waited for at length once something did not come.
  bool out_of_patience_ = false;
  absl::flat_hash_map<uint64_t, std::deque<Arrival>> arrivals_;
  ListenerId listener_;
  Endpoint listener_endpoint_;
  std::vector<ConnectionId> connections_;
  std::vector<TestGroup> groups_;
  std::vector<TestBuffer> buffers_;
  std::deque<std::unique_ptr<std::byte[]>> memory_;
  std::deque<std::unique_ptr<Endpoint>> endpoints_;
};

// An endpoint whose Unix-domain path no other test uses.
Endpoint UnusedPath(TestRing& ring);

// A connection from a ring to another, which listens. Both run in this thread.
Pair Connect(TestRing& client, TestRing& server);

}  // namespace ioring

#endif  // IORING_RING_CONFORMANCE_TEST_RING_H_
