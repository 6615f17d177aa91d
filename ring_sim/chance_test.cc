// Faults by chance: each does what it says, and all together give the same run for the same seed.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "ring/completion.h"
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

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// What the server's first receive takes of two sends that are 0.1 ms apart.
int32_t FirstReceive(const Faults& faults) {
  Two two(1, {.faults = faults});
  const auto [client, server] = Connect(two, two.Listen());
  std::string text = "ab";
  std::string received(100, '\0');
  Submit(*two.client, two.client->PrepareSend(client, AsBytes(text), Token{2}));
  EXPECT_EQ(Next(*two.client).result, 2);
  two.world.RunFor(std::chrono::microseconds{100});
  Submit(*two.client, two.client->PrepareSend(client, AsBytes(text), Token{2}));
  EXPECT_EQ(Next(*two.client).result, 2);
  EXPECT_EQ(two.server->PrepareRecv(server, AsBytes(received), Token{3}), Prepared::kAccepted);
  const int32_t first = Next(*two.server).result;
  two.world.RunFor(seconds{1});
  return first;
}

TEST(Chance, SegmentsAreCoalesced) {
  EXPECT_EQ(FirstReceive({.delay_min_ns = 200'000}), 2);
  EXPECT_EQ(FirstReceive({.delay_min_ns = 200'000, .coalesce = kAlways}), 4);
}

TEST(Chance, ABacklogIsFull) {
  Two two(1, {.faults = {.full_backlog = kAlways}});
  two.Listen();
  two.world.After(seconds{5}, [&] { two.world.faults() = {}; });
  const auto start = two.world.Now();
  Submit(*two.client, two.client->PrepareConnect(kServer, Token{1}));
  EXPECT_TRUE(Next(*two.client).ok());
  EXPECT_GE(two.world.Now() - start, seconds{5});
}

TEST(Chance, PartitionsHeal) {
  Faults faults = Rough();
  faults.partition = 10'000;
  const Outcome both = RunEcho(3, faults);
  EXPECT_EQ(both.echoed, 20);
  EXPECT_NE(both.log.find("partition"), std::string::npos);
  EXPECT_NE(both.log.find("heal"), std::string::npos);
  EXPECT_NE(both.log.find("held by a partition"), std::string::npos);
  faults.partition = 0;
  faults.partition_one_way = 10'000;
  const Outcome one_way = RunEcho(3, faults);
  EXPECT_EQ(one_way.echoed, 20);
  EXPECT_NE(one_way.log.find("heal"), std::string::npos);
  EXPECT_NE(one_way.digest, both.digest);
}

// The way back is open in a partition of one way.
TEST(Chance, APartitionOfOneWayLetsTheOtherWayThrough) {
  for (const bool one_way : {true, false}) {
    Two two(1);
    const auto [client, server] = Connect(two, two.Listen());
    (one_way ? two.world.faults().partition_one_way : two.world.faults().partition) = kAlways;
    std::string text = "held";
    Submit(*two.client, two.client->PrepareSend(client, AsBytes(text), Token{2}));
    EXPECT_EQ(Next(*two.client).result, 4);
    two.world.faults().partition = 0;
    two.world.faults().partition_one_way = 0;
    std::string answer = "through";
    std::string received(7, '\0');
    Submit(*two.server, two.server->PrepareSend(server, AsBytes(answer), Token{2}));
    EXPECT_EQ(Next(*two.server).result, 7);
    EXPECT_EQ(two.client->PrepareRecv(client, AsBytes(received), Token{3}), Prepared::kAccepted);
    EXPECT_EQ(Next(*two.client, milliseconds{1}).ok(), one_way);
    two.world.RunFor(seconds{10});
  }
}

TEST(Chance, APartitionThatDoesNotHealTimesOut) {
  Faults faults;
  faults.partition = kAlways;
  faults.partition_min_ns = faults.partition_max_ns = 1'000'000'000'000;
  Two two(1, {.faults = faults});
  two.Listen();
  Submit(*two.client, two.client->PrepareConnect(kServer, Token{1}));
  EXPECT_EQ(Next(*two.client).error(), Error::kTimedOut);
}

// ---- Hosts.

struct Restarts {
  int starts = 0;
  int echoed = 0;
  uint64_t digest = 0;
  std::string log;
};

// An echo server that comes back after each stop, and a client that asks until it has 20 answers.
Restarts RunWithStops(uint64_t seed, const WorldOptions& options) {
  Two two(seed, options);
  Restarts seen;
  std::unique_ptr<Echo> echo;
  two.server.reset();
  two.world.SetHostProgram(two.server_host, [&](HostEvent event) {
    echo.reset();
    two.server.reset();
    if (event == HostEvent::kStopped) return;
    ++seen.starts;
    two.server = *two.world.CreateRing(two.server_host, Small());
    // It has what it needs to listen.
    const Faults faults = std::exchange(two.world.faults(), {});
    echo = std::make_unique<Echo>(two, two.Listen());
    two.world.faults() = faults;
  });
  for (int i = 0; i < 1'000 && seen.echoed < 20; ++i) {
    if (EchoOnce(two, i, seconds{10})) {
      ++seen.echoed;
    } else {
      two.world.RunFor(milliseconds{100});
    }
  }
  seen.digest = two.world.digest();
  seen.log = two.world.LogText();
  two.world.faults() = {};
  two.world.RunFor(seconds{10});  // it is up again
  two.world.SetHostProgram(two.server_host, nullptr);
  return seen;
}

TEST(Chance, HostsStopAndStartAgain) {
  int starts = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Faults faults = Rough();
    faults.stop_host = 10'000;
    faults.lose_power = 500'000;
    const Restarts seen = RunWithStops(seed, {.faults = faults});
    EXPECT_EQ(seen.echoed, 20) << "seed " << seed << "\n" << seen.log;
    starts += seen.starts;
  }
  EXPECT_GT(starts, 30);
  EXPECT_EQ(RunWithStops(1, {.faults = Rough()}).starts, 1);
}

TEST(Chance, AHostProgramIsToldOfEveryStopAndStart) {
  SimulatedWorld world(1);
  const HostId host = world.AddHost("host");
  std::vector<HostEvent> events;
  world.SetHostProgram(host, [&](HostEvent event) { events.push_back(event); });
  world.StopHost(host);
  world.StartHost(host);
  world.SetHostProgram(host, nullptr);
  world.StopHost(host);
  EXPECT_EQ(events, (std::vector<HostEvent>{HostEvent::kStarted, HostEvent::kStopped,
                                            HostEvent::kStarted}));
}

// One that has no program of its own, or whose program waits, goes on.
TEST(Chance, WhatCannotStartByItselfDoesNotStop) {
  Faults faults;
  faults.stop_host = kAlways;
  const Outcome outcome = RunEcho(1, faults);
  EXPECT_EQ(outcome.echoed, 20);
  EXPECT_EQ(outcome.log.find("stopped"), std::string::npos);
}

// ---- Clocks and orders.

// By its own clock a timer is never early; by the others' it may be.
TEST(Chance, AClockLeaps) {
  Two two(1, {.faults = {.clock_jump = 500'000, .clock_jump_max_ns = 1'000'000'000}});
  const auto start = two.world.Now();
  const auto own_start = two.world.Now(two.client_host);
  Submit(*two.client, two.client->PrepareTimeout(seconds{10}, Shots::kOneShot, Token{1}));
  for (int i = 0; i < 100 && two.client->CompletionQueueCount() == 0; ++i) {
    two.client->SubmitAndWait({.timeout = milliseconds{1}});
  }
  EXPECT_EQ(Next(*two.client).result, 0);
  EXPECT_GE(two.world.Now(two.client_host) - own_start, seconds{10});
  EXPECT_LT(two.world.Now() - start, seconds{1});
  EXPECT_LT(two.world.Now(two.server_host) - start, seconds{1});
}

// The order in which the server has what came at one time.
std::vector<uint64_t> Order(uint64_t seed, uint32_t reorder) {
  constexpr uint64_t kConnections = 8;
  Two two(seed, {.faults = {.reorder = reorder}});
  const ListenerId listener = two.Listen();
  std::string text = "x";
  std::vector<std::string> received(kConnections, "-");
  std::vector<ConnectionId> clients;
  for (uint64_t i = 0; i < kConnections; ++i) {
    const auto [client, server] = Connect(two, listener);
    clients.push_back(client);
    Submit(*two.server, two.server->PrepareRecv(server, AsBytes(received[i]), Token{i}));
  }
  for (const ConnectionId client : clients) {
    EXPECT_EQ(two.client->PrepareSend(client, AsBytes(text), Token{99}), Prepared::kAccepted);
  }
  for (uint64_t i = 0; i < kConnections; ++i) EXPECT_EQ(Next(*two.client).result, 1);
  std::vector<uint64_t> order;
  for (uint64_t i = 0; i < kConnections; ++i) order.push_back(Next(*two.server).token.value);
  return order;
}

TEST(Chance, CompletionsComeInAnotherOrder) {
  const std::vector<uint64_t> in_order = Order(1, 0);
  for (uint64_t i = 0; i < in_order.size(); ++i) EXPECT_EQ(in_order[i], i);
  EXPECT_EQ(Order(2, 0), in_order);
  EXPECT_NE(Order(2, 300'000), in_order);
  EXPECT_NE(Order(2, 300'000), Order(3, 300'000));
}

// ---- All of them.

TEST(Chance, FaultsHaveAnEnd) {
  WorldOptions options{.faults = {.reset = 100'000}, .faults_max = 3};
  Two two(5, options);
  Echo echo(two, two.Listen());
  int failed = 0;
  for (int i = 0; i < 100; ++i) failed += EchoOnce(two, i) ? 0 : 1;
  EXPECT_EQ(failed, 3);
  EXPECT_EQ(two.world.faults_seen(), 3u);
}

WorldOptions Everything() {
  Faults faults = Rough();
  faults.coalesce = 50'000;
  faults.reset = 5'000;
  faults.refuse_connect = 20'000;
  faults.lose_connect = 1'000;
  faults.full_backlog = 50'000;
  faults.partition = 2'000;
  faults.partition_one_way = 2'000;
  faults.stop_host = 5'000;
  faults.lose_power = 500'000;
  faults.no_descriptor = 10'000;
  faults.no_memory = 10'000;
  faults.pause = 10'000;
  faults.wake_delay_max_ns = 1'000'000;
  faults.clock_jump = 5'000;
  faults.reorder = 100'000;
  return {.faults = faults};
}

// The figure was made with GCC on Linux. A change of what the world does changes it; another
// compiler or system does not.
TEST(Chance, EverythingAtOnceIsTheSameOnEverySystem) {
  uint64_t digests = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    const Restarts seen = RunWithStops(seed, Everything());
    EXPECT_EQ(seen.echoed, 20) << "seed " << seed << "\n" << seen.log;
    EXPECT_EQ(seen.digest, RunWithStops(seed, Everything()).digest) << "seed " << seed;
    digests = digests * 31 + seen.digest;
  }
  EXPECT_EQ(digests, 6388142477052892689u);
}

}  // namespace
}  // namespace ioring::sim
