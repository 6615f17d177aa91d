#include "ring_core/posix/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring_core/posix/errno_table.h"
#include "ring_core/posix/socket_address.h"
#include "ring_core/posix/unix_path.h"

namespace ioring::posix {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr BlockingMode kBlocking = BlockingMode::kBlocking;
constexpr BlockingMode kNonBlocking = BlockingMode::kNonBlocking;

// Closes what a test opened.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  explicit Socket(absl::StatusOr<int> fd) : fd_(fd.ok() ? *fd : -1) {
    EXPECT_TRUE(fd.ok()) << fd.status();
  }
  explicit Socket(const absl::StatusOr<BoundSocket>& bound)
      : fd_(bound.ok() ? bound->descriptor : -1) {
    EXPECT_TRUE(bound.ok()) << bound.status();
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() { Close(); }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

Endpoint Parsed(std::string_view text) { return Endpoint::Parse(text).value(); }

int Option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  EXPECT_EQ(getsockopt(fd, level, name, &value, &size), 0);
  return value;
}

bool IsCloseOnExec(int fd) { return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0; }
bool IsNonBlocking(int fd) { return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; }
bool HasNoDelay(int fd) { return Option(fd, IPPROTO_TCP, TCP_NODELAY) != 0; }

// Containers often have the family without an address of it.
bool HasIpv6() {
  const Socket probe(socket(AF_INET6, SOCK_DGRAM, 0));
  const SocketAddress loopback = ToSocketAddress(Endpoint::Ipv6Loopback(0)).value();
  return bind(probe.get(), loopback.get(), loopback.size) == 0;
}

// A socket that is connected to what listens at `endpoint`.
Socket Connected(const Endpoint& endpoint) {
  Socket client(OpenStream(endpoint.family(), kBlocking));
  const SocketAddress address = ToSocketAddress(endpoint).value();
  EXPECT_EQ(connect(client.get(), address.get(), address.size), 0) << endpoint.ToString();
  return client;
}

std::string MessageOf(const absl::StatusOr<int>& result) {
  if (result.ok()) close(*result);
  return std::string(result.status().message());
}
std::string MessageOf(const absl::StatusOr<BoundSocket>& result) {
  if (result.ok()) close(result->descriptor);
  return std::string(result.status().message());
}

