#include "ring_uring/uring_test_util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "process/testing/open_descriptors.h"
#include "ring/drain.h"

namespace ioring {

void PrintTo(Error error, std::ostream* out) { *out << ErrorName(error); }

namespace uring {
namespace {

using std::chrono::steady_clock;

void SetPatience(int socket) {
  const timeval patience{kPatience.count(), 0};
  PCHECK(setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
}

sockaddr_in ToAddress(const Endpoint& endpoint) {
  CHECK(endpoint.family() == Endpoint::Family::kIpv4);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint.port());
  memcpy(&address.sin_addr, endpoint.address().data(), sizeof(address.sin_addr));
  return address;
}

Descriptor NewTcpSocket() {
  Descriptor made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  PCHECK(made.get() >= 0);
  const int on = 1;
  PCHECK(setsockopt(made.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
  SetPatience(made.get());
  return made;
}

}  // namespace

void Descriptor::reset(int fd) {
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

SocketPair TcpPair() {
  const Descriptor listener = NewTcpSocket();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  PCHECK(bind(listener.get(), generic, size) == 0);
  PCHECK(listen(listener.get(), 1) == 0);
  PCHECK(getsockname(listener.get(), generic, &size) == 0);
  SocketPair pair{NewTcpSocket(), Descriptor()};
  PCHECK(connect(pair.a.get(), generic, size) == 0);
  pair.b.reset(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  PCHECK(pair.b.get() >= 0);
  SetPatience(pair.b.get());
  return pair;
}

SocketPair UnixPair() {
  int fds[2];
  PCHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  for (int fd : fds) SetPatience(fd);
  return {Descriptor(fds[0]), Descriptor(fds[1])};
}

Descriptor ConnectTo(const Endpoint& endpoint) {
  Descriptor client = NewTcpSocket();
  const sockaddr_in address = ToAddress(endpoint);
  PCHECK(connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  return client;
}

int ConnectError(const Endpoint& endpoint) {
  const Descriptor client = NewTcpSocket();
  const sockaddr_in address = ToAddress(endpoint);
  const int result =
      connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  return result == 0 ? 0 : errno;
}

void CloseWithReset(Descriptor socket) {
  const linger at_once{1, 0};
  PCHECK(setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0);
}

ssize_t ReceiveSome(int socket, void* memory, size_t size) {
  ssize_t received;
  do {
    received = recv(socket, memory, size, 0);
  } while (received < 0 && errno == EINTR);
  return received;
}

bool SendAll(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

std::string ReceiveExactly(int socket, size_t size) {
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t received = ReceiveSome(socket, &bytes[done], size - done);
    if (received <= 0) break;
    done += static_cast<size_t>(received);
  }
  bytes.resize(done);
  return bytes;
}

bool ReceivesEnd(int socket) {
  char byte;
  return ReceiveSome(socket, &byte, 1) == 0;
}

std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

std::span<std::byte> AsWritableBytes(std::string& text) {
  return std::as_writable_bytes(std::span<char>(text.data(), text.size()));
}

std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string Pattern(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i * 31 + i / 251) & 0xff);
  return bytes;
}

std::string DescriptorTarget(int fd) {
  char target[256];
  const std::string link = absl::StrCat("/proc/self/fd/", fd);
  const ssize_t size = readlink(link.c_str(), target, sizeof(target));
  return size < 0 ? "" : std::string(target, static_cast<size_t>(size));
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

SubmissionEntries::SubmissionEntries(size_t count) {
  const std::vector<int> open = OpenDescriptors();
  const auto is_ring = [](int fd) { return DescriptorTarget(fd) == "anon_inode:[io_uring]"; };
  CHECK_EQ(std::count_if(open.begin(), open.end(), is_ring), 1);
  const int ring = *std::find_if(open.begin(), open.end(), is_ring);
  void* const memory = mmap(nullptr, count * sizeof(io_uring_sqe), PROT_READ | PROT_WRITE,
                            MAP_SHARED, ring, IORING_OFF_SQES);
  PCHECK(memory != MAP_FAILED);
  entries_ = {static_cast<io_uring_sqe*>(memory), count};
}

SubmissionEntries::~SubmissionEntries() { munmap(entries_.data(), entries_.size_bytes()); }

UringTester::UringTester(const RingOptions& options) {
  constexpr RingOptions kDefaults;
  constexpr uint32_t kFew = 64;
  RingOptions small = options;
  if (small.submission_entries == kDefaults.submission_entries) small.submission_entries = kFew;
  if (small.max_connections == kDefaults.max_connections) small.max_connections = kFew;
  const steady_clock::time_point end = steady_clock::now() + kPatience;
  absl::StatusOr<std::unique_ptr<UringRing>> ring = UringRing::Create(small);
  while (absl::IsResourceExhausted(ring.status()) && steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // other tests have locked it
    ring = UringRing::Create(small);
  }
  CHECK_OK(ring.status());
  ring_ = *std::move(ring);
}

UringTester::~UringTester() {
  const absl::Status drained =
      Drain(*ring_, steady_clock::now() + (out_of_patience_ ? std::chrono::seconds(1) : kPatience));
  if (drained.ok()) return;
  ADD_FAILURE() << drained;
  // Destroying it now would end the program, and hide what the other tests say.
  static_cast<void>(ring_.release());
}

void UringTester::ReportRefused() { ADD_FAILURE() << "an operation was not accepted"; }

void UringTester::Take() {
  for (;;) {
    const std::span<const Completion> completions = ring_->PeekCompletions();
    if (completions.empty()) return;
    for (const Completion& completion : completions) {
      Event event{completion, {}};
      if ((completion.flags & kBuffer) != 0) event.buffer = ring_->TakeBuffer(completion);
      events_.push_back(event);
    }
    ring_->AdvanceCompletionQueue(completions.size());
  }
}

Event UringTester::Next(Token token) {
  const auto patience = out_of_patience_ ? std::chrono::milliseconds(100) : kPatience;
  const steady_clock::time_point end = steady_clock::now() + patience;
  for (;;) {
    Take();
    const auto found = std::find_if(events_.begin(), events_.end(),
                                    [&](const Event& event) { return event.token == token; });
    if (found != events_.end()) {
      const Event event = *found;
      events_.erase(found);
      return event;
    }
    const steady_clock::time_point now = steady_clock::now();
    if (now >= end) break;
    ring_->SubmitAndWait({.timeout = end - now});
  }
  ADD_FAILURE() << "the completion with token " << token.value << " did not come in time";
  out_of_patience_ = true;
  return Event{{token, ToResult(Error::kUnknown), 0}, {}};
}

size_t UringTester::Ready(Token token) {
  ring_->Submit();
  Take();
  return static_cast<size_t>(std::count_if(
      events_.begin(), events_.end(), [&](const Event& event) { return event.token == token; }));
}

void UringTester::PumpFor(std::chrono::milliseconds quiet) {
  const steady_clock::time_point end = steady_clock::now() + quiet;
  for (auto now = steady_clock::now(); now < end; now = steady_clock::now()) {
    ring_->SubmitAndWait({.timeout = end - now});
    Take();
  }
}

std::string UringTester::Receive(ConnectionId connection, size_t size_max) {
  std::string bytes(size_max, '\0');
  const Event event = Run(
      [&](Token token) { return ring_->PrepareRecv(connection, AsWritableBytes(bytes), token); });
  EXPECT_EQ(event.error(), Error::kOk);
  bytes.resize(event.ok() ? static_cast<size_t>(event.result) : 0);
  return bytes;
}

Event UringTester::Send(ConnectionId connection, std::string_view bytes) {
  return Run([&](Token token) { return ring_->PrepareSend(connection, AsBytes(bytes), token); });
}

Event UringTester::Close(ConnectionId connection, CloseMode mode) {
  return Run([&](Token token) { return ring_->PrepareClose(connection, mode, token); });
}

ListenerId UringTester::Listen() {
  absl::StatusOr<ListenerId> listener = ring_->CreateListener(Endpoint::Ipv4Loopback(0), {});
  CHECK_OK(listener.status());
  return *listener;
}

Endpoint UringTester::EndpointOf(ListenerId listener) {
  absl::StatusOr<Endpoint> endpoint = ring_->LocalEndpoint(listener);
  CHECK_OK(endpoint.status());
  return *endpoint;
}

UringTester::Accepted UringTester::Accept(ListenerId listener) {
  Descriptor peer = ConnectTo(EndpointOf(listener));
  const Event event =
      Run([&](Token token) { return ring_->PrepareAccept(listener, Shots::kOneShot, token); });
  EXPECT_EQ(event.error(), Error::kOk);
  return {event.connection(), std::move(peer)};
}

UringTester::Accepted UringTester::Accept() {
  if (!listener_.is_set()) listener_ = Listen();
  return Accept(listener_);
}

UringTester::Accepted UringTester::Register(SocketPair pair) {
  absl::StatusOr<ConnectionId> id = ring_->RegisterSocket(pair.a.get());
  CHECK_OK(id.status());
  pair.a.release();
  return {*id, std::move(pair.b)};
}

}  // namespace uring
}  // namespace ioring
