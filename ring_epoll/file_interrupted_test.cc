// Calls on files that a signal interrupts go on as if nothing had happened. The ring's threads take
// no signals, but work of the program's may let them; and whether a kernel then interrupts a call,
// nobody can say beforehand. So the calls are this file's.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "process/testing/as_declared.h"
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

constexpr int kAllOfThem = std::numeric_limits<int>::max();

// poll(2) of the thread that waits for descriptors, and of one that asks about a single descriptor.
constexpr long kPollWaiting = -2;
constexpr long kPollNow = -3;

// What is interrupted now: that many of the calls of this number on this descriptor.
std::atomic<long> interrupted_call{-1};
std::atomic<int> interrupted_descriptor{-1};
std::atomic<int> interruptions_left{0};
std::atomic<int> interruptions{0};
std::atomic<int> calls{0};  // also those that were let through

bool IsInterrupted(long number, int descriptor) {
  if (number != interrupted_call || descriptor != interrupted_descriptor) return false;
  ++calls;
  int left = interruptions_left;
  while (left > 0 && !interruptions_left.compare_exchange_weak(left, left - 1)) {
  }
  if (left <= 0) return false;
  ++interruptions;
  interruptions.notify_all();
  errno = EINTR;
  return true;
}

// A call whose first argument is the descriptor.
template <typename... Arguments>
ssize_t Call(long number, int descriptor, Arguments... arguments) {
  if (IsInterrupted(number, descriptor)) return -1;
  return static_cast<ssize_t>(syscall(number, descriptor, arguments...));
}

// Some processors have no poll(2) of their own.
int Poll(pollfd* polled, nfds_t count, int timeout_ms) {
  timespec timeout{timeout_ms / 1000, timeout_ms % 1000 * 1'000'000L};
  return static_cast<int>(
      syscall(SYS_ppoll, polled, count, timeout_ms < 0 ? nullptr : &timeout, nullptr, size_t{0}));
}

// The thread that waits polls its bell first.
int PollOrInterrupt(pollfd* polled, nfds_t count, int timeout_ms) {
  const long number = count > 1 ? kPollWaiting : kPollNow;
  if (count > 0 && IsInterrupted(number, polled[count - 1].fd)) return -1;
  return Poll(polled, count, timeout_ms);
}

// No transfer of it can say that it may not block, as with terminals: the ring asks poll(2) before.
std::atomic<int> descriptor_that_blocks{-1};
// What can be read of it is taken by somebody else then.
std::atomic<bool> is_raced{false};

bool Blocks(int descriptor) {
  if (descriptor != descriptor_that_blocks) return false;
  std::array<char, 64> taken;
  pollfd now{descriptor, POLLIN, 0};
  if (is_raced && Poll(&now, 1, 0) > 0) syscall(SYS_read, descriptor, taken.data(), taken.size());
  errno = EOPNOTSUPP;
  return true;
}

}  // namespace
}  // namespace ioring

