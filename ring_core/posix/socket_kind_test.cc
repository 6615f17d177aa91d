#include "ring_core/posix/socket_kind.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/log/check.h"
#include "gtest/gtest.h"
#include "ring/endpoint.h"

namespace ioring::posix {
namespace {

class Socket {
 public:
  Socket(int family, int type) : fd_(socket(family, type, 0)) { PCHECK(fd_ >= 0); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { close(fd_); }
  int fd() const { return fd_; }

 private:
  const int fd_;
};

TEST(SocketKindTest, StreamsAreToldApartByFamily) {
  const Socket tcp(AF_INET, SOCK_STREAM);
  EXPECT_EQ(KindOf(tcp.fd()), SocketKind::kStream);
  EXPECT_EQ(StreamKindOf(tcp.fd()), StreamKind::kTcp);
  const Socket local(AF_UNIX, SOCK_STREAM);
  EXPECT_EQ(KindOf(local.fd()), SocketKind::kStream);
  EXPECT_EQ(StreamKindOf(local.fd()), StreamKind::kUnix);
}

TEST(SocketKindTest, AListenerIsClosedAtOnce) {
  const Socket listener(AF_INET, SOCK_STREAM);
  ASSERT_EQ(listen(listener.fd(), 1), 0);
  EXPECT_EQ(KindOf(listener.fd()), SocketKind::kStream);
  EXPECT_EQ(StreamKindOf(listener.fd()), StreamKind::kNone);
}

TEST(SocketKindTest, MessagesAreNoStreams) {
  const Socket udp(AF_INET, SOCK_DGRAM);
  EXPECT_EQ(KindOf(udp.fd()), SocketKind::kDatagrams);
  EXPECT_EQ(StreamKindOf(udp.fd()), StreamKind::kNone);
#if defined(__linux__)
  const Socket packets(AF_UNIX, SOCK_SEQPACKET);
  EXPECT_EQ(KindOf(packets.fd()), SocketKind::kPackets);
  EXPECT_EQ(StreamKindOf(packets.fd()), StreamKind::kNone);
#endif
}

TEST(SocketKindTest, WhatIsNoSocketIsNone) {
  int ends[2];
  PCHECK(pipe(ends) == 0);
  EXPECT_EQ(KindOf(ends[0]), SocketKind::kNone);
  EXPECT_EQ(StreamKindOf(ends[0]), StreamKind::kNone);
  for (const int end : ends) close(end);
}

TEST(SocketKindTest, EndpointsTellOfTheirConnections) {
  EXPECT_EQ(StreamKindOf(Endpoint::Ipv4Loopback(1)), StreamKind::kTcp);
  EXPECT_EQ(StreamKindOf(*Endpoint::Parse("[::1]:1")), StreamKind::kTcp);
  EXPECT_EQ(StreamKindOf(*Endpoint::Parse("unix:path")), StreamKind::kUnix);
}

}  // namespace
}  // namespace ioring::posix
