// Listeners and accepting.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

Token StartAccept(TestRing& ring, ListenerId listener, Shots shots) {
  return ring.Start([&](Token token) { return ring.PrepareAccept(listener, shots, token); });
}

Token StartConnect(TestRing& ring, const Endpoint& endpoint) {
  return ring.Start([&](Token token) { return ring.PrepareConnect(endpoint, token); });
}

// Rule 1: a one-shot accept brings one connection; the next one waits for the next accept.
TEST_P(RingConformance, AcceptOneShot) {
  TestRing& ring = MakeRing();
  const ListenerId listener = ring.Listen();
  const Endpoint endpoint = ring.EndpointOf(listener);
  const Token first = StartAccept(ring, listener, Shots::kOneShot);
  const Arrival first_client = ring.Await(StartConnect(ring, endpoint));
  const Arrival second_client = ring.Await(StartConnect(ring, endpoint));
  const Arrival first_server = ring.Await(first);
  ASSERT_TRUE(first_server.ok());
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(first));
  const Arrival second_server = ring.Await(StartAccept(ring, listener, Shots::kOneShot));
  ring.ExpectAlive({first_client.connection(), first_server.connection()});
  ring.ExpectAlive({second_client.connection(), second_server.connection()});
}

// Two one-shot accepts on one listener are two connections.
TEST_P(RingConformance, AcceptTwoAtOnce) {
  TestRing& ring = MakeRing();
  const ListenerId listener = ring.Listen();
  const Token first = StartAccept(ring, listener, Shots::kOneShot);
  const Token second = StartAccept(ring, listener, Shots::kOneShot);
  const Endpoint endpoint = ring.EndpointOf(listener);
  EXPECT_TRUE(ring.Await(StartConnect(ring, endpoint)).ok());
  EXPECT_TRUE(ring.Await(StartConnect(ring, endpoint)).ok());
  const Arrival one = ring.Await(first);
  const Arrival other = ring.Await(second);
  ASSERT_TRUE(one.ok());
  ASSERT_TRUE(other.ok());
  EXPECT_NE(one.connection(), other.connection());
}

// Rules 1 and 5: a multishot accept brings every connection once, each with an id of its own
// that names the peer that connected.
TEST_P(RingConformance, AcceptManyConnections) {
  constexpr size_t kConnections = 40;
  TestRing& ring = MakeRing();
  const ListenerId listener = ring.Listen();
  const Endpoint endpoint = ring.EndpointOf(listener);
  const Token accept = StartAccept(ring, listener, Shots::kMultishot);
  std::vector<Token> connects;
  for (size_t i = 0; i < kConnections; ++i) connects.push_back(StartConnect(ring, endpoint));
  std::vector<ConnectionId> clients;
  for (const Token token : connects) clients.push_back(ring.Await(token).connection());
  std::set<uint32_t> indexes;
  std::vector<ConnectionId> servers;
  for (size_t i = 0; i < kConnections; ++i) {
    const Arrival arrival = ring.Next(accept);
    ASSERT_TRUE(arrival.ok()) << ErrorText(arrival.error());
    EXPECT_TRUE(arrival.more());
    servers.push_back(arrival.connection());
    indexes.insert(arrival.connection().index);
  }
  for (const ConnectionId client : clients) indexes.insert(client.index);
  EXPECT_EQ(indexes.size(), 2 * kConnections);
  for (const ConnectionId client : clients) {
    const Endpoint local = *ring.LocalEndpoint(client);
    bool found = false;
    for (const ConnectionId server : servers) {
      if (*ring.PeerEndpoint(server) != local) continue;
      found = true;
      ring.ExpectAlive({client, server});
    }
    EXPECT_TRUE(found) << "no accepted connection has the peer " << local.ToString();
  }
}

