// A system that fails now and then, or does something else than it says: nothing is lost, and what
// could not be done is told.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "copy/engine.h"
#include "copy/options.h"
#include "copy/report.h"
#include "copy/system.h"
#include "copy/test_folder.h"
#include "gtest/gtest.h"
#include "process/testing/as_declared.h"
#include "process/testing/no_threads.h"
#include "ring_native/create_ring.h"

namespace ioring::copy {
namespace {

// What the calls below do instead while a copy runs. 0 and null: what they are for.
struct Oddities {
  std::string_view attribute;  // that cannot be set
  int attribute_error = 0;
  int link_error = 0;         // of a further name of an entry
  int reflink_error = 0;      // of the first one that is tried
  int reflinks = 0;           // that were tried
  bool alters_bytes = false;  // what is written is not what was given
  bool writes_nothing = false;
  std::function<bool()> on_endless_read;   // whether a read finds no end
  std::function<void(int file)> on_times;  // before it gets its times
  bool keeps_seconds_only = false;         // of these
};

std::atomic<Oddities*> current = nullptr;

int Fail(int error) {
  errno = error;
  return -1;
}

}  // namespace
}  // namespace ioring::copy

// In place of the C library's.
extern "C" {

using ioring::copy::current;
using ioring::copy::Fail;
using ioring::copy::Oddities;

int fsetxattr(int file, const char* name, const void* value, size_t size,
              int flags) IORING_AS_DECLARED {
  const Oddities* const odd = current;
  if (odd != nullptr && odd->attribute == name) return Fail(odd->attribute_error);
  return static_cast<int>(syscall(SYS_fsetxattr, file, name, value, size, flags));
}
ssize_t pread(int file, void* data, size_t size, off_t offset) {
  const Oddities* const odd = current;
  if (odd == nullptr || !odd->on_endless_read) {
    return syscall(SYS_pread64, file, data, size, offset);
  }
  if (!odd->on_endless_read()) return 0;
  std::memset(data, 'x', size);
  return static_cast<ssize_t>(size);
}
ssize_t pwrite(int file, const void* data, size_t size, off_t offset) {
  const Oddities* const odd = current;
  if (odd != nullptr && odd->writes_nothing) return 0;
  if (odd == nullptr || !odd->alters_bytes) {
    return syscall(SYS_pwrite64, file, data, size, offset);
  }
  std::string other(static_cast<const char*>(data), size);
  other.back() ^= 1;
  return syscall(SYS_pwrite64, file, other.data(), size, offset);
}
ssize_t copy_file_range(int from, off_t* from_offset, int to, off_t* to_offset, size_t size,
                        unsigned flags) {
  const off_t begin = *to_offset;
  const ssize_t copied =
      syscall(SYS_copy_file_range, from, from_offset, to, to_offset, size, flags);
  const Oddities* const odd = current;
  if (odd != nullptr && odd->alters_bytes && copied > 0) {
    CHECK_EQ(syscall(SYS_pwrite64, to, "\x7f", 1, begin), 1);
  }
  return copied;
}
int linkat(int from, const char* existing, int to, const char* name, int flags) IORING_AS_DECLARED {
  const Oddities* const odd = current;
  if (odd != nullptr && odd->link_error != 0 && flags == 0) return Fail(odd->link_error);
  return static_cast<int>(syscall(SYS_linkat, from, existing, to, name, flags));
}
int futimens(int file, const timespec times[2]) IORING_AS_DECLARED {
  const Oddities* const odd = current;
  if (odd != nullptr && odd->on_times) odd->on_times(file);
  timespec kept[] = {times[0], times[1]};
  if (odd != nullptr && odd->keeps_seconds_only) kept[0].tv_nsec = kept[1].tv_nsec = 0;
  return static_cast<int>(syscall(SYS_utimensat, file, nullptr, kept, 0));
}
int ioctl(int file, unsigned long request, ...) IORING_AS_DECLARED {
  va_list arguments;
  va_start(arguments, request);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  Oddities* const odd = current;
  if (odd != nullptr && request == FICLONERANGE && odd->reflink_error != 0) {
    if (++odd->reflinks == 1) return Fail(odd->reflink_error);
  }
  return static_cast<int>(syscall(SYS_ioctl, file, request, argument));
}

}  // extern "C"

