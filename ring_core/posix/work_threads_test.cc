#include "ring_core/posix/work_threads.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "process/mutex_lock.h"
#include "ring/file.h"
#include "ring/request.h"
#include "ring_core/posix/file_work.h"

namespace ioring::posix {
namespace {

enum class Kind : uint8_t { kRead, kWrite };

// A file that is gone with its descriptor.
class TemporaryFile {
 public:
  TemporaryFile() {
    std::string path = testing::TempDir() + "/work_threads_XXXXXX";
    descriptor_ = mkstemp(path.data());
    unlink(path.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { close(descriptor_); }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

// Threads, and a bell that can be waited for.
class WorkThreadsTest : public testing::Test {
 protected:
  // Waits for so many requests to be done.
  std::vector<WorkItem*> Await(size_t count) {
    std::vector<WorkItem*> done;
    while (done.size() < count) {
      {
        process::MutexLock lock(mutex_);
        mutex_.Await(absl::Condition(&rung_));
        rung_ = false;
      }
      for (WorkItem* request = threads_.TakeDone(); request != nullptr;) {
        done.push_back(request);
        request = request->next;
      }
    }
    return done;
  }

  static FileTransferWork Request(Kind kind, int descriptor, uint64_t offset, void* data,
                                  uint32_t length) {
    const std::span<std::byte> memory(static_cast<std::byte*>(data), length);
    return MakeTransfer(
        descriptor,
        request::FileTransfer{{}, offset, memory, TransferTraits(), kind == Kind::kWrite});
  }

  absl::Mutex mutex_;
  bool rung_ = false;
  WorkThreads threads_{[this] {
    process::MutexLock lock(mutex_);
    rung_ = true;
  }};
  TemporaryFile file_;
};

TEST_F(WorkThreadsTest, WritesAndReads) {
  std::string text = "written";
  FileTransferWork write = Request(Kind::kWrite, file_.descriptor(), 3, text.data(), 7);
  threads_.Start(&write);
  EXPECT_EQ(Await(1), std::vector<WorkItem*>{&write});
  EXPECT_EQ(write.result, 7);
  std::array<char, 16> memory{};
  FileTransferWork read = Request(Kind::kRead, file_.descriptor(), 5, memory.data(), 16);
  threads_.Start(&read);
  Await(1);
  EXPECT_EQ(read.result, 5);
  EXPECT_STREQ(memory.data(), "itten");
}

TEST_F(WorkThreadsTest, TellsErrnoOfWhatFails) {
  char byte = 0;
  FileTransferWork read = Request(Kind::kRead, -1, 0, &byte, 1);
  threads_.Start(&read);
  Await(1);
  EXPECT_EQ(read.result, -EBADF);
}

TEST_F(WorkThreadsTest, DoesManyRequestsOnceEach) {
  constexpr uint32_t kRequests = 500;
  std::vector<uint32_t> numbers(kRequests);
  std::vector<FileTransferWork> writes;
  for (uint32_t i = 0; i < kRequests; ++i) {
    numbers[i] = i;
    writes.push_back(Request(Kind::kWrite, file_.descriptor(), i * sizeof(uint32_t), &numbers[i],
                             sizeof(uint32_t)));
  }
  for (FileTransferWork& write : writes) threads_.Start(&write);
  EXPECT_EQ(Await(kRequests).size(), kRequests);
  std::vector<uint32_t> back(kRequests);
  FileTransferWork read =
      Request(Kind::kRead, file_.descriptor(), 0, back.data(), kRequests * sizeof(uint32_t));
  threads_.Start(&read);
  Await(1);
  EXPECT_EQ(back, numbers);
}

// How many threads have begun by then is theirs to say; that nothing is lost or done twice is not.
TEST_F(WorkThreadsTest, GivesBackWhatNoThreadHasBegun) {
  char byte = 0;
  std::vector<FileTransferWork> reads(64, Request(Kind::kRead, file_.descriptor(), 0, &byte, 1));
  std::vector<FileTransferWork> late(2, Request(Kind::kRead, file_.descriptor(), 0, &byte, 1));
  size_t withdrawn = 0;
  for (FileTransferWork& read : reads) threads_.Start(&read);
  for (FileTransferWork& read : reads) withdrawn += threads_.Cancel(&read) ? 1 : 0;
  // Whatever was withdrawn is not done, everything else is.
  if (withdrawn < reads.size()) {
    EXPECT_EQ(Await(reads.size() - withdrawn).size(), reads.size() - withdrawn);
  }
  EXPECT_FALSE(threads_.has_done());
  for (FileTransferWork& read : reads) EXPECT_FALSE(threads_.Cancel(&read));
  for (FileTransferWork& read : late) threads_.Start(&read);
  EXPECT_EQ(Await(late.size()).size(), late.size());
}

std::atomic<bool> handled_elsewhere{false};
thread_local bool is_main_thread = false;

void Handle(int /*signal*/) {
  if (!is_main_thread) handled_elsewhere = true;
}

// Signals of the process are for the program's threads: a handler that wakes the ring may
// count on that.
TEST_F(WorkThreadsTest, LeavesSignalsAlone) {
  is_main_thread = true;
  struct sigaction action = {};
  struct sigaction before = {};
  action.sa_handler = Handle;
  sigaction(SIGUSR1, &action, &before);
  char byte = 0;
  FileTransferWork read = Request(Kind::kRead, file_.descriptor(), 0, &byte, 1);
  threads_.Start(&read);
  Await(1);
  sigset_t user;
  sigemptyset(&user);
  sigaddset(&user, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &user, nullptr);
  kill(getpid(), SIGUSR1);  // only another thread could take it now
  FileTransferWork again = Request(Kind::kRead, file_.descriptor(), 0, &byte, 1);
  threads_.Start(&again);
  Await(1);
  EXPECT_FALSE(handled_elsewhere);
  pthread_sigmask(SIG_UNBLOCK, &user, nullptr);
  sigaction(SIGUSR1, &before, nullptr);
}

// Many more reads wait than there are threads; a file's read is done meanwhile.
TEST_F(WorkThreadsTest, WhatWaitsKeepsNothingElseFromRunning) {
  std::array<int, 2> ends;
  ASSERT_EQ(pipe(ends.data()), 0);
  char byte = 0;
  FileTransferWork waiting = Request(Kind::kRead, ends[0], kOwnPosition, &byte, 1);
  WaitFirst(waiting);
  std::vector<FileTransferWork> reads(16, waiting);
  for (FileTransferWork& read : reads) threads_.Start(&read);
  FileTransferWork write = Request(Kind::kWrite, file_.descriptor(), 0, &byte, 1);
  threads_.Start(&write);
  EXPECT_EQ(Await(1), std::vector<WorkItem*>{&write});
  // All but one are taken back while they wait; the one gets the byte.
  for (size_t i = 1; i < reads.size(); ++i) EXPECT_TRUE(threads_.Cancel(&reads[i]));
  EXPECT_FALSE(threads_.Cancel(&reads[1]));
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  EXPECT_EQ(Await(1), std::vector<WorkItem*>{&reads[0]});
  EXPECT_EQ(reads[0].result, 1);
  EXPECT_EQ(byte, 'x');
  threads_.Start(&reads[1]);
  close(ends[1]);
  EXPECT_EQ(Await(1), std::vector<WorkItem*>{&reads[1]});
  EXPECT_EQ(reads[1].result, 0);
  close(ends[0]);
}

// Work that says what it does, on a pipe that is readable.
struct StagedWork : WorkItem {
  std::atomic<bool> begun{false};
  std::atomic<bool> may_end{false};
  bool waits_again = false;

  static void Run(WorkItem& item) {
    auto& work = static_cast<StagedWork&>(item);
    work.begun = true;
    while (!work.may_end) {
    }
    work.wait_again = work.waits_again;
  }
};

// What becomes ready gets a thread, as long as there may be more of them.
TEST_F(WorkThreadsTest, WhatIsReadyDoesNotWaitForABusyThread) {
  std::array<int, 2> ends;
  ASSERT_EQ(pipe(ends.data()), 0);
  StagedWork busy;
  busy.run = &StagedWork::Run;
  threads_.Start(&busy);
  char byte = 0;
  FileTransferWork read = Request(Kind::kRead, ends[0], kOwnPosition, &byte, 1);
  WaitFirst(read);
  threads_.Start(&read);
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  EXPECT_EQ(Await(1), std::vector<WorkItem*>{&read});
  busy.may_end = true;
  EXPECT_EQ(Await(1), std::vector<WorkItem*>{&busy});
  close(ends[0]);
  close(ends[1]);
}

// A cancel that comes while the call runs is not forgotten: what would wait again is done.
TEST_F(WorkThreadsTest, WhatIsCancelledWhileItRunsDoesNotWaitAgain) {
  std::array<int, 2> ends;
  ASSERT_EQ(pipe(ends.data()), 0);
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  StagedWork work;
  work.run = &StagedWork::Run;
  work.waits_again = true;
  work.wait_descriptor = ends[0];
  work.wait_events = POLLIN;
  threads_.Start(&work);
  while (!work.begun) {
  }
  EXPECT_FALSE(threads_.Cancel(&work));
  work.may_end = true;
  EXPECT_EQ(Await(1), std::vector<WorkItem*>{&work});
  EXPECT_TRUE(work.wait_again);
  close(ends[0]);
  close(ends[1]);
}

// poll(2) refuses more places than a process may have descriptors.
TEST_F(WorkThreadsTest, MoreMayWaitThanThereAreDescriptors) {
  constexpr rlim_t kDescriptors = 64;
  constexpr size_t kReads = 70;
  std::array<int, 2> ends;
  ASSERT_EQ(pipe(ends.data()), 0);
  char bytes[kReads] = {};
  std::vector<FileTransferWork> reads;
  for (char& byte : bytes) {
    reads.push_back(Request(Kind::kRead, ends[0], kOwnPosition, &byte, 1));
    WaitFirst(reads.back());
  }
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{kDescriptors, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  for (FileTransferWork& read : reads) threads_.Start(&read);
  ASSERT_EQ(::write(ends[1], bytes, kReads), static_cast<ssize_t>(kReads));
  EXPECT_EQ(Await(kReads).size(), kReads);
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  close(ends[0]);
  close(ends[1]);
}

TEST(WorkThreadsLifetimeTest, WithoutWorkThereAreNoThreads) {
  WorkThreads threads([] {});
  EXPECT_FALSE(threads.has_done());
  EXPECT_EQ(threads.TakeDone(), nullptr);
}

}  // namespace
}  // namespace ioring::posix
