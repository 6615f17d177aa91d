// Where the simulation was once kinder than systems are, or did what none does.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_sim/simulated_world.h"
#include "ring_sim/testing/two_hosts.h"

namespace ioring::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

const Endpoint kClient = Endpoint::Ipv4({10, 0, 0, 2}, 0);

void Prepare(Prepared prepared) { EXPECT_EQ(prepared, Prepared::kAccepted); }

// ---- Programs that poll.

// Of a program that never sleeps; kUnknown if nothing comes.
Completion Poll(Ring& ring, bool waits) {
  for (int i = 0; i < 100'000 && ring.CompletionQueueCount() == 0; ++i) {
    if (waits) {
      ring.SubmitAndWait({.timeout = nanoseconds{0}});
    } else {
      ring.Submit();
    }
  }
  return ring.CompletionQueueCount() != 0 ? Next(ring)
                                          : Completion{.result = ToResult(Error::kUnknown)};
}

TEST(Fidelity, AProgramThatPollsLetsOthersRun) {
  for (const bool waits : {true, false}) {
    Two two(1);
    Echo echo(two, two.Listen());
    bool acted = false;
    two.world.After(milliseconds{1}, [&] { acted = true; });
    Prepare(two.client->PrepareConnect(kServer, Token{1}));
    const ConnectionId id = Poll(*two.client, waits).connection();
    std::string text = "hello";
    std::string answer(5, '\0');
    Prepare(two.client->PrepareSend(id, AsBytes(text), Token{2}));
    EXPECT_EQ(Poll(*two.client, waits).result, 5);
    Prepare(two.client->PrepareRecv(id, AsBytes(answer), Token{3}));
    EXPECT_EQ(Poll(*two.client, waits).result, 5);
    Prepare(two.client->PrepareTimeout(milliseconds{2}, Shots::kOneShot, Token{4}));
    EXPECT_EQ(Poll(*two.client, waits).result, 0);
    EXPECT_TRUE(acted);
  }
}

TEST(Fidelity, ACallbackThatPollsLetsOthersRun) {
  Two two(1);
  Echo echo(two, two.Listen());
  Prepare(two.client->PrepareConnect(kServer, Token{1}));
  std::string text = "hello";
  int32_t received = 0;
  two.world.SetProgram(*two.client, [&](Ring& ring) {
    const ConnectionId id = Next(ring).connection();
    Prepare(ring.PrepareSend(id, AsBytes(text), Token{2}));
    EXPECT_EQ(Poll(ring, /*waits=*/true).result, 5);
    Prepare(ring.PrepareRecv(id, AsBytes(text), Token{3}));
    received = Poll(ring, /*waits=*/true).result;
  });
  two.world.RunFor(seconds{1});
  EXPECT_EQ(received, 5);
}

// ---- Sockets.

