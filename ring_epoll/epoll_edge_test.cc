// What an edge-triggered poller makes easy to get wrong: ends that come with bytes, receives
// that stop short with more behind, descriptors that live on elsewhere, and one connection that
// has more to give than others.
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/statistics.h"
#include "ring/token.h"
#include "ring_epoll/epoll_ring.h"

namespace ioring {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A descriptor of the test's own.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    Reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Descriptor() { Reset(); }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

struct Ends {
  Descriptor ours;
  Descriptor peers;
};

Ends UnixPair(int type = SOCK_STREAM) {
  std::array<int, 2> pair;
  PCHECK(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair.data()) == 0);
  return {Descriptor(pair[0]), Descriptor(pair[1])};
}

Ends DatagramPair() { return UnixPair(SOCK_DGRAM); }

Ends TcpPair() {
  const Descriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  PCHECK(bind(listener.get(), any, size) == 0);
  PCHECK(listen(listener.get(), 1) == 0);
  PCHECK(getsockname(listener.get(), any, &size) == 0);
  Ends ends;
  ends.peers = Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  PCHECK(connect(ends.peers.get(), any, size) == 0);
  ends.ours = Descriptor(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  PCHECK(ends.ours.get() >= 0);
  const int no_delay = 1;  // else small pieces wait for one another
  PCHECK(setsockopt(ends.peers.get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof(no_delay)) == 0);
  return ends;
}

void Say(const Descriptor& socket, std::string_view text, int flags = 0) {
  PCHECK(send(socket.get(), text.data(), text.size(), flags | MSG_NOSIGNAL) ==
         static_cast<ssize_t>(text.size()));
}

class EpollEdgeTest : public testing::Test {
 protected:
  TestRing& ring() { return *ring_; }
  void TearDown() override { ring_->Finish(); }

  ConnectionId Register(Descriptor& socket) {
    const absl::StatusOr<ConnectionId> id = ring_->RegisterSocket(socket.get());
    CHECK_OK(id.status());
    socket.Release();
    return *id;
  }
  // The ring has seen, and waits for, events of the connection.
  void MakeWatched(ConnectionId id, const Descriptor& peer) {
    const Token recv = ring_->StartRecv(id, ring_->Memory(1));
    ring_->Quiet();
    Say(peer, "w");
    EXPECT_EQ(ring_->Await(recv).result(), 1);
  }
  std::string Recv(ConnectionId id, size_t size_max) {
    const std::span<std::byte> memory = ring_->Memory(size_max);
    const Arrival arrival = ring_->Recv(id, memory);
    if (arrival.result() <= 0) return std::string(ErrorName(arrival.error()));
    return std::string(AsText(memory.first(static_cast<size_t>(arrival.result()))));
  }

 private:
  static std::unique_ptr<TestRing> Make() {
    const RingOptions options{.submission_entries = 64, .max_connections = 64};
    absl::StatusOr<std::unique_ptr<EpollRing>> ring = EpollRing::Create(options);
    CHECK_OK(ring.status());
    return std::make_unique<TestRing>(*std::move(ring), options);
  }
  const std::unique_ptr<TestRing> ring_ = Make();
};

// ---- Bytes and ends.

// No wait came before them: the first watch tells of both.
TEST_F(EpollEdgeTest, BytesAndEndBeforeTheFirstWait) {
  const TestGroup group = ring().MakeGroup(2, 1024);
  for (const bool managed : {false, true}) {
    Ends ends = TcpPair();
    const ConnectionId id = Register(ends.ours);
    Say(ends.peers, "bytes");
    ends.peers.Reset();
    if (!managed) {
      EXPECT_EQ(Recv(id, 100), "bytes");
      EXPECT_EQ(ring().RecvEnd(id).result(), 0);
      continue;
    }
    const Token recv = ring().StartManaged(id, group.id, Shots::kMultishot);
    EXPECT_EQ(ring().Next(recv).bytes, "bytes");
    EXPECT_EQ(ring().Next(recv).result(), 0);
  }
}

// One edge brings both, and none follows: a receive that comes short must not be taken for one
// that emptied the socket.
TEST_F(EpollEdgeTest, BytesAndEndInOneEdge) {
  const TestGroup group = ring().MakeGroup(2, 1024);
  for (const bool managed : {false, true}) {
    Ends ends = TcpPair();
    const ConnectionId id = Register(ends.ours);
    MakeWatched(id, ends.peers);
    const Token recv = managed ? ring().StartManaged(id, group.id, Shots::kMultishot)
                               : ring().StartRecv(id, ring().Memory(100));
    ring().Submit();
    Say(ends.peers, "last words");
    ASSERT_EQ(shutdown(ends.peers.get(), SHUT_WR), 0);
    EXPECT_EQ(ring().Next(recv).result(), 10);
    EXPECT_EQ(managed ? ring().Next(recv).result() : ring().RecvEnd(id).result(), 0);
  }
}

// The end comes when a short receive has said "empty".
TEST_F(EpollEdgeTest, EndAfterAShortReceive) {
  Ends ends = TcpPair();
  const ConnectionId id = Register(ends.ours);
  MakeWatched(id, ends.peers);
  Say(ends.peers, "bytes");
  EXPECT_EQ(Recv(id, 100), "bytes");
  const Token end = ring().StartRecv(id, ring().Memory(100));
  ring().Quiet();
  EXPECT_FALSE(ring().HasArrived(end));
  ends.peers.Reset();
  EXPECT_EQ(ring().Await(end).result(), 0);
}

// Bytes that come between an event and the receive that it caused raise an edge of their own.
TEST_F(EpollEdgeTest, BytesBetweenEventAndReceive) {
  Ends ends = TcpPair();
  const ConnectionId id = Register(ends.ours);
  MakeWatched(id, ends.peers);
  for (int round = 0; round < 100; ++round) {
    Say(ends.peers, "a");
    ring().Pump();  // the event is seen; nobody receives
    Say(ends.peers, "b");
    EXPECT_EQ(Recv(id, 100), "ab");
    const Token late = ring().StartRecv(id, ring().Memory(100));
    ring().Pump();
    EXPECT_FALSE(ring().HasArrived(late));
    Say(ends.peers, "c");
    ASSERT_EQ(ring().Await(late).result(), 1);
  }
}

// A receive stops at the urgent byte, with more behind it.
TEST_F(EpollEdgeTest, UrgentByteDoesNotHideWhatFollows) {
  Ends ends = TcpPair();
  const ConnectionId id = Register(ends.ours);
  MakeWatched(id, ends.peers);
  const Token recv = ring().StartRecv(id, ring().Memory(100));
  ring().Submit();
  Say(ends.peers, "before");
  Say(ends.peers, "!", MSG_OOB);
  Say(ends.peers, "after");
  EXPECT_EQ(ring().Await(recv).result(), 6);
  EXPECT_EQ(Recv(id, 100), "after");
}

// A receive on a Unix-domain stream stops where a descriptor came along.
TEST_F(EpollEdgeTest, PassedDescriptorDoesNotHideWhatFollows) {
  Ends ends = UnixPair();
  const ConnectionId id = Register(ends.ours);
  MakeWatched(id, ends.peers);
  const TestGroup group = ring().MakeGroup(4, 1024);
  const Token recv = ring().StartManaged(id, group.id, Shots::kMultishot);
  ring().Submit();
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  std::string text = "with it";
  iovec vector{text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int passed = ends.peers.get();
  std::memcpy(CMSG_DATA(header), &passed, sizeof(passed));
  ASSERT_EQ(sendmsg(ends.peers.get(), &message, 0), 7);
  Say(ends.peers, "behind it");
  std::string got;
  while (got.size() < 16) {
    const Arrival arrival = ring().Next(recv);
    ASSERT_GT(arrival.result(), 0);
    got += arrival.bytes;
  }
  EXPECT_EQ(got, "with itbehind it");
}

// A blocked send goes on when the peer reads, after the socket has told of other things.
TEST_F(EpollEdgeTest, BlockedSendBesideOtherEvents) {
  Ends ends = TcpPair();
  const ConnectionId id = Register(ends.ours);
  const Token send = ring().StartSend(id, ring().Memory(16 << 20), TransferFlags::kAll);
  ring().Quiet();
  MakeWatched(id, ends.peers);
  std::vector<char> memory(1 << 20);
  size_t received = 0;
  while (received < size_t{16} << 20) {
    const ssize_t part = recv(ends.peers.get(), memory.data(), memory.size(), MSG_DONTWAIT);
    if (part > 0) received += static_cast<size_t>(part);
    ring().Pump();
  }
  EXPECT_EQ(ring().Await(send).result(), 16 << 20);
}

// ---- Descriptors.

// A copy of a closed connection's socket keeps its file, and so its events, alive: they must
// not reach the next connection in the slot, nor keep waits busy.
TEST_F(EpollEdgeTest, CopyOfAClosedDescriptorStaysSilent) {
  for (int round = 0; round < 3; ++round) {
    Ends ends = TcpPair();
    const Descriptor copy(dup(ends.ours.get()));
    const ConnectionId id = Register(ends.ours);
    MakeWatched(id, ends.peers);
    EXPECT_EQ(ring().Close(id).result(), 0);
    Ends next = TcpPair();
    const ConnectionId next_id = Register(next.ours);
    const Token recv = ring().StartRecv(next_id, ring().Memory(100));
    ring().Submit();
    Say(ends.peers, "for the copy");
    const uint64_t before = ring().GetStatistics().kernel_entries;
    EXPECT_EQ(ring().SubmitAndWait({.timeout = milliseconds(20)}), 0u);
    EXPECT_LE(ring().GetStatistics().kernel_entries - before, 2u);
    Say(next.peers, "mine");
    EXPECT_EQ(ring().Await(recv).result(), 4);
    EXPECT_EQ(ring().Close(next_id).result(), 0);
  }
}

// Descriptors' numbers are used again at once; each connection gets its own events.
TEST_F(EpollEdgeTest, NumbersOfDescriptorsAreUsedAgain) {
  int number = -1;
  for (int round = 0; round < 50; ++round) {
    Ends ends = TcpPair();
    const int this_number = ends.ours.get();
    const ConnectionId id = Register(ends.ours);
    const Token recv = ring().StartRecv(id, ring().Memory(8));
    ring().Pump();
    EXPECT_FALSE(ring().HasArrived(recv));
    Say(ends.peers, "12345678");
    EXPECT_EQ(ring().Await(recv).result(), 8);
    EXPECT_EQ(ring().Close(id).result(), 0);
    if (round > 0) {
      EXPECT_EQ(this_number, number) << "the test does not test what it says";
    }
    number = this_number;
  }
}

// What can be polled is any descriptor that epoll takes; receives and sends need a socket.
TEST_F(EpollEdgeTest, PipesAndEventDescriptors) {
  const auto poll = [&](ConnectionId id, PollEvents events) {
    return ring().Start(
        [&](Token token) { return ring().PreparePollAdd(id, events, Shots::kOneShot, token); });
  };
  std::array<int, 2> pipe_ends;
  ASSERT_EQ(pipe2(pipe_ends.data(), O_CLOEXEC), 0);
  Descriptor reader(pipe_ends[0]);
  Descriptor writer(pipe_ends[1]);
  const ConnectionId pipe_id = Register(reader);
  const Token readable = poll(pipe_id, kPollReadable);
  ring().Quiet();
  EXPECT_FALSE(ring().HasArrived(readable));
  ASSERT_EQ(write(writer.get(), "x", 1), 1);
  EXPECT_EQ(ring().Await(readable).poll_events(), kPollReadable);
  EXPECT_EQ(ring().Recv(pipe_id, ring().Memory(1)).error(), Error::kNotSupported);
  EXPECT_EQ(ring().Send(pipe_id, "x").error(), Error::kNotSupported);
  const Token hang_up = poll(pipe_id, kPollHangUp);
  ring().Quiet();
  writer.Reset();
  EXPECT_TRUE(Any(ring().Await(hang_up).poll_events() & kPollHangUp));

  const int event = eventfd(0, EFD_CLOEXEC);
  Descriptor event_descriptor(event);
  const ConnectionId event_id = Register(event_descriptor);
  const Token rung = poll(event_id, kPollReadable);
  ring().Submit();
  ASSERT_EQ(eventfd_write(event, 1), 0);
  EXPECT_EQ(ring().Await(rung).poll_events(), kPollReadable);
}

// A regular file is always ready, which epoll refuses to watch (EPERM): polls say so at once,
// and a multishot one has nothing more to say until it is cancelled.
TEST_F(EpollEdgeTest, RegularFileIsAlwaysReady) {
  Descriptor file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  const ConnectionId id = Register(file);
  const Token poll = ring().Start([&](Token token) {
    return ring().PreparePollAdd(id, kPollReadable, Shots::kMultishot, token);
  });
  EXPECT_EQ(ring().Next(poll).poll_events(), kPollReadable);
  ring().Quiet();
  EXPECT_FALSE(ring().HasArrived(poll));
  EXPECT_EQ(ring().Recv(id, ring().Memory(1)).error(), Error::kNotSupported);
  EXPECT_EQ(ring().Await(ring().StartCancel(poll)).result(), 0);
  EXPECT_EQ(ring().Next(poll).error(), Error::kCanceled);
}

// Out of descriptors, an accept ends and says so, and a loop that waits does not spin; with
// descriptors again the connection is there.
TEST_F(EpollEdgeTest, AcceptWithoutDescriptors) {
  const ListenerId listener = ring().Listen();
  const Endpoint endpoint = ring().EndpointOf(listener);
  const auto accept = [&] {
    return ring().Start(
        [&](Token token) { return ring().PrepareAccept(listener, Shots::kMultishot, token); });
  };
  Token accepted = accept();
  ring().Pump();
  const Token connect =
      ring().Start([&](Token token) { return ring().PrepareConnect(endpoint, token); });
  // The connect takes the last descriptor that there is.
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const Descriptor next_free(dup(0));
  const rlimit tight{static_cast<rlim_t>(next_free.get()) + 2, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  EXPECT_TRUE(ring().Await(connect).ok());
  const Arrival failed = ring().Next(accepted);
  EXPECT_EQ(failed.error(), Error::kTooManyFiles);
  EXPECT_FALSE(failed.more());
  const uint64_t entries = ring().GetStatistics().kernel_entries;
  EXPECT_EQ(ring().SubmitAndWait({.timeout = milliseconds(20)}), 0u);
  EXPECT_LE(ring().GetStatistics().kernel_entries - entries, 2u);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  accepted = accept();
  EXPECT_TRUE(ring().Next(accepted).ok());
}

// A Unix-domain listener whose queue is full tells connects nothing: they are tried again.
TEST_F(EpollEdgeTest, ConnectsThatFindAFullQueue) {
  const absl::StatusOr<Endpoint> endpoint =
      Endpoint::Unix("/tmp/ioring_queue_" + std::to_string(getpid()));  // short enough
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  const absl::StatusOr<ListenerId> listener = ring().CreateListener(*endpoint, {.backlog = 1});
  ASSERT_TRUE(listener.ok()) << listener.status();
  constexpr int kConnects = 8;
  std::vector<Token> connects;
  for (int i = 0; i < kConnects; ++i) {
    connects.push_back(
        ring().Start([&](Token token) { return ring().PrepareConnect(*endpoint, token); }));
  }
  ring().Quiet();
  EXPECT_FALSE(ring().HasArrived(connects.back())) << "the queue took them all";
  const Token accept = ring().Start(
      [&](Token token) { return ring().PrepareAccept(*listener, Shots::kMultishot, token); });
  for (const Token connect : connects) EXPECT_TRUE(ring().Await(connect).ok());
  for (int i = 0; i < kConnects; ++i) EXPECT_TRUE(ring().Next(accept).ok());
  EXPECT_TRUE(ring().CloseListener(*listener).ok());
}

// ---- Fairness.

// One connection has megabytes, the other a word: the word does not wait for the megabytes, nor
// for their buffers.
TEST_F(EpollEdgeTest, OneConnectionDoesNotHoldUpTheOther) {
  Ends flood = TcpPair();
  Ends word = TcpPair();
  const ConnectionId flood_id = Register(flood.ours);
  const ConnectionId word_id = Register(word.ours);
  const TestGroup group = ring().MakeGroup(8, 256);
  Say(flood.peers, std::string(100'000, 'f'));
  const Token flood_recv = ring().StartManaged(flood_id, group.id, Shots::kMultishot);
  const Token word_recv = ring().StartManaged(word_id, group.id, Shots::kMultishot);
  ring().Submit();
  Say(word.peers, "word");
  ring().HoldBuffers();
  std::vector<Arrival> flooded;
  Arrival spoken;
  for (int round = 0; round < 1000 && spoken.result() == 0; ++round) {
    ring().Pump({.timeout = seconds(10)});
    while (ring().HasArrived(flood_recv)) {
      ring().ReturnBuffer(ring().Next(flood_recv).buffer);
      flooded.emplace_back();
    }
    if (ring().HasArrived(word_recv)) spoken = ring().Next(word_recv);
  }
  EXPECT_EQ(spoken.result(), 4);
  ring().ReturnBuffer(spoken.buffer);
  EXPECT_LT(flooded.size(), 40u) << "of 400 pieces";
  EXPECT_EQ(ring().Close(flood_id, CloseMode::kReset).result(), 0);
}

// A buffer that comes back is for whoever waited, although another connection has more bytes.
TEST_F(EpollEdgeTest, WhoWaitsForABufferGetsIt) {
  Ends flood = TcpPair();
  Ends word = TcpPair();
  const ConnectionId flood_id = Register(flood.ours);
  const ConnectionId word_id = Register(word.ours);
  const TestGroup group = ring().MakeGroup(1, 256);
  ring().HoldBuffers();
  Say(flood.peers, std::string(50'000, 'f'));
  Say(word.peers, "word");
  const Token flood_recv = ring().StartManaged(flood_id, group.id, Shots::kMultishot);
  const Arrival first = ring().Next(flood_recv);
  const Token word_recv = ring().StartManaged(word_id, group.id, Shots::kOneShot);
  ring().Quiet();
  // Both wait now, the flood first.
  ring().ReturnBuffer(first.buffer);
  ring().ReturnBuffer(ring().Next(flood_recv).buffer);
  const Arrival spoken = ring().Await(word_recv);
  EXPECT_EQ(spoken.result(), 4);
  EXPECT_FALSE(ring().HasArrived(flood_recv)) << "it was not its turn";
  ring().ReturnBuffer(spoken.buffer);
  EXPECT_EQ(ring().Close(flood_id, CloseMode::kReset).result(), 0);
}

// An idle connection neither fails nor waits in line when its group has nothing left; ends are
// told without a buffer.
TEST_F(EpollEdgeTest, OnlyBytesNeedABuffer) {
  for (const ExhaustionPolicy policy : {ExhaustionPolicy::kFail, ExhaustionPolicy::kWait}) {
    Ends busy = TcpPair();
    Ends idle = TcpPair();
    const ConnectionId busy_id = Register(busy.ours);
    const ConnectionId idle_id = Register(idle.ours);
    const TestGroup group = ring().MakeGroup(1, 256, policy);
    ring().HoldBuffers();
    Say(busy.peers, "busy");
    const Arrival held = ring().Await(ring().StartManaged(busy_id, group.id, Shots::kOneShot));
    const Token recv = ring().StartManaged(idle_id, group.id, Shots::kMultishot);
    ring().Quiet();
    EXPECT_FALSE(ring().HasArrived(recv));
    EXPECT_EQ(ring().GetStatistics().buffer_exhaustions, 0u);
    idle.peers.Reset();
    EXPECT_EQ(ring().Next(recv).result(), 0);
    ring().ReturnBuffer(held.buffer);
  }
}

// Nor do empty datagrams, which are told as they come.
TEST_F(EpollEdgeTest, EmptyDatagramsNeedNoBuffer) {
  for (const ExhaustionPolicy policy : {ExhaustionPolicy::kFail, ExhaustionPolicy::kWait}) {
    Ends ends = DatagramPair();
    const ConnectionId id = Register(ends.ours);
    const TestGroup group = ring().MakeGroup(1, 64, policy);
    ring().HoldBuffers();
    const Token recv = ring().StartManaged(id, group.id, Shots::kMultishot);
    Say(ends.peers, "takes it");
    const Arrival held = ring().Next(recv);
    ASSERT_EQ(held.result(), 8);
    for (int i = 0; i < 3; ++i) Say(ends.peers, "");
    for (int i = 0; i < 3; ++i) {
      const Arrival empty = ring().Next(recv);
      EXPECT_EQ(empty.result(), 0) << ErrorName(empty.error());
      EXPECT_EQ(empty.completion.flags, uint32_t{kEmptyDatagram | kMore});
    }
    EXPECT_EQ(ring().GetStatistics().buffer_exhaustions, 0u);
    ring().ReturnBuffer(held.buffer);
    Say(ends.peers, "has it");
    const Arrival next = ring().Next(recv);
    EXPECT_EQ(next.result(), 6);
    ring().ReturnBuffer(next.buffer);
  }
}

}  // namespace
}  // namespace ioring