// In place of the C library's: those of the ring that may end with EINTR, by their manual pages.
extern "C" {

using ioring::Call;

ssize_t read(int file, void* data, size_t size) { return Call(SYS_read, file, data, size); }
ssize_t write(int file, const void* data, size_t size) { return Call(SYS_write, file, data, size); }
ssize_t pread(int file, void* data, size_t size, off_t offset) {
  return Call(SYS_pread64, file, data, size, offset);
}
ssize_t pwrite(int file, const void* data, size_t size, off_t offset) {
  return Call(SYS_pwrite64, file, data, size, offset);
}
ssize_t readv(int file, const iovec* parts, int count) {
  return Call(SYS_readv, file, parts, count);
}
ssize_t writev(int file, const iovec* parts, int count) {
  return Call(SYS_writev, file, parts, count);
}
ssize_t preadv(int file, const iovec* parts, int count, off_t offset) {
  return Call(SYS_preadv, file, parts, count, offset, 0L);
}
ssize_t pwritev(int file, const iovec* parts, int count, off_t offset) {
  return Call(SYS_pwritev, file, parts, count, offset, 0L);
}
ssize_t preadv2(int file, const iovec* parts, int count, off_t offset, int flags) {
  if (ioring::Blocks(file)) return -1;
  return Call(SYS_preadv2, file, parts, count, offset, 0L, flags);
}
ssize_t pwritev2(int file, const iovec* parts, int count, off_t offset, int flags) {
  if (ioring::Blocks(file)) return -1;
  return Call(SYS_pwritev2, file, parts, count, offset, 0L, flags);
}
int openat(int directory, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const bool has_mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  const mode_t mode = has_mode ? va_arg(more, mode_t) : 0;
  va_end(more);
  return static_cast<int>(Call(SYS_openat, directory, path, flags, mode));
}
// The ring would open such a descriptor once more, so that calls do not block.
int open(const char* path, int flags, ...) {
  const bool is_again =
      path == absl::StrCat("/proc/self/fd/", ioring::descriptor_that_blocks.load());
  if (is_again) {
    errno = ENXIO;
    return -1;
  }
  va_list more;
  va_start(more, flags);
  const bool has_mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  const mode_t mode = has_mode ? va_arg(more, mode_t) : 0;
  va_end(more);
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}
// Linux has closed the descriptor when it says so.
int close(int file) {
  const bool is_interrupted = ioring::IsInterrupted(SYS_close, file);
  const long result = syscall(SYS_close, file);
  if (!is_interrupted || result < 0) return static_cast<int>(result);
  errno = EINTR;
  return -1;
}
int fsync(int file) { return static_cast<int>(Call(SYS_fsync, file)); }
int fdatasync(int file) { return static_cast<int>(Call(SYS_fdatasync, file)); }
int ftruncate(int file, off_t size) IORING_AS_DECLARED {
  return static_cast<int>(Call(SYS_ftruncate, file, size));
}
int fallocate(int file, int mode, off_t offset, off_t size) {
  return static_cast<int>(Call(SYS_fallocate, file, mode, offset, size));
}
ssize_t copy_file_range(int from, off_t* from_offset, int to, off_t* to_offset, size_t size,
                        unsigned flags) {
  return Call(SYS_copy_file_range, from, from_offset, to, to_offset, size, flags);
}
int poll(pollfd* polled, nfds_t count, int timeout_ms) {
  return ioring::PollOrInterrupt(polled, count, timeout_ms);
}

}  // extern "C"

namespace ioring {
namespace {

constexpr FileOptions kNew{.access = FileOptions::Access::kReadWrite,
                           .create = FileOptions::Create::kNew};

// While it lives, calls of that number on that descriptor are interrupted.
class Interruptions {
 public:
  Interruptions(long call, int descriptor, int count = 2) : expected_(count) {
    interruptions = 0;
    calls = 0;
    interruptions_left = count;
    interrupted_descriptor = descriptor;
    interrupted_call = call;
  }
  Interruptions(const Interruptions&) = delete;
  Interruptions& operator=(const Interruptions&) = delete;
  ~Interruptions() {
    if (expected_ != kAllOfThem) {
      EXPECT_EQ(interruptions, expected_) << "another call was made";
    }
    interrupted_call = -1;
  }

  // Until one has been.
  static void AwaitFirst() { interruptions.wait(0); }
  static void End() { interruptions_left = 0; }
  static int CountCalls() { return calls; }

 private:
  const int expected_;
};

class FileInterruptedTest : public testing::Test {
 protected:
  TestRing& ring() { return *ring_; }
  FileCalls& calls() { return calls_; }
  void TearDown() override {
    descriptor_that_blocks = -1;
    is_raced = false;
    Close(directory_);
    ring_->Finish();
    for (const char* name : kNames) unlink(PathOf(name).c_str());
    EXPECT_EQ(rmdir(folder_.c_str()), 0);
  }

  // ---- A folder for the test's files, of these names.

  static constexpr std::array kNames = {"a", "b"};

