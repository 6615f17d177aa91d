// Traps of Windows, each with the remedy that the ring has for it; and that everything which was
// taken of the system is given back.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "process/mutex_lock.h"
#include "process/testing/handle_counter.h"
#include "ring/completion.h"
#include "ring/conformance/test_ring.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"
#include "ring_rio/rio_api.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/socket_address.h"
#include "ring_rio/sockets.h"
#include "ring_rio/testing/nothing_left.h"
#include "ring_rio/windows_headers.h"

namespace ioring {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr RingOptions kOptions{
    .submission_entries = 64, .max_connections = 64, .max_operations = 128};

std::unique_ptr<RioRing> MakeRing(const RingOptions& options = kOptions) {
  absl::StatusOr<std::unique_ptr<RioRing>> ring = RioRing::CreateIocp(options);
  CHECK_OK(ring.status());
  return *std::move(ring);
}

class IocpTrapTest : public testing::Test {
 protected:
  void SetUp() override {
    std::unique_ptr<RioRing> made = MakeRing();
    inner_ = made.get();
    ring_ = std::make_unique<TestRing>(std::move(made), kOptions);
  }
  void TearDown() override {
    ring_->Finish();
    ring_.reset();
  }

  std::unique_ptr<TestRing> ring_;
  RioRing* inner_ = nullptr;
};

sockaddr_in AddressOf(const Endpoint& endpoint) {
  rio::SocketAddress address;
  CHECK(rio::ToSocketAddress(endpoint, &address));
  return address.ipv4;
}

SOCKET ConnectTo(const sockaddr_in& address, int type) {
  const SOCKET socket = rio::NewSocket(AF_INET, type);
  CHECK_EQ(connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0)
      << WSAGetLastError();
  return socket;
}

bool HasNoDelay(SOCKET socket) {
  DWORD value = 0;
  int size = sizeof(value);
  CHECK_EQ(getsockopt(socket, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<char*>(&value), &size), 0);
  return value != 0;
}

// Whether a receive that finds nothing waits: Winsock does not tell the mode of a socket, which has
// to be connected. Afterwards it can only be closed.
bool Blocks(SOCKET socket) {
  constexpr DWORD kPatienceMs = 10;
  CHECK_EQ(setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, reinterpret_cast<const char*>(&kPatienceMs),
                      sizeof(kPatienceMs)),
           0);
  char byte;
  CHECK_LT(recv(socket, &byte, 1, 0), 0);
  const int code = WSAGetLastError();
  CHECK(code == WSAETIMEDOUT || code == WSAEWOULDBLOCK) << code;
  return code == WSAETIMEDOUT;
}