// RingOptions::max_connections: the connection that is too many is closed and said so; it
// leaks nothing (trap 3), and accepting goes on when there is room.
TEST_P(RingConformance, AcceptLimit) {
  RingOptions options = Options();
  options.max_connections = 2;
  TestRing& server = MakeRing(options);
  TestRing& client = MakeRing();
  const ListenerId listener = server.Listen();
  const Endpoint endpoint = server.EndpointOf(listener);
  Token accept = StartAccept(server, listener, Shots::kMultishot);
  std::vector<Pair> pairs;
  for (int i = 0; i < 2; ++i) {
    server.Submit();
    const Arrival connected = client.Await(StartConnect(client, endpoint));
    pairs.push_back({connected.connection(), server.Next(accept).connection()});
  }
  for (int round = 0; round < 4; ++round) {
    const Arrival connected = client.Await(StartConnect(client, endpoint));
    ASSERT_TRUE(connected.ok());
    const Arrival refused = server.Next(accept);
    EXPECT_EQ(refused.error(), Error::kTooManyIds);
    if (!refused.more()) accept = StartAccept(server, listener, Shots::kMultishot);
    EXPECT_LE(client.RecvEnd(connected.connection()).result(), 0) << "it was left open";
    EXPECT_EQ(client.Close(connected.connection()).result(), 0);
  }
  EXPECT_EQ(server.Close(pairs[0].server).result(), 0);
  const Arrival connected = client.Await(StartConnect(client, endpoint));
  const Arrival accepted = server.Next(accept);
  ASSERT_TRUE(accepted.ok()) << ErrorText(accepted.error());
  EXPECT_EQ(client.Send(connected.connection(), "x").result(), 1);
  EXPECT_EQ(server.RecvText(accepted.connection(), 1), "x");
  EXPECT_EQ(client.Send(pairs[1].client, "y").result(), 1);
  EXPECT_EQ(server.RecvText(pairs[1].server, 1), "y");
}

// The same for one-shot accepts.
TEST_P(RingConformance, AcceptLimitOneShot) {
  RingOptions options = Options();
  options.max_connections = 1;
  TestRing& server = MakeRing(options);
  TestRing& client = MakeRing();
  const ListenerId listener = server.Listen();
  const Endpoint endpoint = server.EndpointOf(listener);
  const Arrival first = client.Await(StartConnect(client, endpoint));
  const Arrival first_server = server.Await(StartAccept(server, listener, Shots::kOneShot));
  ASSERT_TRUE(first_server.ok());
  const Arrival second = client.Await(StartConnect(client, endpoint));
  EXPECT_EQ(server.Await(StartAccept(server, listener, Shots::kOneShot)).error(),
            Error::kTooManyIds);
  EXPECT_LE(client.RecvEnd(second.connection()).result(), 0);
  EXPECT_EQ(server.Close(first_server.connection()).result(), 0);
  EXPECT_EQ(client.RecvEnd(first.connection()).result(), 0);
  EXPECT_TRUE(client.Await(StartConnect(client, endpoint)).ok());
  EXPECT_TRUE(server.Await(StartAccept(server, listener, Shots::kOneShot)).ok());
}

// Trap 3: a closed listener accepts nothing more, although an accept was in flight, which
// completes with kCanceled (rule 7).
TEST_P(RingConformance, CloseListenerStopsAtOnce) {
  TestRing& ring = MakeRing();
  for (const Shots shots : {Shots::kOneShot, Shots::kMultishot}) {
    const ListenerId listener = ring.Listen();
    const Endpoint endpoint = ring.EndpointOf(listener);
    const Token accept = StartAccept(ring, listener, shots);
    ring.Submit();
    ASSERT_TRUE(ring.CloseListener(listener).ok());
    EXPECT_EQ(ring.ConnectError(endpoint), Error::kConnectionRefused);
    const Arrival end = ring.Await(accept);
    EXPECT_EQ(end.error(), Error::kCanceled);
    EXPECT_FALSE(end.more());
  }
}

