// A copy that is killed at any of its calls that change something: each file is then complete, or
// what it was before; and a copy with `resume` makes all of it complete.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <string>
#include <string_view>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "copy/engine.h"
#include "copy/options.h"
#include "copy/pending_file.h"
#include "copy/test_folder.h"
#include "gtest/gtest.h"
#include "process/testing/as_declared.h"
#include "process/testing/forked_child.h"
#include "ring_native/create_ring.h"

namespace ioring::copy {
namespace {

constexpr int kKilled = 77;  // an exit status

// How many of the calls below may be made; the next one ends the process. Negative: all.
std::atomic<int64_t> calls_left = -1;

bool IsLast() {
  if (calls_left.load() < 0) return false;
  return calls_left.fetch_sub(1) <= 0;
}

template <typename... Arguments>
long Call(long number, Arguments... arguments) {
  if (IsLast()) _exit(kKilled);
  return syscall(number, arguments...);
}

}  // namespace
}  // namespace ioring::copy

// In place of the C library's, for the engine and for the ring, which make no other calls that
// change something on epoll.
extern "C" {

ssize_t pwrite(int file, const void* data, size_t size, off_t offset) {
  if (!ioring::copy::IsLast()) return syscall(SYS_pwrite64, file, data, size, offset);
  syscall(SYS_pwrite64, file, data, size / 2, offset);
  _exit(ioring::copy::kKilled);
}
int linkat(int from, const char* existing, int to, const char* name, int flags) IORING_AS_DECLARED {
  return static_cast<int>(ioring::copy::Call(SYS_linkat, from, existing, to, name, flags));
}
int renameat(int from, const char* existing, int to, const char* name) IORING_AS_DECLARED {
  return static_cast<int>(ioring::copy::Call(SYS_renameat2, from, existing, to, name, 0));
}
int unlinkat(int directory, const char* name, int flags) IORING_AS_DECLARED {
  return static_cast<int>(ioring::copy::Call(SYS_unlinkat, directory, name, flags));
}
int symlinkat(const char* target, int directory, const char* name) IORING_AS_DECLARED {
  return static_cast<int>(ioring::copy::Call(SYS_symlinkat, target, directory, name));
}
int mkdirat(int directory, const char* name, mode_t mode) IORING_AS_DECLARED {
  return static_cast<int>(ioring::copy::Call(SYS_mkdirat, directory, name, mode));
}
int fchmod(int file, mode_t mode) IORING_AS_DECLARED {
  return static_cast<int>(ioring::copy::Call(SYS_fchmod, file, mode));
}
int fchown(int file, uid_t owner, gid_t group) IORING_AS_DECLARED {
  return static_cast<int>(ioring::copy::Call(SYS_fchown, file, owner, group));
}
int futimens(int file, const timespec times[2]) IORING_AS_DECLARED {
  return static_cast<int>(ioring::copy::Call(SYS_utimensat, file, nullptr, times, 0));
}
ssize_t copy_file_range(int from, off_t* from_offset, int to, off_t* to_offset, size_t size,
                        unsigned flags) {
  return ioring::copy::Call(SYS_copy_file_range, from, from_offset, to, to_offset, size, flags);
}

}  // extern "C"