// Trap 11: with SO_REUSEADDR any program takes over a port that somebody listens on.
TEST_F(IocpTrapTest, NobodyHijacksAPort) {
  const ListenerId listener = ring_->Listen();
  const sockaddr_in address = AddressOf(ring_->EndpointOf(listener));
  const SOCKET hijacker = rio::NewSocket(AF_INET, SOCK_STREAM);
  const BOOL on = TRUE;
  setsockopt(hijacker, SOL_SOCKET, SO_REUSEADDR, reinterpret_cast<const char*>(&on), sizeof(on));
  EXPECT_NE(bind(hijacker, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  closesocket(hijacker);
}

// Trap 11: no close-on-exec. Children inherit none of the ring's sockets.
TEST_F(IocpTrapTest, ChildrenInheritNoSocket) {
  const Pair pair = ring_->MakePair();
  for (const ConnectionId id : {pair.client, pair.server, ring_->Datagram()}) {
    const absl::StatusOr<NativeHandle> handle = ring_->UnregisterSocket(id);
    ASSERT_TRUE(handle.ok()) << handle.status();
    const auto socket = static_cast<SOCKET>(*handle);
    DWORD flags = HANDLE_FLAG_INHERIT;
    EXPECT_TRUE(GetHandleInformation(rio::HandleOf(socket), &flags));
    EXPECT_EQ(flags & HANDLE_FLAG_INHERIT, 0u);
    closesocket(socket);
  }
}

// A socket stays on the port of the ring that had it. Its new owner's requests give packets there,
// which are nothing that the ring knows.
TEST_F(IocpTrapTest, RequestsOfASocketThatWasGivenBackAreNotTheRings) {
  const Pair pair = ring_->MakePair();
  const Pair other = ring_->MakePair();
  const absl::StatusOr<NativeHandle> handle = ring_->UnregisterSocket(pair.server);
  ASSERT_TRUE(handle.ok()) << handle.status();
  const auto socket = static_cast<SOCKET>(*handle);
  // Its event tells the owner. What lies behind it is nobody's request.
  struct {
    OVERLAPPED overlapped{};
    std::array<uint32_t, 8> behind;
  } request;
  request.behind.fill(~0u);
  request.overlapped.hEvent = CreateEventA(nullptr, TRUE, FALSE, nullptr);
  std::array<char, 8> memory{};
  WSABUF buffer{memory.size(), memory.data()};
  DWORD flags = 0;
  ASSERT_NE(WSARecv(socket, &buffer, 1, nullptr, &flags, &request.overlapped, nullptr), 0);
  ASSERT_EQ(WSAGetLastError(), WSA_IO_PENDING);
  EXPECT_EQ(ring_->Send(pair.client, "text").result(), 4);
  constexpr DWORD kPatienceMillis = 10'000;
  ASSERT_EQ(WaitForSingleObject(request.overlapped.hEvent, kPatienceMillis), WAIT_OBJECT_0);
  ring_->Quiet();
  EXPECT_EQ(ring_->Send(other.client, "more").result(), 4);
  EXPECT_EQ(ring_->RecvText(other.server, 4), "more");
  EXPECT_EQ(std::string_view(memory.data(), 4), "text");
  CloseHandle(request.overlapped.hEvent);
  closesocket(socket);
}

// Trap: an accepted socket knows nothing of its connection before SO_UPDATE_ACCEPT_CONTEXT, nor
// a connected one before SO_UPDATE_CONNECT_CONTEXT: neither getpeername nor shutdown work.
TEST_F(IocpTrapTest, SocketsKnowTheirConnection) {
  const Pair pair = ring_->MakePair();
  EXPECT_TRUE(ring_->PeerEndpoint(pair.server).ok());
  EXPECT_TRUE(ring_->PeerEndpoint(pair.client).ok());
  for (const ConnectionId id : {pair.server, pair.client}) {
    EXPECT_EQ(
        ring_->Run([&](Token token) { return ring_->PrepareShutdown(id, Direction::kSend, token); })
            .result(),
        0);
  }
}

// Trap: a datagram to a port that nobody has makes a later receive fail (WSAECONNRESET).
TEST_F(IocpTrapTest, ADatagramToNobodyFailsNoReceive) {
  const ConnectionId socket = ring_->Datagram();
  const ConnectionId gone = ring_->Datagram();
  const Endpoint nobody = *ring_->LocalEndpoint(gone);
  EXPECT_EQ(ring_->Close(gone).result(), 0);
  EXPECT_EQ(ring_
                ->Run([&](Token token) {
                  return ring_->PrepareSendTo(socket, ring_->Text("?"), nobody, token);
                })
                .result(),
            1);
  const Token recv = ring_->Start([&](Token token) {
    return ring_->PrepareRecvFrom(socket, ring_->Memory(8), ring_->NewEndpoint(), token);
  });
  ring_->Quiet();
  EXPECT_FALSE(ring_->HasArrived(recv));
}

// Trap: an OVERLAPPED, and the memory with it, is Windows' until its packet has been taken, also
// after CancelIoEx. So a cancelled receive is in flight until then.
TEST_F(IocpTrapTest, CancelledRequestsAreWaitedFor) {
  const Pair pair = ring_->MakePair();
  const uint32_t before = inner_->RequestsOutstanding();
  const Token recv = ring_->StartRecv(pair.server, ring_->Memory(8));
  ring_->Submit();
  EXPECT_EQ(inner_->RequestsOutstanding(), before + 1);
  EXPECT_EQ(ring_->Await(ring_->StartCancel(recv)).result(), 0);
  EXPECT_EQ(ring_->Await(recv).error(), Error::kCanceled);
  EXPECT_EQ(inner_->RequestsOutstanding(), before);
  EXPECT_EQ(ring_->InFlight(), 0u);
}

// Trap: a socket joins one completion port in its life. One that comes from another ring works
// all the same, for everything that waits.
TEST_F(IocpTrapTest, ASocketOfAnotherPort) {
  TestRing second(MakeRing(), kOptions);
  const Pair pair = ring_->MakePair();
  const absl::StatusOr<NativeHandle> handle = ring_->UnregisterSocket(pair.server);
  ASSERT_TRUE(handle.ok()) << handle.status();
  const absl::StatusOr<ConnectionId> moved = second.RegisterSocket(*handle);
  ASSERT_TRUE(moved.ok()) << moved.status();
  const Token cancelled = second.StartRecv(*moved, second.Memory(8));
  second.Submit();
  EXPECT_EQ(second.Await(second.StartCancel(cancelled)).result(), 0);
  EXPECT_EQ(second.Await(cancelled).error(), Error::kCanceled);
  const TestGroup group = second.MakeGroup(2, 64);
  for (int round = 0; round < 3; ++round) {
    const Token recv = round == 1 ? second.StartManaged(*moved, group.id, Shots::kOneShot)
                                  : second.StartRecv(*moved, second.Memory(8));
    second.Quiet();
    EXPECT_EQ(ring_->Send(pair.client, "come").result(), 4);
    EXPECT_EQ(second.Await(recv).result(), 4);
  }
  const Token recv = second.StartRecv(*moved, second.Memory(8));
  second.Submit();
  EXPECT_EQ(ring_->Close(pair.client, CloseMode::kReset).result(), 0);
  EXPECT_EQ(second.Await(recv).error(), Error::kConnectionReset);
  second.Finish();
}

// Trap: an overlapped send that is cancelled does not say how many of its bytes left. The ring
// has none: the peer gets exactly what the result says.
TEST_F(IocpTrapTest, ACancelledSendSaysWhatLeft) {
  const Pair pair = ring_->MakePair();
  const Token send = ring_->StartSend(pair.client, ring_->Memory(64 << 20), TransferFlags::kAll);
  ring_->Quiet();
  EXPECT_EQ(ring_->Await(ring_->StartCancel(send)).result(), 0);
  const Arrival sent = ring_->Await(send);
  ASSERT_GT(sent.result(), 0);
  EXPECT_EQ(ring_->Close(pair.client).result(), 0);
  int64_t received = 0;
  for (;;) {
    const Arrival part = ring_->Recv(pair.server, ring_->Memory(1 << 20));
    if (part.result() <= 0) break;
    received += part.result();
  }
  EXPECT_EQ(received, sent.result());
}

// A listener keeps several AcceptEx in flight, and all come back when it closes.
TEST_F(IocpTrapTest, AClosedListenerGivesItsRequestsBack) {
  const uint32_t before = inner_->RequestsOutstanding();
  const ListenerId listener = ring_->Listen();
  EXPECT_EQ(inner_->RequestsOutstanding(), before) << "nobody accepts yet";
  const Token accept = ring_->Start(
      [&](Token token) { return ring_->PrepareAccept(listener, Shots::kMultishot, token); });
  ring_->Submit();
  EXPECT_GT(inner_->RequestsOutstanding(), before + 1);
  ASSERT_TRUE(ring_->CloseListener(listener).ok());
  EXPECT_EQ(ring_->AwaitAll(accept).back().error(), Error::kCanceled);
  const steady_clock::time_point deadline = steady_clock::now() + kPatience;
  while (inner_->RequestsOutstanding() != before && steady_clock::now() < deadline) ring_->Pump();
  EXPECT_EQ(inner_->RequestsOutstanding(), before);
}

// Trap: a receive fails after a shutdown of receiving, where other systems say the end. So it is
// also where the ring does not know of the shutdown.
TEST_F(IocpTrapTest, ReceivesFindTheEndAfterAShutdownElsewhere) {
  const Pair pair = ring_->MakePair();
  const absl::StatusOr<NativeHandle> handle = ring_->UnregisterSocket(pair.server);
  ASSERT_TRUE(handle.ok()) << handle.status();
  EXPECT_EQ(shutdown(static_cast<SOCKET>(*handle), SD_RECEIVE), 0);
  const absl::StatusOr<ConnectionId> again = ring_->RegisterSocket(*handle);
  ASSERT_TRUE(again.ok()) << again.status();
  const TestGroup group = ring_->MakeGroup(2, 64);
  EXPECT_EQ(ring_->Await(ring_->StartManaged(*again, group.id, Shots::kOneShot)).result(), 0);
  EXPECT_EQ(ring_->RecvEnd(*again).result(), 0);
  EXPECT_EQ(ring_->Send(*again, "heard").result(), 5);
  EXPECT_EQ(ring_->RecvText(pair.client, 5), "heard");
}

// A socket is given back as it came: with Nagle's delay, where it had that.
TEST_F(IocpTrapTest, ASocketIsGivenBackAsItCame) {
  for (const DWORD before : {DWORD{0}, DWORD{1}}) {
    const SOCKET socket = rio::NewSocket(AF_INET, SOCK_STREAM);
    ASSERT_EQ(setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<const char*>(&before),
                         sizeof(before)),
              0);
    const absl::StatusOr<ConnectionId> id =
        ring_->RegisterSocket(static_cast<NativeHandle>(socket));
    ASSERT_TRUE(id.ok()) << id.status();
    EXPECT_TRUE(HasNoDelay(socket));
    const absl::StatusOr<NativeHandle> handle = ring_->UnregisterSocket(*id);
    ASSERT_TRUE(handle.ok()) << handle.status();
    EXPECT_EQ(HasNoDelay(socket), before != 0);
    closesocket(socket);
  }
}

// The sockets that it accepts would have no delay either.
TEST_F(IocpTrapTest, AListeningSocketKeepsItsDelay) {
  const SOCKET socket = rio::NewSocket(AF_INET, SOCK_STREAM);
  const sockaddr_in address = AddressOf(Endpoint::Ipv4Loopback(0));
  ASSERT_EQ(bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(socket, 1), 0);
  const absl::StatusOr<ConnectionId> id = ring_->RegisterSocket(static_cast<NativeHandle>(socket));
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_FALSE(HasNoDelay(socket));
  const absl::StatusOr<NativeHandle> handle = ring_->UnregisterSocket(*id);
  ASSERT_TRUE(handle.ok()) << handle.status();
  EXPECT_FALSE(HasNoDelay(socket));
  closesocket(socket);
}

// Trap: Winsock does not tell whether a socket blocks. So it is given back blocking, as sockets are
// made, and not as the ring needs it.
TEST_F(IocpTrapTest, ASocketIsGivenBackBlocking) {
  const sockaddr_in address = AddressOf(ring_->EndpointOf(ring_->Listen()));
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    for (u_long non_blocking : {u_long{0}, u_long{1}}) {
      SCOPED_TRACE(type == SOCK_STREAM ? "a stream" : "datagrams");
      const SOCKET socket = ConnectTo(address, type);
      ASSERT_EQ(ioctlsocket(socket, FIONBIO, &non_blocking), 0);
      const absl::StatusOr<ConnectionId> id =
          ring_->RegisterSocket(static_cast<NativeHandle>(socket));
      ASSERT_TRUE(id.ok()) << id.status();
      const TestGroup group = ring_->MakeGroup(1, 64);
      const Token recv = ring_->StartManaged(*id, group.id, Shots::kOneShot);
      ring_->Submit();
      EXPECT_EQ(ring_->Await(ring_->StartCancel(recv)).result(), 0);
      EXPECT_EQ(ring_->Await(recv).error(), Error::kCanceled);
      const absl::StatusOr<NativeHandle> handle = ring_->UnregisterSocket(*id);
      ASSERT_TRUE(handle.ok()) << handle.status();
      EXPECT_TRUE(Blocks(socket));
      closesocket(socket);
    }
  }
}

