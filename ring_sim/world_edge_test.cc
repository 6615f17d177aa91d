// Where worlds once went on without an end, told nobody, or told more than there was.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

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
#include "ring_sim/options.h"
#include "ring_sim/simulated_world.h"
#include "ring_sim/testing/two_hosts.h"

namespace ioring::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// The server's host has stopped; one without a ring cannot be drained.
void ComeBack(Two& two) {
  two.server.reset();
  two.world.StartHost(two.server_host);
  two.server = *two.world.CreateRing(two.server_host, Small());
}

// ---- Time.

// Two callbacks that answer one another at once have something to do at every moment.
TEST(WorldEdge, BusyCallbacksEndWithTheirTime) {
  Two two(1);
  Echo echo(two, two.Listen());
  Submit(*two.client, two.client->PrepareConnect(kServer, Token{1}));
  const ConnectionId id = Next(*two.client).connection();
  std::string text = "x";
  int turns = 0;
  two.world.SetProgram(*two.client, [&](Ring& ring) {
    for (const Completion& completion : ring.Completions()) {
      if (completion.token == Token{2}) continue;
      if (++turns == 50'000) continue;  // or this would not end without what is tested
      EXPECT_EQ(ring.PrepareSend(id, AsBytes(text), Token{2}), Prepared::kAccepted);
      EXPECT_EQ(ring.PrepareRecv(id, AsBytes(text), Token{3}), Prepared::kAccepted);
    }
  });
  EXPECT_EQ(two.client->PrepareNop(Token{3}), Prepared::kAccepted);
  const auto start = two.world.Now();
  two.world.RunFor(milliseconds{1});
  EXPECT_LT(two.world.Now() - start, milliseconds{2});
  EXPECT_FALSE(two.world.RunUntil([] { return false; }, milliseconds{1}));
  EXPECT_LT(two.world.Now() - start, milliseconds{4});
  EXPECT_GT(turns, 10);
  EXPECT_LT(turns, 50'000);
  two.world.SetProgram(*two.client, nullptr);
}

// The ticks of a callback that is not paused come in time.
TEST(WorldEdge, APauseIsOfOneProgram) {
  Two two(1, {.faults_max = 1});
  int ticks = 0;
  EXPECT_EQ(two.server->PrepareTimeout(milliseconds{1}, Shots::kMultishot, Token{1}),
            Prepared::kAccepted);
  two.world.SetProgram(*two.server, [&](Ring& ring) {
    for (const Completion& completion : ring.Completions()) ticks += completion.ok() ? 1 : 0;
  });
  two.world.RunFor(milliseconds{1});
  two.world.faults().pause = kAlways;
  const auto start = two.world.Now();
  two.client->SubmitAndWait({.timeout = std::chrono::nanoseconds{1}});  // after which it is paused
  const auto paused = two.world.Now() - start;
  EXPECT_GT(paused, milliseconds{3});
  EXPECT_GE(ticks, paused / milliseconds{1} - 1);
}

TEST(WorldEdge, ACallbackThatIsPausedHoldsUpNobody) {
  Two two(1, {.faults = {.pause = kAlways}, .faults_max = 1});
  std::vector<steady_clock::time_point> ticks;
  EXPECT_EQ(two.server->PrepareTimeout(milliseconds{1}, Shots::kMultishot, Token{1}),
            Prepared::kAccepted);
  two.world.SetProgram(*two.server, [&](Ring& ring) {
    for (const Completion& completion : ring.Completions()) {
      if (completion.ok()) ticks.push_back(two.world.Now());
    }
  });
  two.world.RunFor(milliseconds{1});  // its first submit is paused
  int others = 0;
  while (ticks.empty()) {
    Submit(*two.client, two.client->PrepareTimeout(milliseconds{1}, Shots::kOneShot, Token{1}));
    EXPECT_EQ(Next(*two.client).result, 0);
    ++others;
    ASSERT_LT(others, 1'000);
  }
  EXPECT_GT(others, 3);
}

// How long a drain waits is a matter of the world's time alone.
TEST(WorldEdge, ADrainIsRepeated) {
  std::vector<uint64_t> digests;
  for (int run = 0; run < 4; ++run) {
    Two two(5, {.faults = {.pause = 200'000, .pause_max_ns = 5'000'000}});
    const auto [client, server] = Connect(two, two.Listen());
    two.world.Partition(two.client_host, two.server_host);
    std::string text = "under way";
    Submit(*two.client, two.client->PrepareSend(client, AsBytes(text), Token{2}));
    EXPECT_EQ(Next(*two.client).result, 9);
    Submit(*two.client, two.client->PrepareClose(client, CloseMode::kGraceful, Token{3}));
    EXPECT_TRUE(Drain(*two.client, steady_clock::now() + seconds{100}).ok());
    digests.push_back(two.world.digest());
  }
  for (const uint64_t digest : digests) EXPECT_EQ(digest, digests[0]);
}

// ---- Peers that are gone.

// A send that waits for a window asks, as TCP's probes do, whether there still is one.
TEST(WorldEdge, ASendThatWaitsForAWindowLearnsOfTheEnd) {
  for (const bool comes_back : {false, true}) {
    Two two(1, {.recv_buffer_bytes = 1'000, .send_buffer_bytes = 1'000});
    const auto [client, server] = Connect(two, two.Listen());
    std::string text(100'000, 'x');
    Submit(*two.client,
           two.client->PrepareSend(client, AsBytes(text), Token{2}, TransferFlags::kAll));
    two.world.RunFor(seconds{10});
    EXPECT_EQ(two.client->CompletionQueueCount(), 0u);
    two.world.StopHost(two.server_host);
    if (comes_back) ComeBack(two);
    const auto start = two.world.Now();
    EXPECT_EQ(Next(*two.client, hours{1}).token, Token{2});
    EXPECT_EQ(two.world.Now() - start < seconds{10}, comes_back) << "a reset, or a time-out";
    if (!comes_back) ComeBack(two);
  }
}

TEST(WorldEdge, WhatWasClosedBeforeAFullWindowGoes) {
  Two two(1, {.recv_buffer_bytes = 1'000, .send_buffer_bytes = 1'000});
  const auto [client, server] = Connect(two, two.Listen());
  std::string text(1'000, 'x');
  for (int i = 0; i < 2; ++i) {  // the window, and the buffer before it
    Submit(*two.client, two.client->PrepareSend(client, AsBytes(text), Token{2}));
    EXPECT_EQ(Next(*two.client).result, 1'000);
  }
  Submit(*two.client, two.client->PrepareClose(client, CloseMode::kGraceful, Token{3}));
  EXPECT_EQ(Next(*two.client).token, Token{3});
  EXPECT_EQ(two.world.CountSockets(two.client_host), 1u);
  two.world.StopHost(two.server_host);
  two.world.RunFor(hours{1});
  EXPECT_EQ(two.world.CountSockets(two.client_host), 0u);
  ComeBack(two);
}

// Nobody there knows the connection any more, which one that only listens learns by its own end.
TEST(WorldEdge, AnEndForNobodyIsAnsweredWithAReset) {
  Two two(1);
  const auto [client, server] = Connect(two, two.Listen());
  two.world.StopHost(two.server_host);
  ComeBack(two);
  std::string answer(10, '\0');
  EXPECT_EQ(two.client->PrepareRecv(client, AsBytes(answer), Token{2}), Prepared::kAccepted);
  Submit(*two.client, two.client->PrepareShutdown(client, Direction::kSend, Token{3}));
  EXPECT_EQ(Next(*two.client).token, Token{3});
  const Completion received = Next(*two.client, hours{1});
  EXPECT_EQ(received.token, Token{2});
  EXPECT_EQ(received.error(), Error::kConnectionReset);
}

// ---- Hosts that stop.

// What a program of a host that stops destroys, as //pool does.
TEST(WorldEdge, MemoryOfAStoppedHostIsTakenBack) {
  Two two(1);
  const ListenerId listener = two.Listen();
  const auto [client, server] = Connect(two, listener);
  const auto [second_client, second] = Connect(two, listener);
  std::string memory(4'096, '\0');
  std::string more(4'096, '\0');
  const BufferGroupId group = *two.server->RegisterBufferGroup(
      {.memory = AsBytes(memory), .buffer_bytes = 1'024, .max_buffers = 4});
  const BufferId buffer = *two.server->RegisterBuffer({.memory = AsBytes(more)});
  EXPECT_EQ(two.server->PrepareRecvManaged(server, group, Shots::kMultishot, Token{2}),
            Prepared::kAccepted);
  EXPECT_EQ(two.server->PrepareRecvBuffer(second, {buffer, 0, 100}, Token{3}), Prepared::kAccepted);
  std::string text = "not to be taken";
  Submit(*two.client, two.client->PrepareSend(client, AsBytes(text), Token{2}));
  EXPECT_EQ(Next(*two.client).ok(), true);
  two.server->SubmitAndWait({.timeout = milliseconds{1}});
  EXPECT_EQ(two.server->UsesInFlight(buffer, 0), 1u);
  EXPECT_FALSE(two.server->UnregisterBufferGroup(group).ok());
  two.world.StopHost(two.server_host);
  EXPECT_EQ(two.server->UsesInFlight(buffer, 0), 0u);
  EXPECT_TRUE(two.server->UnregisterBufferGroup(group).ok());
  EXPECT_TRUE(two.server->UnregisterBuffer(buffer).ok());
  ComeBack(two);
}

// By chance it is down for 0.1 s; the test has it down for ten.
TEST(WorldEdge, AHostThatTheTestStopsStaysDown) {
  SimulatedWorld world(
      1, {.faults = {.stop_host = kAlways, .down_min_ns = 100'000'000, .down_max_ns = 100'000'000},
          .faults_max = 1});
  const HostId host = world.AddHost("host");
  std::vector<HostEvent> events;
  std::unique_ptr<Ring> ring;
  world.SetHostProgram(host, [&](HostEvent event) {
    events.push_back(event);
    ring.reset();
    if (event == HostEvent::kStopped) return;
    ring = *world.CreateRing(host, Small());
    world.SetProgram(*ring, [](Ring& own) {
      for (const Completion& completion : own.Completions()) EXPECT_TRUE(completion.ok());
    });
  });
  EXPECT_EQ(ring->PrepareNop(Token{1}), Prepared::kAccepted);
  world.RunFor(milliseconds{10});
  EXPECT_EQ(events.size(), 2u) << "it has stopped by chance";
  world.StopHost(host);
  world.RunFor(seconds{10});
  EXPECT_EQ(events.size(), 2u) << "it stays down, and was told so once";
  world.StartHost(host);
  world.StartHost(host);
  EXPECT_EQ(events.size(), 3u);
  world.RunFor(seconds{10});
  EXPECT_EQ(events, (std::vector<HostEvent>{HostEvent::kStarted, HostEvent::kStopped,
                                            HostEvent::kStarted}));
  world.SetHostProgram(host, nullptr);
}

// ---- Faults.

TEST(WorldEdge, AnAcceptRunsOutOfMemory) {
  Two two(1);
  const ListenerId listener = two.Listen();
  Submit(*two.client, two.client->PrepareConnect(kServer, Token{1}));
  EXPECT_TRUE(Next(*two.client).ok());
  two.world.faults().no_memory = kAlways;
  Submit(*two.server, two.server->PrepareAccept(listener, Shots::kOneShot, Token{1}));
  EXPECT_EQ(Next(*two.server).error(), Error::kNoMemory);
  two.world.faults() = {};
  Submit(*two.server, two.server->PrepareAccept(listener, Shots::kOneShot, Token{1}));
  EXPECT_TRUE(Next(*two.server).ok()) << "its connection went on waiting";
}

TEST(WorldEdge, HealHealsWhatChanceHasCut) {
  Two two(1, {.faults = {.partition = kAlways,
                         .partition_min_ns = 50'000'000'000,
                         .partition_max_ns = 50'000'000'000}});
  two.Listen();
  const auto start = two.world.Now();
  Submit(*two.client, two.client->PrepareConnect(kServer, Token{1}));
  two.world.faults() = {};
  two.world.Heal(two.client_host, two.server_host);
  EXPECT_TRUE(Next(*two.client).ok());
  EXPECT_LT(two.world.Now() - start, seconds{1});
  // A later cut is not healed with the first one.
  two.world.RunFor(seconds{20});
  two.world.faults().partition = kAlways;
  two.world.faults().partition_min_ns = two.world.faults().partition_max_ns = 100'000'000'000;
  Submit(*two.client, two.client->PrepareConnect(kServer, Token{1}));
  two.world.faults() = {};
  EXPECT_TRUE(Next(*two.client).ok());
  EXPECT_GT(two.world.Now() - start, seconds{119});
}

TEST(WorldEdge, AUnixConnectWaitsWithoutAsking) {
  Two two(1);
  const Endpoint path = *Endpoint::Parse("unix:/socket");
  for (const bool accepts : {true, false}) {
    const ListenerId listener = *two.server->CreateListener(path, {.backlog = 1});
    for (const uint64_t token : {1, 2}) {
      Submit(*two.server, two.server->PrepareConnect(path, Token{token}));
    }
    EXPECT_TRUE(Next(*two.server).ok());
    const uint64_t events = two.world.events();
    EXPECT_EQ(Next(*two.server, hours{24}).error(), Error::kUnknown) << "there was no room";
    EXPECT_LT(two.world.events() - events, 100u);
    if (accepts) {
      Submit(*two.server, two.server->PrepareAccept(listener, Shots::kOneShot, Token{3}));
      EXPECT_TRUE(Next(*two.server, seconds{1}).ok());
      EXPECT_TRUE(Next(*two.server, seconds{1}).ok());
    }
    EXPECT_TRUE(two.server->CloseListener(listener).ok());
    if (!accepts) {
      const Completion refused = Next(*two.server, seconds{1});
      EXPECT_EQ(refused.token, Token{2});
      EXPECT_FALSE(refused.ok());
    }
  }
}

// They take room, too.
TEST(WorldEdge, EmptyDatagramsFillABuffer) {
  Two two(1, {.recv_buffer_bytes = 1'000});
  const ConnectionId to = *two.server->OpenDatagram(kServer);
  const ConnectionId from = *two.client->OpenDatagram(*Endpoint::Parse("10.0.0.2:0"));
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(two.client->PrepareSendTo(from, std::span<const std::byte>(), kServer, Token{1}),
              Prepared::kAccepted);
    EXPECT_EQ(Next(*two.client).result, 0);
  }
  two.world.RunFor(seconds{1});
  std::string memory(10, '\0');
  int received = 0;
  for (;; ++received) {
    Endpoint source;
    EXPECT_EQ(two.server->PrepareRecvFrom(to, AsBytes(memory), &source, Token{2}),
              Prepared::kAccepted);
    if (!Next(*two.server, seconds{1}).ok()) break;
  }
  EXPECT_TRUE(Drain(*two.server, steady_clock::now() + seconds{20}).ok());
  EXPECT_EQ(received, 3);
}

TEST(WorldEdgeDeathTest, OptionsThatCannotBe) {
  EXPECT_DEATH(SimulatedWorld(1, {.retry_ns = 0}), "tried again at once is tried for ever");
  EXPECT_DEATH(SimulatedWorld(1, {.recv_buffer_bytes = 0}), "without a buffer no stream moves");
}

// A time before now is now.
TEST(WorldEdge, DelaysBelowZeroAreNone) {
  Two two(1, {.faults = {.delay_min_ns = -5'000'000'000, .delay_max_ns = -5'000'000'000}});
  Echo echo(two, two.Listen());
  EXPECT_TRUE(EchoOnce(two, 0));
}

}  // namespace
}  // namespace ioring::sim