// The same where the accept was accepted, but not submitted yet.
TEST_P(RingConformance, CloseListenerWithUnsubmittedAccept) {
  TestRing& ring = MakeRing();
  const ListenerId listener = ring.Listen();
  const Token one = StartAccept(ring, listener, Shots::kOneShot);
  const Token many = StartAccept(ring, listener, Shots::kMultishot);
  ASSERT_TRUE(ring.CloseListener(listener).ok());
  // A listener that takes the descriptor's place must not be mistaken for it.
  const ListenerId next = ring.Listen();
  const Arrival connected = ring.Await(StartConnect(ring, ring.EndpointOf(next)));
  EXPECT_TRUE(connected.ok());
  EXPECT_EQ(ring.Await(one).error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(many).error(), Error::kCanceled);
  EXPECT_TRUE(ring.Await(StartAccept(ring, next, Shots::kOneShot)).ok());
}

// Connections accepted before the listener closed arrive all the same and live on.
TEST_P(RingConformance, CloseListenerKeepsAcceptedConnections) {
  TestRing& ring = MakeRing();
  const ListenerId listener = ring.Listen();
  const Endpoint endpoint = ring.EndpointOf(listener);
  const Token accept = StartAccept(ring, listener, Shots::kMultishot);
  std::vector<ConnectionId> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(ring.Await(StartConnect(ring, endpoint)).connection());
  }
  const Arrival first = ring.Next(accept);
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(ring.CloseListener(listener).ok());
  const std::vector<Arrival> rest = ring.AwaitAll(accept);
  EXPECT_EQ(rest.back().error(), Error::kCanceled);
  EXPECT_EQ(ring.Send(first.connection(), "still here").result(), 10);
  for (size_t i = 0; i + 1 < rest.size(); ++i) {
    ASSERT_TRUE(rest[i].ok());
    EXPECT_EQ(ring.Send(rest[i].connection(), "still here").result(), 10);
  }
  size_t served = 0;
  for (const ConnectionId client : clients) {
    // Those that were not accepted see their end.
    if (ring.Recv(client, ring.Memory(16)).result() == 10) ++served;
  }
  EXPECT_EQ(served, rest.size());
}

// Rule 5: ids of listeners carry a generation too.
TEST_P(RingConformance, StaleListener) {
  TestRing& ring = MakeRing();
  const ListenerId old = ring.Listen();
  ASSERT_TRUE(ring.CloseListener(old).ok());
  const ListenerId current = ring.Listen();
  EXPECT_NE(old, current);
  EXPECT_FALSE(ring.CloseListener(old).ok());
  EXPECT_FALSE(ring.LocalEndpoint(old).ok());
  for (const ListenerId stale :
       {old, ListenerId{}, ListenerId{current.index + 65536, current.generation},
        ListenerId{current.index, current.generation + 65536}}) {
    EXPECT_EQ(ring.Await(StartAccept(ring, stale, Shots::kOneShot)).error(), Error::kBadId);
    EXPECT_EQ(ring.Await(StartAccept(ring, stale, Shots::kMultishot)).error(), Error::kBadId);
  }
  EXPECT_TRUE(ring.CloseListener(current).ok());
}

// Trap 11: port 0 takes a free port, and one can ask which.
TEST_P(RingConformance, ListenOnPortZero) {
  TestRing& ring = MakeRing();
  const Endpoint first = ring.EndpointOf(ring.Listen());
  const Endpoint second = ring.EndpointOf(ring.Listen());
  EXPECT_EQ(first.family(), Endpoint::Family::kIpv4);
  EXPECT_NE(first.port(), 0);
  EXPECT_NE(first.port(), second.port());
  EXPECT_EQ(first, Endpoint::Ipv4Loopback(first.port()));
}

// Trap 11: nobody takes a port that another listens on.
TEST_P(RingConformance, ListenOnPortInUse) {
  TestRing& ring = MakeRing();
  TestRing& other = MakeRing();
  const Endpoint taken = ring.EndpointOf(ring.Listen());
  for (TestRing* user : {&ring, &other}) {
    const absl::StatusOr<ListenerId> second = user->CreateListener(taken, {});
    EXPECT_FALSE(second.ok());
    EXPECT_FALSE(second.status().message().empty());
  }
}