// Also where the ring has no room for it.
TEST_F(IocpTrapTest, ASocketThatIsRefusedStaysAsItIs) {
  const RingOptions options = {.submission_entries = 8, .max_connections = 1, .max_operations = 8};
  TestRing small(MakeRing(options), options);
  const SOCKET socket = ConnectTo(AddressOf(ring_->EndpointOf(ring_->Listen())), SOCK_STREAM);
  std::vector<ConnectionId> others;
  absl::StatusOr<ConnectionId> id = small.OpenDatagram(Endpoint::Ipv4Loopback(0));
  while (id.ok()) {
    others.push_back(*id);
    id = small.OpenDatagram(Endpoint::Ipv4Loopback(0));
  }
  EXPECT_FALSE(small.RegisterSocket(static_cast<NativeHandle>(socket)).ok());
  EXPECT_FALSE(HasNoDelay(socket));
  EXPECT_TRUE(Blocks(socket));
  closesocket(socket);
  for (const ConnectionId other : others) small.Close(other);
  small.Finish();
}

// ---- Remedies that make no difference under Wine: the calls themselves are looked at.

#if defined(__MINGW32__)

struct Calls {
  absl::Mutex mutex;
  std::vector<std::pair<int, int>> options ABSL_GUARDED_BY(mutex);  // level and name
  std::vector<DWORD> controls ABSL_GUARDED_BY(mutex);
  std::vector<DWORD> socket_flags ABSL_GUARDED_BY(mutex);
};

