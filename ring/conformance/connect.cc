// Connecting, endpoints, and families of addresses.
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

Token StartConnect(TestRing& ring, const Endpoint& endpoint) {
  return ring.Start([&](Token token) { return ring.PrepareConnect(endpoint, token); });
}

// A port on which nothing listens.
Endpoint ClosedPort(TestRing& ring) {
  const ListenerId listener = ring.Listen();
  const Endpoint endpoint = ring.EndpointOf(listener);
  EXPECT_TRUE(ring.CloseListener(listener).ok());
  return endpoint;
}

// A connection carries bytes both ways.
TEST_P(RingConformance, Connect) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  EXPECT_NE(pair.client, pair.server);
  ring.ExpectAlive(pair);
}

// Between two rings, too.
TEST_P(RingConformance, ConnectToAnotherRing) {
  TestRing& client = MakeRing();
  TestRing& server = MakeRing();
  const Pair pair = Connect(client, server);
  EXPECT_EQ(client.Send(pair.client, "ping").result(), 4);
  EXPECT_EQ(server.RecvText(pair.server, 4), "ping");
  EXPECT_EQ(server.Close(pair.server).result(), 0);
  EXPECT_EQ(client.RecvEnd(pair.client).result(), 0);
}

// Rule 3: the same error everywhere; nothing leaks with many failures (the limit on
// connections would show it).
TEST_P(RingConformance, ConnectRefused) {
  RingOptions options = Options();
  options.max_connections = 4;
  TestRing& ring = MakeRing(options);
  const Endpoint endpoint = ClosedPort(ring);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(ring.ConnectError(endpoint), Error::kConnectionRefused);
  }
  ring.ExpectAlive(ring.MakePair());
}

// A connect that failed is over: neither a cancel of everything nor Drain finds anything of it, and
// what has come since into the places that it had ends once, as itself.
using FailConnect = std::function<void(TestRing&)>;

// As many as may have come into its places.
std::vector<Token> StartUnrelated(TestRing& ring, const Pair& pair) {
  std::vector<Token> unrelated = {ring.StartRecv(pair.server, ring.Memory(8)),
                                  ring.StartRecv(pair.client, ring.Memory(8), TransferFlags::kAll)};
  for (int i = 0; i < 4; ++i) unrelated.push_back(ring.StartTimeout(std::chrono::hours{1}));
  return unrelated;
}

void ExpectNothingElseEnds(TestRing& ring, const FailConnect& fail) {
  const Pair pair = ring.MakePair();
  for (const bool submitted : {true, false}) {
    fail(ring);
    const std::vector<Token> unrelated = StartUnrelated(ring, pair);
    if (submitted) ring.Submit();
    EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareCancelAll(token); }).result(), 0);
    for (const Token token : unrelated) EXPECT_EQ(ring.Await(token).error(), Error::kCanceled);
    EXPECT_EQ(ring.InFlight(), 0u);
  }
  fail(ring);
  const Token timeout = ring.StartTimeout(std::chrono::hours{1});
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(timeout));
  EXPECT_EQ(ring.InFlight(), 1u);
  const absl::Status drained = Drain(ring, std::chrono::steady_clock::now() + kPatience);
  EXPECT_TRUE(drained.ok()) << drained;
  EXPECT_EQ(ring.InFlight(), 0u);
  // The slots work on: more connections than there were failures.
  for (int i = 0; i < 4; ++i) ring.ExpectAlive(ring.MakePair());
  ring.ExpectAlive(pair);
}

TEST_P(RingConformance, ConnectRefusedEndsNothingElse) {
  TestRing& ring = MakeRing();
  const Endpoint endpoint = ClosedPort(ring);
  ExpectNothingElseEnds(ring, [&](TestRing& client) {
    EXPECT_EQ(client.ConnectError(endpoint), Error::kConnectionRefused);
  });
}

// Where there are no Unix-domain sockets it fails too.
TEST_P(RingConformance, ConnectToNoPathEndsNothingElse) {
  TestRing& ring = MakeRing();
  const Endpoint endpoint = UnusedPath(ring);
  ExpectNothingElseEnds(ring, [&](TestRing& client) {
    EXPECT_FALSE(client.Await(StartConnect(client, endpoint)).ok());
  });
}

