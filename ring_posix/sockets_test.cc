#include "ring_posix/sockets.h"

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

#include <array>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring_posix/errno_table.h"
#include "ring_posix/socket_address.h"

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

 private:
  std::string folder_;
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
  absl::StatusOr<int> opened;
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
  const absl::StatusOr<int> second = OpenListener(taken, {}, kBlocking);
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
  const absl::StatusOr<int> listener = OpenListener(Parsed("192.0.2.1:0"), {}, kBlocking);
  EXPECT_EQ(listener.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(listener),
              AllOf(StartsWith("cannot listen on 192.0.2.1:0: the address is not one of this "
                               "machine; choose"),
                    HasSubstr("EADDRNOTAVAIL")));
  const absl::StatusOr<int> datagram = OpenDatagram(Parsed("192.0.2.1:0"), kBlocking);
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
  const absl::StatusOr<int> listener = OpenListener(Parsed("127.0.0.1:0"), {}, kBlocking);
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
  const absl::StatusOr<int> listener = OpenListener(Parsed("127.0.0.1:1"), {}, kBlocking);
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
  const absl::StatusOr<int> second = OpenDatagram(LocalEndpoint(first.get()).value(), kBlocking);
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

TEST(SocketsTest, TakenOverSocketsAreSetUp) {
  const Socket plain(socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_FALSE(IsCloseOnExec(plain.get()));
  ASSERT_FALSE(HasNoDelay(plain.get()));
  ASSERT_TRUE(PrepareTakenOverSocket(plain.get(), kNonBlocking).ok());
  EXPECT_TRUE(IsCloseOnExec(plain.get()));
  EXPECT_TRUE(IsNonBlocking(plain.get()));
  EXPECT_TRUE(HasNoDelay(plain.get()));
  ASSERT_TRUE(PrepareTakenOverSocket(plain.get(), kBlocking).ok());
  EXPECT_FALSE(IsNonBlocking(plain.get()));
}

TEST(SocketsTest, OtherDescriptorsCanBeTakenOverToo) {
  std::array<int, 2> ends;
  ASSERT_EQ(pipe(ends.data()), 0);
  const Socket in(ends[0]);
  const Socket out(ends[1]);
  EXPECT_TRUE(PrepareTakenOverSocket(in.get(), kNonBlocking).ok());
  EXPECT_TRUE(IsCloseOnExec(in.get()));
  EXPECT_TRUE(IsNonBlocking(in.get()));
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  const Socket left(ends[0]);
  const Socket right(ends[1]);
  EXPECT_TRUE(PrepareTakenOverSocket(left.get(), kBlocking).ok());
  const Socket datagram(socket(AF_INET, SOCK_DGRAM, 0));
  EXPECT_TRUE(PrepareTakenOverSocket(datagram.get(), kBlocking).ok());
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
  EXPECT_TRUE(PrepareTakenOverSocket(server.get(), kNonBlocking).ok());
}

TEST(SocketsTest, ADescriptorThatIsNotOpenIsRefused) {
  const absl::Status status = PrepareTakenOverSocket(-1, kNonBlocking);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("the descriptor -1 is not open"));
}

TEST_F(UnixSocketsTest, ListensAndGoesWithItsPath) {
  const Socket listener(OpenListener(endpoint_, {}, kBlocking));
  EXPECT_EQ(LocalEndpoint(listener.get()).value(), endpoint_);
  const Socket client = Connected(endpoint_);
  const Socket server(accept(listener.get(), nullptr, nullptr));
  EXPECT_EQ(PeerEndpoint(client.get()).value(), endpoint_);
  EXPECT_EQ(PeerEndpoint(server.get()).value(), Endpoint());
  EXPECT_TRUE(RemoveUnixPath(endpoint_).ok());
  EXPECT_FALSE(Exists("socket"));
  EXPECT_TRUE(RemoveUnixPath(endpoint_).ok()) << "a missing path is no error";
}

TEST_F(UnixSocketsTest, APathInUseIsLeftAlone) {
  const Socket listener(OpenListener(endpoint_, {}, kBlocking));
  const absl::StatusOr<int> second = OpenListener(endpoint_, {}, kBlocking);
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
  EXPECT_EQ(OpenListener(endpoint_, {}, kBlocking).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(Exists("socket"));
#endif
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
  const absl::StatusOr<int> listener = OpenListener(at_file, {}, kBlocking);
  EXPECT_EQ(listener.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(MessageOf(listener), HasSubstr("a file that is no socket has that path"));
  EXPECT_TRUE(RemoveUnixPath(at_file).ok());
  EXPECT_TRUE(Exists("file"));
  ASSERT_EQ(symlink("file", "link"), 0);
  EXPECT_FALSE(OpenListener(Parsed("unix:link"), {}, kBlocking).ok());
  EXPECT_TRUE(RemoveUnixPath(Parsed("unix:link")).ok());
  EXPECT_TRUE(Exists("link"));
}

TEST_F(UnixSocketsTest, AFolderThatIsMissingIsSaid) {
  const absl::StatusOr<int> listener = OpenListener(Parsed("unix:missing/socket"), {}, kBlocking);
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
  Socket listener(OpenListener(endpoint, {}, kBlocking));
  EXPECT_EQ(LocalEndpoint(listener.get()).value(), endpoint);
  Connected(endpoint);
  EXPECT_THAT(MessageOf(OpenListener(endpoint, {}, kBlocking)), HasSubstr("the path is in use"));
  EXPECT_TRUE(RemoveUnixPath(endpoint).ok());
  listener.Close();
  const Socket again(OpenListener(endpoint, {}, kBlocking));
}
#endif

}  // namespace
}  // namespace ioring::posix
