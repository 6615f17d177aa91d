// Closing sockets that were made elsewhere.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/conformance/pattern.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

// The peer of a socket that a ring has; reads late, and does not wait for ever.
class Peer {
 public:
  explicit Peer(int socket) : socket_(socket) {
    const timeval patience{20, 0};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() { close(socket_); }

  void Send(const std::string& text) {
    EXPECT_EQ(send(socket_, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }
  // All of it, in order, and then the end.
  void ExpectAll(const Pattern& pattern, size_t bytes) {
    size_t received = 0;
    for (;;) {
      std::array<std::byte, 4096> piece;
      const ssize_t result = recv(socket_, piece.data(), piece.size(), 0);
      EXPECT_GE(result, 0) << "errno " << errno << " after " << received;
      if (result <= 0) break;
      const size_t count = static_cast<size_t>(result);
      EXPECT_TRUE(pattern.Matches(std::span(piece).first(count), received));
      received += count;
    }
    EXPECT_EQ(received, bytes);
  }

 private:
  const int socket_;
};

std::pair<int, int> UnixPair() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  return {ends[0], ends[1]};
}

std::pair<int, int> TcpPair() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(listener, generic, size), 0);
  EXPECT_EQ(listen(listener, 1), 0);
  EXPECT_EQ(getsockname(listener, generic, &size), 0);
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(connect(client, generic, size), 0);
  const int server = accept(listener, nullptr, nullptr);
  EXPECT_GE(server, 0);
  close(listener);
  return {client, server};
}

// What fits of 400,000 bytes while nobody reads.
size_t SendMuch(TestRing& ring, ConnectionId connection, const Pattern& pattern) {
  const std::span<std::byte> memory = ring.Memory(400'000);
  pattern.Fill(memory, 0);
  const Token send = ring.StartSend(connection, memory, TransferFlags::kAll);
  ring.Quiet();
  if (!ring.HasArrived(send)) ring.Await(ring.StartCancel(send));
  const int32_t sent = ring.Await(send).result();
  EXPECT_GT(sent, 0);
  return sent > 0 ? static_cast<size_t>(sent) : 0;
}

// Whatever is unread, or comes later, of sockets of either blocking mode, and where receiving was
// shut down before.
TEST_P(RingConformance, HandedInSocketDeliversWhatWasSent) {
  TestRing& ring = MakeRing();
  const Pattern pattern(50);
  for (const bool is_unix : {false, true}) {
    for (const bool non_blocking : {false, true}) {
      for (const bool shuts_recv : {false, true}) {
        for (const bool late : {false, true}) {
          const auto [mine, other] = is_unix ? UnixPair() : TcpPair();
          if (non_blocking) fcntl(mine, F_SETFL, O_NONBLOCK);
          Peer peer(other);
          const absl::StatusOr<ConnectionId> id = ring.RegisterSocket(mine);
          ASSERT_TRUE(id.ok()) << id.status();
          if (!late) peer.Send("unread");
          if (shuts_recv) {
            EXPECT_EQ(ring.Run([&](Token token) {
                            return ring.PrepareShutdown(*id, Direction::kRecv, token);
                          })
                          .result(),
                      0);
          }
          const size_t sent = SendMuch(ring, *id, pattern);
          const Token close = ring.StartClose(*id);
          ring.Quiet();
          // A Unix-domain socket takes nothing any more; nor does one both of whose directions were
          // shut down, to which the system itself answers with a reset.
          if (late && !is_unix && !shuts_recv) {
            peer.Send("late");
            ring.Quiet();
          }
          peer.ExpectAll(pattern, sent);
          EXPECT_EQ(ring.Await(close).result(), 0);
        }
      }
    }
  }
}

// What is no stream is closed at once, and what listens, too.
TEST_P(RingConformance, WhatIsNoStreamDoesNotLinger) {
  TestRing& ring = MakeRing();
  int datagrams[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams), 0);
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  for (const int descriptor : {datagrams[0], pipes[0], pipes[1]}) {
    const absl::StatusOr<ConnectionId> id = ring.RegisterSocket(descriptor);
    ASSERT_TRUE(id.ok()) << id.status();
    EXPECT_EQ(ring.Close(*id).result(), 0);
  }
  close(datagrams[1]);
}

}  // namespace
}  // namespace ioring
