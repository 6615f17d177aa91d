// What bit others on io_uring, sockets: signals, registered memory, closing, reuse of slots.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <tuple>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "buffer/mirrored_region.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"
#include "ring_uring/uring_test_util.h"

namespace ioring::uring {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

// Registered memory of one page.
class RegisteredPage {
 public:
  static constexpr uint32_t kBytes = 4096;

  explicit RegisteredPage(UringTester& ring) : ring_(ring) {
    memory_ = {static_cast<std::byte*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
               kBytes};
    absl::StatusOr<BufferId> id = ring_->RegisterBuffer({.memory = memory_});
    CHECK_OK(id.status());
    id_ = *id;
  }
  RegisteredPage(const RegisteredPage&) = delete;
  RegisteredPage& operator=(const RegisteredPage&) = delete;
  ~RegisteredPage() {
    EXPECT_TRUE(ring_->UnregisterBuffer(id_).ok());
    munmap(memory_.data(), kBytes);
  }

  BufferId id() const { return id_; }
  std::span<std::byte> memory() const { return memory_; }
  BufferSlice Slice(uint32_t offset, uint32_t length) const { return {id_, offset, length}; }

 private:
  UringTester& ring_;
  std::span<std::byte> memory_;
  BufferId id_;
};

// ---- Trap: WRITE_FIXED to a reset peer raises SIGPIPE, which ends a program that does not
// expect it. (A plain send raises none on io_uring.)

std::atomic<int> pipe_signals{0};

void CountSignal(int) { pipe_signals.fetch_add(1); }

class SignalTest : public testing::TestWithParam<std::optional<uint32_t>> {
 protected:
  SignalTest() {
    struct sigaction action {};
    action.sa_handler = CountSignal;
    PCHECK(sigaction(SIGPIPE, &action, &old_) == 0);
    pipe_signals = 0;
  }
  ~SignalTest() override { sigaction(SIGPIPE, &old_, nullptr); }

  // Sends until it fails, and once more: the first failure tells of the reset, later ones
  // say that the pipe is broken, which is what raises the signal.
  static void SendIntoTheVoid(UringTester& ring, ConnectionId connection, bool registered) {
    const RegisteredPage page(ring);
    int failures = 0;
    for (int i = 0; failures < 3 && i < 100; ++i) {
      const Event sent = ring.Run([&](Token token) {
        return registered ? ring->PrepareSendBuffer(connection, page.Slice(0, page.kBytes), token)
                          : ring->PrepareSend(connection, page.memory(), token);
      });
      if (!sent.ok()) ++failures;
    }
    EXPECT_EQ(failures, 3);
    EXPECT_EQ(pipe_signals, 0) << (registered ? "registered" : "plain") << " memory";
  }

 private:
  struct sigaction old_ {};
};

TEST_P(SignalTest, SendingToAResetPeerRaisesNoSignal) {
  UringTester ring({.fixed_socket_io_threshold_bytes = GetParam()});
  for (const bool registered : {false, true}) {
    UringTester::Accepted direct = ring.Accept();
    CloseWithReset(std::move(direct.peer));
    SendIntoTheVoid(ring, direct.id, registered);
    UringTester::Accepted ordinary = ring.Register(TcpPair());
    CloseWithReset(std::move(ordinary.peer));
    SendIntoTheVoid(ring, ordinary.id, registered);
    UringTester::Accepted local = ring.Register(UnixPair());
    local.peer.reset();
    SendIntoTheVoid(ring, local.id, registered);
  }
}

INSTANTIATE_TEST_SUITE_P(FixedFromOneByteAndByDefault, SignalTest,
                         testing::Values(std::optional<uint32_t>(1), std::nullopt));

// ---- Trap: registered memory does nothing for plain receives and sends; READ_FIXED and
// WRITE_FIXED take it, also across the seam of a mirror.

enum class DescriptorKind : uint8_t { kDirect, kOrdinaryTcp, kOrdinaryUnix };

class MirrorTest : public testing::TestWithParam<DescriptorKind> {
 protected:
  static constexpr uint32_t kHalf = 64 << 10;
  static constexpr uint32_t kLength = 10'000;
  static constexpr uint32_t kOffset = kHalf - 3'000;  // the slice runs through the seam

