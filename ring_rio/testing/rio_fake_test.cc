// Each rule of Registered I/O that the fake keeps, and each of its faults.
#include "ring_rio/testing/rio_fake.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "gtest/gtest.h"
#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/rio_api.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/sockets.h"
#include "ring_rio/testing/nothing_left.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {
namespace {

constexpr DWORD kPatienceMillis = 10'000;
constexpr DWORD kQuietMillis = 20;

// Two connected sockets of the loopback; the first is non-blocking, as the fake asks.
struct Pair {
  Pair() {
    StartWinsock();
    const SOCKET listener = *OpenListener(Endpoint::Ipv4Loopback(0), {});
    u_long blocks = 0;
    ioctlsocket(listener, FIONBIO, &blocks);
    sockaddr_in address;
    int size = sizeof(address);
    getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    peer = NewSocket(AF_INET, SOCK_STREAM);
    Connect(listener, address);
    closesocket(listener);
  }
  // From a given port, or a free one, which is told.
  Pair(SOCKET listener, const sockaddr_in& to, sockaddr_in* from) {
    peer = NewSocket(AF_INET, SOCK_STREAM);
    int size = sizeof(*from);
    CHECK_EQ(bind(peer, reinterpret_cast<const sockaddr*>(from), size), 0) << WSAGetLastError();
    getsockname(peer, reinterpret_cast<sockaddr*>(from), &size);
    Connect(listener, to);
  }
  ~Pair() {
    Close();
    closesocket(peer);
  }
  void Close() {
    if (socket != INVALID_SOCKET) closesocket(std::exchange(socket, INVALID_SOCKET));
  }
  void Connect(SOCKET listener, const sockaddr_in& to) {
    CHECK_EQ(connect(peer, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
    socket = accept(listener, nullptr, nullptr);
    CHECK_NE(socket, INVALID_SOCKET);
    CHECK(SetUpStream(socket));
  }
  void Say(std::string_view text) {
    ASSERT_EQ(send(peer, text.data(), static_cast<int>(text.size()), 0),
              static_cast<int>(text.size()));
  }
  // What has reached the peer, up to `bytes`; less where nothing more comes.
  std::string Hear(size_t bytes) {
    DWORD millis = 200;
    setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, reinterpret_cast<const char*>(&millis),
               sizeof(millis));
    std::string heard(bytes, '\0');
    size_t done = 0;
    while (done < bytes) {
      const int count = recv(peer, heard.data() + done, static_cast<int>(bytes - done), 0);
      if (count <= 0) break;
      done += static_cast<size_t>(count);
    }
    heard.resize(done);
    return heard;
  }

  SOCKET socket = INVALID_SOCKET;
  SOCKET peer = INVALID_SOCKET;
};

class RioFakeTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(CountRioFake(), RioFakeCounts{});
    port_ = *CompletionPort::Create();
    completions_ = MakeCompletions(8);
    id_ = rio_.RIORegisterBuffer(reinterpret_cast<PCHAR>(memory_.data()), kBytes);
    ASSERT_NE(id_, RIO_INVALID_BUFFERID);
  }
  void TearDown() override {
    FaultlessAgain();
    pair_.Close();
    Drain();
    rio_.RIODeregisterBuffer(id_);
    rio_.RIOCloseCompletionQueue(completions_);
    EXPECT_EQ(CountRioFake(), RioFakeCounts{});
  }

