#include "ring_core/readiness/file_threads.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "process/mutex_lock.h"

namespace ioring::readiness {
namespace {

using Kind = FileRequest::Kind;

// A file that is gone with its descriptor.
class TemporaryFile {
 public:
  TemporaryFile() {
    std::string path = testing::TempDir() + "/file_threads_XXXXXX";
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
class FileThreadsTest : public testing::Test {
 protected:
  // Waits for so many requests to be done.
  std::vector<FileRequest*> Await(size_t count) {
    std::vector<FileRequest*> done;
    while (done.size() < count) {
      {
        process::MutexLock lock(mutex_);
        mutex_.Await(absl::Condition(&rung_));
        rung_ = false;
      }
      for (FileRequest* request = threads_.TakeDone(); request != nullptr;) {
        done.push_back(request);
        request = request->next;
      }
    }
    return done;
  }

  static FileRequest Request(Kind kind, int descriptor, uint64_t offset, void* data,
                             uint32_t length) {
    return {static_cast<std::byte*>(data), offset, length, descriptor, 0, kind, 0, nullptr};
  }

  absl::Mutex mutex_;
  bool rung_ = false;
  FileThreads threads_{[this] {
    process::MutexLock lock(mutex_);
    rung_ = true;
  }};
  TemporaryFile file_;
};

TEST_F(FileThreadsTest, WritesReadsAndSyncs) {
  std::string text = "written";
  FileRequest write = Request(Kind::kWrite, file_.descriptor(), 3, text.data(), 7);
  threads_.Start(&write);
  EXPECT_EQ(Await(1), std::vector<FileRequest*>{&write});
  EXPECT_EQ(write.result, 7);
  for (const Kind kind : {Kind::kSyncData, Kind::kSyncAll}) {
    FileRequest sync = Request(kind, file_.descriptor(), 0, nullptr, 0);
    threads_.Start(&sync);
    Await(1);
    EXPECT_EQ(sync.result, 0);
  }
  std::array<char, 16> memory{};
  FileRequest read = Request(Kind::kRead, file_.descriptor(), 5, memory.data(), 16);
  threads_.Start(&read);
  Await(1);
  EXPECT_EQ(read.result, 5);
  EXPECT_STREQ(memory.data(), "itten");
}

TEST_F(FileThreadsTest, TellsErrnoOfWhatFails) {
  char byte = 0;
  FileRequest read = Request(Kind::kRead, -1, 0, &byte, 1);
  threads_.Start(&read);
  Await(1);
  EXPECT_EQ(read.result, -EBADF);
}

TEST_F(FileThreadsTest, DoesManyRequestsOnceEach) {
  constexpr uint32_t kRequests = 500;
  std::vector<uint32_t> numbers(kRequests);
  std::vector<FileRequest> writes;
  for (uint32_t i = 0; i < kRequests; ++i) {
    numbers[i] = i;
    writes.push_back(Request(Kind::kWrite, file_.descriptor(), i * sizeof(uint32_t), &numbers[i],
                             sizeof(uint32_t)));
  }
  for (FileRequest& write : writes) threads_.Start(&write);
  EXPECT_EQ(Await(kRequests).size(), kRequests);
  std::vector<uint32_t> back(kRequests);
  FileRequest read =
      Request(Kind::kRead, file_.descriptor(), 0, back.data(), kRequests * sizeof(uint32_t));
  threads_.Start(&read);
  Await(1);
  EXPECT_EQ(back, numbers);
}

// How many threads have begun by then is theirs to say; that nothing is lost or done twice is not.
TEST_F(FileThreadsTest, GivesBackWhatNoThreadHasBegun) {
  char byte = 0;
  std::vector<FileRequest> reads(64, Request(Kind::kRead, file_.descriptor(), 0, &byte, 1));
  std::vector<FileRequest> late(2, Request(Kind::kRead, file_.descriptor(), 0, &byte, 1));
  size_t withdrawn = 0;
  for (FileRequest& read : reads) threads_.Start(&read);
  for (FileRequest& read : reads) withdrawn += threads_.Withdraw(&read) ? 1 : 0;
  // Whatever was withdrawn is not done, everything else is.
  if (withdrawn < reads.size()) {
    EXPECT_EQ(Await(reads.size() - withdrawn).size(), reads.size() - withdrawn);
  }
  EXPECT_FALSE(threads_.has_done());
  for (FileRequest& read : reads) EXPECT_FALSE(threads_.Withdraw(&read));
  for (FileRequest& read : late) threads_.Start(&read);
  EXPECT_EQ(Await(late.size()).size(), late.size());
}

std::atomic<bool> handled_elsewhere{false};
thread_local bool is_main_thread = false;

void Handle(int /*signal*/) {
  if (!is_main_thread) handled_elsewhere = true;
}

// Signals of the process are for the program's threads: a handler that wakes the ring may
// count on that.
TEST_F(FileThreadsTest, LeavesSignalsAlone) {
  is_main_thread = true;
  struct sigaction action = {};
  struct sigaction before = {};
  action.sa_handler = Handle;
  sigaction(SIGUSR1, &action, &before);
  char byte = 0;
  FileRequest read = Request(Kind::kRead, file_.descriptor(), 0, &byte, 1);
  threads_.Start(&read);
  Await(1);
  sigset_t user;
  sigemptyset(&user);
  sigaddset(&user, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &user, nullptr);
  kill(getpid(), SIGUSR1);  // only another thread could take it now
  FileRequest again = Request(Kind::kRead, file_.descriptor(), 0, &byte, 1);
  threads_.Start(&again);
  Await(1);
  EXPECT_FALSE(handled_elsewhere);
  pthread_sigmask(SIG_UNBLOCK, &user, nullptr);
  sigaction(SIGUSR1, &before, nullptr);
}

TEST(FileThreadsLifetimeTest, WithoutWorkThereAreNoThreads) {
  FileThreads threads([] {});
  EXPECT_FALSE(threads.has_done());
  EXPECT_EQ(threads.TakeDone(), nullptr);
}

}  // namespace
}  // namespace ioring::readiness