namespace ioring::copy {
namespace {

class OddSystemTest : public testing::Test {
 protected:
  OddSystemTest() {
    folder_.MakeDirectory("from");
    folder_.Write("from/small", "text");
    folder_.Write("from/large", std::string(300'000, 'l'));
  }

  // Copies "from" to "to", which is new; and once more.
  void Copy() { Copy("from"); }
  void CopyInto() { Copy("from/."); }
  void Copy(std::string_view source) {
    engine_ = std::make_unique<Engine>(
        [](const RingOptions& wanted) -> absl::StatusOr<std::unique_ptr<Ring>> {
          absl::StatusOr<CreatedRing> created = CreateRing(wanted, BackendKind::kEpoll);
          if (!created.ok()) return created.status();
          return std::move(created->ring);
        },
        options_);
    current = &odd_;
    const absl::Status status = engine_->Run({folder_.Path(source)}, folder_.Path("to"));
    current = nullptr;
    ASSERT_TRUE(status.ok()) << status;
  }
  const Report& report() const { return engine_->report(); }
  // Of the entry, below the source.
  std::string ReasonOf(std::string_view name) const {
    for (const Problem& problem : report().problems) {
      if (problem.path == folder_.Path(name)) return problem.reason;
    }
    return "";
  }
  mode_t Permissions(std::string_view name) const { return folder_.Look(name).st_mode & 07777; }

  TestFolder folder_;
  Options options_;
  Oddities odd_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(OddSystemTest, AnAttributeThatCannotBeKeptCostsNothingElse) {
  constexpr std::string_view kNames[] = {"from", "from/small", "from/large"};
  const timespec times[] = {{1000, 0}, {2000, 2}};
  for (const std::string_view name : kNames) {
    const std::string path = folder_.Path(name);
    if (setxattr(path.c_str(), "user.big", "b", 1, 0) != 0 ||
        setxattr(path.c_str(), "user.later", "l", 1, 0) != 0) {
      GTEST_SKIP() << "the tests' file system has no attributes";
    }
    ASSERT_EQ(chmod(path.c_str(), 0750), 0);
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
  odd_.attribute = "user.big";
  odd_.attribute_error = ENOSPC;
  Copy();
  EXPECT_EQ(report().counters.problems, 3u);
  EXPECT_EQ(report().counters.files, 2u);
  for (const std::string_view name : kNames) {
    EXPECT_EQ(
        ReasonOf(name),
        "its attribute user.big cannot be copied: No space left on device; the rest of it is");
    const std::string copy = absl::StrCat("to", name.substr(4));
    EXPECT_EQ(Permissions(copy), 0750u) << copy;
    EXPECT_EQ(ModifiedTime(folder_.Look(copy)).tv_sec, 2000) << copy;
    EXPECT_EQ(getxattr(folder_.Path(copy).c_str(), "user.later", nullptr, 0), 1) << copy;
  }
  EXPECT_EQ(folder_.Read("to/small"), "text");
  EXPECT_TRUE(folder_.Read("to/large") == folder_.Read("from/large"));
}

TEST_F(OddSystemTest, WithoutItsListOfAccessControlACopyGivesItsGroupNoMore) {
  // acl(5), as the system has it: a version, and a tag, permissions and an id for each entry. The
  // group may read, another user may write, and so st_mode says that the group may do both.
  struct Entry {
    uint16_t tag, permissions;
    uint32_t id;
  };
  const struct {
    uint32_t version = 2;
    Entry entries[5] = {{1, 6, ~0u}, {2, 6, getuid()}, {4, 4, ~0u}, {16, 6, ~0u}, {32, 0, ~0u}};
  } list;
  for (const std::string_view name : {"from/small", "from/large"}) {
    const std::string path = folder_.Path(name);
    if (setxattr(path.c_str(), "system.posix_acl_access", &list, sizeof(list), 0) != 0) {
      GTEST_SKIP() << "the tests' file system has no lists";
    }
    ASSERT_EQ(Permissions(name), 0660u);
  }
  Copy();
  EXPECT_EQ(report().counters.problems, 0u);
  EXPECT_EQ(Permissions("to/small"), 0660u);
  odd_.attribute = "system.posix_acl_access";
  odd_.attribute_error = ENOTSUP;
  for (const std::string_view name : {"small", "large"}) {
    ASSERT_EQ(unlink(folder_.Path(absl::StrCat("to/", name)).c_str()), 0);
  }
  ASSERT_EQ(rename(folder_.Path("to").c_str(), folder_.Path("to before").c_str()), 0);
  Copy();
  for (const std::string_view name : {"small", "large"}) {
    EXPECT_EQ(Permissions(absl::StrCat("to/", name)), 0640u) << name;
    EXPECT_TRUE(absl::StrContains(ReasonOf(absl::StrCat("from/", name)),
                                  "its attribute system.posix_acl_access cannot be copied"))
        << name;
  }
}

TEST_F(OddSystemTest, VerifyFindsBytesThatWereNotWritten) {
  const Options kCases[] = {
      {.reflink = false}, {.method = Method::kKernel}, {.method = Method::kPlain}};
  for (Options options : kCases) {
    options.verify = true;
    options_ = options;
    odd_.alters_bytes = true;
    Copy();
    EXPECT_EQ(report().counters.problems, 2u) << MethodName(options.method);
    EXPECT_TRUE(absl::StrContains(ReasonOf("from/large"), "the copy differs from its source"))
        << ReasonOf("from/large");
    if (options.method != Method::kKernel) {
      EXPECT_EQ(ReasonOf("from/small"), "the copy does not have the bytes that were written to it");
    }
    EXPECT_FALSE(folder_.Has("to/small") || folder_.Has("to/large"));
  }
}

TEST_F(OddSystemTest, AFileThatCannotBeAFurtherNameIsCopied) {
  ASSERT_EQ(link(folder_.Path("from/small").c_str(), folder_.Path("from/too").c_str()), 0);
  ASSERT_EQ(mkfifo(folder_.Path("from/fifo").c_str(), 0600), 0);
  ASSERT_EQ(link(folder_.Path("from/fifo").c_str(), folder_.Path("from/fifo too").c_str()), 0);
  odd_.link_error = EPERM;
  Copy();
  EXPECT_EQ(report().counters.problems, 2u);
  for (const Problem& problem : report().problems) {
    EXPECT_TRUE(absl::StartsWith(problem.reason, "it gets a copy of its own")) << problem.reason;
  }
  EXPECT_EQ(folder_.Read("to/small"), "text");
  EXPECT_EQ(folder_.Read("to/too"), "text");
  EXPECT_TRUE(S_ISFIFO(folder_.Look("to/fifo").st_mode));
  EXPECT_TRUE(S_ISFIFO(folder_.Look("to/fifo too").st_mode));
}

// The number of a file that is removed goes to a new one.
TEST_F(OddSystemTest, AFileIsNoNameOfAnotherThatHadItsNumber) {
  ASSERT_EQ(link(folder_.Path("from/small").c_str(), folder_.Path("from/too").c_str()), 0);
  odd_.on_times = [&](int file) {
    struct stat info;
    if (fstat(file, &info) != 0 || info.st_size != 4) return;
    folder_.Write("from/small", "other text");  // "too" is the same file
  };
  Copy();
  EXPECT_EQ(report().counters.hard_links, 0u);
  std::vector<std::string> texts = {folder_.Read("to/small"), folder_.Read("to/too")};
  std::sort(texts.begin(), texts.end());
  EXPECT_EQ(texts, (std::vector<std::string>{"other text", "text"}));
}

TEST_F(OddSystemTest, OneFileWithoutAReflinkDoesNotEndThemAll) {
  folder_.Write("from/large too", std::string(300'000, 'l'));
  options_.method = Method::kAuto;
  options_.verify = true;  // so that files of this size are large ones
  odd_.reflink_error = EINVAL;
  Copy();
  EXPECT_EQ(report().counters.problems, 0u);
  EXPECT_EQ(odd_.reflinks, 2);
  EXPECT_TRUE(folder_.Read("to/large") == folder_.Read("from/large"));
}

TEST_F(OddSystemTest, AnEndlessFileEndsWithAStop) {
  folder_.Write("from/endless", "");
  int reads = 0;
  odd_.on_endless_read = [&] {
    if (++reads == 20) engine_->Stop();
    return reads < 1'000;
  };
  ASSERT_EQ(unlink(folder_.Path("from/small").c_str()), 0);
  ASSERT_EQ(unlink(folder_.Path("from/large").c_str()), 0);
  Copy();
  EXPECT_TRUE(report().is_stopped);
  EXPECT_LE(reads, 22);
  EXPECT_FALSE(folder_.Has("to/endless"));
  EXPECT_EQ(folder_.Count(), 3);  // from, endless, to
}

TEST_F(OddSystemTest, WithoutThreadsOneRingCopiesAll) {
  for (int i = 0; i < 20; ++i) {
    folder_.MakeDirectory(absl::StrCat("from/", i, "/sub"));
    folder_.Write(absl::StrCat("from/", i, "/sub/file"), absl::StrCat(i));
  }
  options_.rings = 3;
  const NoThreads no_threads;
  Copy();
  EXPECT_EQ(report().counters.problems, 0u);
  EXPECT_EQ(report().counters.files, 22u);
  EXPECT_EQ(folder_.Read("to/19/sub/file"), "19");
}

TEST_F(OddSystemTest, ResumesWhereTimesAreKeptInSeconds) {
  odd_.keeps_seconds_only = true;
  Copy();
  ASSERT_EQ(ModifiedTime(folder_.Look("to/large")).tv_nsec, 0);
  ASSERT_NE(ModifiedTime(folder_.Look("from/large")).tv_nsec, 0);
  options_.resume = true;
  for (const bool is_changed : {false, true}) {
    // Of the same size, a second later.
    if (is_changed) {
      const timespec time = ModifiedTime(folder_.Look("from/large"));
      const timespec times[] = {time, {time.tv_sec + 1, time.tv_nsec}};
      ASSERT_EQ(utimensat(AT_FDCWD, folder_.Path("from/large").c_str(), times, 0), 0);
    }
    engine_ = nullptr;
    CopyInto();
    EXPECT_EQ(report().counters.problems, 0u);
    EXPECT_EQ(report().counters.skipped, is_changed ? 1u : 2u);
    EXPECT_EQ(report().counters.files, is_changed ? 1u : 0u);
  }
  EXPECT_EQ(folder_.Count(), 6);  // two folders of two files: nothing is left of what it tried
}

TEST_F(OddSystemTest, AWriteThatWritesNothingIsTold) {
  options_.reflink = false;  // so that files of this size are written
  odd_.writes_nothing = true;
  Copy();
  EXPECT_EQ(report().counters.problems, 2u);
  EXPECT_FALSE(folder_.Has("to/small") || folder_.Has("to/large"));
}

}  // namespace
}  // namespace ioring::copy