  RIO_CQ MakeCompletions(DWORD size) {
    RIO_NOTIFICATION_COMPLETION notification = {};
    notification.Type = RIO_IOCP_COMPLETION;
    notification.Iocp.IocpHandle = port_->handle();
    notification.Iocp.Overlapped = &notify_.overlapped;
    return rio_.RIOCreateCompletionQueue(size, &notification);
  }
  RIO_RQ MakeRequests(const Pair& pair, ULONG recvs = 2, ULONG sends = 2) {
    return rio_.RIOCreateRequestQueue(pair.socket, recvs, 1, sends, 1, completions_, completions_,
                                      reinterpret_cast<void*>(uintptr_t{77}));
  }
  RIO_BUF Slice(ULONG offset, ULONG length) const { return {id_, offset, length}; }
  bool Send(RIO_RQ requests, RIO_BUF slice, DWORD flags = 0, uintptr_t context = 1) {
    return rio_.RIOSend(requests, &slice, 1, flags, reinterpret_cast<void*>(context)) != FALSE;
  }
  bool Recv(RIO_RQ requests, RIO_BUF slice, DWORD flags = 0, uintptr_t context = 2) {
    return rio_.RIOReceive(requests, &slice, 1, flags, reinterpret_cast<void*>(context)) != FALSE;
  }
  bool Commit(RIO_RQ requests) {
    return rio_.RIOSend(requests, nullptr, 0, RIO_MSG_COMMIT_ONLY, nullptr) != FALSE;
  }
  void Fill(std::string_view text) { std::memcpy(memory_.data(), text.data(), text.size()); }
  std::string_view Text(size_t offset, size_t bytes) const {
    return {reinterpret_cast<const char*>(memory_.data()) + offset, bytes};
  }

  // Packets of notifications within the time.
  int Notifications(DWORD millis) {
    std::array<OVERLAPPED_ENTRY, 8> packets;
    return static_cast<int>(port_->Take(packets, millis));
  }
  // The next result; waits for it by notifications, as rings do.
  RIORESULT Next() {
    RIORESULT result = {};
    for (int i = 0; i < 100; ++i) {
      const ULONG count = rio_.RIODequeueCompletion(completions_, &result, 1);
      EXPECT_NE(count, RIO_CORRUPT_CQ);
      if (count != 0) return result;
      rio_.RIONotify(completions_);
      if (Notifications(kPatienceMillis) == 0) break;
    }
    ADD_FAILURE() << "no result came";
    return result;
  }
  void Drain() {
    RIORESULT result;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (CountRioFake().requests != 0 && std::chrono::steady_clock::now() < deadline) {
      rio_.RIODequeueCompletion(completions_, &result, 1);
      std::this_thread::yield();
    }
  }

  static constexpr DWORD kBytes = 1024;
  const RioFunctions rio_ = RioFake();
  std::vector<std::byte> memory_{kBytes};
  Request notify_{};
  std::unique_ptr<CompletionPort> port_;
  RIO_CQ completions_ = RIO_INVALID_CQ;
  RIO_BUFFERID id_ = RIO_INVALID_BUFFERID;
  Pair pair_;
};

TEST_F(RioFakeTest, Transfers) {
  const RIO_RQ requests = MakeRequests(pair_);
  Fill("hello");
  ASSERT_TRUE(Send(requests, Slice(0, 5)));
  RIORESULT result = Next();
  EXPECT_EQ(result.Status, 0);
  EXPECT_EQ(result.BytesTransferred, 5u);
  EXPECT_EQ(result.SocketContext, 77u);
  EXPECT_EQ(result.RequestContext, 1u);
  EXPECT_EQ(pair_.Hear(5), "hello");
  ASSERT_TRUE(Recv(requests, Slice(100, 50)));
  pair_.Say("answer");
  result = Next();
  EXPECT_EQ(result.Status, 0);
  EXPECT_EQ(result.BytesTransferred, 6u);
  EXPECT_EQ(result.RequestContext, 2u);
  EXPECT_EQ(Text(100, 6), "answer");
}

TEST_F(RioFakeTest, TheEndOfTheStreamIsNoBytes) {
  const RIO_RQ requests = MakeRequests(pair_);
  ASSERT_TRUE(Recv(requests, Slice(0, 50)));
  shutdown(pair_.peer, SD_SEND);
  const RIORESULT result = Next();
  EXPECT_EQ(result.Status, 0);
  EXPECT_EQ(result.BytesTransferred, 0u);
}

