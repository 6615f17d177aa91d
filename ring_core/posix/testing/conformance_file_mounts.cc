// File systems of a test's own: one that is full, one that is for reading only, two that are
// different. Where this process may not mount any, the tests fail, or are skipped where that is
// allowed, and say why.
#ifdef __linux__

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "process/testing/forked_child.h"
#include "ring/completion.h"
#include "ring/conformance/file_tree.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/token.h"

namespace ioring {
namespace {

using Access = FileOptions::Access;
using Create = FileOptions::Create;

// A tmpfs that a child mounts over `place`, in namespaces of its own: nobody else sees it, and it
// is gone with the child. The test reaches it through /proc.
class Mount {
 public:
  Mount(const std::string& place, const char* options, unsigned long flags) {
    std::array<int, 2> answer{-1, -1};
    EXPECT_EQ(pipe2(answer.data(), O_CLOEXEC), 0);
    child_ = std::make_unique<RunningChild>([&] {
      const int code = DoMount(place, options, flags);
      static_cast<void>(!write(answer[1], &code, sizeof(code)));
      for (;;) pause();
    });
    close(answer[1]);
    int code = ECHILD;
    static_cast<void>(!read(answer[0], &code, sizeof(code)));
    close(answer[0]);
    if (code != 0) {
      why_not_ = absl::StrCat("no tmpfs can be mounted here: ", strerror(code));
      return;
    }
    path_ = absl::StrCat("/proc/", child_->pid(), "/root", place);
    if (access(path_.c_str(), R_OK) != 0) why_not_ = "a child's mounts cannot be seen here";
  }

  // False, and a failure unless the run allows skips, where it is not.
  bool IsThere() const {
    EXPECT_TRUE(why_not_.empty() || SkipsAllowed()) << why_not_;
    return why_not_.empty();
  }
  const std::string& why_not() const { return why_not_; }
  const std::string& path() const { return path_; }

 private:
  static int WriteFile(const char* path, const std::string& text) {
    const int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return errno;
    const int code = write(file, text.data(), text.size()) < 0 ? errno : 0;
    close(file);
    return code;
  }

  // Else the test's own files would belong to nobody there, and could not be made.
  static int MapTo(uid_t user, gid_t group) {
    int code = WriteFile("/proc/self/uid_map", absl::StrCat("0 ", user, " 1"));
    if (code == 0) code = WriteFile("/proc/self/setgroups", "deny");
    return code == 0 ? WriteFile("/proc/self/gid_map", absl::StrCat("0 ", group, " 1")) : code;
  }

  static int DoMount(const std::string& place, const char* options, unsigned long flags) {
    const uid_t user = geteuid();
    const gid_t group = getegid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return errno;
    if (const int code = MapTo(user, group); code != 0) return code;
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
    return mount("tmpfs", place.c_str(), "tmpfs", flags, options) == 0 ? 0 : errno;
  }

  std::unique_ptr<RunningChild> child_;
  std::string path_;
  std::string why_not_;
};

FileId OpenRoot(FileCalls& calls, const Mount& mount) {
  const Arrival opened = calls.TryOpen(mount.path().c_str(), {.directory = true});
  EXPECT_EQ(opened.error(), Error::kOk) << mount.path();
  return opened.ok() ? opened.completion.file() : FileId{};
}

// kNoSpace, from every operation that needs some.
TEST_P(RingConformance, FileSystemFull) {
  constexpr size_t kAll = 64 << 10;
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.MakeFolder("place");
  const Mount mount(absl::StrCat(tree.path(), "/place"), "size=64k,mode=0777", 0);
  if (!mount.IsThere()) GTEST_SKIP() << "SKIPPED: " << mount.why_not();
  const FileId root = OpenRoot(tree, mount);
  const Arrival opened =
      tree.TryOpen({root, "a"}, {.access = Access::kReadWrite, .create = Create::kNew});
  ASSERT_EQ(opened.error(), Error::kOk);
  const FileId file = opened.completion.file();
  const std::span<std::byte> memory = ring.Memory(2 * kAll);
  const Arrival part = ring.Await(tree.StartWrite(file, 0, memory));
  ASSERT_GT(part.result(), 0) << "the system wrote nothing of it";
  EXPECT_LE(part.result(), static_cast<int32_t>(kAll))
      << "a short write, of what there was room for";
  EXPECT_EQ(ring.Await(tree.StartWrite(file, kAll, memory)).error(), Error::kNoSpace);
  std::array<MemoryPart, 2> parts = {MemoryPart{memory.data(), kAll},
                                     MemoryPart{memory.data() + kAll, kAll}};
  EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareWriteVector(file, kAll, parts, token); })
                .error(),
            Error::kNoSpace);
  EXPECT_EQ(tree.Allocate(file, AllocateMode::kExtend, kAll, kAll).error(), Error::kNoSpace);
  EXPECT_EQ(tree.Allocate(file, AllocateMode::kPunchHole, 0, kAll).error(), Error::kOk);
  EXPECT_EQ(ring.Await(tree.StartWrite(file, 0, memory.first(4096))).result(), 4096);
  tree.Close(file);
  tree.Close(root);
}