Calls& Seen() {
  static Calls& calls = *new Calls;
  return calls;
}

template <typename Function>
Function InWinsock(const char* name) {
  return reinterpret_cast<Function>(
      reinterpret_cast<void*>(GetProcAddress(GetModuleHandleA("ws2_32.dll"), name)));
}

int WSAAPI SeeOption(SOCKET socket, int level, int name, const char* value, int size) {
  static const auto set = InWinsock<decltype(&setsockopt)>("setsockopt");
  {
    process::MutexLock lock(Seen().mutex);
    Seen().options.emplace_back(level, name);
  }
  return set(socket, level, name, value, size);
}

int WSAAPI SeeControl(SOCKET socket, DWORD code, LPVOID in, DWORD in_size, LPVOID out,
                      DWORD out_size, LPDWORD bytes, LPWSAOVERLAPPED overlapped,
                      LPWSAOVERLAPPED_COMPLETION_ROUTINE routine) {
  static const auto control = InWinsock<decltype(&WSAIoctl)>("WSAIoctl");
  {
    process::MutexLock lock(Seen().mutex);
    Seen().controls.push_back(code);
  }
  return control(socket, code, in, in_size, out, out_size, bytes, overlapped, routine);
}

SOCKET WSAAPI SeeSocket(int family, int type, int protocol, LPWSAPROTOCOL_INFOW info, GROUP group,
                        DWORD flags) {
  static const auto make = InWinsock<decltype(&WSASocketW)>("WSASocketW");
  {
    process::MutexLock lock(Seen().mutex);
    Seen().socket_flags.push_back(flags);
  }
  return make(family, type, protocol, info, group, flags);
}