// Cancelled in its batch, which may come too late for it.
TEST_P(RingConformance, ConnectCancelledEndsNothingElse) {
  TestRing& ring = MakeRing();
  const Endpoint endpoint = ring.EndpointOf(ring.Listen());
  ExpectNothingElseEnds(ring, [&](TestRing& client) {
    const Token connect = StartConnect(client, endpoint);
    const Token cancel = client.StartCancel(connect);
    const Arrival connected = client.Await(connect);
    client.Await(cancel);
    if (connected.ok()) client.Close(connected.connection());
  });
}

TEST_P(RingConformance, ConnectPastItsDeadlineEndsNothingElse) {
  TestRing& ring = MakeRing();
  const Endpoint endpoint = ring.EndpointOf(ring.Listen());
  ExpectNothingElseEnds(ring, [&](TestRing& client) {
    const Token connect = StartConnect(client, endpoint);
    const Token deadline = client.Start([&](Token token) {
      return client.PrepareDeadline(connect, std::chrono::nanoseconds{0}, token);
    });
    const Arrival connected = client.Await(connect);
    client.Await(deadline);
    if (connected.ok()) client.Close(connected.connection());
  });
}

// Rule 1: a bad argument is no reason to return false.
TEST_P(RingConformance, ConnectToNoAddress) {
  TestRing& ring = MakeRing();
  EXPECT_EQ(ring.Await(StartConnect(ring, Endpoint())).error(), Error::kInvalidArgument);
}

// RingOptions::max_connections holds for connects; closing makes room.
TEST_P(RingConformance, ConnectLimit) {
  RingOptions options = Options();
  options.max_connections = 2;
  TestRing& client = MakeRing(options);
  TestRing& server = MakeRing();
  const Endpoint endpoint = server.EndpointOf(server.Listen());
  const Arrival first = client.Await(StartConnect(client, endpoint));
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(client.Await(StartConnect(client, endpoint)).ok());
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(client.Await(StartConnect(client, endpoint)).error(), Error::kTooManyIds);
  }
  EXPECT_EQ(client.Close(first.connection()).result(), 0);
  const Arrival again = client.Await(StartConnect(client, endpoint));
  ASSERT_TRUE(again.ok());
  EXPECT_NE(again.connection(), first.connection());
}

// Local and peer endpoints are each other's.
TEST_P(RingConformance, EndpointsOfConnections) {
  TestRing& ring = MakeRing();
  const ListenerId listener = ring.Listen();
  const Endpoint endpoint = ring.EndpointOf(listener);
  const Pair pair = ring.MakePair(listener);
  EXPECT_EQ(*ring.PeerEndpoint(pair.client), endpoint);
  EXPECT_EQ(*ring.LocalEndpoint(pair.server), endpoint);
  EXPECT_EQ(*ring.LocalEndpoint(pair.client), *ring.PeerEndpoint(pair.server));
  EXPECT_NE(ring.LocalEndpoint(pair.client)->port(), endpoint.port());
}

// Rule 5, and: asking may submit, but loses nothing that is in flight or prepared.
TEST_P(RingConformance, EndpointsWithWorkInFlight) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token recv = ring.StartRecv(pair.server, ring.Memory(4));
  const Token nop = ring.StartNop();
  EXPECT_TRUE(ring.PeerEndpoint(pair.server).ok());
  EXPECT_TRUE(ring.LocalEndpoint(pair.server).ok());
  EXPECT_EQ(ring.Await(nop).result(), 0);
  EXPECT_EQ(ring.Send(pair.client, "data").result(), 4);
  EXPECT_EQ(ring.Await(recv).result(), 4);
  EXPECT_EQ(ring.Close(pair.server).result(), 0);
  EXPECT_EQ(ring.PeerEndpoint(pair.server).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ring.LocalEndpoint(pair.server).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ring.PeerEndpoint(ConnectionId{}).status().code(), absl::StatusCode::kNotFound);
}

