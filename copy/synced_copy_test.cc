// With `sync` a file is on the disk before it gets its name, each name is before the copy says that
// it is done, also where it is stopped, and a disk that refuses is told.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "copy/engine.h"
#include "copy/options.h"
#include "copy/report.h"
#include "copy/test_folder.h"
#include "gtest/gtest.h"
#include "process/mutex_lock.h"
#include "process/testing/as_declared.h"
#include "ring_native/create_ring.h"

namespace ioring::copy {
namespace {

// What was changed, and is not on the disk yet.
class Disk {
 public:
  // That call of fsync fails; negative: none does.
  explicit Disk(int64_t failing_sync = -1) : syncs_left_(failing_sync) {}
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  // Stops the engine at that change; negative: at none.
  void StopAt(Engine* engine, int64_t change) {
    stopped_ = engine;
    changes_left_ = change;
  }

  // The open file or directory.
  void Change(int file) {
    if (changes_left_-- == 0) stopped_->Stop();
    struct stat info;
    if (fstat(file, &info) != 0) return;
    process::MutexLock lock(mutex_);
    changed_.emplace(info.st_dev, info.st_ino);
  }
  // An entry has got this name.
  void Name(int directory, const char* name) {
    Change(directory);
    struct stat info;
    if (fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) return;
    process::MutexLock lock(mutex_);
    if (changed_.contains({info.st_dev, info.st_ino})) named_too_early_.push_back(name);
  }
  // Directories cannot be given times from now on.
  void RefuseTimes() { refuses_times_ = true; }
  bool MayHaveTimes(int file) const {
    struct stat info;
    return !refuses_times_ || fstat(file, &info) != 0 || !S_ISDIR(info.st_mode);
  }
  int Sync(int file) {
    ++syncs_;
    if (syncs_left_-- == 0) {
      errno = EIO;
      return -1;
    }
    struct stat info;
    CHECK_EQ(fstat(file, &info), 0);
    process::MutexLock lock(mutex_);
    changed_.erase({info.st_dev, info.st_ino});
    return 0;
  }

  bool Has(const struct stat& info) const {
    process::MutexLock lock(mutex_);
    return !changed_.contains({info.st_dev, info.st_ino});
  }
  std::vector<std::string> named_too_early() const {
    process::MutexLock lock(mutex_);
    return named_too_early_;
  }
  int64_t syncs() const { return syncs_; }
  bool has_stopped() const { return changes_left_ < 0; }

 private:
  std::atomic<int64_t> syncs_ = 0;
  std::atomic<int64_t> syncs_left_;
  std::atomic<int64_t> changes_left_ = -1;
  Engine* stopped_ = nullptr;
  bool refuses_times_ = false;
  mutable absl::Mutex mutex_;
  std::set<std::pair<uint64_t, uint64_t>> changed_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> named_too_early_ ABSL_GUARDED_BY(mutex_);
};

// That the calls below are told to, while a copy runs.
std::atomic<Disk*> disk = nullptr;

// The call, and the file that it changes if it succeeds.
template <typename... Arguments>
long Change(int file, long number, Arguments... arguments) {
  const long result = syscall(number, arguments...);
  const int error = errno;
  if (Disk* const watching = disk.load(); watching != nullptr && result >= 0) {
    watching->Change(file);
  }
  errno = error;
  return result;
}

// The same of an entry's name.
template <typename... Arguments>
int Name(int directory, const char* name, long number, Arguments... arguments) {
  const long result = syscall(number, arguments...);
  const int error = errno;
  if (Disk* const watching = disk.load(); watching != nullptr && result >= 0) {
    watching->Name(directory, name);
  }
  errno = error;
  return static_cast<int>(result);
}

}  // namespace
}  // namespace ioring::copy

// In place of the C library's, for the engine and for the ring, which make no other calls that
// change something on epoll. fdatasync(2) is not among them, because it leaves out what a file's
// metadata is: it does not count.
extern "C" {

using ioring::copy::Change;
using ioring::copy::Name;

int fsync(int file) {
  ioring::copy::Disk* const watching = ioring::copy::disk.load();
  return watching != nullptr ? watching->Sync(file) : static_cast<int>(syscall(SYS_fsync, file));
}
ssize_t pwrite(int file, const void* data, size_t size, off_t offset) {
  return Change(file, SYS_pwrite64, file, data, size, offset);
}
ssize_t copy_file_range(int from, off_t* from_offset, int to, off_t* to_offset, size_t size,
                        unsigned flags) {
  return Change(to, SYS_copy_file_range, from, from_offset, to, to_offset, size, flags);
}
int ftruncate(int file, off_t size) IORING_AS_DECLARED {
  return static_cast<int>(Change(file, SYS_ftruncate, file, size));
}
int fchmod(int file, mode_t mode) IORING_AS_DECLARED {
  return static_cast<int>(Change(file, SYS_fchmod, file, mode));
}
int fchown(int file, uid_t owner, gid_t group) IORING_AS_DECLARED {
  return static_cast<int>(Change(file, SYS_fchown, file, owner, group));
}
int futimens(int file, const timespec times[2]) IORING_AS_DECLARED {
  ioring::copy::Disk* const watching = ioring::copy::disk.load();
  if (watching != nullptr && !watching->MayHaveTimes(file)) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(Change(file, SYS_utimensat, file, nullptr, times, 0));
}
int unlinkat(int directory, const char* name, int flags) IORING_AS_DECLARED {
  return static_cast<int>(Change(directory, SYS_unlinkat, directory, name, flags));
}
int linkat(int from, const char* existing, int to, const char* name, int flags) IORING_AS_DECLARED {
  return Name(to, name, SYS_linkat, from, existing, to, name, flags);
}
int renameat(int from, const char* existing, int to, const char* name) IORING_AS_DECLARED {
  return Name(to, name, SYS_renameat2, from, existing, to, name, 0);
}
int symlinkat(const char* target, int directory, const char* name) IORING_AS_DECLARED {
  return Name(directory, name, SYS_symlinkat, target, directory, name);
}
int mknodat(int directory, const char* name, mode_t mode, dev_t device) IORING_AS_DECLARED {
  return Name(directory, name, SYS_mknodat, directory, name, mode, device);
}
int mkdirat(int directory, const char* name, mode_t mode) IORING_AS_DECLARED {
  return Name(directory, name, SYS_mkdirat, directory, name, mode);
}

}  // extern "C"

