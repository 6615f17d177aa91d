#include "ring_core/posix/testing/native_pairs.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/conformance/native_sockets.h"
#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring_core/posix/socket_address.h"
#include "ring_core/posix/sockets.h"

namespace ioring::posix {
namespace {

class Peer final : public NativePeer {
 public:
  explicit Peer(int socket) : socket_(socket) {
    const timeval patience = {20, 0};
    EXPECT_EQ(setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    EXPECT_EQ(setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() override { close(socket_); }

  void Send(std::string_view message) override {
    EXPECT_EQ(send(socket_, message.data(), message.size(), 0),
              static_cast<ssize_t>(message.size()))
        << "errno " << errno;
  }
  std::string Receive() override {
    std::string message(70'000, '\0');
    const ssize_t size = recv(socket_, message.data(), message.size(), 0);
    EXPECT_GE(size, 0) << "errno " << errno;
    message.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return message;
  }

 private:
  const int socket_;
};

absl::StatusOr<NativePair> MakeUnix(int type) {
  std::array<int, 2> pair;
  if (socketpair(AF_UNIX, type, 0, pair.data()) != 0) {
    return absl::ErrnoToStatus(errno, "no pair of Unix-domain sockets of that type");
  }
  return NativePair{pair[0], std::make_unique<Peer>(pair[1])};
}

bool Connect(int socket, int to) {
  SocketAddress address;
  address.size = sizeof(address.storage);
  return getsockname(to, address.get(), &address.size) == 0 &&
         connect(socket, address.get(), address.size) == 0;
}

absl::StatusOr<NativePair> MakeUdp(const Endpoint& any_port) {
  const absl::StatusOr<BoundSocket> ours = OpenDatagram(any_port, BlockingMode::kBlocking);
  if (!ours.ok()) return ours.status();
  const absl::StatusOr<BoundSocket> peers = OpenDatagram(any_port, BlockingMode::kBlocking);
  if (!peers.ok()) {
    close(ours->descriptor);
    return peers.status();
  }
  if (!Connect(ours->descriptor, peers->descriptor) ||
      !Connect(peers->descriptor, ours->descriptor)) {
    const int code = errno;
    close(ours->descriptor);
    close(peers->descriptor);
    return absl::ErrnoToStatus(code, "two datagram sockets cannot be connected");
  }
  return NativePair{ours->descriptor, std::make_unique<Peer>(peers->descriptor)};
}

}  // namespace

std::vector<NativeKind> NativeKinds() {
  return {
      {"UDP over IPv4", false, [] { return MakeUdp(Endpoint::Ipv4Loopback(0)); }},
      {"UDP over IPv6", false, [] { return MakeUdp(Endpoint::Ipv6Loopback(0)); }},
      {"Unix-domain datagrams", false, [] { return MakeUnix(SOCK_DGRAM); }},
      {"Unix-domain sequenced packets", true, [] { return MakeUnix(SOCK_SEQPACKET); }},
  };
}

void SetLinger(NativeHandle socket, std::chrono::seconds time) {
  const linger on{1, static_cast<int>(time.count())};
  EXPECT_EQ(setsockopt(static_cast<int>(socket), SOL_SOCKET, SO_LINGER, &on, sizeof(on)), 0);
}

}  // namespace ioring::posix