TEST_P(RingConformance, Ipv6) {
  TestRing& ring = MakeRing();
  const absl::StatusOr<ListenerId> listener = ring.CreateListener(Endpoint::Ipv6Loopback(0), {});
  if (!listener.ok() && SkipsAllowed()) {
    GTEST_SKIP() << "SKIPPED: this system has no IPv6: " << listener.status();
  }
  ASSERT_TRUE(listener.ok()) << listener.status();
  const Endpoint endpoint = ring.EndpointOf(*listener);
  EXPECT_EQ(endpoint, Endpoint::Ipv6Loopback(endpoint.port()));
  EXPECT_NE(endpoint.port(), 0);
  const Pair pair = ring.MakePair(*listener);
  ring.ExpectAlive(pair);
  EXPECT_EQ(*ring.PeerEndpoint(pair.client), endpoint);
  EXPECT_EQ(*ring.PeerEndpoint(pair.server), *ring.LocalEndpoint(pair.client));
  ASSERT_TRUE(ring.CloseListener(*listener).ok());
  EXPECT_EQ(ring.ConnectError(endpoint), Error::kConnectionRefused);
}

// A path is taken while somebody listens on it, and free afterwards.
TEST_P(RingConformance, UnixDomain) {
  TestRing& ring = MakeRing();
  const Endpoint endpoint = UnusedPath(ring);
  const absl::StatusOr<ListenerId> listener = ring.CreateListener(endpoint, {});
  if (!listener.ok() && SkipsAllowed()) {
    GTEST_SKIP() << "SKIPPED: this system has no Unix-domain sockets: " << listener.status();
  }
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(ring.EndpointOf(*listener), endpoint);
  const Pair pair = ring.MakePair(*listener);
  ring.ExpectAlive(pair);
  EXPECT_EQ(*ring.PeerEndpoint(pair.client), endpoint);
  EXPECT_FALSE(ring.CreateListener(endpoint, {}).ok()) << "somebody listens on it";
  ring.ExpectAlive(pair);
  EXPECT_TRUE(ring.Await(StartConnect(ring, endpoint)).ok()) << "the path is the first's still";
  ASSERT_TRUE(ring.CloseListener(*listener).ok());
  const Error gone = ring.Await(StartConnect(ring, endpoint)).error();
  EXPECT_TRUE(gone == Error::kNotFound || gone == Error::kConnectionRefused) << ErrorName(gone);
  const absl::StatusOr<ListenerId> again = ring.CreateListener(endpoint, {});
  ASSERT_TRUE(again.ok()) << again.status();
  ring.ExpectAlive(ring.MakePair(*again));
  EXPECT_EQ(ring.Close(pair.client).result(), 0);
  EXPECT_EQ(ring.RecvEnd(pair.server).result(), 0);
  EXPECT_TRUE(ring.CloseListener(*again).ok());
}

// A path whose listener is gone without a CloseListener can be listened on again.
TEST_P(RingConformance, UnixDomainPathLeftBehind) {
  TestRing& second = MakeRing();
  const Endpoint endpoint = UnusedPath(second);
  TestRing& first = MakeRing();
  const absl::StatusOr<ListenerId> listener = first.CreateListener(endpoint, {});
  if (!listener.ok() && SkipsAllowed()) {
    GTEST_SKIP() << "SKIPPED: this system has no Unix-domain sockets: " << listener.status();
  }
  ASSERT_TRUE(listener.ok()) << listener.status();
  Destroy(first);
  const absl::StatusOr<ListenerId> again = second.CreateListener(endpoint, {});
  ASSERT_TRUE(again.ok()) << again.status();
  second.ExpectAlive(second.MakePair(*again));
  EXPECT_TRUE(second.CloseListener(*again).ok());
}

// UnregisterSocket and RegisterSocket: a descriptor leaves one ring and enters another,
// with the connection unharmed.
TEST_P(RingConformance, SocketChangesItsRing) {
  TestRing& first = MakeRing();
  TestRing& second = MakeRing();
  const Pair pair = first.MakePair();
  first.ExpectAlive(pair);
  const absl::StatusOr<NativeHandle> handle = first.UnregisterSocket(pair.server);
  ASSERT_TRUE(handle.ok()) << handle.status();
  EXPECT_EQ(first.RecvEnd(pair.server).error(), Error::kBadId);
  const absl::StatusOr<ConnectionId> moved = second.RegisterSocket(*handle);
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(first.Send(pair.client, "moved").result(), 5);
  EXPECT_EQ(second.RecvText(*moved, 5), "moved");
  EXPECT_EQ(second.Send(*moved, "back").result(), 4);
  EXPECT_EQ(first.RecvText(pair.client, 4), "back");
  EXPECT_EQ(second.Close(*moved).result(), 0);
  EXPECT_EQ(first.RecvEnd(pair.client).result(), 0);
}