TEST_F(RioFakeTest, MemoryMustBeSomething) {
  EXPECT_EQ(rio_.RIORegisterBuffer(nullptr, 8), RIO_INVALID_BUFFERID);
  EXPECT_EQ(WSAGetLastError(), WSAEFAULT);
  EXPECT_EQ(rio_.RIORegisterBuffer(reinterpret_cast<PCHAR>(memory_.data()), 0),
            RIO_INVALID_BUFFERID);
}

TEST_F(RioFakeTest, SlicesLieInRegisteredMemory) {
  const RIO_RQ requests = MakeRequests(pair_);
  for (const RIO_BUF bad : {Slice(0, kBytes + 1), Slice(kBytes, 1), Slice(1, kBytes),
                            Slice(0xffffffff, 2), RIO_BUF{RIO_INVALID_BUFFERID, 0, 1}}) {
    EXPECT_FALSE(Send(requests, bad));
    EXPECT_EQ(WSAGetLastError(), WSAEFAULT);
    EXPECT_FALSE(Recv(requests, bad));
    EXPECT_EQ(WSAGetLastError(), WSAEFAULT);
  }
  EXPECT_TRUE(Send(requests, Slice(kBytes - 1, 1)));
  EXPECT_EQ(Next().Status, 0);
}

TEST_F(RioFakeTest, DeregisteredMemoryIsGone) {
  const RIO_RQ requests = MakeRequests(pair_);
  std::array<std::byte, 8> other;
  const RIO_BUFFERID id = rio_.RIORegisterBuffer(reinterpret_cast<PCHAR>(other.data()), 8);
  rio_.RIODeregisterBuffer(id);
  EXPECT_FALSE(Send(requests, {id, 0, 1}));
  EXPECT_EQ(WSAGetLastError(), WSAEFAULT);
}

TEST_F(RioFakeTest, MemoryInFlightMayNotBeDeregistered) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const RIO_RQ requests = MakeRequests(pair_);
  ASSERT_TRUE(Recv(requests, Slice(0, 8)));
  EXPECT_DEATH(rio_.RIODeregisterBuffer(id_), "in flight");
}

TEST_F(RioFakeTest, ARequestQueueTakesAsManyAsItWasMadeFor) {
  const RIO_RQ requests = MakeRequests(pair_, 1, 2);
  EXPECT_TRUE(Recv(requests, Slice(0, 8)));
  EXPECT_FALSE(Recv(requests, Slice(8, 8)));
  EXPECT_EQ(WSAGetLastError(), WSAENOBUFS);
  EXPECT_TRUE(Send(requests, Slice(0, 8), RIO_MSG_DEFER));
  EXPECT_TRUE(Send(requests, Slice(0, 8), RIO_MSG_DEFER));
  EXPECT_FALSE(Send(requests, Slice(0, 8), RIO_MSG_DEFER));
  EXPECT_EQ(WSAGetLastError(), WSAENOBUFS);
  ASSERT_TRUE(rio_.RIOResizeRequestQueue(requests, 2, 3));
  EXPECT_TRUE(Recv(requests, Slice(8, 8)));
  EXPECT_TRUE(Send(requests, Slice(0, 8)));
}

TEST_F(RioFakeTest, ARequestIsOneBuffer) {
  const RIO_RQ requests = MakeRequests(pair_);
  std::array<RIO_BUF, 2> slices = {Slice(0, 1), Slice(1, 1)};
  EXPECT_FALSE(rio_.RIOSend(requests, slices.data(), 2, 0, nullptr));
  EXPECT_EQ(WSAGetLastError(), WSAEINVAL);
  EXPECT_FALSE(rio_.RIOSend(requests, nullptr, 0, 0, nullptr));
  EXPECT_FALSE(Send(requests, Slice(0, 1), RIO_MSG_WAITALL));
  EXPECT_EQ(rio_.RIOCreateRequestQueue(Pair().socket, 1, 2, 1, 1, completions_, completions_, {}),
            RIO_INVALID_RQ);
}