  std::string PathOf(const char* name) const { return absl::StrCat(folder_, "/", name); }
  FileId directory() const { return directory_; }
  FileId Open(const PathAt& path, const FileOptions& options) {
    const Arrival opened = calls_.TryOpen(path, options);
    EXPECT_EQ(opened.error(), Error::kOk) << path.path;
    return opened.ok() ? opened.completion.file() : FileId{};
  }
  // A new file.
  FileId Make(const char* name, std::string_view text) {
    const FileId file = Open({directory_, name}, kNew);
    if (!text.empty()) {
      EXPECT_EQ(calls_.Write(file, 0, text).result(), static_cast<int32_t>(text.size()));
    }
    return file;
  }
  void Close(FileId file) { EXPECT_EQ(calls_.CloseFile(file).error(), Error::kOk); }

  // ---- Operations with interruptions.

  int DescriptorOf(FileId file) {
    const absl::StatusOr<NativeHandle> handle = ring_->FileHandle(file);
    CHECK_OK(handle.status());
    return static_cast<int>(*handle);
  }
  // An operation that makes one such call on the file. Two are interrupted.
  template <typename Prepare>
  Arrival Interrupt(long call, FileId file, Prepare prepare) {
    const Interruptions interrupting(call, DescriptorOf(file));
    Arrival arrival = ring_->Run(prepare);
    EXPECT_EQ(Interruptions::CountCalls(), 3);
    return arrival;
  }
  int32_t Read(long call, FileId file, uint64_t offset, std::span<std::byte> memory) {
    const auto prepare = [&](Token token) {
      return ring_->PrepareRead(file, offset, memory, token);
    };
    return Interrupt(call, file, prepare).result();
  }
  int32_t Write(long call, FileId file, uint64_t offset, std::string_view text) {
    const auto prepare = [&](Token token) {
      return ring_->PrepareWrite(file, offset, ring_->Text(text), token);
    };
    return Interrupt(call, file, prepare).result();
  }
  // What the operation ends with that is cancelled while its calls are interrupted: it makes one
  // until they are not.
  template <typename Prepare>
  Arrival CancelMeanwhile(long call, FileId file, Prepare prepare) {
    const Interruptions interrupting(call, DescriptorOf(file), kAllOfThem);
    const Token operation = ring_->Start(prepare);
    ring_->Submit();
    Interruptions::AwaitFirst();
    const Token cancel = ring_->StartCancel(operation);
    ring_->Pump();
    EXPECT_FALSE(ring_->HasArrived(operation));
    Interruptions::End();
    const Arrival arrival = ring_->Await(operation);
    ring_->Await(cancel);
    return arrival;
  }

  // ---- A pipe.

  FileId Register(int descriptor) {
    const absl::StatusOr<FileId> file = ring_->RegisterFile(descriptor);
    CHECK_OK(file.status());
    return *file;
  }
  void MakePipe() {
    std::array<int, 2> ends{-1, -1};
    CHECK_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    reads_ = Register(ends[0]);
    writes_ = Register(ends[1]);
  }
  void ClosePipe() {
    for (const FileId end : {reads_, writes_}) Close(end);
  }

  FileId reads_;
  FileId writes_;

