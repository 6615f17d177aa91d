// Two hosts with a ring on each, an echo server on one, and a client that talks to it: for tests of
// the world itself.
#ifndef IORING_RING_SIM_TESTING_TWO_HOSTS_H_
#define IORING_RING_SIM_TESTING_TWO_HOSTS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_sim/simulated_world.h"

namespace ioring::sim {

inline RingOptions Small() {
  RingOptions options;
  options.submission_entries = 64;
  options.max_connections = 64;
  options.max_operations = 128;
  return options;
}

// A world of two hosts, and a ring on each.
struct Two {
  explicit Two(uint64_t seed, const WorldOptions& options = {}) : world(seed, options) {
    server_host = world.AddHost("server", {*Endpoint::Parse("10.0.0.1:0")});
    client_host = world.AddHost("client", {*Endpoint::Parse("10.0.0.2:0")});
    server = *world.CreateRing(server_host, Small());
    client = *world.CreateRing(client_host, Small());
  }
  ~Two() {
    for (Ring* ring : {server.get(), client.get()}) {
      world.SetProgram(*ring, nullptr);
      EXPECT_TRUE(Drain(*ring, std::chrono::steady_clock::now() + std::chrono::seconds{20}).ok());
    }
  }

  ListenerId Listen() {
    const absl::StatusOr<ListenerId> listener =
        server->CreateListener(*Endpoint::Parse("10.0.0.1:7"), {});
    EXPECT_TRUE(listener.ok()) << listener.status();
    return listener.value_or(ListenerId{});
  }

  World world;
  HostId server_host;
  HostId client_host;
  std::unique_ptr<Ring> server;
  std::unique_ptr<Ring> client;
};

// Of a fault that is drawn.
inline constexpr uint32_t kAlways = 1'000'000;

inline const Endpoint kServer = Endpoint::Ipv4({10, 0, 0, 1}, 7);

// Waits for one completion, and takes it.
inline Completion Next(Ring& ring, std::chrono::nanoseconds patience = std::chrono::hours{24}) {
  if (ring.CompletionQueueCount() == 0) ring.SubmitAndWait({.timeout = patience});
  const std::span<const Completion> completions = ring.PeekCompletions();
  if (completions.empty()) return {.result = ToResult(Error::kUnknown)};
  const Completion completion = completions[0];
  ring.AdvanceCompletionQueue(1);
  return completion;
}

inline void Submit(Ring& ring, Prepared prepared) {
  EXPECT_EQ(prepared, Prepared::kAccepted);
  ring.Submit();
}

inline std::span<std::byte> AsBytes(std::string& text) {
  return std::as_writable_bytes(std::span<char>(text.data(), text.size()));
}

// Both ends of a new connection: the client's, the server's.
inline std::pair<ConnectionId, ConnectionId> Connect(Two& two, ListenerId listener) {
  Submit(*two.server, two.server->PrepareAccept(listener, Shots::kOneShot, Token{1}));
  Submit(*two.client, two.client->PrepareConnect(kServer, Token{1}));
  const Completion connected = Next(*two.client);
  const Completion accepted = Next(*two.server);
  EXPECT_TRUE(connected.ok() && accepted.ok());
  return {connected.connection(), accepted.connection()};
}

// An echo server, as a callback. Without `send_flags` it takes a send for done that was short.
class Echo {
 public:
  Echo(Two& two, ListenerId listener, TransferFlags send_flags = TransferFlags::kAll)
      : ring_(*two.server),
        listener_(listener),
        send_flags_(send_flags),
        memory_(64, std::string(512, '\0')) {
    Accept();
    two.world.SetProgram(ring_, [this](Ring& ring) {
      for (const Completion& completion : ring.Completions()) On(completion);
    });
  }

  uint64_t bytes() const { return bytes_; }

 private:
  enum class Kind : uint8_t { kAccept, kRecv, kSend, kClose };