// The next polls of sockets that are not begun.
std::atomic<int> polls_to_fail = 0;

BOOL WINAPI SeeDeviceControl(HANDLE device, DWORD code, LPVOID in, DWORD in_size, LPVOID out,
                             DWORD out_size, LPDWORD bytes, LPOVERLAPPED overlapped) {
  static const auto control = reinterpret_cast<decltype(&DeviceIoControl)>(
      reinterpret_cast<void*>(GetProcAddress(GetModuleHandleA("kernel32.dll"), "DeviceIoControl")));
  if (polls_to_fail > 0) {
    --polls_to_fail;
    SetLastError(WSAENOBUFS);
    return FALSE;
  }
  return control(device, code, in, in_size, out, out_size, bytes, overlapped);
}

int OptionsSeen(int level, int name) {
  process::MutexLock lock(Seen().mutex);
  const std::pair<int, int> wanted{level, name};
  return static_cast<int>(std::count(Seen().options.begin(), Seen().options.end(), wanted));
}

void ForgetCalls() {
  process::MutexLock lock(Seen().mutex);
  Seen().options.clear();
  Seen().controls.clear();
  Seen().socket_flags.clear();
}

// Trap 11, for listeners and datagram sockets.
TEST_F(IocpTrapTest, PortsAreTakenExclusively) {
  ForgetCalls();
  ring_->Listen();
  EXPECT_EQ(OptionsSeen(SOL_SOCKET, SO_EXCLUSIVEADDRUSE), 1);
  ring_->Datagram();
  EXPECT_EQ(OptionsSeen(SOL_SOCKET, SO_EXCLUSIVEADDRUSE), 2);
  EXPECT_EQ(OptionsSeen(SOL_SOCKET, SO_REUSEADDR), 0);
}