 private:
  static std::unique_ptr<TestRing> Make() {
    const RingOptions options{.max_buffers = 4, .max_buffer_groups = 4};
    absl::StatusOr<std::unique_ptr<EpollRing>> ring = EpollRing::Create(options);
    CHECK_OK(ring.status());
    return std::make_unique<TestRing>(*std::move(ring), options);
  }
  static std::string MakeFolder() {
    std::string path = testing::TempDir() + "/fXXXXXX";
    CHECK(mkdtemp(path.data()) != nullptr);
    return path;
  }
  const std::unique_ptr<TestRing> ring_ = Make();
  FileCalls calls_{*ring_};
  std::string folder_ = MakeFolder();
  const FileId directory_ = Open(folder_.c_str(), {.directory = true});
};

// ---- Reads and writes.

TEST_F(FileInterruptedTest, TransfersAtAnOffsetGoOn) {
  const FileId file = Make("a", "");
  const std::span<std::byte> memory = ring().Memory(16);
  const std::array<MemoryPart, 2> parts = {MemoryPart{memory.data(), 3},
                                           MemoryPart{memory.data() + 8, 4}};
  const auto read = [&](Token token) { return ring().PrepareReadVector(file, 0, parts, token); };
  const auto write = [&](Token token) { return ring().PrepareWriteVector(file, 7, parts, token); };
  EXPECT_EQ(Write(SYS_pwrite64, file, 0, "content"), 7);
  EXPECT_EQ(Read(SYS_pread64, file, 0, memory), 7);
  EXPECT_EQ(AsText(memory.first(7)), "content");
  EXPECT_EQ(Interrupt(SYS_preadv, file, read).result(), 7);
  EXPECT_EQ(AsText(memory.subspan(8, 4)), "tent");
  EXPECT_EQ(Interrupt(SYS_pwritev, file, write).result(), 7);
  EXPECT_EQ(calls().Read(file, 0, 20), "contentcontent");
  Close(file);
}

TEST_F(FileInterruptedTest, TransfersAtTheOwnPositionGoOn) {
  const FileId file = Make("a", "");
  const std::span<std::byte> memory = ring().Text("content");
  const std::array<MemoryPart, 2> parts = {MemoryPart{memory.data(), 3},
                                           MemoryPart{memory.data() + 3, 4}};
  const auto read = [&](Token token) {
    return ring().PrepareReadVector(file, kOwnPosition, parts, token);
  };
  const auto write = [&](Token token) {
    return ring().PrepareWriteVector(file, kOwnPosition, parts, token);
  };
  EXPECT_EQ(Write(SYS_write, file, kOwnPosition, "other "), 6);
  EXPECT_EQ(Interrupt(SYS_writev, file, write).result(), 7);
  EXPECT_EQ(calls().Read(file, 0, 20), "other content");
  EXPECT_EQ(Read(SYS_read, file, kOwnPosition, memory), 0) << "it is at its end";
  EXPECT_EQ(Interrupt(SYS_readv, file, read).result(), 0);
  Close(file);
}

TEST_F(FileInterruptedTest, TransfersOfTheRingsMemoryGoOn) {
  const FileId file = Make("a", "content");
  const TestBuffer buffer = ring().MakeBuffer(64);
  const BufferSlice slice = buffer.Slice(16, 16);
  const auto read = [&](Token token) { return ring().PrepareReadBuffer(file, 0, slice, token); };
  EXPECT_EQ(Interrupt(SYS_pread64, file, read).result(), 7);
  EXPECT_EQ(AsText(buffer.memory.subspan(16, 7)), "content");
  const TestGroup group = ring().MakeGroup(2, 64);
  const auto managed = [&](Token token) {
    return ring().PrepareReadManaged(file, 0, group.id, token);
  };
  EXPECT_EQ(Interrupt(SYS_pread64, file, managed).bytes, "content");
  const Pair pair = ring().MakePair();
  const auto send = [&](Token token) {
    return ring().PrepareSendFile(file, 0, 7, pair.client, token);
  };
  EXPECT_EQ(Interrupt(SYS_pread64, file, send).result(), 7);
  EXPECT_EQ(ring().RecvText(pair.server, 7), "content");
  Close(file);
}

TEST_F(FileInterruptedTest, TransfersOfAPipeGoOn) {
  MakePipe();
  const std::span<std::byte> memory = ring().Memory(16);
  EXPECT_EQ(Write(SYS_pwritev2, writes_, kOwnPosition, "content"), 7);
  EXPECT_EQ(Read(SYS_preadv2, reads_, kOwnPosition, memory), 7);
  EXPECT_EQ(AsText(memory.first(7)), "content");
  descriptor_that_blocks = DescriptorOf(writes_);
  EXPECT_EQ(Write(SYS_write, writes_, kOwnPosition, "another"), 7);
  EXPECT_EQ(Write(kPollNow, writes_, kOwnPosition, " one"), 4);
  descriptor_that_blocks = DescriptorOf(reads_);
  EXPECT_EQ(Read(SYS_read, reads_, kOwnPosition, memory.first(7)), 7);
  EXPECT_EQ(AsText(memory.first(7)), "another");
  EXPECT_EQ(Read(kPollNow, reads_, kOwnPosition, memory), 4);
  EXPECT_EQ(AsText(memory.first(4)), " one");
  ClosePipe();
}

TEST_F(FileInterruptedTest, WaitsForAPipeGoOn) {
  MakePipe();
  const std::span<std::byte> memory = ring().Memory(16);
  {
    const Interruptions interrupting(kPollWaiting, DescriptorOf(reads_));
    const Token read = calls().StartRead(reads_, kOwnPosition, memory);
    ring().Submit();
    Interruptions::AwaitFirst();
    EXPECT_EQ(calls().Write(writes_, kOwnPosition, "content").result(), 7);
    EXPECT_EQ(ring().Await(read).result(), 7);
  }
  EXPECT_EQ(AsText(memory.first(7)), "content");
  ClosePipe();
}

// Somebody else was faster, and the thread is interrupted when it asks for that. It must not read:
// that could last for ever, and no cancel would end it.
TEST_F(FileInterruptedTest, PipeThatIsEmptyAgainIsNotRead) {
  MakePipe();
  descriptor_that_blocks = DescriptorOf(reads_);
  is_raced = true;
  const Token read = calls().StartRead(reads_, kOwnPosition, ring().Memory(16));
  {
    const Interruptions interrupting(kPollNow, DescriptorOf(reads_));
    EXPECT_EQ(calls().Write(writes_, kOwnPosition, "taken").result(), 5);
    Interruptions::AwaitFirst();
    const Token cancel = ring().StartCancel(read);
    EXPECT_EQ(ring().Await(read).error(), Error::kCanceled);
    ring().Await(cancel);
  }
  is_raced = false;
  EXPECT_EQ(calls().Write(writes_, kOwnPosition, "late").result(), 4);
  if (!HasFailure()) {
    EXPECT_EQ(calls().Read(reads_, kOwnPosition, 16), "late");
  }
  ClosePipe();
}

// ---- Opening and closing.

TEST_F(FileInterruptedTest, OpensGoOn) {
  const PathAt path(directory(), "a");
  const Arrival opened = Interrupt(
      SYS_openat, directory(), [&](Token token) { return ring().PrepareOpen(path, kNew, token); });
  ASSERT_TRUE(opened.ok()) << ErrorName(opened.error());
  Close(opened.completion.file());
  const Interruptions interrupting(SYS_openat, AT_FDCWD);
  const absl::StatusOr<FileId> file = ring().OpenFile(PathOf("a"), {});
  ASSERT_TRUE(file.ok()) << file.status();
  Close(*file);
}

// The descriptor is closed. It may be another file's already, which a second call would close.
TEST_F(FileInterruptedTest, ClosesAreNotMadeAgain) {
  Close(Make("a", "content"));
  for (const bool blocks : {false, true}) {
    const FileId file = Open({directory(), "a"}, {});
    const int descriptor = DescriptorOf(file);
    {
      const Interruptions interrupting(SYS_close, descriptor, 1);
      if (blocks) {
        EXPECT_TRUE(ring().CloseFile(file).ok());
      } else {
        EXPECT_EQ(calls().CloseFile(file).error(), Error::kOk);
      }
      EXPECT_EQ(Interruptions::CountCalls(), 1);
    }
    EXPECT_EQ(fcntl(descriptor, F_GETFD), -1) << "it is open still";
  }
}

// A directory that was not asked for is closed once, too.
TEST_F(FileInterruptedTest, RefusedOpensAreNotClosedAgain) {
  const int next = dup(STDOUT_FILENO);
  ASSERT_GE(next, 0);
  close(next);
  const Interruptions interrupting(SYS_close, next, 1);
  EXPECT_EQ(calls().TryOpen({directory(), "."}, {}).error(), Error::kIsDirectory);
  EXPECT_EQ(Interruptions::CountCalls(), 1);
}

// ---- Other calls.

TEST_F(FileInterruptedTest, CallsGoOn) {
  const FileId file = Make("a", "content");
  const FileId other = Make("b", "");
  const auto sync_data = [&](Token token) {
    return ring().PrepareSync(file, SyncMode::kData, token);
  };
  const auto sync_all = [&](Token token) {
    return ring().PrepareSync(file, SyncMode::kDataAndMeta, token);
  };
  const auto truncate = [&](Token token) { return ring().PrepareTruncate(file, 4, token); };
  EXPECT_EQ(Interrupt(SYS_fdatasync, file, sync_data).error(), Error::kOk);
  EXPECT_EQ(Interrupt(SYS_fsync, file, sync_all).error(), Error::kOk);
  EXPECT_EQ(Interrupt(SYS_ftruncate, file, truncate).error(), Error::kOk);
  EXPECT_EQ(calls().Read(file, 0, 20), "cont");
  // These are not for all file systems.
  const auto allocate = [&](Token token) {
    return ring().PrepareAllocate(file, AllocateMode::kExtend, 0, 8, token);
  };
  const auto copy = [&](Token token) {
    return ring().PrepareCopyRange(file, 0, other, 0, 4, CopyMode::kCopy, token);
  };
  const Error allocated = Interrupt(SYS_fallocate, file, allocate).error();
  EXPECT_TRUE(allocated == Error::kOk || allocated == Error::kNotSupported);
  const Arrival copied = Interrupt(SYS_copy_file_range, file, copy);
  EXPECT_TRUE(copied.result() == 4 || copied.error() == Error::kNotSupported);
  Close(other);
  Close(file);
}

// ---- Cancelled meanwhile.

// A thread has begun these: they end with what they did.
TEST_F(FileInterruptedTest, WhatHasBegunEndsThoughCancelled) {
  const FileId file = Make("a", "content");
  const PathAt path(directory(), "a");
  const auto read = [&](Token token) {
    return ring().PrepareRead(file, 0, ring().Memory(16), token);
  };
  const auto sync = [&](Token token) {
    return ring().PrepareSync(file, SyncMode::kDataAndMeta, token);
  };
  const auto open = [&](Token token) { return ring().PrepareOpen(path, {}, token); };
  EXPECT_EQ(CancelMeanwhile(SYS_pread64, file, read).result(), 7);
  EXPECT_EQ(CancelMeanwhile(SYS_fsync, file, sync).result(), 0);
  const Arrival opened = CancelMeanwhile(SYS_openat, directory(), open);
  ASSERT_TRUE(opened.ok()) << ErrorName(opened.error());
  Close(opened.completion.file());
  Close(file);
  MakePipe();
  const auto read_pipe = [&](Token token) {
    return ring().PrepareRead(reads_, kOwnPosition, ring().Memory(16), token);
  };
  EXPECT_EQ(calls().Write(writes_, kOwnPosition, "content").result(), 7);
  EXPECT_EQ(CancelMeanwhile(SYS_preadv2, reads_, read_pipe).result(), 7);
  ClosePipe();
}

// A read that waits is ended by the cancel, though the wait is interrupted without end.
TEST_F(FileInterruptedTest, WhatWaitsIsCancelled) {
  MakePipe();
  {
    const Interruptions interrupting(kPollWaiting, DescriptorOf(reads_), kAllOfThem);
    const Token read = calls().StartRead(reads_, kOwnPosition, ring().Memory(16));
    ring().Submit();
    Interruptions::AwaitFirst();
    const Token cancel = ring().StartCancel(read);
    EXPECT_EQ(ring().Await(read).error(), Error::kCanceled);
    EXPECT_EQ(ring().Await(cancel).result(), 0);
  }
  ClosePipe();
}

}  // namespace
}  // namespace ioring