TEST_F(RioFakeTest, ASocketHasOneRequestQueue) {
  EXPECT_NE(MakeRequests(pair_, 1, 1), RIO_INVALID_RQ);
  EXPECT_EQ(MakeRequests(pair_, 1, 1), RIO_INVALID_RQ);
  EXPECT_EQ(WSAGetLastError(), WSAEINVAL);
}

TEST_F(RioFakeTest, RequestQueuesAreCharged) {
  Pair second;
  Pair third;
  EXPECT_NE(MakeRequests(pair_, 2, 2), RIO_INVALID_RQ);
  EXPECT_NE(MakeRequests(second, 2, 2), RIO_INVALID_RQ);
  EXPECT_EQ(MakeRequests(third, 1, 0), RIO_INVALID_RQ);
  EXPECT_EQ(WSAGetLastError(), WSAENOBUFS);
  EXPECT_FALSE(rio_.RIOResizeCompletionQueue(completions_, 7)) << "that would be too little";
  EXPECT_EQ(WSAGetLastError(), WSAETOOMANYREFS);
  EXPECT_TRUE(rio_.RIOResizeCompletionQueue(completions_, 9));
  EXPECT_NE(MakeRequests(third, 1, 0), RIO_INVALID_RQ);
  EXPECT_FALSE(rio_.RIOResizeCompletionQueue(completions_, RIO_MAX_CQ_SIZE + 1));
  EXPECT_EQ(WSAGetLastError(), WSAEINVAL);
}

TEST_F(RioFakeTest, AClosedSocketGivesItsChargeBack) {
  for (int i = 0; i < 20; ++i) {
    Pair pair;
    ASSERT_NE(MakeRequests(pair, 4, 4), RIO_INVALID_RQ) << WSAGetLastError();
  }
}

TEST_F(RioFakeTest, DeferredRequestsWaitForACommit) {
  const RIO_RQ requests = MakeRequests(pair_);
  Fill("abcdEFGH");
  ASSERT_TRUE(Send(requests, Slice(0, 4), RIO_MSG_DEFER, 11));
  ASSERT_TRUE(Send(requests, Slice(4, 4), RIO_MSG_DEFER, 12));
  EXPECT_EQ(pair_.Hear(1), "");
  ASSERT_TRUE(Commit(requests));
  EXPECT_EQ(Next().RequestContext, 11u);
  EXPECT_EQ(Next().RequestContext, 12u);
  EXPECT_EQ(pair_.Hear(8), "abcdEFGH");
}

TEST_F(RioFakeTest, ACommitCarriesNothing) {
  const RIO_RQ requests = MakeRequests(pair_);
  RIO_BUF slice = Slice(0, 1);
  EXPECT_FALSE(rio_.RIOSend(requests, &slice, 1, RIO_MSG_COMMIT_ONLY, nullptr));
  EXPECT_EQ(WSAGetLastError(), WSAEINVAL);
  EXPECT_FALSE(rio_.RIOSend(requests, nullptr, 0, RIO_MSG_COMMIT_ONLY | RIO_MSG_DEFER, nullptr));
  EXPECT_TRUE(Commit(requests));
}

TEST_F(RioFakeTest, OneNotificationAtATime) {
  EXPECT_EQ(rio_.RIONotify(completions_), 0);
  EXPECT_EQ(rio_.RIONotify(completions_), WSAEALREADY);
  const RIO_CQ silent = rio_.RIOCreateCompletionQueue(1, nullptr);
  EXPECT_EQ(rio_.RIONotify(silent), WSAEINVAL);
  rio_.RIOCloseCompletionQueue(silent);
}

TEST_F(RioFakeTest, ANotificationForEachNotify) {
  const RIO_RQ requests = MakeRequests(pair_);
  ASSERT_TRUE(Send(requests, Slice(0, 1)));
  EXPECT_EQ(Notifications(kQuietMillis), 0) << "nobody asked";
  ASSERT_EQ(rio_.RIONotify(completions_), 0);
  EXPECT_EQ(Notifications(kPatienceMillis), 1);
  ASSERT_TRUE(Send(requests, Slice(0, 1)));
  EXPECT_EQ(Notifications(kQuietMillis), 0) << "it was told once already";
  ASSERT_EQ(rio_.RIONotify(completions_), 0);
  EXPECT_EQ(Notifications(kPatienceMillis), 1);
}