// Trap: SO_UPDATE_ACCEPT_CONTEXT and SO_UPDATE_CONNECT_CONTEXT, once per connection; and no
// Nagle delay, which accepted sockets do not inherit.
TEST_F(IocpTrapTest, ConnectionsAreToldToTheirSockets) {
  const ListenerId listener = ring_->Listen();
  ForgetCalls();
  for (int i = 1; i <= 3; ++i) {
    ring_->MakePair(listener);
    EXPECT_EQ(OptionsSeen(SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT), i);
    EXPECT_EQ(OptionsSeen(SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT), i);
    EXPECT_EQ(OptionsSeen(IPPROTO_TCP, TCP_NODELAY), 2 * i);
  }
}

// Trap: sockets that accept() makes have no WSA_FLAG_REGISTERED_IO. All of the ring's have it.
TEST_F(IocpTrapTest, SocketsMayHaveRequestQueues) {
  ForgetCalls();
  ring_->MakePair();
  process::MutexLock lock(Seen().mutex);
  EXPECT_GE(Seen().socket_flags.size(), 3u) << "a listener and two ends";
  for (const DWORD flags : Seen().socket_flags) {
    EXPECT_EQ(flags & WSA_FLAG_REGISTERED_IO, DWORD{WSA_FLAG_REGISTERED_IO});
  }
}

// Polls that have told of everything, and cannot look again, end as there is room for it.
TEST_F(IocpTrapTest, PollsThatCannotLookAgainWaitForRoom) {
  constexpr int kPolls = 40;  // more than the completion queue holds
  const RingOptions options = {.submission_entries = 8,
                               .completion_entries = 16,
                               .max_connections = 8,
                               .max_operations = 64};
  TestRing ring(MakeRing(options), options);
  const Pair pair = ring.MakePair();
  std::vector<Token> polls;
  for (int i = 0; i < kPolls; ++i) {
    polls.push_back(ring.Start([&](Token token) {
      return ring.PreparePollAdd(pair.client, kPollWritable, Shots::kMultishot, token);
    }));
    EXPECT_EQ(ring.Next(polls.back()).poll_events(), kPollWritable);
  }
  EXPECT_EQ(ring.Close(pair.server, CloseMode::kReset).result(), 0);
  for (const Token poll : polls) {
    PollEvents told = kPollNone;
    while (!HasFailure() && !(Any(told & kPollHangUp) && Any(told & kPollError))) {
      told |= ring.Next(poll).poll_events();
    }
  }
  polls_to_fail = kPolls;
  EXPECT_FALSE(ring.Send(pair.client, "x").ok());
  for (const Token poll : polls) {
    const Arrival last = ring.Await(poll);
    EXPECT_FALSE(last.ok());
    EXPECT_FALSE(last.more());
  }
  EXPECT_EQ(polls_to_fail, 0);
  ring.Finish();
}