namespace ioring::copy {
namespace {

class SyncedCopyTest : public testing::TestWithParam<Options> {
 protected:
  SyncedCopyTest() {
    options_ = GetParam();
    options_.sync = true;
    folder_.MakeDirectory("from/sub/inside");
    folder_.MakeDirectory("from/many");
    folder_.Write("from/empty", "");
    folder_.Write("from/small", "text");
    folder_.Write("from/changed", "other text");
    folder_.Write("from/sub/medium", std::string(70'000, 'm'));
    folder_.Write("from/sub/large", std::string(1'500'003, 'l'));
    folder_.Write("from/sub/inside/named", "several names");
    CHECK_EQ(truncate(folder_.Path("from/small").c_str(), 200'000), 0);  // a hole at its end
    CHECK_EQ(link(folder_.Path("from/sub/inside/named").c_str(), folder_.Path("from/too").c_str()),
             0);
    CHECK_EQ(symlink("small", folder_.Path("from/link").c_str()), 0);
    CHECK_EQ(mkfifo(folder_.Path("from/fifo").c_str(), 0600), 0);
    // More than one visit of a directory takes.
    for (int i = 0; i < 40; ++i) folder_.Write(absl::StrCat("from/many/", i), "one of many");
  }

  // The destination as it was before.
  void StartAnew() {
    std::filesystem::remove_all(folder_.Path("to"));
    folder_.MakeDirectory("to");
    folder_.MakeDirectory("to/from");
    folder_.Write("to/from/changed", "text");
  }

  // Copies, and stops at that change; negative: at none.
  void Copy(std::string_view source, std::string_view destination, Disk& watching,
            int64_t stopped_at = -1) {
    engine_ = std::make_unique<Engine>(
        [this](RingOptions wanted) -> absl::StatusOr<std::unique_ptr<Ring>> {
          if (max_files_ != 0) wanted.max_files = max_files_;
          absl::StatusOr<CreatedRing> created = CreateRing(wanted, BackendKind::kEpoll);
          if (!created.ok()) return created.status();
          return std::move(created->ring);
        },
        options_);
    if (stopped_at >= 0) watching.StopAt(engine_.get(), stopped_at);
    disk = &watching;
    const absl::Status status = engine_->Run({folder_.Path(source)}, folder_.Path(destination));
    disk = nullptr;
    ASSERT_TRUE(status.ok()) << status;
  }
  const Report& report() const { return engine_->report(); }

  // What is at the destination, and not on the disk: files and directories. (Other entries are
  // names in these.)
  std::vector<std::string> Missing(const Disk& watching) const {
    std::vector<std::string> names = {"to"};
    const std::string root = folder_.Path("");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.Path("to"))) {
      names.push_back(entry.path().string().substr(root.size()));
    }
    std::vector<std::string> missing;
    for (const std::string& name : names) {
      const struct stat info = folder_.Look(name);
      if ((S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) && !watching.Has(info)) {
        missing.push_back(name);
      }
    }
    return missing;
  }

  size_t CountFiles(std::string_view directory) const {
    const std::filesystem::directory_iterator entries(folder_.Path(directory));
    return static_cast<size_t>(std::distance(begin(entries), end(entries)));
  }

  const std::vector<std::string> none_;
  TestFolder folder_;
  Options options_;
  uint32_t max_files_ = 0;  // of a ring; 0: as many as the engine wants
  std::unique_ptr<Engine> engine_;
};

TEST_P(SyncedCopyTest, EverythingIsOnTheDisk) {
  const struct {
    std::string_view source, destination, copy;
  } kCases[] = {
      {"from", "to", "to/from"},          // into a directory
      {"from/.", "to/from", "to/from"},   // into the same one
      {"from", "to/new", "to/new"},       // under a name of its own, which its parent has
      {"from/.", "to/new", "to/new"},     // the same
      {"from/small", "to/new", "to/new"}  // a file
  };
  for (const auto& [source, destination, copy] : kCases) {
    StartAnew();
    Disk watching;
    Copy(source, destination, watching);
    EXPECT_EQ(report().counters.problems, 0u) << destination;
    EXPECT_TRUE(folder_.Has(copy));
    EXPECT_EQ(Missing(watching), none_) << source << " " << destination;
    EXPECT_EQ(watching.named_too_early(), none_) << source << " " << destination;
  }
}

TEST_P(SyncedCopyTest, WhatIsMadeAgainIsToo) {
  StartAnew();
  Disk first;
  Copy("from", "to", first);
  std::filesystem::remove(folder_.Path("to/from/many/7"));
  std::filesystem::remove(folder_.Path("to/from/sub/inside/named"));
  folder_.Write("to/from/many/.ioring-copy-0123456789abcdef", "half");
  options_.resume = true;
  Disk second;
  Copy("from", "to", second);
  EXPECT_EQ(report().counters.problems, 0u);
  EXPECT_TRUE(folder_.Has("to/from/many/7"));
  EXPECT_EQ(Missing(second), none_);
  EXPECT_EQ(second.named_too_early(), none_);
}

// What is complete already, and need not be copied, was not brought to the disk by who made it.
TEST_P(SyncedCopyTest, WhatIsThereAlreadyIsToo) {
  StartAnew();
  Disk watching;
  options_.sync = false;
  Copy("from", "to", watching);
  EXPECT_NE(Missing(watching), none_);
  options_.sync = true;
  options_.resume = true;
  Copy("from", "to", watching);
  EXPECT_EQ(report().counters.problems, 0u);
  EXPECT_EQ(report().counters.files, 0u);
  EXPECT_EQ(Missing(watching), none_);
}

TEST_P(SyncedCopyTest, WhatWasCopiedBeforeAStopIsToo) {
  int64_t changes = 0;
  for (bool is_whole = false; !is_whole; changes += 3) {
    StartAnew();
    Disk watching;
    Copy("from", "to", watching, changes);
    is_whole = !watching.has_stopped();
    EXPECT_EQ(report().is_stopped, !is_whole);
    EXPECT_EQ(Missing(watching), none_) << "stopped at change " << changes;
    EXPECT_EQ(watching.named_too_early(), none_) << "stopped at change " << changes;
    if (HasFailure()) return;
  }
  EXPECT_GT(changes, 150);
}

TEST_P(SyncedCopyTest, WhatIsInADirectoryWithoutItsTimesIsToo) {
  StartAnew();
  Disk watching;
  watching.RefuseTimes();
  Copy("from", "to", watching);
  EXPECT_EQ(report().counters.problems, 4u);  // from, sub, inside and many
  EXPECT_TRUE(folder_.Has("to/from/many/39"));
  EXPECT_EQ(Missing(watching), none_);
}

// The ring takes the destination, and the source's directory or not, but not the copy's.
TEST_P(SyncedCopyTest, WhatIsInADirectoryThatTheRingDoesNotTakeIsToo) {
  for (max_files_ = 1; max_files_ <= 2; ++max_files_) {
    StartAnew();
    Disk watching;
    Copy("from/many", "to", watching);
    ASSERT_EQ(report().problems.size(), 1u);
    EXPECT_EQ(report().problems.front().path, folder_.Path("from/many"));
    EXPECT_EQ(report().counters.files, CountFiles("to/many")) << max_files_ << " files of a ring";
    EXPECT_EQ(Missing(watching), none_) << max_files_ << " files of a ring";
  }
}

TEST_P(SyncedCopyTest, EachFailureIsTold) {
  int64_t syncs = 0;
  for (int64_t failing = 0; failing == 0 || failing < syncs; ++failing) {
    StartAnew();
    Disk watching(failing);
    Copy("from", "to", watching);
    syncs = watching.syncs();
    ASSERT_EQ(report().problems.size(), 1u) << "at the sync " << failing;
    const Problem& problem = report().problems.front();
    EXPECT_TRUE(absl::StrContains(problem.reason, "Input/output error")) << problem.reason;
    EXPECT_EQ(watching.named_too_early(), none_) << "at the sync " << failing;
    // A file gets no name then; a directory is told by its path.
    for (const std::string& name : Missing(watching)) {
      EXPECT_TRUE(S_ISDIR(folder_.Look(name).st_mode)) << name;
      const std::string path =
          name == "to" ? folder_.Path(name) : folder_.Path(name.substr(sizeof("to/") - 1));
      EXPECT_EQ(problem.path, path);
    }
  }
  EXPECT_GT(syncs, 45);
}

std::string NameOf(const testing::TestParamInfo<Options>& info) {
  return info.param.rings > 1 ? "Rings" : std::string(MethodName(info.param.method));
}

INSTANTIATE_TEST_SUITE_P(Methods, SyncedCopyTest,
                         testing::Values(Options{.reflink = false},
                                         Options{.method = Method::kKernel},
                                         Options{.reflink = false, .rings = 3}),
                         NameOf);

}  // namespace
}  // namespace ioring::copy