// A folder of its own: paths in it are short, and gone afterwards.
class UnixSocketsTest : public ::testing::Test {
 protected:
  UnixSocketsTest() : folder_(::testing::TempDir() + "/sXXXXXX") {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    // Bazel's folder is longer than the path of a Unix-domain socket may be.
    original_ = open(".", O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(chdir(folder_.c_str()), 0);
  }
  ~UnixSocketsTest() override {
    for (const char* name : {"socket", "file", "link"}) unlink(name);
    EXPECT_EQ(fchdir(original_), 0);
    close(original_);
    EXPECT_EQ(rmdir(folder_.c_str()), 0);
  }

  static bool Exists(const char* name) {
    struct stat status;
    return lstat(name, &status) == 0;
  }

  const Endpoint endpoint_ = Parsed("unix:socket");
  std::string folder_;

 private:
  int original_;
};

TEST(SocketsTest, ListenerOnAFreePort) {
  const Socket listener(OpenListener(Parsed("127.0.0.1:0"), {}, kNonBlocking));
  const absl::StatusOr<Endpoint> local = LocalEndpoint(listener.get());
  ASSERT_TRUE(local.ok()) << local.status();
  EXPECT_NE(local->port(), 0);
  EXPECT_EQ(*local, Endpoint::Ipv4Loopback(local->port()));
  EXPECT_TRUE(IsCloseOnExec(listener.get()));
  EXPECT_TRUE(IsNonBlocking(listener.get()));
}

TEST(SocketsTest, BlockingModeIsTheOneAskedFor) {
  const Socket listener(OpenListener(Parsed("127.0.0.1:0"), {}, kBlocking));
  EXPECT_FALSE(IsNonBlocking(listener.get()));
  const Socket datagram(OpenDatagram(Parsed("127.0.0.1:0"), kBlocking));
  EXPECT_FALSE(IsNonBlocking(datagram.get()));
  const Socket stream(OpenStream(Endpoint::Family::kIpv4, kNonBlocking));
  EXPECT_TRUE(IsNonBlocking(stream.get()));
}

// TRAPS "original library" 11: no close-on-exec; no way to ask which port.
TEST(SocketsTest, AcceptedSocketsInheritAndBothEndsAreKnown) {
  const Socket listener(OpenListener(Parsed("127.0.0.1:0"), {}, kBlocking));
  const Endpoint at = LocalEndpoint(listener.get()).value();
  const Socket client = Connected(at);
  const Socket server(accept(listener.get(), nullptr, nullptr));
  EXPECT_TRUE(HasNoDelay(server.get()));
  EXPECT_TRUE(HasNoDelay(client.get()));
  EXPECT_TRUE(IsCloseOnExec(client.get()));
  EXPECT_EQ(PeerEndpoint(client.get()).value(), at);
  EXPECT_EQ(LocalEndpoint(server.get()).value(), at);
  EXPECT_EQ(PeerEndpoint(server.get()).value(), LocalEndpoint(client.get()).value());
}

TEST(SocketsTest, BufferSizesAreSetAndInherited) {
  const ListenerOptions options = {.recv_buffer_bytes = 20'000, .send_buffer_bytes = 30'000};
  const Socket listener(OpenListener(Parsed("127.0.0.1:0"), options, kBlocking));
  const Socket client = Connected(LocalEndpoint(listener.get()).value());
  const Socket server(accept(listener.get(), nullptr, nullptr));
  for (int fd : {listener.get(), server.get()}) {
    // Linux doubles what it is told.
    EXPECT_GE(Option(fd, SOL_SOCKET, SO_RCVBUF), 20'000);
    EXPECT_LE(Option(fd, SOL_SOCKET, SO_RCVBUF), 40'000);
    EXPECT_GE(Option(fd, SOL_SOCKET, SO_SNDBUF), 30'000);
    EXPECT_LE(Option(fd, SOL_SOCKET, SO_SNDBUF), 60'000);
  }
}

TEST(SocketsTest, Ipv6TakesNoIpv4) {
  if (!HasIpv6()) GTEST_SKIP() << "this system has no IPv6";
  // The same port of IPv4 is still free. Some other program may have just that one, but not all.
  constexpr int kPorts = 20;
  absl::StatusOr<BoundSocket> opened;
  std::vector<Socket> all;
  while (!opened.ok() && all.size() < kPorts) {
    all.emplace_back(OpenListener(Parsed("[::]:0"), {}, kBlocking));
    const uint16_t tried = LocalEndpoint(all.back().get())->port();
    opened = OpenListener(Endpoint::Ipv4({0, 0, 0, 0}, tried), {}, kBlocking);
  }
  const Socket ipv4(opened);
  const Socket& ipv6 = all.back();
  const uint16_t port = LocalEndpoint(ipv6.get())->port();
  const Socket client = Connected(Endpoint::Ipv6Loopback(port));
  EXPECT_EQ(PeerEndpoint(client.get()).value(), Endpoint::Ipv6Loopback(port));
  const Socket server(accept(ipv6.get(), nullptr, nullptr));
  EXPECT_EQ(PeerEndpoint(server.get())->family(), Endpoint::Family::kIpv6);
  EXPECT_TRUE(HasNoDelay(server.get()));
}

TEST(SocketsTest, PortInUseIsSaid) {
  const Socket listener(OpenListener(Parsed("127.0.0.1:0"), {}, kBlocking));
  const Endpoint taken = LocalEndpoint(listener.get()).value();
  const absl::StatusOr<BoundSocket> second = OpenListener(taken, {}, kBlocking);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(MessageOf(second),
            absl::StrCat("cannot listen on ", taken.ToString(),
                         ": the port is in use; stop the program that has it or choose another "
                         "port (",
                         ErrnoText(EADDRINUSE), ")"));
}

TEST(SocketsTest, SharedPortsAreForThoseWhoAllShare) {
  const ListenerOptions shared = {.share_port = true};
  const Socket first(OpenListener(Parsed("127.0.0.1:0"), shared, kBlocking));
  const Endpoint at = LocalEndpoint(first.get()).value();
  const Socket second(OpenListener(at, shared, kBlocking));
  EXPECT_EQ(LocalEndpoint(second.get()).value(), at);
  EXPECT_EQ(OpenListener(at, {}, kBlocking).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST(SocketsTest, PortIsFreeAgainAfterConnectionsThatTheServerClosed) {
  Socket listener(OpenListener(Parsed("127.0.0.1:0"), {}, kBlocking));
  const Endpoint at = LocalEndpoint(listener.get()).value();
  const Socket client = Connected(at);
  Socket server(accept(listener.get(), nullptr, nullptr));
  server.Close();
  listener.Close();
  const Socket again(OpenListener(at, {}, kBlocking));
  EXPECT_EQ(LocalEndpoint(again.get()).value(), at);
}

TEST(SocketsTest, AddressOfAnotherMachine) {
  const absl::StatusOr<BoundSocket> listener = OpenListener(Parsed("192.0.2.1:0"), {}, kBlocking);
  EXPECT_EQ(listener.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(listener),
              AllOf(StartsWith("cannot listen on 192.0.2.1:0: the address is not one of this "
                               "machine; choose"),
                    HasSubstr("EADDRNOTAVAIL")));
  const absl::StatusOr<BoundSocket> datagram = OpenDatagram(Parsed("192.0.2.1:0"), kBlocking);
  EXPECT_THAT(MessageOf(datagram),
              StartsWith("cannot open a datagram socket on 192.0.2.1:0: the address is not"));
}

TEST(SocketsTest, LinkLocalNeedsItsInterface) {
  if (!HasIpv6()) GTEST_SKIP() << "this system has no IPv6";
  EXPECT_THAT(MessageOf(OpenListener(Parsed("[fe80::1]:0"), {}, kBlocking)),
              HasSubstr("a link-local address needs its interface"));
  EXPECT_THAT(MessageOf(OpenListener(Parsed("[fe80::1%nosuchif]:0"), {}, kBlocking)),
              AllOf(StartsWith("cannot listen on [fe80::1%nosuchif]:0: "),
                    HasSubstr("no interface of this machine")));
}

TEST(SocketsTest, EndpointsAndOptionsThatCannotBe) {
  EXPECT_EQ(OpenListener(Endpoint(), {}, kBlocking).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(OpenDatagram(Endpoint(), kBlocking).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(OpenStream(Endpoint::Family::kNone, kBlocking).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(OpenListener(Parsed("127.0.0.1:0"), {.backlog = 0}, kBlocking)),
              HasSubstr("the backlog is 0, but must be at least 1"));
  EXPECT_THAT(MessageOf(OpenListener(Parsed("unix:x"), {.share_port = true}, kBlocking)),
              HasSubstr("only one listener fits on a Unix-domain path"));
}

TEST(SocketsTest, TooFewDescriptorsIsSaid) {
  rlimit original;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &original), 0);
  rlimit none_left = original;
  none_left.rlim_cur = 0;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none_left), 0);
  const absl::StatusOr<BoundSocket> listener = OpenListener(Parsed("127.0.0.1:0"), {}, kBlocking);
  const absl::StatusOr<int> stream = OpenStream(Endpoint::Family::kIpv4, kBlocking);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &original), 0);
  EXPECT_EQ(listener.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(MessageOf(listener), HasSubstr("out of descriptors; raise its limit (ulimit -n)"));
  EXPECT_THAT(MessageOf(stream), HasSubstr("out of descriptors; raise its limit (ulimit -n)"));
}

TEST(SocketsTest, PortsBelow1024TakeAPrivilege) {
  constexpr uid_t kNobody = 65534;
  const bool is_root = geteuid() == 0;
  if (is_root && seteuid(kNobody) != 0) GTEST_SKIP() << "root cannot give its privileges up here";
  const absl::StatusOr<BoundSocket> listener = OpenListener(Parsed("127.0.0.1:1"), {}, kBlocking);
  if (is_root) {
    ASSERT_EQ(seteuid(0), 0);
  }
  const std::string message = MessageOf(listener);
  if (listener.ok()) GTEST_SKIP() << "every user of this system may listen on ports below 1024";
  EXPECT_EQ(listener.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(message, HasSubstr("a port below 1024 takes a privilege; choose a higher one"));
}

TEST(SocketsTest, DatagramsArrive) {
  const Socket receiver(OpenDatagram(Parsed("127.0.0.1:0"), kBlocking));
  const Socket sender(OpenDatagram(Parsed("127.0.0.1:0"), kBlocking));
  EXPECT_TRUE(IsCloseOnExec(receiver.get()));
  SocketAddress to;
  ASSERT_TRUE(ToSocketAddress(LocalEndpoint(receiver.get()).value(), &to));
  ASSERT_EQ(sendto(sender.get(), "x", 1, 0, to.get(), to.size), 1);
  char byte = 0;
  SocketAddress from;
  from.size = sizeof(from.storage);
  ASSERT_EQ(recvfrom(receiver.get(), &byte, 1, 0, from.get(), &from.size), 1);
  EXPECT_EQ(byte, 'x');
  EXPECT_EQ(FromSocketAddress(from.get(), from.size), LocalEndpoint(sender.get()).value());
}

// Several programs on one datagram port would take one another's datagrams.
TEST(SocketsTest, DatagramPortInUseIsSaid) {
  const Socket first(OpenDatagram(Parsed("127.0.0.1:0"), kBlocking));
  const absl::StatusOr<BoundSocket> second =
      OpenDatagram(LocalEndpoint(first.get()).value(), kBlocking);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(MessageOf(second), HasSubstr("the port is in use"));
}

TEST(SocketsTest, EndpointsOfWhatHasNone) {
  const Socket stream(OpenStream(Endpoint::Family::kIpv4, kBlocking));
  EXPECT_EQ(PeerEndpoint(stream.get()).status().code(), absl::StatusCode::kFailedPrecondition);
  std::array<int, 2> pipe_ends;
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  const Socket in(pipe_ends[0]);
  const Socket out(pipe_ends[1]);
  EXPECT_EQ(LocalEndpoint(in.get()).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(LocalEndpoint(-1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(SocketsTest, TakenOverSocketsAreSetUpAndGivenBackAsTheyWere) {
  for (const NonBlocking mode : {NonBlocking::kByCall, NonBlocking::kBySocket}) {
    for (const bool was_set_up : {false, true}) {
      const Socket plain(socket(AF_INET, SOCK_STREAM, 0));
      if (was_set_up) {
        const int on = 1;
        ASSERT_EQ(fcntl(plain.get(), F_SETFD, FD_CLOEXEC), 0);
        ASSERT_EQ(fcntl(plain.get(), F_SETFL, O_NONBLOCK), 0);
        ASSERT_EQ(setsockopt(plain.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
      }
      SocketChanges changes;
      ASSERT_TRUE(TakeOverSocket(plain.get(), mode, &changes).ok());
      EXPECT_TRUE(IsCloseOnExec(plain.get()));
      EXPECT_EQ(IsNonBlocking(plain.get()), was_set_up || mode == NonBlocking::kBySocket);
      EXPECT_TRUE(HasNoDelay(plain.get()));
      EXPECT_EQ(changes.any_shared(), !was_set_up);
      GiveBackShared(plain.get(), changes);
      EXPECT_TRUE(IsCloseOnExec(plain.get())) << "that is the descriptor's own";
      EXPECT_EQ(IsNonBlocking(plain.get()), was_set_up);
      EXPECT_EQ(HasNoDelay(plain.get()), was_set_up);
      GiveBackSocket(plain.get(), changes);
      EXPECT_EQ(IsCloseOnExec(plain.get()), was_set_up);
    }
  }
}

TEST(SocketsTest, WhatCanOnlyBePolledIsLeftAsItIs) {
  std::array<int, 2> ends;
  ASSERT_EQ(pipe(ends.data()), 0);
  const Socket in(ends[0]);
  const Socket out(ends[1]);
  const Socket listener(socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(listen(listener.get(), 1), 0);
  for (const Socket* polled : {&in, &listener}) {
    SocketChanges changes;
    EXPECT_TRUE(TakeOverSocket(polled->get(), NonBlocking::kBySocket, &changes).ok());
    EXPECT_FALSE(IsCloseOnExec(polled->get()));
    EXPECT_FALSE(IsNonBlocking(polled->get()));
    EXPECT_FALSE(changes.any_shared() || changes.close_on_exec);
  }
  EXPECT_FALSE(HasNoDelay(listener.get()));
}

TEST(SocketsTest, OtherSocketsCanBeTakenOverToo) {
  SocketChanges changes;
  std::array<int, 2> ends;
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  const Socket left(ends[0]);
  const Socket right(ends[1]);
  EXPECT_TRUE(TakeOverSocket(left.get(), NonBlocking::kBySocket, &changes).ok());
  EXPECT_TRUE(IsNonBlocking(left.get()));
  const Socket datagram(socket(AF_INET, SOCK_DGRAM, 0));
  EXPECT_TRUE(TakeOverSocket(datagram.get(), NonBlocking::kByCall, &changes).ok());
  EXPECT_TRUE(IsCloseOnExec(datagram.get()));
}

TEST(SocketsTest, ASocketWhosePeerResetItCanBeTakenOver) {
  const Socket listener(OpenListener(Parsed("127.0.0.1:0"), {}, kBlocking));
  Socket client = Connected(LocalEndpoint(listener.get()).value());
  const Socket server(accept(listener.get(), nullptr, nullptr));
  const linger reset = {.l_onoff = 1, .l_linger = 0};
  ASSERT_EQ(setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
  client.Close();
  pollfd arrived = {.fd = server.get(), .events = POLLIN};
  ASSERT_EQ(poll(&arrived, 1, -1), 1);
  SocketChanges changes;
  EXPECT_TRUE(TakeOverSocket(server.get(), NonBlocking::kBySocket, &changes).ok());
}

TEST(SocketsTest, ADescriptorThatIsNotOpenIsRefused) {
  SocketChanges changes;
  const absl::Status status = TakeOverSocket(-1, NonBlocking::kBySocket, &changes);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("the descriptor -1 is not open"));
}

TEST_F(UnixSocketsTest, ListensAndGoesWithItsPath) {
  absl::StatusOr<BoundSocket> bound = OpenListener(endpoint_, {}, kBlocking);
  const Socket listener(bound);
  EXPECT_EQ(LocalEndpoint(listener.get()).value(), endpoint_);
  const Socket client = Connected(endpoint_);
  const Socket server(accept(listener.get(), nullptr, nullptr));
  EXPECT_EQ(PeerEndpoint(client.get()).value(), endpoint_);
  EXPECT_EQ(PeerEndpoint(server.get()).value(), Endpoint());
  UnixPath copy = bound->path;
  EXPECT_TRUE(bound->path.Remove().ok());
  EXPECT_FALSE(Exists("socket"));
  EXPECT_TRUE(bound->path.Remove().ok());
  EXPECT_TRUE(copy.Remove().ok()) << "a missing path is no error";
}

// A path belongs to whoever bound it last.
TEST_F(UnixSocketsTest, AnotherSocketsPathIsLeftAlone) {
  absl::StatusOr<BoundSocket> first = OpenListener(endpoint_, {}, kBlocking);
  const Socket old(first);
  ASSERT_EQ(rename("socket", "link"), 0);
  absl::StatusOr<BoundSocket> second = OpenListener(endpoint_, {}, kBlocking);
  const Socket successor(second);
  EXPECT_TRUE(first->path.Remove().ok());
  Connected(endpoint_);
  EXPECT_TRUE(second->path.Remove().ok());
  EXPECT_FALSE(Exists("socket"));
  EXPECT_TRUE(Exists("link")) << "moved by somebody, who knows where it is";
}

TEST_F(UnixSocketsTest, ARelativePathIsFoundFromEverywhere) {
  absl::StatusOr<BoundSocket> bound = OpenListener(endpoint_, {}, kBlocking);
  const Socket listener(bound);
  ASSERT_EQ(chdir("/"), 0);
  EXPECT_TRUE(bound->path.Remove().ok());
  ASSERT_EQ(chdir(folder_.c_str()), 0);
  EXPECT_FALSE(Exists("socket"));
}

// Also one that does not listen yet, or never will: a client may have a path too.
TEST_F(UnixSocketsTest, APathThatASocketIsBoundToIsLeftAlone) {
  const SocketAddress address = ToSocketAddress(endpoint_).value();
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    const Socket bound(socket(AF_UNIX, type, 0));
    ASSERT_EQ(bind(bound.get(), address.get(), address.size), 0);
    EXPECT_EQ(OpenListener(endpoint_, {}, kBlocking).status().code(),
              absl::StatusCode::kAlreadyExists);
    EXPECT_EQ(OpenDatagram(endpoint_, kBlocking).status().code(), absl::StatusCode::kAlreadyExists);
    ASSERT_EQ(unlink("socket"), 0) << "it is there still";
  }
}

// The question whether somebody listens makes no connection.
TEST_F(UnixSocketsTest, AListenerDoesNotNoticeOneThatWantsItsPath) {
  const Socket listener(OpenListener(endpoint_, {}, kNonBlocking));
  EXPECT_FALSE(OpenListener(endpoint_, {}, kBlocking).ok());
  EXPECT_EQ(accept(listener.get(), nullptr, nullptr), -1);
}

// One of them gets it, and nobody removes that one's file.
TEST_F(UnixSocketsTest, OneOfManyTakesAPathOver) {
  constexpr int kThreads = 4;
  for (int round = 0; round < 100; ++round) {
    Socket(OpenListener(endpoint_, {}, kBlocking)).Close();
    std::array<int, kThreads> listeners;
    std::vector<std::thread> threads;
    std::atomic<int> waiting{kThreads};
    for (int& listener : listeners) {
      threads.emplace_back([this, &listener, &waiting] {
        --waiting;
        while (waiting != 0) std::this_thread::yield();
        const absl::StatusOr<BoundSocket> bound = OpenListener(endpoint_, {}, kNonBlocking);
        listener = bound.ok() ? bound->descriptor : -1;
      });
    }
    for (std::thread& thread : threads) thread.join();
    const auto winner =
        std::find_if(listeners.begin(), listeners.end(), [](int fd) { return fd >= 0; });
    ASSERT_NE(winner, listeners.end());
    ASSERT_EQ(std::count(listeners.begin(), listeners.end(), -1), kThreads - 1);
    const Socket listener(*winner);
    const Socket client = Connected(endpoint_);
    const Socket server(accept(listener.get(), nullptr, nullptr));
    ASSERT_GE(server.get(), 0) << "the path is another's";
  }
}

TEST_F(UnixSocketsTest, APathInUseIsLeftAlone) {
  const Socket listener(OpenListener(endpoint_, {}, kBlocking));
  const absl::StatusOr<BoundSocket> second = OpenListener(endpoint_, {}, kBlocking);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(MessageOf(second),
              StartsWith("cannot listen on unix:socket: the path is in use; stop the program"));
  Connected(endpoint_);
}

TEST_F(UnixSocketsTest, APathInUseWithAFullQueueIsLeftAlone) {
  const Socket listener(OpenListener(endpoint_, {.backlog = 1}, kBlocking));
  const SocketAddress address = ToSocketAddress(endpoint_).value();
  std::vector<Socket> waiting;
  int code = 0;
  while (code == 0) {
    waiting.emplace_back(OpenStream(Endpoint::Family::kUnix, kNonBlocking));
    if (connect(waiting.back().get(), address.get(), address.size) != 0) code = errno;
  }
#if defined(__linux__)
  ASSERT_EQ(code, EAGAIN);
#endif
  EXPECT_EQ(OpenListener(endpoint_, {}, kBlocking).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(Exists("socket"));
}

TEST_F(UnixSocketsTest, APathThatIsLeftOverIsTakenOver) {
  Socket gone(OpenListener(endpoint_, {}, kBlocking));
  gone.Close();
  ASSERT_TRUE(Exists("socket"));
  const Socket listener(OpenListener(endpoint_, {}, kBlocking));
  Connected(endpoint_);
}

TEST_F(UnixSocketsTest, AFileThatIsNoSocketIsNeverRemoved) {
  std::ofstream("file") << "precious";
  const Endpoint at_file = Parsed("unix:file");
  const absl::StatusOr<BoundSocket> listener = OpenListener(at_file, {}, kBlocking);
  EXPECT_EQ(listener.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(MessageOf(listener), HasSubstr("a file that is no socket has that path"));
  EXPECT_TRUE(UnixPath::JustBound(at_file).Remove().ok());
  EXPECT_TRUE(Exists("file"));
  ASSERT_EQ(symlink("file", "link"), 0);
  EXPECT_FALSE(OpenListener(Parsed("unix:link"), {}, kBlocking).ok());
  EXPECT_TRUE(UnixPath::JustBound(Parsed("unix:link")).Remove().ok());
  EXPECT_TRUE(Exists("link"));
}

TEST_F(UnixSocketsTest, AFolderThatIsMissingIsSaid) {
  const absl::StatusOr<BoundSocket> listener =
      OpenListener(Parsed("unix:missing/socket"), {}, kBlocking);
  EXPECT_EQ(listener.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(MessageOf(listener), HasSubstr("the folder of the path does not exist"));
}

TEST_F(UnixSocketsTest, DatagramsOnAPath) {
  Socket receiver(OpenDatagram(endpoint_, kBlocking));
  EXPECT_EQ(OpenDatagram(endpoint_, kBlocking).status().code(), absl::StatusCode::kAlreadyExists);
  // A stream listener does not take a datagram socket's path either.
  EXPECT_EQ(OpenListener(endpoint_, {}, kBlocking).status().code(),
            absl::StatusCode::kAlreadyExists);
  receiver.Close();
  const Socket again(OpenDatagram(endpoint_, kBlocking));
  EXPECT_EQ(LocalEndpoint(again.get()).value(), endpoint_);
}

#if defined(__linux__)
TEST(SocketsTest, AbstractNamesLeaveNothing) {
  const Endpoint endpoint = Parsed(absl::StrCat("unix:@ioring-sockets-test-", getpid()));
  absl::StatusOr<BoundSocket> bound = OpenListener(endpoint, {}, kBlocking);
  Socket listener(bound);
  EXPECT_EQ(LocalEndpoint(listener.get()).value(), endpoint);
  Connected(endpoint);
  EXPECT_THAT(MessageOf(OpenListener(endpoint, {}, kBlocking)), HasSubstr("the path is in use"));
  EXPECT_TRUE(bound->path.Remove().ok());
  listener.Close();
  const Socket again(OpenListener(endpoint, {}, kBlocking));
}
#endif

}  // namespace
}  // namespace ioring::posix
