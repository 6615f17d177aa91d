// What bit this library on io_uring: a cancel that finds nothing, although its target lives.
//
// The kernel does not find what lies between its poll and its next try. That takes it a moment
// which no test can hold. But it does not find either what waits in a link for the request before
// it. So the target is linked to a timeout that ends with the next completion, which is the first
// cancel's -ENOENT: the second cancel finds the target.
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/token.h"
#include "ring_core/posix/socket_address.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_test_util.h"

namespace ioring::uring {
namespace {

constexpr uint32_t kEntries = 32;
constexpr size_t kMoreThanASocketHoldsBytes = 8 << 20;
// Few of them fill a socket's memory, before they fill the receiver's queue.
constexpr size_t kMessageBytes = 60'000;

template <typename Id>
Id Made(const absl::StatusOr<Id>& id) {
  CHECK_OK(id.status());
  return *id;
}

// A connection whose peer does not read, and which has no room left.
SocketPair FullPair() {
  SocketPair pair = UnixPair();
  const std::string bytes(1 << 16, '.');
  while (send(pair.a.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
  }
  return pair;
}

posix::SocketAddress NameOf(const Descriptor& socket) {
  posix::SocketAddress address{};
  address.size = sizeof(address.storage);
  PCHECK(getsockname(socket.get(), address.get(), &address.size) == 0);
  return address;
}

// One end of a pipe. The other one stays open.
struct Pipe {
  Descriptor read;
  Descriptor write;
};
Pipe MakePipe() {
  int ends[2];
  PCHECK(pipe2(ends, O_CLOEXEC) == 0);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

class Scene {
 public:
  Scene();

  FileId Register(Descriptor descriptor) {
    return Made(ring->RegisterFile(static_cast<NativeHandle>(descriptor.release())));
  }

  std::array<std::byte, 64> memory;
  std::array<std::byte, 256> buffers;
  std::string bytes = std::string(kMoreThanASocketHoldsBytes, 'x');
  Endpoint source;
  Descriptor kept_write, kept_read;  // the other ends of pipes

  UringTester ring{{.submission_entries = kEntries, .linger_time = std::chrono::milliseconds{1}}};
  SubmissionEntries entries{kEntries};
  UringTester::Accepted pair = ring.Register(UnixPair());
  UringTester::Accepted full_pair = ring.Register(FullPair());
  ConnectionId connection = pair.id;
  ConnectionId full = full_pair.id;
  ConnectionId datagrams = Made(ring->OpenDatagram(Endpoint::Ipv4Loopback(0)));
  ListenerId listener = ring.Listen();
  BufferGroupId group = Made(ring->RegisterBufferGroup({.memory = buffers, .buffer_bytes = 64}));
  FileId pipe;       // to read from, without bytes
  FileId full_pipe;  // to write to, without room
  FileId file;
  // Has sent so much that what it sends next waits for room.
  ConnectionId messages;
  Descriptor receiver;
  Endpoint receiver_name;
  // Has as many connections as it takes: others wait.
  Descriptor full_listener;
  Descriptor first_connection;
  Endpoint full_endpoint;

 private:
  void MakeFiles();
  void MakeMessages();
  void MakeFullListener();
};

Scene::Scene() {
  MakeFiles();
  MakeMessages();
  MakeFullListener();
}

void Scene::MakeFiles() {
  Pipe empty_pipe = MakePipe();
  pipe = Register(std::move(empty_pipe.read));
  kept_write = std::move(empty_pipe.write);
  Pipe other_pipe = MakePipe();
  PCHECK(fcntl(other_pipe.write.get(), F_SETFL, O_NONBLOCK) == 0);
  while (write(other_pipe.write.get(), bytes.data(), 4096) > 0) {
  }
  PCHECK(fcntl(other_pipe.write.get(), F_SETFL, 0) == 0);
  full_pipe = Register(std::move(other_pipe.write));
  kept_read = std::move(other_pipe.read);
  Descriptor memory_file(memfd_create("file", MFD_CLOEXEC));
  PCHECK(write(memory_file.get(), bytes.data(), 1000) == 1000);
  file = Register(std::move(memory_file));
}

void Scene::MakeMessages() {
  receiver = Descriptor(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un any{};
  any.sun_family = AF_UNIX;
  PCHECK(bind(receiver.get(), reinterpret_cast<sockaddr*>(&any), sizeof(sa_family_t)) == 0);
  const posix::SocketAddress name = NameOf(receiver);
  receiver_name = posix::FromSocketAddress(name.get(), name.size);
  Descriptor sender(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  while (sendto(sender.get(), bytes.data(), kMessageBytes, MSG_DONTWAIT, name.get(), name.size) >
         0) {
  }
  messages = Made(ring->RegisterSocket(sender.get()));
  sender.release();
}

void Scene::MakeFullListener() {
  full_listener = Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  PCHECK(bind(full_listener.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)) == 0);
  PCHECK(listen(full_listener.get(), 0) == 0);
  const posix::SocketAddress name = NameOf(full_listener);
  full_endpoint = posix::FromSocketAddress(name.get(), name.size);
  first_connection = ConnectTo(full_endpoint);
}

// What waits, for ever, and is to be ended.
struct Target {
  const char* name;
  std::function<Prepared(Scene&, Token)> prepare;
  ConnectionId Scene::*of = nullptr;  // null: of no connection
  Direction direction = Direction::kRecv;
  bool has_part = false;  // it has transferred something by then, and says so
};

std::vector<Target> Receives() {
  return {
      {"Plain",
       [](Scene& s, Token token) { return s.ring->PrepareRecv(s.connection, s.memory, token); },
       &Scene::connection},
      {"All",
       [](Scene& s, Token token) {
         return s.ring->PrepareRecv(s.connection, s.memory, token, TransferFlags::kAll);
       },
       &Scene::connection},
      {"Managed",
       [](Scene& s, Token token) {
         return s.ring->PrepareRecvManaged(s.connection, s.group, Shots::kMultishot, token);
       },
       &Scene::connection},
      {"Datagram",
       [](Scene& s, Token token) {
         return s.ring->PrepareRecvFrom(s.datagrams, s.memory, &s.source, token);
       },
       &Scene::datagrams},
  };
}

// The first try of a message does not wait in the kernel. Here it does, as the poll that follows:
// see UnfoundLaterTest, too.
Prepared PrepareSendToThatWaits(Scene& s, Token token) {
  const Prepared prepared = s.ring->PrepareSendTo(s.messages, AsBytes(s.bytes).first(kMessageBytes),
                                                  s.receiver_name, token);
  for (io_uring_sqe& entry : s.entries.all()) {
    if (entry.opcode == IORING_OP_SENDMSG) entry.msg_flags &= ~uint32_t{MSG_DONTWAIT};
  }
  return prepared;
}

std::vector<Target> Sends() {
  return {
      {"Send", [](Scene& s, Token token) { return s.ring->PrepareSend(s.full, s.memory, token); },
       &Scene::full, Direction::kSend},
      {"SendAll",
       [](Scene& s, Token token) {
         return s.ring->PrepareSend(s.connection, AsBytes(s.bytes), token, TransferFlags::kAll);
       },
       &Scene::connection, Direction::kSend, /*has_part=*/true},
      {"SendTo", PrepareSendToThatWaits, &Scene::messages, Direction::kSend},
      {"SendFileOfAPipe",
       [](Scene& s, Token token) {
         return s.ring->PrepareSendFile(s.pipe, 0, 1000, s.connection, token);
       },
       &Scene::connection, Direction::kSend},
  };
}

std::vector<Target> Others() {
  return {
      {"Poll",
       [](Scene& s, Token token) {
         return s.ring->PreparePollAdd(s.connection, kPollReadable, Shots::kMultishot, token);
       },
       &Scene::connection, Direction::kBoth},
      {"Accept",
       [](Scene& s, Token token) {
         return s.ring->PrepareAccept(s.listener, Shots::kMultishot, token);
       }},
      {"Connect",
       [](Scene& s, Token token) { return s.ring->PrepareConnect(s.full_endpoint, token); }},
      {"ReadOfAPipe",
       [](Scene& s, Token token) {
         return s.ring->PrepareRead(s.pipe, kOwnPosition, s.memory, token);
       }},
      {"WriteToAPipe",
       [](Scene& s, Token token) {
         return s.ring->PrepareWrite(s.full_pipe, kOwnPosition, s.memory, token);
       }},
      {"ManagedReadOfAPipe",
       [](Scene& s, Token token) {
         return s.ring->PrepareReadManaged(s.pipe, kOwnPosition, s.group, token);
       }},
  };
}

// How it is ended: what the caller prepares for that, and what comes of it.
struct Ending {
  const char* name;
  std::function<Prepared(Scene&, const Target&, Token target, Token token)> prepare;
  int32_t result;
  bool of_connection = false;
};

Prepared PrepareClose(Scene& s, const Target& target, CloseMode mode, Token token) {
  return s.ring->PrepareClose(s.*target.of, mode, token);
}

std::vector<Ending> Endings() {
  using T = const Target&;
  constexpr bool kOfConnection = true;
  return {
      {"Cancel",
       [](Scene& s, T, Token target, Token token) { return s.ring->PrepareCancel(target, token); },
       0},
      {"CancelAll", [](Scene& s, T, Token, Token token) { return s.ring->PrepareCancelAll(token); },
       0},
      {"Deadline",
       [](Scene& s, T, Token target, Token token) {
         return s.ring->PrepareDeadline(target, std::chrono::nanoseconds{0}, token);
       },
       ToResult(Error::kTimedOut)},
      {"CancelConnection",
       [](Scene& s, T of, Token, Token token) {
         return s.ring->PrepareCancelConnection(s.*of.of, of.direction, token);
       },
       1, kOfConnection},
      {"Close",
       [](Scene& s, T of, Token, Token token) {
         return PrepareClose(s, of, CloseMode::kGraceful, token);
       },
       0, kOfConnection},
      {"Reset",
       [](Scene& s, T of, Token, Token token) {
         return PrepareClose(s, of, CloseMode::kReset, token);
       },
       0, kOfConnection},
  };
}

struct Case {
  Target target;
  Ending ending;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.target.name << c.ending.name; }
std::string CaseName(const testing::TestParamInfo<Case>& info) {
  return std::string(info.param.target.name) + "EndedBy" + info.param.ending.name;
}

std::vector<Case> EachWith(const std::vector<Target>& targets) {
  std::vector<Case> cases;
  for (const Target& target : targets) {
    for (const Ending& ending : Endings()) {
      if (target.of != nullptr || !ending.of_connection) cases.push_back({target, ending});
    }
  }
  return cases;
}

class UnfoundTest : public testing::TestWithParam<Case> {
 protected:
  Token StartTarget() {
    return ring_.Start([&](Token token) { return GetParam().target.prepare(scene_, token); });
  }
  Token StartEnding(Token target) {
    return ring_.Start([&](Token token) {
      return GetParam().ending.prepare(scene_, GetParam().target, target, token);
    });
  }
  void ExpectEnds(Token target, Token ending) {
    const Event end = ring_.Next(target);
    if (GetParam().target.has_part) {
      EXPECT_GT(end.result, 0);
    } else {
      EXPECT_EQ(end.error(), Error::kCanceled);
    }
    EXPECT_EQ(ring_.Next(ending).result, GetParam().ending.result);
  }
  // What is prepared next begins once the kernel has answered another request after this one.
  Token HoldBackTheNext() {
    const Token token = ring_.Start([&](Token t) { return ring_->PrepareNop(t); });
    for (io_uring_sqe& entry : scene_.entries.all()) {
      const uint64_t user_data = entry.user_data;
      if (entry.opcode != IORING_OP_NOP || user_data == 0) continue;
      static __kernel_timespec hour{.tv_sec = 3600, .tv_nsec = 0};
      io_uring_prep_timeout(&entry, &hour, /*count=*/1, 0);
      entry.user_data = user_data;
      entry.flags |= IOSQE_IO_HARDLINK;
    }
    return token;
  }
  // How many of the ring's entries are meant, the old ones included.
  template <typename Predicate>
  ptrdiff_t Entries(Predicate is_meant) {
    const std::span<const io_uring_sqe> entries = scene_.entries.all();
    return std::count_if(entries.begin(), entries.end(), is_meant);
  }
  static bool IsCancel(const io_uring_sqe& entry) { return entry.opcode == IORING_OP_ASYNC_CANCEL; }

  Scene scene_;
  UringTester& ring_ = scene_.ring;
};

TEST_P(UnfoundTest, IsAskedForOnceMore) {
  const Token holds = HoldBackTheNext();
  const Token target = StartTarget();
  ring_->Submit();
  const Token ending = StartEnding(target);
  ExpectEnds(target, ending);
  EXPECT_EQ(ring_.Next(holds).result, 0);
  EXPECT_EQ(Entries(IsCancel), 2) << "it is asked for once more, and not again and again";
}

INSTANTIATE_TEST_SUITE_P(Receives, UnfoundTest, testing::ValuesIn(EachWith(Receives())), CaseName);
INSTANTIATE_TEST_SUITE_P(Sends, UnfoundTest, testing::ValuesIn(EachWith(Sends())), CaseName);
INSTANTIATE_TEST_SUITE_P(Others, UnfoundTest, testing::ValuesIn(EachWith(Others())), CaseName);

// What waits in an entry that is not its first one. The first cancel is aimed at nobody, so that
// the kernel's answer is the same.
class UnfoundLaterTest : public UnfoundTest {
 protected:
  static bool WaitsForRoom(const io_uring_sqe& entry) {
    return entry.opcode == IORING_OP_SEND ||
           (entry.opcode == IORING_OP_POLL_ADD && entry.poll32_events == POLLOUT);
  }
};

TEST_P(UnfoundLaterTest, IsAskedForOnceMore) {
  const Token target = StartTarget();
  // A file may be read on a worker thread.
  for (int millis = 0; Entries(WaitsForRoom) == 0; ++millis) {
    ASSERT_LT(millis, 20'000);
    ring_.PumpFor(std::chrono::milliseconds{1});
  }
  const Token ending = StartEnding(target);
  ASSERT_EQ(Entries(IsCancel), 1);
  for (io_uring_sqe& entry : scene_.entries.all()) {
    if (IsCancel(entry)) entry.addr = ~uint64_t{0};
  }
  ExpectEnds(target, ending);
  EXPECT_EQ(Entries(IsCancel), 2) << "it is asked for once more, and not again and again";
}

std::vector<Case> Later() {
  std::vector<Case> cases = EachWith({
      {"SendToThatPolls",
       [](Scene& s, Token token) {
         return s.ring->PrepareSendTo(s.messages, AsBytes(s.bytes).first(kMessageBytes),
                                      s.receiver_name, token);
       },
       &Scene::messages, Direction::kSend},
      {"PieceOfAFile",
       [](Scene& s, Token token) {
         return s.ring->PrepareSendFile(s.file, 0, 1000, s.full, token);
       },
       &Scene::full, Direction::kSend},
  });
  // The cancels of these are made when they are submitted, too late to be aimed elsewhere.
  std::erase_if(cases, [](const Case& one) {
    const std::string_view ending = one.ending.name;
    return ending == "CancelAll" || ending == "Deadline";
  });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Sends, UnfoundLaterTest, testing::ValuesIn(Later()), CaseName);

// A submit has asked all of them to stop, however often the queue is full meanwhile: a wait that
// does not submit leaves none behind.
TEST(UringCancelTest, ASubmitAsksMoreThanManyQueuesHold) {
  constexpr size_t kPolls = 300;
  UringTester ring({.submission_entries = 8, .max_operations = kPolls + 8});
  const UringTester::Accepted connection = ring.Register(UnixPair());
  for (size_t i = 0; i < kPolls; ++i) {
    ring.Start([&](Token token) {
      return ring->PreparePollAdd(connection.id, kPollReadable, Shots::kOneShot, token);
    });
    ring->Submit();
  }
  const Token all = ring.Start([&](Token token) { return ring->PrepareCancelAll(token); });
  ring->Submit();
  // It stays prepared, so that the waits submit nothing.
  const Token nop = ring.Start([&](Token token) { return ring->PrepareNop(token); });
  size_t ended = 0;
  while (ended < kPolls) {
    ASSERT_NE(ring->WaitCompletions({.timeout = kPatience}), 0u) << ended << " have ended";
    for (const Completion& completion : ring->Completions()) {
      if (completion.token == all) continue;
      EXPECT_EQ(completion.error(), Error::kCanceled);
      ++ended;
    }
  }
  EXPECT_EQ(ring.Next(nop).result, 0);
}

}  // namespace
}  // namespace ioring::uring
