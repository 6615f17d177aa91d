#include "ring_kqueue/kqueue_test_util.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "ring_kqueue/kevent_change.h"

namespace ioring::kqueue {
namespace {

#ifdef POLLRDHUP
constexpr short kPeersEnd = POLLRDHUP;
#else
constexpr short kPeersEnd = POLLHUP;
#endif

// Much longer than anything takes here, sanitizers included.
constexpr int kPatienceSeconds = 20;

sockaddr* Generic(sockaddr_in& address) { return reinterpret_cast<sockaddr*>(&address); }
const sockaddr* Generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

void AwaitPoll(const Descriptor& descriptor, short events) {
  pollfd request{descriptor.get(), events, 0};
  CHECK_EQ(poll(&request, 1, kPatienceSeconds * 1000), 1) << "the state never came";
}

sockaddr_in BoundTo(int descriptor) {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  PCHECK(getsockname(descriptor, Generic(address), &size) == 0);
  return address;
}

void SetUp(const Descriptor& descriptor) {
  PCHECK(descriptor.get() >= 0);
  PCHECK(fcntl(descriptor.get(), F_SETFD, FD_CLOEXEC) == 0);
  PCHECK(fcntl(descriptor.get(), F_SETFL, O_NONBLOCK) == 0);
}

Descriptor BindLoopback() {
  Descriptor socket = OpenStream();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  PCHECK(bind(socket.get(), Generic(address), sizeof(address)) == 0);
  return socket;
}

}  // namespace

Descriptor OpenStream() {
  Descriptor descriptor(socket(AF_INET, SOCK_STREAM, 0));
  SetUp(descriptor);
  return descriptor;
}

bool ConnectAtOnce(const Descriptor& descriptor, const sockaddr_in& address) {
  const int result = connect(descriptor.get(), Generic(address), sizeof(address));
  PCHECK(result == 0 || errno == EINPROGRESS);
  return result == 0;
}

int Descriptor::Close() {
  if (value_ >= 0) close(value_);
  return std::exchange(value_, -1);
}

struct kevent ToKevent(const Change& change) {
  struct kevent event =
      MakeChange(change.ident, change.filter, change.flags, change.fflags, change.udata);
  event.data = static_cast<decltype(event.data)>(change.data);
  return event;
}

uint64_t UdataOf(const struct kevent& event) { return FromUdata(event.udata); }

Kqueue::Kqueue() : descriptor_(::kqueue()) { PCHECK(descriptor_.get() >= 0); }

int Kqueue::Apply(const Change& change) const {
  const struct kevent event = ToKevent(change);
  return kevent(get(), &event, 1, nullptr, 0, nullptr) == 0 ? 0 : errno;
}

std::vector<struct kevent> Kqueue::TakeNow(size_t most) const {
  std::vector<struct kevent> events(most);
  const timespec now{0, 0};
  const int count = kevent(get(), nullptr, 0, events.data(), static_cast<int>(most), &now);
  PCHECK(count >= 0);
  events.resize(static_cast<size_t>(count));
  return events;
}

std::vector<struct kevent> Kqueue::Take(size_t most) const {
  std::vector<struct kevent> events(most);
  const timespec patience{kPatienceSeconds, 0};
  const int count = kevent(get(), nullptr, 0, events.data(), static_cast<int>(most), &patience);
  PCHECK(count >= 0);
  events.resize(static_cast<size_t>(count));
  return events;
}

Listener::Listener() : socket(BindLoopback()), address(BoundTo(socket.get())) {
  PCHECK(listen(socket.get(), 128) == 0);
}

Descriptor Listener::Connect() const {
  Descriptor client = OpenStream();
  if (!ConnectAtOnce(client, address)) AwaitPoll(client, POLLOUT);
  AwaitPoll(socket, POLLIN);
  return client;
}

sockaddr_in ClosedPort() {
  const Descriptor socket = BindLoopback();
  return BoundTo(socket.get());
}

Ends TcpPair() {
  const Listener listener;
  Descriptor far = listener.Connect();
  Descriptor near(accept(listener.socket.get(), nullptr, nullptr));
  SetUp(near);
  return Ends{std::move(near), std::move(far)};
}

Ends UnixPair(int type) {
  int ends[2];
  PCHECK(socketpair(AF_UNIX, type, 0, ends) == 0);
  Ends pair{Descriptor(ends[0]), Descriptor(ends[1])};
  SetUp(pair.near);
  SetUp(pair.far);
  return pair;
}

Ends PipePair() {
  int ends[2];
  PCHECK(pipe(ends) == 0);
  Ends pair{Descriptor(ends[0]), Descriptor(ends[1])};
  SetUp(pair.near);
  SetUp(pair.far);
  return pair;
}

void Send(const Descriptor& descriptor, std::string_view bytes) {
  PCHECK(write(descriptor.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
}

void AwaitBytes(const Descriptor& descriptor, size_t count) {
  for (int waiting = 0; waiting < static_cast<int>(count); sched_yield()) {
    AwaitPoll(descriptor, POLLIN);
    PCHECK(ioctl(descriptor.get(), FIONREAD, &waiting) == 0);
  }
}

void AwaitEnd(const Descriptor& descriptor) { AwaitPoll(descriptor, kPeersEnd); }

void Receive(const Descriptor& descriptor, size_t count) {
  std::string bytes(count, '\0');
  for (size_t done = 0; done < count;) {
    AwaitPoll(descriptor, POLLIN);
    const ssize_t got = read(descriptor.get(), bytes.data() + done, count - done);
    PCHECK(got > 0);
    done += static_cast<size_t>(got);
  }
}

size_t Fill(const Descriptor& descriptor) {
  const std::string bytes(65536, 'f');
  size_t total = 0;
  for (;;) {
    const ssize_t sent = write(descriptor.get(), bytes.data(), bytes.size());
    if (sent < 0) break;
    total += static_cast<size_t>(sent);
  }
  CHECK_EQ(errno, EAGAIN);
  return total;
}

void Reset(Ends& pair) {
  const linger at_once{1, 0};
  PCHECK(setsockopt(pair.far.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0);
  pair.far.Close();
  AwaitPoll(pair.near, kPeersEnd);
}

}  // namespace ioring::kqueue
