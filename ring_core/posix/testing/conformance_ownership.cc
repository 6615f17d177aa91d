// What a ring touches that is somebody else's too: blocking modes and options of sockets that
// others have as well, and paths of Unix-domain sockets.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/file_calls.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"
#include "ring_core/posix/calls.h"
#include "ring_core/posix/sockets.h"
#include "ring_core/posix/testing/shared_descriptors.h"
#include "ring_core/posix/testing/working_folder.h"

namespace ioring {
namespace {

using posix::Copy;
using posix::Descriptor;
using posix::Listening;
using posix::Pipe;
using posix::Shared;
using posix::TcpPair;
using posix::Terminal;
using posix::Udp;
using posix::UnixDatagrams;
using posix::UnixStreams;
using posix::WorkingFolder;

// ---- Descriptors that others have too.

bool IsNonBlocking(const Descriptor& descriptor) {
  return (fcntl(descriptor.get(), F_GETFL) & O_NONBLOCK) != 0;
}
bool IsCloseOnExec(int descriptor) { return (fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0; }
bool IsCloseOnExec(const Descriptor& descriptor) { return IsCloseOnExec(descriptor.get()); }
void SetCloseOnExec(const Descriptor& descriptor, bool on) {
  PCHECK(fcntl(descriptor.get(), F_SETFD, on ? FD_CLOEXEC : 0) == 0);
}
void SetNonBlocking(const Descriptor& descriptor, bool on) {
  const int flags = fcntl(descriptor.get(), F_GETFL);
  PCHECK(fcntl(descriptor.get(), F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) == 0);
}
bool HasNoDelay(const Descriptor& descriptor) {
  int value = 0;
  socklen_t size = sizeof(value);
  return getsockopt(descriptor.get(), IPPROTO_TCP, TCP_NODELAY, &value, &size) == 0 && value != 0;
}

ConnectionId Register(TestRing& ring, Descriptor descriptor) {
  const absl::StatusOr<ConnectionId> id = ring.RegisterSocket(descriptor.get());
  EXPECT_TRUE(id.ok()) << id.status();
  if (id.ok()) descriptor.release();
  return id.value_or(ConnectionId{});
}

Descriptor UnixDatagramSocket() { return Descriptor(socket(AF_UNIX, SOCK_DGRAM, 0)); }

// A copy of the descriptor, which is close-on-exec or not.
FileId RegisterFile(TestRing& ring, const Descriptor& descriptor, bool close_on_exec) {
  Descriptor copy = Copy(descriptor);
  SetCloseOnExec(copy, close_on_exec);
  const absl::StatusOr<FileId> file = ring.RegisterFile(copy.get());
  EXPECT_TRUE(file.ok()) << file.status();
  if (file.ok()) copy.release();
  return file.value_or(FileId{});
}

Token StartPoll(TestRing& ring, ConnectionId connection, PollEvents events) {
  return ring.Start(
      [&](Token token) { return ring.PreparePollAdd(connection, events, Shots::kOneShot, token); });
}

constexpr bool kTransfersLeaveTheMode =
    posix::kTransfersAreNonBlocking == posix::NonBlocking::kByCall;

// What a ring only polls is left as it is, from the first moment on: others have it too.
TEST_P(RingConformance, RegisteringLeavesWhatIsOnlyPolledAlone) {
  for (Shared (*make)() : {&Pipe, &Terminal, &Listening}) {
    for (const bool non_blocking : {false, true}) {
      const Shared shared = make();
      SCOPED_TRACE(shared.name);
      SetNonBlocking(shared.descriptor, non_blocking);
      TestRing& ring = MakeRing();
      const auto expect_untouched = [&](const char* when) {
        EXPECT_EQ(IsNonBlocking(shared.descriptor), non_blocking) << when;
        EXPECT_FALSE(HasNoDelay(shared.descriptor)) << when;
      };
      const ConnectionId id = Register(ring, Copy(shared.descriptor));
      expect_untouched("registered");
      const Token poll = StartPoll(ring, id, kPollReadable);
      ring.Pump();
      expect_untouched("polled");
      EXPECT_EQ(ring.Recv(id, ring.Memory(1)).ok(), false);
      EXPECT_EQ(ring.Await(ring.StartCancel(poll)).result(), 0);
      EXPECT_EQ(ring.Await(poll).error(), Error::kCanceled);
      const absl::StatusOr<NativeHandle> back = ring.UnregisterSocket(id);
      ASSERT_TRUE(back.ok()) << back.status();
      const Descriptor given_back(static_cast<int>(*back));
      expect_untouched("given back");
      EXPECT_FALSE(IsCloseOnExec(given_back));
      ring.Close(Register(ring, Copy(shared.descriptor)));
      expect_untouched("closed");
      Register(ring, Copy(shared.descriptor));
      Destroy(ring);
      expect_untouched("destroyed");
    }
  }
}

// Sockets come back as they were, and whoever has a copy finds them so at the end.
TEST_P(RingConformance, SocketsAreGivenBackAsTheyWere) {
  for (Shared (*make)() : {&UnixStreams, &UnixDatagrams, &TcpPair, &Udp}) {
    for (const bool non_blocking : {false, true}) {
      const Shared shared = make();
      SCOPED_TRACE(shared.name);
      SetNonBlocking(shared.descriptor, non_blocking);
      TestRing& ring = MakeRing();
      const auto expect_as_before = [&](const char* when) {
        EXPECT_EQ(IsNonBlocking(shared.descriptor), non_blocking) << when;
        EXPECT_FALSE(HasNoDelay(shared.descriptor)) << when;
      };
      const ConnectionId id = Register(ring, Copy(shared.descriptor));
      const Token recv = ring.StartRecv(id, ring.Memory(1));
      ring.Pump();
      if (kTransfersLeaveTheMode) {
        EXPECT_EQ(IsNonBlocking(shared.descriptor), non_blocking) << "while it receives";
      }
      ring.Await(ring.StartCancel(recv));
      ring.Await(recv);
      const absl::StatusOr<NativeHandle> back = ring.UnregisterSocket(id);
      ASSERT_TRUE(back.ok()) << back.status();
      const Descriptor given_back(static_cast<int>(*back));
      expect_as_before("given back");
      EXPECT_FALSE(IsCloseOnExec(given_back));
      ring.Close(Register(ring, Copy(shared.descriptor)));
      expect_as_before("closed");
      Register(ring, Copy(shared.descriptor));
      Destroy(ring);
      expect_as_before("destroyed");
    }
  }
}

// What was set before stays set.
TEST_P(RingConformance, OptionsThatWereSetBeforeStay) {
  const Shared shared = TcpPair();
  const int on = 1;
  PCHECK(setsockopt(shared.descriptor.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
  TestRing& ring = MakeRing();
  Descriptor copy = Copy(shared.descriptor);
  PCHECK(fcntl(copy.get(), F_SETFD, FD_CLOEXEC) == 0);
  const absl::StatusOr<NativeHandle> back = ring.UnregisterSocket(Register(ring, std::move(copy)));
  ASSERT_TRUE(back.ok()) << back.status();
  const Descriptor given_back(static_cast<int>(*back));
  EXPECT_TRUE(HasNoDelay(given_back));
  EXPECT_TRUE(IsCloseOnExec(given_back));
}

// A registration that fails changes nothing.
TEST_P(RingConformance, ASocketThatIsRefusedIsAsItWas) {
  RingOptions options = Options();
  options.max_connections = 1;
  TestRing& ring = MakeRing(options);
  Register(ring, Udp().descriptor);
  const Shared shared = TcpPair();
  EXPECT_TRUE(absl::IsResourceExhausted(ring.RegisterSocket(shared.descriptor.get()).status()));
  EXPECT_FALSE(IsCloseOnExec(shared.descriptor));
  EXPECT_FALSE(IsNonBlocking(shared.descriptor));
  EXPECT_FALSE(HasNoDelay(shared.descriptor));
}

// Every kind of transfer waits in either mode, and no submit does.
TEST_P(RingConformance, SocketsOfEitherModeWait) {
  for (Shared (*make)() : {&UnixStreams, &TcpPair}) {
    for (const bool non_blocking : {false, true}) {
      const Shared shared = make();
      SCOPED_TRACE(shared.name);
      SetNonBlocking(shared.descriptor, non_blocking);
      TestRing& ring = MakeRing();
      const ConnectionId id = Register(ring, Copy(shared.descriptor));
      const ConnectionId peer = Register(ring, Copy(shared.others.front()));
      const auto expect_waits = [&](Token token, const char* what) {
        ring.Quiet();
        EXPECT_FALSE(ring.HasArrived(token)) << what;
      };

      Token recv = ring.StartRecv(id, ring.Memory(8));
      expect_waits(recv, "receive");
      EXPECT_EQ(ring.Send(peer, "one").result(), 3);
      EXPECT_EQ(ring.Await(recv).result(), 3);

      recv = ring.StartRecv(id, ring.Memory(6), TransferFlags::kAll);
      EXPECT_EQ(ring.Send(peer, "two").result(), 3);
      expect_waits(recv, "receive of all");
      EXPECT_EQ(ring.Send(peer, "two").result(), 3);
      EXPECT_EQ(ring.Await(recv).result(), 6);

      const TestBuffer buffer = ring.MakeBuffer(4096);
      recv = ring.Start(
          [&](Token token) { return ring.PrepareRecvBuffer(id, buffer.Slice(0, 4096), token); });
      expect_waits(recv, "receive into registered memory");
      EXPECT_EQ(ring.Send(peer, "three").result(), 5);
      EXPECT_EQ(ring.Await(recv).result(), 5);

      const TestGroup group = ring.MakeGroup(4, 1024);
      recv = ring.StartManaged(id, group.id, Shots::kMultishot);
      for (const char* text : {"four", "five"}) {
        expect_waits(recv, "managed receive");
        EXPECT_EQ(ring.Send(peer, text).result(), 4);
        EXPECT_EQ(ring.Next(recv).bytes, text);
      }
      EXPECT_EQ(ring.Await(ring.StartCancel(recv)).result(), 0);
      EXPECT_EQ(ring.Next(recv).error(), Error::kCanceled);

      constexpr size_t kMuch = 8 << 20;
      const Token send = ring.StartSend(id, ring.Memory(kMuch), TransferFlags::kAll);
      expect_waits(send, "send");
      EXPECT_EQ(ring.RecvText(peer, kMuch).size(), kMuch);
      EXPECT_EQ(ring.Await(send).result(), static_cast<int32_t>(kMuch));
      Destroy(ring);
    }
  }
}

TEST_P(RingConformance, DatagramSocketsOfEitherModeWait) {
  for (const bool non_blocking : {false, true}) {
    const Shared shared = UnixDatagrams();
    SetNonBlocking(shared.descriptor, non_blocking);
    TestRing& ring = MakeRing();
    const ConnectionId id = Register(ring, Copy(shared.descriptor));
    const ConnectionId peer = Register(ring, Copy(shared.others.front()));
    const Token recv = ring.Start([&](Token token) {
      return ring.PrepareRecvFrom(id, ring.Memory(8), ring.NewEndpoint(), token);
    });
    ring.Quiet();
    EXPECT_FALSE(ring.HasArrived(recv));
    EXPECT_EQ(ring.Await(ring.StartSend(peer, ring.Text("one"))).result(), 3);
    EXPECT_EQ(ring.Await(recv).result(), 3);
    // Until the queue is full; the one that waits leaves when there is room.
    std::vector<Token> sends;
    do {
      sends.push_back(ring.StartSend(id, ring.Text("two")));
      ring.Quiet();
    } while (ring.HasArrived(sends.back()) && sends.size() < 1000);
    ASSERT_FALSE(ring.HasArrived(sends.back())) << "a queue without end";
    for (size_t i = 0; i < sends.size(); ++i) {
      EXPECT_EQ(ring.Recv(peer, ring.Memory(8)).result(), 3);
    }
    for (const Token send : sends) EXPECT_EQ(ring.Await(send).result(), 3);
    Destroy(ring);
  }
}

// A datagram that goes to an address and waits for room there arrives as it was, none of them
// empty.
TEST_P(RingConformance, DatagramsToAFullQueueArriveWhole) {
  TestRing& ring = MakeRing();
  const absl::StatusOr<ConnectionId> to = ring.OpenDatagram(UnusedPath(ring));
  ASSERT_TRUE(to.ok()) << to.status();
  const absl::StatusOr<ConnectionId> own = ring.OpenDatagram(UnusedPath(ring));
  ASSERT_TRUE(own.ok()) << own.status();
  const Endpoint address = *ring.LocalEndpoint(*to);
  // One that the ring made, and one that it was handed.
  for (const ConnectionId from : {*own, Register(ring, UnixDatagramSocket())}) {
    std::vector<std::string> texts;
    std::vector<Token> sends;
    do {
      texts.push_back(absl::StrCat("message ", texts.size()));
      sends.push_back(ring.Start([&](Token token) {
        return ring.PrepareSendTo(from, ring.Text(texts.back()), address, token);
      }));
      ring.Quiet();
    } while (ring.HasArrived(sends.back()) && sends.size() < 1000);
    ASSERT_FALSE(ring.HasArrived(sends.back())) << "a queue without end";
    for (const std::string& text : texts) {
      const std::span<std::byte> memory = ring.Memory(64);
      const Arrival arrival = ring.Recv(*to, memory);
      ASSERT_EQ(arrival.result(), static_cast<int32_t>(text.size()));
      EXPECT_EQ(AsText(memory.first(text.size())), text);
    }
    for (size_t i = 0; i < sends.size(); ++i) {
      EXPECT_EQ(ring.Await(sends[i]).result(), static_cast<int32_t>(texts[i].size()));
    }
  }
}

// ---- Files that others have too.

// Their blocking mode is the others' as well. It stays, whatever a ring does with such a file: from
// the registration on, while operations wait and run, and when the ring has closed it.
TEST_P(RingConformance, FilesAreLeftAsTheyAre) {
  for (Shared (*make)() : {&Pipe, &Terminal}) {
    for (const bool on : {false, true}) {
      const Shared shared = make();
      SCOPED_TRACE(testing::Message() << shared.name << (on ? " non-blocking" : " blocking"));
      const Descriptor& writer = shared.others.front();
      SetNonBlocking(shared.descriptor, on);
      SetNonBlocking(writer, on);
      TestRing& ring = MakeRing();
      FileCalls calls(ring);
      const FileId reads = RegisterFile(ring, shared.descriptor, on);
      const FileId writes = RegisterFile(ring, writer, on);
      const auto expect_mode = [&](const char* when) {
        EXPECT_EQ(IsNonBlocking(shared.descriptor), on) << when;
        EXPECT_EQ(IsNonBlocking(writer), on) << when;
      };
      const auto expect_untouched = [&](const char* when) {
        expect_mode(when);
        for (const FileId file : {reads, writes}) {
          const absl::StatusOr<NativeHandle> handle = ring.FileHandle(file);
          ASSERT_TRUE(handle.ok()) << handle.status();
          EXPECT_EQ(IsCloseOnExec(static_cast<int>(*handle)), on) << when;
        }
      };
      expect_untouched("registered");
      const Token read = calls.StartRead(reads, kOwnPosition, ring.Memory(8));
      ring.Quiet();
      EXPECT_FALSE(ring.HasArrived(read));
      expect_untouched("a read waits");
      EXPECT_EQ(calls.Write(writes, kOwnPosition, "line\n").result(), 5);
      EXPECT_EQ(ring.Await(read).result(), 5);
      expect_untouched("read and written");
      const Token cancelled = calls.StartRead(reads, kOwnPosition, ring.Memory(8));
      ring.Quiet();
      EXPECT_EQ(ring.Await(ring.StartCancel(cancelled)).result(), 0);
      EXPECT_EQ(ring.Await(cancelled).error(), Error::kCanceled);
      expect_untouched("cancelled");
      EXPECT_EQ(calls.CloseFile(reads).result(), 0);
      EXPECT_TRUE(ring.CloseFile(writes).ok());
      expect_mode("closed");
      RegisterFile(ring, shared.descriptor, on);
      Destroy(ring);
      expect_mode("destroyed");
    }
  }
}

// A registration that fails changes nothing, whatever the reason.
TEST_P(RingConformance, AFileThatIsRefusedIsAsItWas) {
  for (const bool on : {false, true}) {
    SCOPED_TRACE(on);
    RingOptions options = Options();
    options.max_files = 1;
    TestRing& ring = MakeRing(options);
    const auto expect_refused = [&](const Descriptor& descriptor, absl::StatusCode code) {
      SetNonBlocking(descriptor, on);
      SetCloseOnExec(descriptor, on);
      EXPECT_EQ(ring.RegisterFile(descriptor.get()).status().code(), code);
      EXPECT_EQ(IsNonBlocking(descriptor), on);
      EXPECT_EQ(IsCloseOnExec(descriptor), on);
    };
    expect_refused(UnixStreams().descriptor, absl::StatusCode::kInvalidArgument);
    RegisterFile(ring, Pipe().descriptor, on);
    expect_refused(Pipe().descriptor, absl::StatusCode::kResourceExhausted);
    const Shared polled = Pipe();
    Descriptor given = Copy(polled.descriptor);
    const int number = given.get();
    Register(ring, std::move(given));
    EXPECT_EQ(ring.RegisterFile(number).status().code(), absl::StatusCode::kAlreadyExists);
    EXPECT_FALSE(IsNonBlocking(polled.descriptor));
    EXPECT_FALSE(IsCloseOnExec(number));
  }
}

// ---- Paths.

Endpoint At(const char* path) { return Endpoint::Parse(std::string("unix:") + path).value(); }

ListenerId ListenAt(TestRing& ring, const char* path) {
  const absl::StatusOr<ListenerId> listener = ring.CreateListener(At(path), {});
  EXPECT_TRUE(listener.ok()) << listener.status();
  return listener.value_or(ListenerId{});
}

// The two ways in which a listener ends.
const bool kByDestroying[] = {false, true};

void End(TestRing& ring, ListenerId listener, bool by_destroying,
         const std::function<void(TestRing&)>& destroy) {
  if (by_destroying) return destroy(ring);
  const absl::Status status = ring.CloseListener(listener);
  EXPECT_TRUE(status.ok()) << status;
}

// A successor that took the path over keeps it.
TEST_P(RingConformance, AListenerLeavesItsSuccessorsPath) {
  for (const bool by_destroying : kByDestroying) {
    const WorkingFolder folder;
    TestRing& successor = MakeRing();
    TestRing& ring = MakeRing();
    const ListenerId old = ListenAt(ring, "path");
    const ListenerId listener = ListenAt(successor, "new");
    ASSERT_EQ(std::rename("new", "path"), 0);
    End(ring, old, by_destroying, [&](TestRing& it) { Destroy(it); });
    EXPECT_TRUE(WorkingFolder::Has("path"));
    EXPECT_EQ(successor.ConnectError(At("path")), Error::kOk);
    EXPECT_TRUE(successor.CloseListener(listener).ok());
  }
}

TEST_P(RingConformance, AListenerLeavesAFileThatReplacedItsPath) {
  for (const bool by_destroying : kByDestroying) {
    const WorkingFolder folder;
    TestRing& ring = MakeRing();
    const ListenerId listener = ListenAt(ring, "path");
    ASSERT_EQ(unlink("path"), 0);
    std::ofstream("path") << "precious";
    End(ring, listener, by_destroying, [&](TestRing& it) { Destroy(it); });
    EXPECT_TRUE(WorkingFolder::Has("path"));
  }
}

// A later change of the working directory does not hide it, and a path that is gone is no error.
TEST_P(RingConformance, AListenerRemovesItsPathFromEverywhere) {
  for (const bool by_destroying : kByDestroying) {
    for (const bool is_there : {true, false}) {
      const WorkingFolder folder;
      TestRing& ring = MakeRing();
      const ListenerId listener = ListenAt(ring, "path");
      EXPECT_TRUE(WorkingFolder::Has("path"));
      if (!is_there) {
        ASSERT_EQ(unlink("path"), 0);
      }
      ASSERT_EQ(chdir("/"), 0);
      End(ring, listener, by_destroying, [&](TestRing& it) { Destroy(it); });
      folder.Enter();
      EXPECT_FALSE(WorkingFolder::Has("path"));
    }
  }
}

// Nor does a listener remove its path twice: somebody may have bound it again meanwhile.
TEST_P(RingConformance, AClosedListenersPathIsForgotten) {
  const WorkingFolder folder;
  TestRing& other = MakeRing();
  TestRing& ring = MakeRing();
  const ListenerId listener = ListenAt(ring, "path");
  ring.Start([&](Token token) { return ring.PrepareAccept(listener, Shots::kMultishot, token); });
  ring.Pump();
  EXPECT_TRUE(ring.CloseListener(listener).ok());
  const ListenerId next = ListenAt(other, "path");
  Destroy(ring);
  EXPECT_EQ(other.ConnectError(At("path")), Error::kOk);
  EXPECT_TRUE(other.CloseListener(next).ok());
}

// What cannot be finished leaves no path behind.
TEST_P(RingConformance, ADatagramSocketThatIsRefusedLeavesNoPath) {
  const WorkingFolder folder;
  RingOptions options = Options();
  options.max_connections = 1;
  TestRing& ring = MakeRing(options);
  Register(ring, Udp().descriptor);
  EXPECT_TRUE(absl::IsResourceExhausted(ring.OpenDatagram(At("path")).status()));
  EXPECT_FALSE(WorkingFolder::Has("path"));
}

// A number that was the program's may be that of a socket which the ring has made since.
TEST_P(RingConformance, TheSocketOfAConnectIsNotRegistered) {
  TestRing& ring = MakeRing();
  const ListenerId listener = ring.Listen();
  const Pair pair = ring.MakePair(listener);
  const absl::StatusOr<NativeHandle> handle = ring.UnregisterSocket(pair.client);
  ASSERT_TRUE(handle.ok()) << handle.status();
  const absl::StatusOr<ConnectionId> again = ring.RegisterSocket(*handle);
  ASSERT_TRUE(again.ok()) << again.status();
  const int number = dup(static_cast<int>(*handle));
  EXPECT_EQ(close(number), 0);
  const Pair next = ring.MakePair(listener);
  ASSERT_GE(fcntl(number, F_GETFD), 0) << "the lowest number that is free";
  const absl::Status refused = ring.RegisterSocket(number).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists) << refused;
  ring.ExpectAlive(next);
}

}  // namespace
}  // namespace ioring