TEST_F(RioFakeTest, ASleeperIsToldOfWhatComesLater) {
  const RIO_RQ requests = MakeRequests(pair_);
  ASSERT_TRUE(Recv(requests, Slice(0, 8)));
  ASSERT_EQ(rio_.RIONotify(completions_), 0);
  EXPECT_EQ(Notifications(kQuietMillis), 0);
  pair_.Say("late");
  EXPECT_EQ(Notifications(kPatienceMillis), 1);
  EXPECT_EQ(Next().BytesTransferred, 4u);
}

TEST_F(RioFakeTest, QuietRequestsNotifyNobody) {
  const RIO_RQ requests = MakeRequests(pair_);
  ASSERT_EQ(rio_.RIONotify(completions_), 0);
  ASSERT_TRUE(Send(requests, Slice(0, 1), RIO_MSG_DONT_NOTIFY));
  EXPECT_EQ(Notifications(kQuietMillis), 0);
  EXPECT_EQ(Next().Status, 0);
}

TEST_F(RioFakeTest, WaitAllGoesOnUntilAllIsThere) {
  const RIO_RQ requests = MakeRequests(pair_);
  ASSERT_TRUE(Recv(requests, Slice(0, 10), RIO_MSG_WAITALL));
  pair_.Say("12345");
  RIORESULT result;
  for (int i = 0; i < 3; ++i) {
    rio_.RIONotify(completions_);
    Notifications(kQuietMillis);
    EXPECT_EQ(rio_.RIODequeueCompletion(completions_, &result, 1), 0u);
  }
  pair_.Say("67890");
  EXPECT_EQ(Next().BytesTransferred, 10u);
  EXPECT_EQ(Text(0, 10), "1234567890");
}

TEST_F(RioFakeTest, ASendIsWhole) {
  std::vector<std::byte> much(8 << 20);
  const RIO_BUFFERID id =
      rio_.RIORegisterBuffer(reinterpret_cast<PCHAR>(much.data()), static_cast<DWORD>(much.size()));
  const RIO_RQ requests = MakeRequests(pair_);
  ASSERT_TRUE(Send(requests, {id, 0, static_cast<ULONG>(much.size())}));
  std::thread reader([&] { EXPECT_EQ(pair_.Hear(much.size()).size(), much.size()); });
  EXPECT_EQ(Next().BytesTransferred, much.size());
  reader.join();
  rio_.RIODeregisterBuffer(id);
}

// There is no call that cancels; closing the socket ends what is in flight.
TEST_F(RioFakeTest, ClosingAborts) {
  const RIO_RQ requests = MakeRequests(pair_);
  ASSERT_TRUE(Recv(requests, Slice(0, 8)));
  pair_.Close();
  EXPECT_EQ(Next().Status, WSA_OPERATION_ABORTED);
}

TEST_F(RioFakeTest, AQueueInFlightMayNotBeClosed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  ASSERT_TRUE(Recv(MakeRequests(pair_), Slice(0, 8)));
  EXPECT_DEATH(rio_.RIOCloseCompletionQueue(completions_), "in flight");
}

TEST_F(RioFakeTest, NoQueueIsCorrupt) {
  RIORESULT result;
  EXPECT_EQ(rio_.RIODequeueCompletion(reinterpret_cast<RIO_CQ>(this), &result, 1), RIO_CORRUPT_CQ);
  RIO_BUF slice = Slice(0, 1);
  EXPECT_FALSE(rio_.RIOSend(reinterpret_cast<RIO_RQ>(this), &slice, 1, 0, nullptr));
  EXPECT_EQ(WSAGetLastError(), WSAEINVAL);
}