namespace ioring::copy {
namespace {

constexpr time_t kModified = 1'000'000'000;
constexpr mode_t kPermissions = 0640;

// The file `name` of the source, and what its copy replaces; empty: nothing.
struct WantedFile {
  std::string_view name;
  size_t bytes;
  std::string_view before = {};
};
constexpr WantedFile kFiles[] = {
    {"empty", 0},     {"small", 100},        {"changed", 5'000, "what was there"},
    {"deep", 3'000},  {"sub/inside", 2'000}, {"large", 300'003},
    {"named", 4'000}, {"named_too", 4'000},
};

std::string ContentOf(const WantedFile& file) {
  std::string content(file.bytes, '\0');
  for (size_t i = 0; i < content.size(); ++i) {
    content[i] = static_cast<char>(i * i / 7 + i + file.name.front());
  }
  return content;
}

class KilledCopyTest : public testing::TestWithParam<Options> {
 protected:
  KilledCopyTest() {
    folder_.MakeDirectory("from/sub");
    for (const WantedFile& file : kFiles) {
      if (file.name == "named_too") continue;
      const std::string name = absl::StrCat("from/", file.name);
      folder_.Write(name, ContentOf(file));
      CHECK_EQ(chmod(folder_.Path(name).c_str(), kPermissions), 0);
      const timespec times[] = {{kModified, 0}, {kModified, 0}};
      CHECK_EQ(utimensat(AT_FDCWD, folder_.Path(name).c_str(), times, 0), 0);
    }
    CHECK_EQ(link(folder_.Path("from/named").c_str(), folder_.Path("from/named_too").c_str()), 0);
    CHECK_EQ(symlink("small", folder_.Path("from/link").c_str()), 0);
  }

  // The destination as it was before.
  void StartAnew() {
    std::filesystem::remove_all(folder_.Path("to"));
    folder_.MakeDirectory("to/from");
    for (const WantedFile& file : kFiles) {
      if (!file.before.empty()) folder_.Write(absl::StrCat("to/from/", file.name), file.before);
    }
  }

  // In a child, whose end is returned; it is killed at the call behind so many.
  ChildEnd Copy(bool resume, int64_t calls) {
    return RunInChild([&] {
      Options options = GetParam();
      options.resume = resume;
      Engine engine(
          [](const RingOptions& wanted) -> absl::StatusOr<std::unique_ptr<Ring>> {
            absl::StatusOr<CreatedRing> created = CreateRing(wanted, BackendKind::kEpoll);
            if (!created.ok()) return created.status();
            return std::move(created->ring);
          },
          options);
      calls_left = calls;
      const absl::Status status = engine.Run({folder_.Path("from")}, folder_.Path("to"));
      return status.ok() && engine.report().counters.problems == 0;
    });
  }

  bool IsComplete(const WantedFile& file) {
    const std::string name = absl::StrCat("to/from/", file.name);
    if (!folder_.Has(name) || folder_.Read(name) != ContentOf(file)) return false;
    const struct stat info = folder_.Look(name);
    return (info.st_mode & 07777) == kPermissions && info.st_mtim.tv_sec == kModified;
  }
  bool IsAsBefore(const WantedFile& file) {
    const std::string name = absl::StrCat("to/from/", file.name);
    return file.before.empty() ? !folder_.Has(name) : folder_.Read(name) == file.before;
  }
  // Temporary names, and with them what nobody asked for.
  int CountOthers() {
    int others = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.Path("to"))) {
      others += IsTemporaryName(entry.path().filename().string()) ? 1 : 0;
    }
    return others;
  }

  TestFolder folder_;
};

TEST_P(KilledCopyTest, EachFileIsCompleteOrAsItWas) {
  int64_t calls = 0;
  for (bool is_whole = false; !is_whole; ++calls) {
    StartAnew();
    const ChildEnd end = Copy(/*resume=*/false, calls);
    is_whole = end.succeeded();
    ASSERT_TRUE(is_whole || (end.exited && end.code == kKilled)) << end.ToString() << end.output;
    for (const WantedFile& file : kFiles) {
      EXPECT_TRUE(IsComplete(file) || (!is_whole && IsAsBefore(file)))
          << file.name << ", killed at call " << calls;
    }
    const ChildEnd resumed = Copy(/*resume=*/true, -1);
    ASSERT_TRUE(resumed.succeeded()) << resumed.ToString() << resumed.output;
    for (const WantedFile& file : kFiles) {
      EXPECT_TRUE(IsComplete(file)) << file.name << ", resumed after call " << calls;
    }
    EXPECT_EQ(folder_.Look("to/from/named").st_ino, folder_.Look("to/from/named_too").st_ino)
        << "resumed after call " << calls;
    EXPECT_TRUE(S_ISLNK(folder_.Look("to/from/link").st_mode));
    EXPECT_EQ(CountOthers(), 0) << "left after call " << calls;
  }
  EXPECT_GT(calls, 40);
}

std::string NameOf(const testing::TestParamInfo<Options>& info) {
  return info.param.sync ? "Synced" : std::string(MethodName(info.param.method));
}

INSTANTIATE_TEST_SUITE_P(Methods, KilledCopyTest,
                         testing::Values(Options{.reflink = false},
                                         Options{.method = Method::kKernel},
                                         Options{.reflink = false, .sync = true}),
                         NameOf);

}  // namespace
}  // namespace ioring::copy