// kReadOnly, from every operation that changes something.
TEST_P(RingConformance, FileSystemReadOnly) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.MakeFolder("place");
  const Mount mount(absl::StrCat(tree.path(), "/place"), "mode=0777", MS_RDONLY);
  if (!mount.IsThere()) GTEST_SKIP() << "SKIPPED: " << mount.why_not();
  const FileId root = OpenRoot(tree, mount);
  EXPECT_EQ(tree.TryOpen({root, "a"}, {.access = Access::kWrite, .create = Create::kNew}).error(),
            Error::kReadOnly);
  EXPECT_EQ(tree.MakeDirectory({root, "a"}).error(), Error::kReadOnly);
  EXPECT_EQ(tree.Symlink("target", {root, "a"}).error(), Error::kReadOnly);
  EXPECT_EQ(tree.TryOpen({root, "a"}, {}).error(), Error::kNotFound);
  tree.Close(root);
}

// kDifferentFileSystem: names and blocks do not go from one to the other.
TEST_P(RingConformance, FileSystemsDiffer) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.MakeFolder("place");
  const Mount mount(absl::StrCat(tree.path(), "/place"), "mode=0777", 0);
  if (!mount.IsThere()) GTEST_SKIP() << "SKIPPED: " << mount.why_not();
  const FileId root = OpenRoot(tree, mount);
  tree.Make("a", "content");
  const FileId from = tree.Open("a");
  EXPECT_EQ(tree.Rename(tree.Name("a"), {root, "a"}).error(), Error::kDifferentFileSystem);
  EXPECT_EQ(tree.Link(tree.Name("a"), {root, "a"}).error(), Error::kDifferentFileSystem);
  EXPECT_EQ(tree.LinkFile(from, {root, "a"}).error(), Error::kDifferentFileSystem);
  const Arrival opened =
      tree.TryOpen({root, "b"}, {.access = Access::kReadWrite, .create = Create::kNew});
  ASSERT_EQ(opened.error(), Error::kOk);
  const FileId to = opened.completion.file();
  const Error shared = tree.CopyRange(from, 0, to, 0, 0, CopyMode::kReflink).error();
  EXPECT_TRUE(shared == Error::kDifferentFileSystem || shared == Error::kNotSupported)
      << ErrorName(shared);
  const Arrival copied = tree.CopyRange(from, 0, to, 0, 7, CopyMode::kCopy);
  if (copied.ok()) {
    EXPECT_EQ(tree.Read(to, 0, 10), "content");
  } else {
    EXPECT_EQ(copied.error(), Error::kDifferentFileSystem);
    EXPECT_EQ(tree.InfoOf(to).size, 0u);
  }
  EXPECT_NE(tree.InfoOf(to).device, tree.InfoOf(from).device);
  EXPECT_EQ(tree.Content("a"), "content");
  tree.Close(to);
  tree.Close(from);
  tree.Close(root);
}

}  // namespace
}  // namespace ioring

#endif  // __linux__