// Queues are not synchronised: two threads at once corrupt them.
TEST_F(RioFakeTest, TwoThreadsAtOnceCorrupt) {
  std::atomic<bool> corrupt{false};
  const auto use = [&] {
    RIORESULT result;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!corrupt && std::chrono::steady_clock::now() < deadline) {
      if (rio_.RIODequeueCompletion(completions_, &result, 1) == RIO_CORRUPT_CQ) corrupt = true;
    }
  };
  std::thread other(use);
  use();
  other.join();
  EXPECT_TRUE(corrupt);
}

// ---- Faults.

TEST_F(RioFakeTest, CallsFailAsAsked) {
  FailRio(RioFunction::kCreateRequestQueue, WSAENOBUFS, 1);
  EXPECT_EQ(MakeRequests(pair_), RIO_INVALID_RQ);
  EXPECT_EQ(WSAGetLastError(), WSAENOBUFS);
  const RIO_RQ requests = MakeRequests(pair_);
  ASSERT_NE(requests, RIO_INVALID_RQ);
  FailRio(RioFunction::kSend, WSAENOBUFS, 2);
  EXPECT_FALSE(Send(requests, Slice(0, 1)));
  EXPECT_FALSE(Send(requests, Slice(0, 1)));
  EXPECT_TRUE(Send(requests, Slice(0, 1)));
  FailRio(RioFunction::kReceive, WSAENOBUFS, 1);
  EXPECT_FALSE(Recv(requests, Slice(0, 1)));
  FailRio(RioFunction::kResize, WSAENOBUFS, 1);
  EXPECT_FALSE(rio_.RIOResizeCompletionQueue(completions_, 100));
  FailRio(RioFunction::kRegisterBuffer, WSAENOBUFS, 1);
  EXPECT_EQ(rio_.RIORegisterBuffer(reinterpret_cast<PCHAR>(memory_.data()), 8),
            RIO_INVALID_BUFFERID);
}

TEST_F(RioFakeTest, ResultsFailAsAsked) {
  const RIO_RQ requests = MakeRequests(pair_);
  FailNextRioResult(/*is_send=*/false, WSAECONNRESET);
  ASSERT_TRUE(Recv(requests, Slice(0, 8)));
  pair_.Say("x");
  EXPECT_EQ(Next().Status, WSAECONNRESET);
}

// A socket's number is used again, and so may be its addresses.
TEST_F(RioFakeTest, ASocketInAnothersPlaceHasNoQueueYet) {
  const SOCKET listener = *OpenListener(Endpoint::Ipv4Loopback(0), {});
  u_long blocks = 0;
  ioctlsocket(listener, FIONBIO, &blocks);
  sockaddr_in to;
  int size = sizeof(to);
  getsockname(listener, reinterpret_cast<sockaddr*>(&to), &size);
  sockaddr_in from = to;
  from.sin_port = 0;
  for (int i = 0; i < 3; ++i) {
    Pair pair(listener, to, &from);
    EXPECT_NE(MakeRequests(pair), RIO_INVALID_RQ) << i;
    EXPECT_EQ(MakeRequests(pair), RIO_INVALID_RQ) << "it has one";
    CloseSocket(std::exchange(pair.socket, INVALID_SOCKET), /*reset=*/true);
  }
  closesocket(listener);
}

TEST_F(RioFakeTest, CorruptIsFinal) {
  CorruptRioQueues();
  RIORESULT result;
  EXPECT_EQ(rio_.RIODequeueCompletion(completions_, &result, 1), RIO_CORRUPT_CQ);
  EXPECT_EQ(rio_.RIODequeueCompletion(completions_, &result, 1), RIO_CORRUPT_CQ);
}

[[maybe_unused]] const bool nothing_left = ExpectNothingLeft(
    [](const RingOptions& options) { return RioRing::CreateRio(options, RioFake()); },
    [] { return CountRioFake() == RioFakeCounts{}; });

}  // namespace
}  // namespace ioring::rio
