// A system that is short of threads, or of what it watches descriptors with.
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "process/testing/as_declared.h"
#include "process/testing/no_threads.h"
#include "ring/completion.h"
#include "ring/conformance/file_calls.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"
#include "ring_epoll/epoll_ring.h"

namespace ioring {
namespace {

std::atomic<bool> refuses_watches{false};

}  // namespace
}  // namespace ioring

// In place of the C library's.
extern "C" {

int epoll_ctl(int epoll, int operation, int file, epoll_event* event) IORING_AS_DECLARED {
  if (operation == EPOLL_CTL_ADD && ioring::refuses_watches) {
    errno = ENOSPC;  // fs.epoll.max_user_watches
    return -1;
  }
  return static_cast<int>(syscall(SYS_epoll_ctl, epoll, operation, file, event));
}

}  // extern "C"

namespace ioring {
namespace {

class ScarceSystemTest : public testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<EpollRing>> made = EpollRing::Create(RingOptions{});
    CHECK_OK(made.status());
    ring_ = std::make_unique<TestRing>(*std::move(made), RingOptions{});
  }
  void TearDown() override {
    refuses_watches = false;
    ring_->Finish();
  }

  // A pipe whose reading end is the ring's; `writes_` is the test's.
  FileId MakePipe() {
    std::array<int, 2> ends{-1, -1};
    PCHECK(pipe(ends.data()) == 0);
    writes_ = ends[1];
    return Register(ends[0]);
  }
  FileId Register(int end) {
    const absl::StatusOr<FileId> file = ring_->RegisterFile(end);
    CHECK_OK(file.status());
    return *file;
  }

  std::unique_ptr<TestRing> ring_;
  int writes_ = -1;
};

TEST_F(ScarceSystemTest, WithoutThreadsWhatWouldWaitFails) {
  FileCalls calls(*ring_);
  const FileId reads = MakePipe();
  const NoThreads no_threads;
  const std::span<std::byte> memory = ring_->Memory(8);
  EXPECT_EQ(ring_->Await(calls.StartRead(reads, kOwnPosition, memory)).error(), Error::kNoMemory);
  ASSERT_EQ(write(writes_, "text", 4), 4);
  EXPECT_EQ(calls.Read(reads, kOwnPosition, 8), "text");
  // The write is made on this thread, and raises no signal there.
  EXPECT_EQ(calls.CloseFile(reads).result(), 0);
  const FileId writes = Register(writes_);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(calls.Write(writes, kOwnPosition, "x").error(), Error::kBrokenPipe);
  }
  sigset_t pending;
  ASSERT_EQ(sigpending(&pending), 0);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
  EXPECT_EQ(calls.CloseFile(writes).result(), 0);
}

TEST_F(ScarceSystemTest, TheThreadThatWaitsWorksWhereItIsAlone) {
  FileCalls calls(*ring_);
  const FileId reads = MakePipe();
  const std::span<std::byte> memory = ring_->Memory(8);
  std::optional<NoThreads> no_more_threads;
  for (int i = 0; i < 3; ++i) {
    const Token read = calls.StartRead(reads, kOwnPosition, memory);
    ring_->Quiet();
    EXPECT_FALSE(ring_->HasArrived(read));
    if (i == 0) no_more_threads.emplace();  // there is the one that waits
    ASSERT_EQ(write(writes_, "text", 4), 4);
    EXPECT_EQ(ring_->Await(read).result(), 4);
  }
  const Token cancelled = calls.StartRead(reads, kOwnPosition, memory);
  ring_->Quiet();
  EXPECT_EQ(ring_->Await(ring_->StartCancel(cancelled)).result(), 0);
  EXPECT_EQ(ring_->Await(cancelled).error(), Error::kCanceled);
  close(writes_);
  EXPECT_EQ(calls.CloseFile(reads).result(), 0);
}

TEST_F(ScarceSystemTest, AReceiveThatCannotBeWatchedKeepsItsBytes) {
  const Pair pair = ring_->MakePair();
  EXPECT_EQ(ring_->Send(pair.client, "0123456789").result(), 10);
  const std::span<std::byte> memory = ring_->Memory(100);
  refuses_watches = true;
  EXPECT_EQ(ring_->Await(ring_->StartRecv(pair.server, memory, TransferFlags::kAll)).result(), 10);
  EXPECT_EQ(AsText(memory.first(10)), "0123456789");
  EXPECT_EQ(ring_->Await(ring_->StartRecv(pair.server, memory, TransferFlags::kAll)).error(),
            Error::kNoSpace);
  refuses_watches = false;
  ring_->ExpectAlive(pair);
}

TEST_F(ScarceSystemTest, ASendThatCannotBeWatchedTellsWhatItHasSent) {
  const Pair pair = ring_->MakePair();  // of these the client's socket is watched, for its connect
  const std::span<std::byte> memory = ring_->Memory(64 << 20);
  refuses_watches = true;
  const int32_t sent =
      ring_->Await(ring_->StartSend(pair.server, memory, TransferFlags::kAll)).result();
  ASSERT_GT(sent, 0);
  ASSERT_LT(static_cast<size_t>(sent), memory.size());
  refuses_watches = false;
  const std::span<std::byte> received = ring_->Memory(static_cast<size_t>(sent));
  EXPECT_EQ(ring_->Await(ring_->StartRecv(pair.client, received, TransferFlags::kAll)).result(),
            sent);
  ring_->ExpectAlive(pair);
}

}  // namespace
}  // namespace ioring