  void On(const Completion& completion) {
    const ConnectionId id = ConnectionOf(completion.token);
    switch (KindOf<Kind>(completion.token)) {
      case Kind::kAccept:
        if (completion.ok()) Recv(completion.connection());
        // Its host may have been short of something.
        if ((completion.flags & kMore) == 0 && completion.error() != Error::kCanceled) Accept();
        return;
      case Kind::kRecv:
        if (completion.result <= 0) return Close(id);
        bytes_ += static_cast<uint64_t>(completion.result);
        EXPECT_EQ(ring_.PrepareSend(id, Memory(id).first(static_cast<size_t>(completion.result)),
                                    MakeToken(Kind::kSend, id), send_flags_),
                  Prepared::kAccepted);
        return;
      case Kind::kSend:
        return completion.ok() ? Recv(id) : Close(id);
      case Kind::kClose:
        return;
    }
  }
  void Accept() {
    EXPECT_EQ(ring_.PrepareAccept(listener_, Shots::kMultishot, MakeToken(Kind::kAccept)),
              Prepared::kAccepted);
  }
  std::span<std::byte> Memory(ConnectionId id) { return AsBytes(memory_[id.index]); }
  void Recv(ConnectionId id) {
    EXPECT_EQ(ring_.PrepareRecv(id, Memory(id), MakeToken(Kind::kRecv, id)), Prepared::kAccepted);
  }
  void Close(ConnectionId id) {
    EXPECT_EQ(ring_.PrepareClose(id, CloseMode::kGraceful, MakeToken(Kind::kClose, id)),
              Prepared::kAccepted);
  }

  Ring& ring_;
  const ListenerId listener_;
  const TransferFlags send_flags_;
  std::vector<std::string> memory_;
  uint64_t bytes_ = 0;
};

struct Outcome {
  int echoed = 0;  // texts that came back whole
  int failed = 0;  // connects and connections that did not
  uint64_t digest = 0;
  std::string log;
};

// Sends a text on a connection of its own and reads it back. With a patience it gives up after
// that: a server that has stopped says nothing.
inline bool EchoOnce(Two& two, int number, std::chrono::nanoseconds patience = {}) {
  Ring& ring = *two.client;
  EXPECT_EQ(ring.PrepareConnect(kServer, Token{1}), Prepared::kAccepted);
  const Completion connected = Next(ring);
  if (!connected.ok()) return false;
  const ConnectionId id = connected.connection();
  std::string text(3'000, static_cast<char>('a' + number % 26));
  std::string answer(text.size(), '\0');
  EXPECT_EQ(ring.PrepareRecv(id, AsBytes(answer), Token{2}, TransferFlags::kAll),
            Prepared::kAccepted);
  const bool has_deadline = patience.count() > 0;
  if (has_deadline) {
    EXPECT_EQ(ring.PrepareDeadline(Token{2}, patience, Token{5}), Prepared::kAccepted);
  }
  EXPECT_EQ(ring.PrepareSend(id, AsBytes(text), Token{3}, TransferFlags::kAll),
            Prepared::kAccepted);
  int32_t received = -1;
  for (int i = 0; i < (has_deadline ? 3 : 2); ++i) {
    const Completion completion = Next(ring);
    if (completion.token == Token{2}) received = completion.result;
  }
  // What came is right, even where it is not all.
  if (received > 0) {
    EXPECT_EQ(answer.substr(0, static_cast<size_t>(received)),
              text.substr(0, static_cast<size_t>(received)));
  }
  EXPECT_EQ(ring.PrepareClose(id, CloseMode::kGraceful, Token{4}), Prepared::kAccepted);
  EXPECT_EQ(Next(ring).result, 0);
  return received == static_cast<int32_t>(text.size());
}

inline Outcome RunEcho(uint64_t seed, const Faults& faults) {
  Two two(seed, {.faults = faults});
  Echo echo(two, two.Listen());
  Outcome outcome;
  for (int i = 0; i < 20; ++i) ++(EchoOnce(two, i) ? outcome.echoed : outcome.failed);
  outcome.digest = two.world.digest();
  outcome.log = two.world.LogText();
  return outcome;
}

// Everything that may go wrong with streams, but for what ends them.
inline Faults Rough() {
  return {.delay_min_ns = 10'000,
          .delay_max_ns = 5'000'000,
          .bytes_per_second = 10'000'000,
          .short_transfer = 300'000,
          .split = 300'000};
}

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_TESTING_TWO_HOSTS_H_
