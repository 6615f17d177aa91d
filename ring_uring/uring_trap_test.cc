// What bit others on io_uring: signals, and memory that is registered or cannot be.
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "buffer/map_result.h"
#include "buffer/mirrored_region.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/statistics.h"
#include "ring/token.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_test_util.h"

namespace ioring::uring {
namespace {

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

// How many pages of `memory` have memory behind them: mincore(2).
size_t PagesInMemory(std::span<std::byte> memory) {
  const auto page_bytes = static_cast<size_t>(getpagesize());
  std::vector<unsigned char> pages(memory.size() / page_bytes);
  PCHECK(mincore(memory.data(), memory.size(), pages.data()) == 0);
  return static_cast<size_t>(std::count_if(pages.begin(), pages.end(),
                                           [](unsigned char page) { return (page & 1) != 0; }));
}

enum class DescriptorKind : uint8_t { kDirect, kOrdinaryTcp, kOrdinaryUnix };

class MirrorTest : public testing::TestWithParam<DescriptorKind> {
 protected:
  static constexpr uint32_t kHalf = 64 << 10;
  static constexpr uint32_t kLength = 10'000;
  static constexpr uint32_t kOffset = kHalf - 3'000;  // the slice runs through the seam

  MirrorTest() {
    MapResult<MirroredRegion> region = MirroredRegion::Create(kHalf, 2);
    CHECK(region.ok()) << region.error().message();
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
  void Protect(int protection) {
    const std::span<std::byte> memory = region_->memory();
    PCHECK(mprotect(memory.data(), memory.size(), protection) == 0);
  }
  std::string_view Half(uint32_t offset, uint32_t length) {
    return AsText(region_->buffer(1).subspan(offset, length));
  }

  std::optional<MirroredRegion> region_;
};

TEST_P(MirrorTest, TransfersRunThroughTheSeam) {
  UringTester ring({.fixed_socket_io_threshold_bytes = 1});
  absl::StatusOr<BufferId> buffer =
      ring->RegisterBuffer({.memory = region_->memory(), .unit_bytes = 2 * kHalf});
  ASSERT_TRUE(buffer.ok()) << buffer.status();
  ASSERT_TRUE(ring->IsKernelRegistered(*buffer)) << ring->RegistrationProblem();
  const UringTester::Accepted connection = Connect(ring);
  const BufferSlice slice{*buffer, 2 * kHalf + kOffset, kLength};

  const std::string request = Pattern(kLength);
  ASSERT_TRUE(SendAll(connection.peer.get(), request));
  // The registration holds the pages: it is not hindered by what the mapping allows. Where
  // sockets cannot use it, they take the memory as it is mapped.
  const bool fixed = ring->Capabilities().Has(Capability::kFixedSocketIo);
  const int protection = fixed ? PROT_NONE : PROT_READ | PROT_WRITE;
  Protect(protection);
  uint32_t received = 0;
  while (received < kLength) {
    const Event event = ring.Run([&](Token token) {
      return ring->PrepareRecvBuffer(connection.id,
                                     {*buffer, slice.offset + received, kLength - received}, token);
    });
    ASSERT_GT(event.result, 0) << ring->ExplainError(event);
    received += static_cast<uint32_t>(event.result);
  }
  Protect(PROT_READ | PROT_WRITE);
  EXPECT_TRUE(Half(kOffset, kLength) == request);
  // Behind the seam the bytes are those at the start.
  EXPECT_TRUE(Half(0, kLength - 3'000) == request.substr(3'000));

  Protect(protection);
  const Token send =
      ring.Start([&](Token token) { return ring->PrepareSendBuffer(connection.id, slice, token); });
  EXPECT_EQ(ring->UsesInFlight(*buffer, slice.offset), 1u);
  EXPECT_EQ(ring->UsesInFlight(*buffer, 0), 0u) << "the other buffer of the region is not in use";
  EXPECT_EQ(ring.Next(send).result, static_cast<int32_t>(kLength));
  EXPECT_EQ(ring->UsesInFlight(*buffer, slice.offset), 0u);
  Protect(PROT_READ | PROT_WRITE);
  EXPECT_TRUE(ReceiveExactly(connection.peer.get(), kLength) == request);
}

// Registering takes all pages and locks them, and plain transfers, which are the faster ones
// for sockets, gain nothing by it.
// What a connection has in flight is counted in 16 bits; then the table counts as full.
TEST(ConnectionTest, MorePollsThanCanBeCountedAreRefused) {
  UringTester ring({.submission_entries = 4096, .max_operations = 70'000});
  const UringTester::Accepted connection = ring.Register(UnixPair());
  uint32_t polls = 0;
  Prepared prepared = Prepared::kAccepted;
  while (prepared != Prepared::kOperationTableFull && polls < 70'000) {
    prepared = ring->PreparePollAdd(connection.id, kPollReadable, Shots::kOneShot, ring.NewToken());
    if (prepared == Prepared::kSubmissionQueueFull) ring->Submit();
    if (prepared == Prepared::kAccepted) ++polls;
  }
  EXPECT_EQ(polls, 32'768u);
  EXPECT_TRUE(absl::IsFailedPrecondition(ring->UnregisterSocket(connection.id).status()));
}

TEST(BufferUseTest, MemoryForSocketsIsLeftAloneUnlessSocketsUseTheRegistration) {
  constexpr size_t kBytes = 128 << 10;
  for (const bool asked : {false, true}) {
    RingOptions options;
    if (asked) options.fixed_socket_io_threshold_bytes = 4096;
    UringTester ring(options);
    MapResult<MirroredRegion> region = MirroredRegion::Create(kBytes, 1);
    ASSERT_TRUE(region.ok()) << region.error().message();
    const std::span<std::byte> memory = region->buffer(0);
    absl::StatusOr<BufferId> buffer =
        ring->RegisterBuffer({.memory = memory, .use = BufferUse::kSockets});
    ASSERT_TRUE(buffer.ok()) << buffer.status();
    const bool gains = asked && ring->Capabilities().Has(Capability::kFixedSocketIo);
    EXPECT_EQ(ring->IsKernelRegistered(*buffer), gains) << ring->RegistrationProblem();
    EXPECT_EQ(PagesInMemory(memory) != 0, gains);
    EXPECT_TRUE(ring->UnregisterBuffer(*buffer).ok());
  }
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

}  // namespace
}  // namespace ioring::uring