  MirrorTest() {
    absl::StatusOr<MirroredRegion> region = MirroredRegion::Create(kHalf, 2);
    CHECK_OK(region.status());
    region_.emplace(*std::move(region));
  }

  UringTester::Accepted Connect(UringTester& ring) {
    switch (GetParam()) {
      case DescriptorKind::kDirect:
        return ring.Accept();
      case DescriptorKind::kOrdinaryTcp:
        return ring.Register(TcpPair());
      case DescriptorKind::kOrdinaryUnix:
        return ring.Register(UnixPair());
    }
    return {};
  }
  std::string_view Half(uint32_t offset, uint32_t length) {
    return AsText(region_->buffer(1).subspan(offset, length));
  }

  std::optional<MirroredRegion> region_;
};

TEST_P(MirrorTest, TransfersRunThroughTheSeam) {
  UringTester ring({.fixed_socket_io_threshold_bytes = 1});
  ASSERT_TRUE(ring->Capabilities().Has(Capability::kFixedSocketIo))
      << ring->Capabilities().ToString();
  absl::StatusOr<BufferId> buffer =
      ring->RegisterBuffer({.memory = region_->memory(), .unit_bytes = 2 * kHalf});
  ASSERT_TRUE(buffer.ok()) << buffer.status();
  ASSERT_TRUE(ring->IsKernelRegistered(*buffer)) << ring->RegistrationProblem();
  const UringTester::Accepted connection = Connect(ring);
  const BufferSlice slice{*buffer, 2 * kHalf + kOffset, kLength};

  const std::string request = Pattern(kLength);
  ASSERT_TRUE(SendAll(connection.peer.get(), request));
  uint32_t received = 0;
  while (received < kLength) {
    const Event event = ring.Run([&](Token token) {
      return ring->PrepareRecvBuffer(connection.id,
                                     {*buffer, slice.offset + received, kLength - received}, token);
    });
    ASSERT_GT(event.result, 0) << ring->ExplainError(event);
    received += static_cast<uint32_t>(event.result);
  }
  EXPECT_TRUE(Half(kOffset, kLength) == request);
  // Behind the seam the bytes are those at the start.
  EXPECT_TRUE(Half(0, kLength - 3'000) == request.substr(3'000));

  const Token send =
      ring.Start([&](Token token) { return ring->PrepareSendBuffer(connection.id, slice, token); });
  EXPECT_EQ(ring->UsesInFlight(*buffer, slice.offset), 1u);
  EXPECT_EQ(ring->UsesInFlight(*buffer, 0), 0u) << "the other buffer of the region is not in use";
  EXPECT_EQ(ring.Next(send).result, static_cast<int32_t>(kLength));
  EXPECT_EQ(ring->UsesInFlight(*buffer, slice.offset), 0u);
  EXPECT_TRUE(ReceiveExactly(connection.peer.get(), kLength) == request);
}

INSTANTIATE_TEST_SUITE_P(EveryDescriptor, MirrorTest,
                         testing::Values(DescriptorKind::kDirect, DescriptorKind::kOrdinaryTcp,
                                         DescriptorKind::kOrdinaryUnix));

// ---- Trap: read-only memory cannot be registered (EFAULT).

TEST(UnregisteredMemoryTest, ReadOnlyMemoryIsUsedUnregistered) {
  UringTester ring;
  const std::string text = Pattern(4096);
  void* const page =
      mmap(nullptr, text.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(page, MAP_FAILED);
  memcpy(page, text.data(), text.size());
  ASSERT_EQ(mprotect(page, text.size(), PROT_READ), 0);
  EXPECT_EQ(ring->RegistrationProblem(), "");
  absl::StatusOr<BufferId> buffer =
      ring->RegisterBuffer({.memory = {static_cast<std::byte*>(page), text.size()}});
  ASSERT_TRUE(buffer.ok()) << buffer.status();
  EXPECT_FALSE(ring->IsKernelRegistered(*buffer));
  EXPECT_THAT(std::string(ring->RegistrationProblem()), HasSubstr("EFAULT"));
  EXPECT_EQ(ring->GetStatistics().fallbacks, 1u);

  const std::string path = testing::TempDir() + "/read_only_memory";
  absl::StatusOr<FileId> file = ring->OpenFile(
      path, {.access = FileOptions::Access::kWrite, .create = FileOptions::Create::kTruncate});
  ASSERT_TRUE(file.ok()) << file.status();
  const Event written = ring.Run([&](Token token) {
    return ring->PrepareWriteBuffer(*file, 0, {*buffer, 0, 4096}, token);
  });
  EXPECT_EQ(written.result, 4096) << ring->ExplainError(written);
  EXPECT_TRUE(ring->CloseFile(*file).ok());
  EXPECT_TRUE(ReadFile(path) == text);
  EXPECT_TRUE(ring->UnregisterBuffer(*buffer).ok());
  unlink(path.c_str());
  munmap(page, text.size());
}

// ---- Trap (liburing issue 932): close sends no FIN while an operation holds the socket's
// file. The original also leaked sockets whose peer was gone (its defect 7).

class CloseTest : public testing::TestWithParam<Mask> {
 protected:
  // Closes while `prepare` is in flight; the peer must see the end of the stream.
  template <typename Prepare>
  static void CloseDuring(UringTester& ring, UringTester::Accepted connection, Prepare prepare) {
    const Token receive = ring.Start(prepare);
    ring->Submit();
    EXPECT_EQ(ring.Ready(receive), 0u) << "it was meant to be in flight";
    EXPECT_EQ(ring.Close(connection.id).result, 0);
    Event last = ring.Next(receive);
    while (last.more()) last = ring.Next(receive);
    EXPECT_EQ(last.error(), Error::kCanceled);
    EXPECT_TRUE(ReceivesEnd(connection.peer.get()));
    EXPECT_EQ(ring->InFlight(), 0u);
  }
};

TEST_P(CloseTest, SendsTheEndOfTheStreamThoughAReceiveIsInFlight) {
  UringTester ring({.disabled = GetParam().disabled});
  std::array<std::byte, 64> memory;
  std::array<std::byte, 64> group_memory;
  const BufferGroupId group =
      *ring->RegisterBufferGroup({.memory = group_memory, .buffer_bytes = 64});
  for (const bool accepted : {true, false}) {
    const auto connect = [&] { return accepted ? ring.Accept() : ring.Register(TcpPair()); };
    {
      UringTester::Accepted connection = connect();
      const ConnectionId id = connection.id;
      CloseDuring(ring, std::move(connection),
                  [&](Token token) { return ring->PrepareRecv(id, memory, token); });
    }
    {
      UringTester::Accepted connection = connect();
      const ConnectionId id = connection.id;
      CloseDuring(ring, std::move(connection), [&](Token token) {
        return ring->PrepareRecv(id, memory, token, TransferFlags::kAll);
      });
    }
    {
      UringTester::Accepted connection = connect();
      const ConnectionId id = connection.id;
      CloseDuring(ring, std::move(connection), [&](Token token) {
        return ring->PrepareRecvManaged(id, group, Shots::kMany, token);
      });
    }
    {
      UringTester::Accepted connection = connect();
      const ConnectionId id = connection.id;
      CloseDuring(ring, std::move(connection), [&](Token token) {
        return ring->PreparePollAdd(id, kPollReadable, Shots::kMany, token);
      });
    }
  }
  EXPECT_EQ(ring->FreeBuffers(group), 1u);
}

// Disconnecting during a send never sent the FIN: here the peer reads nothing, so that the
// send cannot end by itself.
TEST_P(CloseTest, EndsASendThatThePeerDoesNotRead) {
  UringTester ring({.disabled = GetParam().disabled});
  for (const TransferFlags flags : {TransferFlags::kNone, TransferFlags::kAll}) {
    UringTester::Accepted connection = ring.Accept();
    const std::string bytes(32 << 20, 'x');
    // What fits at once is sent at once; then one is in flight that must wait.
    Token send{};
    for (bool in_flight = false; !in_flight;) {
      send = ring.Start([&](Token token) {
        return ring->PrepareSend(connection.id, AsBytes(bytes), token, flags);
      });
      in_flight = ring.Ready(send) == 0;
      if (!in_flight) ring.Next(send);
    }
    EXPECT_EQ(ring.Close(connection.id, CloseMode::kReset).result, 0);
    EXPECT_NE(ring.Next(send).error(), Error::kUnknown);
    // What was underway is dropped, and the peer is told.
    char block[4096];
    ssize_t received;
    while ((received = ReceiveSome(connection.peer.get(), block, sizeof(block))) > 0) {
    }
    EXPECT_EQ(received, -1);
    EXPECT_EQ(errno, ECONNRESET);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Masks, CloseTest,
    testing::Values(Mask{"Native", {}},
                    Mask{"NoCancelByDescriptor", {Capability::kCancelByDescriptor}},
                    Mask{"OrdinaryDescriptors", {Capability::kDirectDescriptors}},
                    Mask{"EmulatedBuffers", {Capability::kProvidedBuffers}}),
    MaskName);

// A transfer that the ring is about to go on with by itself is closed with the rest: here
// the rest of a zero-copy send that the kind of socket does not do.
TEST(CloseWhileDeferredTest, EndsATransferThatWaitsToBeArmedAgain) {
  UringTester ring({.zero_copy_threshold_bytes = 1});
  ASSERT_TRUE(ring->Capabilities().Has(Capability::kZeroCopySend));
  const UringTester::Accepted connection = ring.Register(UnixPair());
  ring.Run([&](Token token) { return ring->PrepareNop(token); });
  // The wait ends with the no-op's completion, while the send waits to be repeated.
  const Token send = ring.Start(
      [&](Token token) { return ring->PrepareSend(connection.id, AsBytes("hello"), token); });
  const Token nop = ring.Start([&](Token token) { return ring->PrepareNop(token); });
  ring->SubmitAndWait({});
  const Token close = ring.Start(
      [&](Token token) { return ring->PrepareClose(connection.id, CloseMode::kGraceful, token); });
  EXPECT_EQ(ring.Next(nop).result, 0);
  EXPECT_EQ(ring.Next(close).result, 0);
  const Event sent = ring.Next(send);
  EXPECT_TRUE(sent.error() == Error::kCanceled || sent.result == 5) << sent.result;
}

TEST(CloseWhileDeferredTest, CancellingATransferThatWaitsFreesItsDirection) {
  UringTester ring({.zero_copy_threshold_bytes = 1});
  const UringTester::Accepted connection = ring.Register(UnixPair());
  ring.Run([&](Token token) { return ring->PrepareNop(token); });
  const Token send = ring.Start(
      [&](Token token) { return ring->PrepareSend(connection.id, AsBytes("hello"), token); });
  const Token nop = ring.Start([&](Token token) { return ring->PrepareNop(token); });
  ring->SubmitAndWait({});
  const Token cancel = ring.Start([&](Token token) { return ring->PrepareCancel(send, token); });
  EXPECT_EQ(ring.Next(nop).result, 0);
  ring.Next(cancel);
  ring.Next(send);
  EXPECT_EQ(ring.Send(connection.id, "again").result, 5) << "the direction is not free";
}

// The same for a poll of many shots that the kernel ended, because its completion did not
// fit into the kernel's queue.
TEST(CloseWhileDeferredTest, EndsAPollThatWaitsToBeArmedAgain) {
  UringTester ring({.submission_entries = 8, .completion_entries = 16});
  const UringTester::Accepted connection = ring.Register(UnixPair());
  const UringTester::Accepted other = ring.Register(UnixPair());
  // Enough completions to fill the queue before the poll's.
  for (int i = 0; i < 64; ++i) {
    const Token token = ring.NewToken();
    if (!ring->PreparePollAdd(other.id, kPollReadable, Shots::kOne, token)) ring->Submit();
  }
  ring->Submit();
  const Token poll = ring.Start([&](Token token) {
    return ring->PreparePollAdd(connection.id, kPollReadable, Shots::kMany, token);
  });
  ring->Submit();
  ASSERT_TRUE(SendAll(other.peer.get(), "x"));
  ASSERT_TRUE(SendAll(connection.peer.get(), "x"));
  ring->WaitCompletions({.min_completions = 48});
  const Token close = ring.Start(
      [&](Token token) { return ring->PrepareClose(connection.id, CloseMode::kGraceful, token); });
  EXPECT_EQ(ring.Next(close).result, 0);
  Event last = ring.Next(poll);
  while (last.more()) last = ring.Next(poll);
  EXPECT_EQ(last.error(), Error::kCanceled);
}

}  // namespace
}  // namespace ioring::uring
