#include "ring/conformance/test_ring.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <filesystem>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/ledger.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

}  // namespace

void PrintTo(Error error, std::ostream* out) { *out << ErrorName(error); }
void PrintTo(Prepared prepared, std::ostream* out) { *out << PreparedName(prepared); }

std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TestRing::TestRing(std::unique_ptr<Ring> ring, const RingOptions& options)
    : LedgerRing(std::move(ring), options),
      zero_copy_(options.zero_copy_threshold_bytes.has_value()),
      wake_token_(options.wake_token) {}

std::span<std::byte> TestRing::Memory(size_t bytes) {
  memory_.push_back(std::make_unique<std::byte[]>(bytes));
  return {memory_.back().get(), bytes};
}

std::span<std::byte> TestRing::Text(std::string_view text) {
  const std::span<std::byte> memory = Memory(text.size());
  std::memcpy(memory.data(), text.data(), text.size());
  return memory;
}

Endpoint* TestRing::NewEndpoint() {
  endpoints_.push_back(std::make_unique<Endpoint>());
  return endpoints_.back().get();
}

Token TestRing::StartRecv(ConnectionId connection, std::span<std::byte> memory,
                          TransferFlags flags) {
  return Start([&](Token token) { return PrepareRecv(connection, memory, token, flags); });
}

Token TestRing::StartSend(ConnectionId connection, std::span<const std::byte> memory,
                          TransferFlags flags) {
  return Start([&](Token token) { return PrepareSend(connection, memory, token, flags); });
}

Token TestRing::StartManaged(ConnectionId connection, BufferGroupId group, Shots shots) {
  return Start([&](Token token) { return PrepareRecvManaged(connection, group, shots, token); });
}

Token TestRing::StartClose(ConnectionId connection, CloseMode mode) {
  std::erase(connections_, connection);
  return Start([&](Token token) { return PrepareClose(connection, mode, token); });
}

Token TestRing::StartTimeout(nanoseconds delay, Shots shots) {
  return Start([&](Token token) { return PrepareTimeout(delay, shots, token); });
}

Token TestRing::StartCancel(Token target) {
  return Start([&](Token token) { return PrepareCancel(target, token); });
}

Token TestRing::StartNop() {
  return Start([&](Token token) { return PrepareNop(token); });
}

void TestRing::Keep(const Completion& completion) {
  Arrival arrival{.completion = completion, .order = ++order_, .time = steady_clock::now()};
  if ((completion.flags & kBuffer) != 0) {
    arrival.buffer = TakeBuffer(completion);
    if (!hold_buffers_ || arrival.buffer.size == 0) {
      arrival.bytes = AsText({arrival.buffer.data, arrival.buffer.size});
      ReturnBuffer(std::exchange(arrival.buffer, ManagedBuffer{}));
    }
  }
  arrivals_[completion.token.value].push_back(std::move(arrival));
}

void TestRing::Take() {
  for (;;) {
    const std::span<const Completion> completions = PeekCompletions();
    if (completions.empty()) return;
    for (const Completion& completion : completions) Keep(completion);
    AdvanceCompletionQueue(completions.size());
  }
}

uint32_t TestRing::Pump(const WaitOptions& options) {
  const uint32_t ready = SubmitAndWait(options);
  Take();
  return ready;
}

void TestRing::Quiet() {
  const steady_clock::time_point end = steady_clock::now() + kQuietTime;
  for (;;) {
    const steady_clock::time_point now = steady_clock::now();
    if (now >= end) return;
    Pump({.timeout = end - now});
  }
}

bool TestRing::HasArrived(Token token) const { return Unawaited(token) != 0; }

bool TestRing::HasArrivedFinally(Token token) const {
  const auto found = arrivals_.find(token.value);
  return found != arrivals_.end() && !found->second.empty() && !found->second.back().more();
}

size_t TestRing::Unawaited(Token token) const {
  const auto found = arrivals_.find(token.value);
  return found == arrivals_.end() ? 0 : found->second.size();
}

std::vector<Arrival> TestRing::TakeWakes() {
  Take();
  std::deque<Arrival> wakes = std::exchange(arrivals_[wake_token_.value], {});
  return {wakes.begin(), wakes.end()};
}

Arrival TestRing::Next(Token token) {
  const auto patience = out_of_patience_ ? milliseconds{100} : milliseconds{kPatience};
  const steady_clock::time_point deadline = steady_clock::now() + patience;
  for (;;) {
    std::deque<Arrival>& mine = arrivals_[token.value];
    while (!mine.empty()) {
      Arrival next = std::move(mine.front());
      mine.pop_front();
      if ((next.completion.flags & kMemoryFree) == 0) return next;
    }
    const nanoseconds left = deadline - steady_clock::now();
    if (left <= nanoseconds{0}) break;
    Pump({.timeout = left});
  }
  ADD_FAILURE() << "the completion of operation " << token.value << " did not come within "
                << patience.count() << " ms";
  out_of_patience_ = true;
  return Arrival{.completion = {.token = token, .result = ToResult(Error::kUnknown)}};
}