// A port can be listened on again right after connections of the first listener closed.
TEST_P(RingConformance, ListenAgainOnTheSamePort) {
  TestRing& ring = MakeRing();
  const ListenerId listener = ring.Listen();
  const Endpoint endpoint = ring.EndpointOf(listener);
  const Pair pair = ring.MakePair(listener);
  EXPECT_EQ(ring.Close(pair.server).result(), 0);
  EXPECT_EQ(ring.Close(pair.client).result(), 0);
  ASSERT_TRUE(ring.CloseListener(listener).ok());
  const absl::StatusOr<ListenerId> again = ring.CreateListener(endpoint, {});
  ASSERT_TRUE(again.ok()) << again.status();
  ring.ExpectAlive(ring.MakePair(*again));
}

// Trap 11: no address is no wildcard.
TEST_P(RingConformance, ListenOnBadEndpoints) {
  TestRing& ring = MakeRing();
  EXPECT_EQ(ring.CreateListener(Endpoint(), {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  // Of the block for documentation: no machine's.
  const absl::StatusOr<ListenerId> foreign =
      ring.CreateListener(Endpoint::Ipv4({192, 0, 2, 1}, 0), {});
  EXPECT_FALSE(foreign.ok());
  EXPECT_FALSE(foreign.status().message().empty());
}

// RingOptions::max_listeners is a limit, and closing makes room.
TEST_P(RingConformance, ListenerLimit) {
  RingOptions options = Options();
  options.max_listeners = 2;
  TestRing& ring = MakeRing(options);
  const ListenerId first = ring.Listen();
  ring.Listen();
  EXPECT_FALSE(ring.CreateListener(Endpoint::Ipv4Loopback(0), {}).ok());
  for (int i = 0; i < 3; ++i) {
    const ListenerId listener = i == 0 ? first : ring.Listen();
    EXPECT_TRUE(ring.CloseListener(listener).ok());
  }
  ring.ExpectAlive(ring.MakePair());
}

// ListenerOptions::share_port: both rings listen, and each connection reaches one.
TEST_P(RingConformance, SharedPort) {
  TestRing& first = MakeRing();
  TestRing& second = MakeRing();
  const absl::StatusOr<ListenerId> listener =
      first.CreateListener(Endpoint::Ipv4Loopback(0), {.share_port = true});
  if (!GetParam().shares_ports) return;  // not honoured, so nothing is promised
  ASSERT_TRUE(listener.ok()) << listener.status();
  const Endpoint endpoint = first.EndpointOf(*listener);
  const absl::StatusOr<ListenerId> shared = second.CreateListener(endpoint, {.share_port = true});
  ASSERT_TRUE(shared.ok()) << shared.status();
  const Token of_first = StartAccept(first, *listener, Shots::kMultishot);
  const Token of_second = StartAccept(second, *shared, Shots::kMultishot);
  second.Submit();
  constexpr size_t kConnections = 20;
  for (size_t i = 0; i < kConnections; ++i) {
    EXPECT_TRUE(first.Await(StartConnect(first, endpoint)).ok());
  }
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (first.Unawaited(of_first) + second.Unawaited(of_second) < kConnections &&
         std::chrono::steady_clock::now() < deadline) {
    first.Pump();
    second.Pump();
  }
  EXPECT_EQ(first.Unawaited(of_first) + second.Unawaited(of_second), kConnections);
}

// ListenerOptions: small buffers of sockets carry all bytes too.
TEST_P(RingConformance, ListenerBufferSizes) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair(
      ring.Listen({.backlog = 1, .recv_buffer_bytes = 4096, .send_buffer_bytes = 4096}));
  ring.ExpectAlive(pair);
  const std::string text(100'000, 'x');
  const Token send = ring.StartSend(pair.server, ring.Text(text), TransferFlags::kAll);
  EXPECT_EQ(ring.RecvText(pair.client, text.size()), text);
  EXPECT_EQ(ring.Await(send).result(), 100'000);
}

}  // namespace
}  // namespace ioring