// What leaves makes room: a descriptor comes back to the ring it left, again and again.
TEST_P(RingConformance, SocketLeavesAndComesBack) {
  RingOptions options = Options();
  options.max_connections = 2;
  TestRing& ring = MakeRing(options);
  Pair pair = ring.MakePair();
  for (int i = 0; i < 10; ++i) {
    for (ConnectionId* end : {&pair.server, &pair.client}) {
      const absl::StatusOr<NativeHandle> handle = ring.UnregisterSocket(*end);
      ASSERT_TRUE(handle.ok()) << handle.status();
      const absl::StatusOr<ConnectionId> again = ring.RegisterSocket(*handle);
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_NE(*again, *end);
      *end = *again;
    }
    ring.ExpectAlive(pair);
  }
  EXPECT_EQ(ring.Close(pair.client).result(), 0);
  EXPECT_EQ(ring.RecvEnd(pair.server).result(), 0);
}

// UnregisterSocket refuses while something is in flight, and while the id is stale.
TEST_P(RingConformance, UnregisterSocketInFlight) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token recv = ring.StartRecv(pair.server, ring.Memory(4));
  EXPECT_EQ(ring.UnregisterSocket(pair.server).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ring.Send(pair.client, "data").result(), 4);
  EXPECT_EQ(ring.Await(recv).result(), 4);
  EXPECT_EQ(ring.Close(pair.server).result(), 0);
  EXPECT_FALSE(ring.UnregisterSocket(pair.server).ok());
  EXPECT_FALSE(ring.UnregisterSocket(ConnectionId{}).ok());
}

// A descriptor is one connection of a ring, or whatever ends one would end the other.
TEST_P(RingConformance, ADescriptorIsRegisteredOnce) {
  TestRing& ring = MakeRing();
  Pair pair = ring.MakePair();
  for (int i = 0; i < 3; ++i) {
    const absl::StatusOr<NativeHandle> handle = ring.UnregisterSocket(pair.server);
    ASSERT_TRUE(handle.ok()) << handle.status();
    const absl::StatusOr<ConnectionId> first = ring.RegisterSocket(*handle);
    ASSERT_TRUE(first.ok()) << first.status();
    const Token recv = ring.StartRecv(*first, ring.Memory(4));
    for (int again = 0; again < 2; ++again) {
      const absl::Status refused = ring.RegisterSocket(*handle).status();
      EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists) << refused;
      EXPECT_NE(refused.message().find(absl::StrCat(*handle)), std::string::npos) << refused;
    }
    EXPECT_EQ(ring.Send(pair.client, "data").result(), 4);
    EXPECT_EQ(ring.Await(recv).result(), 4) << "the first is as it was";
    pair.server = *first;
    ring.ExpectAlive(pair);
  }
  // Another descriptor of a later connection is not taken for an old one.
  EXPECT_EQ(ring.Close(pair.server).result(), 0);
  const Pair next = ring.MakePair();
  const absl::StatusOr<NativeHandle> other = ring.UnregisterSocket(next.server);
  ASSERT_TRUE(other.ok()) << other.status();
  const absl::StatusOr<ConnectionId> second = ring.RegisterSocket(*other);
  ASSERT_TRUE(second.ok()) << second.status();
  ring.ExpectAlive({next.client, *second});
}

TEST_P(RingConformance, RegisterNoSocket) {
  TestRing& ring = MakeRing();
  const absl::StatusOr<ConnectionId> connection = ring.RegisterSocket(kNoNativeHandle);
  EXPECT_FALSE(connection.ok());
  EXPECT_FALSE(connection.status().message().empty());
}

}  // namespace
}  // namespace ioring