Arrival TestRing::Await(Token token) {
  Arrival arrival = Next(token);
  // Of a send, kMore says that kMemoryFree follows; the ledger sees to that.
  if (!arrival.more()) {
    EXPECT_FALSE(HasArrived(token)) << "operation " << token.value << " completed twice";
  }
  return arrival;
}

std::vector<Arrival> TestRing::AwaitAll(Token token) {
  std::vector<Arrival> all;
  const steady_clock::time_point deadline = steady_clock::now() + kPatience;
  while (steady_clock::now() < deadline) {
    std::deque<Arrival>& mine = arrivals_[token.value];
    while (!mine.empty()) {
      all.push_back(std::move(mine.front()));
      mine.pop_front();
      if (!all.back().more()) return all;
    }
    if (out_of_patience_) break;
    Pump({.timeout = deadline - steady_clock::now()});
  }
  out_of_patience_ = true;
  ADD_FAILURE() << "operation " << token.value << " did not end in time";
  all.push_back(Arrival{.completion = {.token = token, .result = ToResult(Error::kUnknown)}});
  return all;
}

ListenerId TestRing::Listen(const ListenerOptions& options) {
  const absl::StatusOr<ListenerId> listener = CreateListener(Endpoint::Ipv4Loopback(0), options);
  EXPECT_TRUE(listener.ok()) << listener.status();
  return listener.value_or(ListenerId{});
}

Endpoint TestRing::EndpointOf(ListenerId listener) {
  const absl::StatusOr<Endpoint> endpoint = LocalEndpoint(listener);
  EXPECT_TRUE(endpoint.ok()) << endpoint.status();
  return endpoint.value_or(Endpoint());
}

Pair TestRing::MakePair() {
  if (!listener_.is_set()) listener_ = Listen();
  return MakePair(listener_);
}

Pair TestRing::MakePair(ListenerId listener) {
  const Endpoint endpoint = EndpointOf(listener);
  const Token accept =
      Start([&](Token token) { return PrepareAccept(listener, Shots::kOneShot, token); });
  const Token connect = Start([&](Token token) { return PrepareConnect(endpoint, token); });
  const Arrival client = Await(connect);
  EXPECT_EQ(client.error(), Error::kOk) << "connect";
  if (!client.ok()) return {};
  const Arrival server = Await(accept);
  EXPECT_EQ(server.error(), Error::kOk) << "accept";
  if (!server.ok()) return {};
  connections_.push_back(client.connection());
  connections_.push_back(server.connection());
  return {client.connection(), server.connection()};
}

// Its name has the number of a port of its own.
Endpoint UnusedPath(TestRing& ring) {
  const std::string name = absl::StrCat("/ioring", ring.EndpointOf(ring.Listen()).port());
  absl::StatusOr<Endpoint> endpoint = Endpoint::Unix(testing::TempDir() + name);
  if (!endpoint.ok()) {  // too long
    endpoint = Endpoint::Unix(std::filesystem::temp_directory_path().string() + name);
  }
  EXPECT_TRUE(endpoint.ok()) << endpoint.status();
  return endpoint.value_or(Endpoint());
}

Pair Connect(TestRing& client, TestRing& server) {
  const ListenerId listener = server.Listen();
  const Endpoint endpoint = server.EndpointOf(listener);
  const Token connect =
      client.Start([&](Token token) { return client.PrepareConnect(endpoint, token); });
  const Token accept = server.Start(
      [&](Token token) { return server.PrepareAccept(listener, Shots::kOneShot, token); });
  client.Submit();
  const Arrival accepted = server.Await(accept);
  const Arrival connected = client.Await(connect);
  EXPECT_EQ(accepted.error(), Error::kOk);
  EXPECT_EQ(connected.error(), Error::kOk);
  EXPECT_TRUE(server.CloseListener(listener).ok());
  if (!accepted.ok() || !connected.ok()) return {};
  return {connected.connection(), accepted.connection()};
}

// A socket that is given the very port that it connects to is connected to itself (TCP opens from
// both ends at once): that says nothing, and is tried again.
Error TestRing::ConnectError(const Endpoint& endpoint) {
  for (;;) {
    const Arrival connected = Run([&](Token token) { return PrepareConnect(endpoint, token); });
    if (!connected.ok()) return connected.error();
    const absl::StatusOr<Endpoint> local = LocalEndpoint(connected.connection());
    if (!local.ok() || *local != endpoint) return Error::kOk;
    Close(connected.connection());
  }
}

