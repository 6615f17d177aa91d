// Datagrams with addresses.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

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

struct Received {
  Token token;
  std::span<std::byte> memory;
  const Endpoint* source;
};

Received StartRecvFrom(TestRing& ring, ConnectionId socket, size_t bytes) {
  Received received{.memory = ring.Memory(bytes)};
  Endpoint* source = ring.NewEndpoint();
  received.source = source;
  received.token = ring.Start(
      [&](Token token) { return ring.PrepareRecvFrom(socket, received.memory, source, token); });
  return received;
}

Arrival SendTo(TestRing& ring, ConnectionId socket, std::string_view text,
               const Endpoint& destination) {
  const std::span<std::byte> memory = ring.Text(text);
  return ring.Run(
      [&](Token token) { return ring.PrepareSendTo(socket, memory, destination, token); });
}

void ExpectExchange(TestRing& ring, ConnectionId a, ConnectionId b) {
  const Endpoint at_a = *ring.LocalEndpoint(a);
  const Endpoint at_b = *ring.LocalEndpoint(b);
  const Received to_b = StartRecvFrom(ring, b, 64);
  EXPECT_EQ(SendTo(ring, a, "question", at_b).result(), 8);
  ASSERT_EQ(ring.Await(to_b.token).result(), 8);
  EXPECT_EQ(AsText(to_b.memory.first(8)), "question");
  EXPECT_EQ(*to_b.source, at_a);
  const Received to_a = StartRecvFrom(ring, a, 64);
  EXPECT_EQ(SendTo(ring, b, "answer", *to_b.source).result(), 6);
  ASSERT_EQ(ring.Await(to_a.token).result(), 6);
  EXPECT_EQ(AsText(to_a.memory.first(6)), "answer");
  EXPECT_EQ(*to_a.source, at_b);
}

TEST_P(RingConformance, Datagrams) {
  TestRing& ring = MakeRing();
  const ConnectionId a = ring.Datagram();
  const ConnectionId b = ring.Datagram();
  EXPECT_NE(ring.LocalEndpoint(a)->port(), 0);
  ExpectExchange(ring, a, b);
  ExpectExchange(ring, b, a);
}

TEST_P(RingConformance, DatagramsIpv6) {
  TestRing& ring = MakeRing();
  const absl::StatusOr<ConnectionId> a = ring.OpenDatagram(Endpoint::Ipv6Loopback(0));
  if (!a.ok() && SkipsAllowed()) {
    GTEST_SKIP() << "SKIPPED: this system has no IPv6: " << a.status();
  }
  ASSERT_TRUE(a.ok()) << a.status();
  const absl::StatusOr<ConnectionId> b = ring.OpenDatagram(Endpoint::Ipv6Loopback(0));
  ASSERT_TRUE(b.ok()) << b.status();
  ExpectExchange(ring, *a, *b);
}

// Messages keep their borders and are not joined.
TEST_P(RingConformance, DatagramsKeepTheirBorders) {
  TestRing& ring = MakeRing();
  const ConnectionId a = ring.Datagram();
  const ConnectionId b = ring.Datagram();
  const Endpoint at_b = *ring.LocalEndpoint(b);
  for (const char* text : {"one", "two", "three"}) EXPECT_TRUE(SendTo(ring, a, text, at_b).ok());
  for (const std::string text : {"one", "two", "three"}) {
    const Received received = StartRecvFrom(ring, b, 64);
    const Arrival arrival = ring.Await(received.token);
    ASSERT_EQ(arrival.result(), static_cast<int32_t>(text.size()));
    EXPECT_EQ(AsText(received.memory.first(text.size())), text);
  }
}

// A datagram that does not fit is told, not cut silently; the next one comes as it is.
TEST_P(RingConformance, DatagramTooLongForTheMemory) {
  TestRing& ring = MakeRing();
  const ConnectionId a = ring.Datagram();
  const ConnectionId b = ring.Datagram();
  const Endpoint at_b = *ring.LocalEndpoint(b);
  for (const bool waiting : {true, false}) {
    Received received;
    if (waiting) received = StartRecvFrom(ring, b, 4);
    EXPECT_EQ(SendTo(ring, a, "too long", at_b).result(), 8);
    if (!waiting) received = StartRecvFrom(ring, b, 4);
    EXPECT_EQ(ring.Await(received.token).error(), Error::kMessageTooLong);
    EXPECT_EQ(SendTo(ring, a, "fits", at_b).result(), 4);
    const Received next = StartRecvFrom(ring, b, 4);
    EXPECT_EQ(ring.Await(next.token).result(), 4);
    EXPECT_EQ(AsText(next.memory), "fits");
  }
}

// Nor does the network take any size.
TEST_P(RingConformance, DatagramTooLongForTheNetwork) {
  TestRing& ring = MakeRing();
  const ConnectionId a = ring.Datagram();
  const ConnectionId b = ring.Datagram();
  EXPECT_EQ(SendTo(ring, a, std::string(70'000, 'x'), *ring.LocalEndpoint(b)).error(),
            Error::kMessageTooLong);
  ExpectExchange(ring, a, b);
}

// Rule 1: bad arguments are accepted, and complete with the error.
TEST_P(RingConformance, DatagramBadArguments) {
  TestRing& ring = MakeRing();
  const ConnectionId a = ring.Datagram();
  const Endpoint at_a = *ring.LocalEndpoint(a);
  const std::span<std::byte> memory = ring.Memory(8);
  EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareRecvFrom(a, memory, nullptr, token); })
                .error(),
            Error::kInvalidArgument);
  EXPECT_EQ(ring.Await(StartRecvFrom(ring, a, 0).token).error(), Error::kInvalidArgument);
  EXPECT_EQ(SendTo(ring, a, "x", Endpoint()).error(), Error::kInvalidArgument);
  EXPECT_EQ(SendTo(ring, a, "x", Endpoint::Ipv6Loopback(at_a.port())).error(),
            Error::kInvalidArgument);
  EXPECT_EQ(ring.OpenDatagram(Endpoint()).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(ring.OpenDatagram(at_a).ok()) << "the port is taken";
  ExpectExchange(ring, a, ring.Datagram());
}

// Rules 5 to 7 hold for datagrams.
TEST_P(RingConformance, DatagramRules) {
  TestRing& ring = MakeRing();
  const ConnectionId a = ring.Datagram();
  const ConnectionId b = ring.Datagram();
  const Received first = StartRecvFrom(ring, a, 8);
  EXPECT_EQ(ring.Await(StartRecvFrom(ring, a, 8).token).error(), Error::kBusy);
  EXPECT_EQ(ring.Await(ring.StartCancel(first.token)).result(), 0);
  EXPECT_EQ(ring.Await(first.token).error(), Error::kCanceled);
  const Received second = StartRecvFrom(ring, a, 8);
  ring.Submit();
  const Endpoint at_a = *ring.LocalEndpoint(a);
  EXPECT_EQ(ring.Close(a).result(), 0);
  EXPECT_EQ(ring.Await(second.token).error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(StartRecvFrom(ring, a, 8).token).error(), Error::kBadId);
  EXPECT_EQ(SendTo(ring, a, "x", at_a).error(), Error::kBadId);
  const absl::StatusOr<ConnectionId> again = ring.OpenDatagram(at_a);
  ASSERT_TRUE(again.ok()) << again.status();
  ExpectExchange(ring, *again, b);
}

}  // namespace
}  // namespace ioring