// Trap: the error of an earlier datagram (SIO_UDP_CONNRESET).
TEST_F(IocpTrapTest, DatagramSocketsForgetWhoWasNotThere) {
  constexpr DWORD kUdpConnReset = _WSAIOW(IOC_VENDOR, 12);
  ForgetCalls();
  ring_->Datagram();
  process::MutexLock lock(Seen().mutex);
  EXPECT_EQ(std::count(Seen().controls.begin(), Seen().controls.end(), kUdpConnReset), 1);
}

#endif

// ---- Handles.

// What one ring does in its life: all kinds of sockets, and what is pending on them at the end.
void Live() {
  TestRing ring(MakeRing(), kOptions);
  const ListenerId listener = ring.Listen();
  std::vector<Pair> pairs;
  for (int i = 0; i < 8; ++i) pairs.push_back(ring.MakePair(listener));
  for (const Pair& pair : pairs) {
    ring.ExpectAlive(pair);
    ring.StartRecv(pair.server, ring.Memory(8));
    ring.Start([&](Token token) {
      return ring.PreparePollAdd(pair.client, kPollReadable, Shots::kMultishot, token);
    });
  }
  ring.Datagram();
  ring.Submit();
  // Connected to, and never accepted.
  ring.Run([&](Token token) { return ring.PrepareConnect(ring.EndpointOf(listener), token); });
  for (int i = 0; i < 4; ++i) ring.Close(pairs[static_cast<size_t>(i)].server, CloseMode::kReset);
  ring.Finish();
}

TEST(IocpHandleTest, ARingLeavesNoHandleBehind) {
  Live();  // what Winsock opens for itself
  const size_t before = OpenHandles();
  for (int i = 0; i < 5; ++i) Live();
  EXPECT_LE(OpenHandles(), before);
}

// One that cannot be made leaves nothing either.
TEST(IocpHandleTest, FailuresLeaveNoHandleBehind) {
  TestRing ring(MakeRing(), kOptions);
  const Endpoint taken = ring.EndpointOf(ring.Listen());
  const Endpoint foreign = Endpoint::Ipv4({192, 0, 2, 1}, 0);
  const ConnectionId socket = ring.Datagram();
  const auto fail = [&] {
    EXPECT_FALSE(ring.CreateListener(taken, {}).ok());
    EXPECT_FALSE(ring.CreateListener(foreign, {}).ok());
    EXPECT_FALSE(ring.CreateListener(Endpoint::Ipv4Loopback(0), {.share_port = true}).ok());
    EXPECT_FALSE(ring.OpenDatagram(*ring.LocalEndpoint(socket)).ok());
    EXPECT_FALSE(ring.OpenFile("no/such/file", {}).ok());
    EXPECT_FALSE(RioRing::CreateIocp({.max_operations = 0}).ok());
  };
  fail();
  const size_t before = OpenHandles();
  for (int i = 0; i < 10; ++i) fail();
  EXPECT_LE(OpenHandles(), before);
  ring.Finish();
}

[[maybe_unused]] const bool nothing_left = rio::ExpectNothingLeft(&RioRing::CreateIocp);

}  // namespace
}  // namespace ioring

#if defined(__MINGW32__)
// Where calls of the functions of those names go: first here, then into the system.
extern "C" {
extern decltype(&setsockopt) __imp_setsockopt;
decltype(&setsockopt) __imp_setsockopt = ioring::SeeOption;
extern decltype(&WSAIoctl) __imp_WSAIoctl;
decltype(&WSAIoctl) __imp_WSAIoctl = ioring::SeeControl;
extern decltype(&WSASocketW) __imp_WSASocketW;
decltype(&WSASocketW) __imp_WSASocketW = ioring::SeeSocket;
extern decltype(&DeviceIoControl) __imp_DeviceIoControl;
decltype(&DeviceIoControl) __imp_DeviceIoControl = ioring::SeeDeviceControl;
}
#endif