ConnectionId TestRing::Datagram() {
  const absl::StatusOr<ConnectionId> socket = OpenDatagram(Endpoint::Ipv4Loopback(0));
  EXPECT_TRUE(socket.ok()) << socket.status();
  return socket.value_or(ConnectionId{});
}

Arrival TestRing::Recv(ConnectionId connection, std::span<std::byte> memory) {
  return Await(StartRecv(connection, memory));
}

Arrival TestRing::Send(ConnectionId connection, std::string_view text) {
  return Await(StartSend(connection, Text(text), TransferFlags::kAll));
}

Arrival TestRing::Close(ConnectionId connection, CloseMode mode) {
  return Await(StartClose(connection, mode));
}

std::string TestRing::RecvText(ConnectionId connection, size_t bytes) {
  const std::span<std::byte> memory = Memory(bytes);
  size_t done = 0;
  while (done < bytes) {
    const Arrival arrival = Recv(connection, memory.subspan(done));
    if (arrival.result() <= 0) {
      ADD_FAILURE() << "the stream ended after " << done << " of " << bytes
                    << " bytes: " << ErrorText(arrival.error());
      break;
    }
    done += static_cast<size_t>(arrival.result());
  }
  return std::string(AsText(memory.first(done)));
}

Arrival TestRing::RecvEnd(ConnectionId connection) { return Recv(connection, Memory(1)); }

void TestRing::ExpectAlive(const Pair& pair) {
  EXPECT_EQ(Send(pair.client, "ping").result(), 4);
  EXPECT_EQ(RecvText(pair.server, 4), "ping");
  EXPECT_EQ(Send(pair.server, "pong").result(), 4);
  EXPECT_EQ(RecvText(pair.client, 4), "pong");
}

TestGroup TestRing::MakeGroup(uint32_t buffers, uint32_t buffer_bytes, ExhaustionPolicy policy,
                              uint32_t max_buffers) {
  const absl::StatusOr<BufferGroupId> group = RegisterBufferGroup({
      .memory = Memory(size_t{buffers} * buffer_bytes),
      .buffer_bytes = buffer_bytes,
      .max_buffers = max_buffers == 0 ? buffers : max_buffers,
      .exhaustion = policy,
  });
  EXPECT_TRUE(group.ok()) << group.status();
  if (!group.ok()) return {};
  groups_.push_back(TestGroup{*group, buffers});
  return groups_.back();
}

TestBuffer TestRing::MakeBuffer(size_t bytes, uint32_t unit_bytes, BufferUse use) {
  const std::span<std::byte> memory = Memory(bytes);
  const absl::StatusOr<BufferId> buffer =
      RegisterBuffer({.memory = memory, .unit_bytes = unit_bytes, .use = use});
  EXPECT_TRUE(buffer.ok()) << buffer.status();
  buffers_.push_back(TestBuffer{buffer.value_or(BufferId{}), memory});
  return buffers_.back();
}

absl::Status TestRing::UnregisterBufferGroup(BufferGroupId group) {
  const absl::Status status = LedgerRing::UnregisterBufferGroup(group);
  if (status.ok()) {
    std::erase_if(groups_, [&](const TestGroup& known) { return known.id == group; });
  }
  return status;
}

// Memory that was lent comes back unharmed.
void TestRing::ReleaseAll() {
  for (const TestGroup& group : std::vector<TestGroup>(groups_)) {
    EXPECT_GE(FreeBuffers(group.id), group.buffers) << "buffers that never came back";
    const absl::Status status = UnregisterBufferGroup(group.id);
    EXPECT_TRUE(status.ok()) << status;
  }
  for (const TestBuffer& buffer : buffers_) {
    const absl::Status status = UnregisterBuffer(buffer.id);
    // The test may have done so itself.
    EXPECT_TRUE(status.ok() || absl::IsNotFound(status)) << status;
  }
}

void TestRing::Finish() {
  if (std::exchange(finished_, true)) return;
  hold_buffers_ = false;
  Take();
  while (!BuffersOut().empty()) {
    const ManagedBuffer held = BuffersOut().back();
    ReturnBuffer(held);
  }
  if (zero_copy_) {
    // Memory that waits for a peer that does not read is free only when that ends.
    for (const ConnectionId connection : std::exchange(connections_, {})) {
      static_cast<void>(PrepareClose(connection, CloseMode::kReset, NewToken()));
      Pump();
    }
  }
  const absl::Status drained =
      Drain(*this, steady_clock::now() + (out_of_patience_ ? milliseconds{500} : kPatience));
  if (!drained.ok()) {
    ADD_FAILURE() << "rule 12: " << drained;
    Abandon();
    for (std::unique_ptr<std::byte[]>& memory : memory_) static_cast<void>(memory.release());
    for (std::unique_ptr<Endpoint>& endpoint : endpoints_) static_cast<void>(endpoint.release());
    return;
  }
  ReleaseAll();
  CheckAtRest();
}

}  // namespace ioring