TEST(Fidelity, ADatagramSocketThatIsShutDownHasOneEnd) {
  Two two(1);
  const ConnectionId socket = *two.client->OpenDatagram(kClient);
  std::string memory(4'096, '\0');
  const BufferGroupId group = *two.client->RegisterBufferGroup(
      {.memory = AsBytes(memory), .buffer_bytes = 1'024, .max_buffers = 4});
  Prepare(two.client->PrepareRecvManaged(socket, group, Shots::kMultishot, Token{1}));
  Submit(*two.client, two.client->PrepareShutdown(socket, Direction::kBoth, Token{2}));
  bool ended = false;
  for (int i = 0; i < 2; ++i) {
    const Completion completion = Next(*two.client);
    if (completion.token == Token{2}) {
      EXPECT_EQ(completion.error(), Error::kNotConnected);
      continue;
    }
    EXPECT_EQ(completion.result, 0);
    EXPECT_EQ(completion.flags & (kMore | kEmptyDatagram), 0u);
    ended = true;
  }
  EXPECT_TRUE(ended);
  two.client->SubmitAndWait({.timeout = seconds{1}});
  EXPECT_EQ(two.client->CompletionQueueCount(), 0u);
  Submit(*two.client, two.client->PrepareSendTo(socket, AsBytes(memory), kServer, Token{3}));
  EXPECT_EQ(Next(*two.client).error(), Error::kBrokenPipe);
  Submit(*two.client, two.client->PreparePollAdd(socket, kPollNone, Shots::kOneShot, Token{4}));
  EXPECT_TRUE(Any(Next(*two.client).poll_events() & kPollHangUp));
  EXPECT_TRUE(two.client->UnregisterBufferGroup(group).ok());
}

TEST(Fidelity, AStreamThatIsShutDownHangsUp) {
  Two two(1);
  const auto [client, server] = Connect(two, two.Listen());
  Submit(*two.client, two.client->PrepareShutdown(client, Direction::kBoth, Token{2}));
  EXPECT_EQ(Next(*two.client).result, 0);
  Submit(*two.client, two.client->PreparePollAdd(client, kPollNone, Shots::kOneShot, Token{3}));
  EXPECT_TRUE(Any(Next(*two.client).poll_events() & kPollHangUp));
}

TEST(Fidelity, AResetIsLostInAPartition) {
  Two two(1);
  const auto [client, server] = Connect(two, two.Listen());
  std::string memory(10, 'x');
  Submit(*two.server, two.server->PrepareRecv(server, AsBytes(memory), Token{2}));
  two.world.Partition(two.client_host, two.server_host);
  Submit(*two.client, two.client->PrepareClose(client, CloseMode::kReset, Token{3}));
  EXPECT_EQ(Next(*two.client).result, 0);
  two.world.RunFor(seconds{60});
  two.world.Heal(two.client_host, two.server_host);
  EXPECT_EQ(two.server->SubmitAndWait({.timeout = hours{1}}), 0u);
  std::string text = "are you there?";
  Submit(*two.server, two.server->PrepareSend(server, AsBytes(text), Token{4}));
  EXPECT_EQ(Next(*two.server).token, Token{4});
  EXPECT_EQ(Next(*two.server).error(), Error::kConnectionReset);
}

TEST(Fidelity, UnixDatagramsAreNotLost) {
  Two two(1, {.faults = {.delay_max_ns = 1'000'000, .lose_datagram = kAlways},
              .recv_buffer_bytes = 1'000});
  const Endpoint path = *Endpoint::Parse("unix:/log");
  Ring& ring = *two.client;
  const ConnectionId from = *ring.OpenDatagram(*Endpoint::Parse("unix:/from"));
  std::string text(500, 'x');
  Submit(ring, ring.PrepareSendTo(from, AsBytes(text), path, Token{1}));
  EXPECT_EQ(Next(ring).error(), Error::kNotFound);

  const ConnectionId to = *ring.OpenDatagram(path);
  for (int i = 0; i < 2; ++i) {  // the second one waits for room
    Submit(ring, ring.PrepareSendTo(from, AsBytes(text), path, Token{2}));
    EXPECT_EQ(ring.SubmitAndWait({.timeout = seconds{1}}), i == 0 ? 1u : 0u);
    if (i == 0) {
      EXPECT_EQ(Next(ring).result, 500);
    }
  }
  std::string memory(500, '\0');
  Endpoint source;
  Submit(ring, ring.PrepareRecvFrom(to, AsBytes(memory), &source, Token{3}));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Next(ring).result, 500);
  EXPECT_EQ(source.ToString(), "unix:/from");
  EXPECT_EQ(memory, text);

  Submit(ring, ring.PrepareSendTo(from, AsBytes(text), path, Token{4}));
  ring.SubmitAndWait({.timeout = seconds{1}});
  EXPECT_EQ(ring.CompletionQueueCount(), 0u);
  Submit(ring, ring.PrepareClose(to, CloseMode::kReset, Token{5}));
  for (int i = 0; i < 2; ++i) {
    const Completion completion = Next(ring);
    if (completion.token == Token{4}) {
      EXPECT_EQ(completion.error(), Error::kNotFound);
    }
  }
}

TEST(Fidelity, AHostWithoutAnAddressReachesNobody) {
  Two two(1);
  two.Listen();
  const HostId host = two.world.AddHost("mute");
  const std::unique_ptr<Ring> ring = *two.world.CreateRing(host, Small());
  Submit(*ring, ring->PrepareConnect(kServer, Token{1}));
  EXPECT_EQ(Next(*ring).error(), Error::kNetworkUnreachable);
  std::string text = "hello";
  const ConnectionId any = *ring->OpenDatagram(*Endpoint::Parse("0.0.0.0:0"));
  Submit(*ring, ring->PrepareSendTo(any, AsBytes(text), kServer, Token{2}));
  EXPECT_EQ(Next(*ring).error(), Error::kNetworkUnreachable);
  const ConnectionId local = *two.client->OpenDatagram(Endpoint::Ipv4Loopback(0));
  Submit(*two.client, two.client->PrepareSendTo(local, AsBytes(text), kServer, Token{3}));
  EXPECT_EQ(Next(*two.client).error(), Error::kInvalidArgument);
}

TEST(Fidelity, ThePortOfAConnectionIsItsOwn) {
  Two two(1);
  const auto [client, server] = Connect(two, two.Listen());
  const uint16_t port = two.client->LocalEndpoint(client)->port();
  constexpr int kMoreThanThereAre = 30'000;
  for (int i = 0; i < kMoreThanThereAre; ++i) {
    const ConnectionId socket = *two.client->OpenDatagram(kClient);
    ASSERT_NE(two.client->LocalEndpoint(socket)->port(), port) << i;
    Submit(*two.client, two.client->PrepareClose(socket, CloseMode::kReset, Token{2}));
    Next(*two.client);
  }
}

// ---- Cancels.

TEST(Fidelity, ACancelMayComeTooLate) {
  for (const bool is_late : {false, true}) {
    Two two(1, {.faults = {.disk_delay_min_ns = 5'000'000,
                           .disk_delay_max_ns = 5'000'000,
                           .late_cancel = is_late ? kAlways : 0}});
    const auto [client, server] = Connect(two, two.Listen());
    std::string memory(5, '\0');
    std::string text = "hello";
    // One that finds nothing is cancelled all the same.
    Submit(*two.server, two.server->PrepareRecv(server, AsBytes(memory), Token{2}));
    Submit(*two.server, two.server->PrepareCancel(Token{2}, Token{3}));
    for (int i = 0; i < 2; ++i) {
      const Completion completion = Next(*two.server);
      if (completion.token == Token{2}) {
        EXPECT_EQ(completion.error(), Error::kCanceled);
      }
    }
    // The bytes are there before the ring looks again.
    Submit(*two.server, two.server->PrepareRecv(server, AsBytes(memory), Token{4}));
    Submit(*two.client, two.client->PrepareSend(client, AsBytes(text), Token{2}));
    Next(*two.client);
    two.world.RunFor(seconds{1});
    Prepare(two.server->PrepareCancel(Token{4}, Token{5}));
    for (int i = 0; i < 2; ++i) {
      const Completion completion = Next(*two.server);
      if (completion.token != Token{4}) continue;
      EXPECT_EQ(completion.result, is_late ? 5 : ToResult(Error::kCanceled));
    }
    const FileId file = *two.server->OpenFile(
        "/file", {.access = FileOptions::Access::kWrite, .create = FileOptions::Create::kNew});
    Submit(*two.server, two.server->PrepareWrite(file, 0, AsBytes(text), Token{6}));
    Submit(*two.server, two.server->PrepareCancel(Token{6}, Token{7}));
    for (int i = 0; i < 2; ++i) {
      const Completion completion = Next(*two.server);
      if (completion.token == Token{6}) {
        EXPECT_EQ(completion.result, is_late ? 5 : ToResult(Error::kCanceled));
      } else {
        EXPECT_EQ(completion.error(), is_late ? Error::kNotFound : Error::kOk);
      }
    }
  }
}

// ---- Handles, and hosts that have stopped.

TEST(Fidelity, AHandleOfASocketOrALargeOneIsNoFile) {
  Two two(1);
  const FileId file = *two.client->OpenFile(
      "/file", {.access = FileOptions::Access::kWrite, .create = FileOptions::Create::kNew});
  const NativeHandle handle = *two.client->FileHandle(file);
  EXPECT_EQ(two.client->RegisterFile((NativeHandle{1} << 32) + handle).status().code(),
            absl::StatusCode::kInvalidArgument);
  for (int i = 0; i < 8; ++i) {
    const ConnectionId socket = *two.client->OpenDatagram(kClient);
    const NativeHandle of_socket = *two.client->UnregisterSocket(socket);
    EXPECT_EQ(two.client->RegisterFile(of_socket).status().code(),
              absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(two.client->RegisterSocket(of_socket).ok());
  }
}

// As destructors do.
TEST(Fidelity, TheRingOfAStoppedHostLetsGo) {
  Two two(1);
  const ListenerId listener = two.Listen();
  const auto [client, server] = Connect(two, listener);
  Submit(*two.server, two.server->PrepareAccept(listener, Shots::kMultishot, Token{2}));
  two.world.StopHost(two.server_host);
  constexpr absl::StatusCode kStopped = absl::StatusCode::kFailedPrecondition;
  EXPECT_EQ(two.server->LocalEndpoint(listener).status().code(), kStopped);
  EXPECT_EQ(two.server->PeerEndpoint(server).status().code(), kStopped);
  EXPECT_EQ(two.server->UnregisterSocket(server).status().code(), kStopped);
  EXPECT_EQ(two.server->CreateListener(kServer, {}).status().code(), kStopped);
  EXPECT_EQ(two.server->OpenDatagram(kServer).status().code(), kStopped);
  EXPECT_TRUE(two.server->CloseListener(listener).ok());
  EXPECT_EQ(two.server->CloseListener(listener).code(), absl::StatusCode::kNotFound);
  two.server.reset();
  two.world.StartHost(two.server_host);
  two.server = *two.world.CreateRing(two.server_host, Small());
}

}  // namespace
}  // namespace ioring::sim
