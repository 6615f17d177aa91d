#include "copy/system.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "absl/log/check.h"
#include "copy/metadata.h"
#include "copy/test_folder.h"
#include "gtest/gtest.h"

namespace ioring::copy {
namespace {

// A file that is closed at the end.
class OpenedFile {
 public:
  OpenedFile(const TestFolder& folder, const char* name)
      : file_(openat(folder.handle(), name, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    CHECK(file_ >= 0);
  }
  OpenedFile(const OpenedFile&) = delete;
  OpenedFile& operator=(const OpenedFile&) = delete;
  ~OpenedFile() { close(file_); }
  int get() const { return file_; }

 private:
  int file_;
};

TEST(FindDataTest, FindsWhatLiesBetweenHoles) {
  const TestFolder folder;
  const OpenedFile file(folder, "holes");
  constexpr uint64_t kAt = 1 << 20;
  constexpr uint64_t kEnd = 3 << 20;
  ASSERT_EQ(ftruncate(file.get(), kEnd), 0);
  ASSERT_EQ(pwrite(file.get(), "data", 4, kAt), 4);
  DataRange range;
  ASSERT_EQ(system::FindData(file.get(), 0, kEnd, &range), 0);
  EXPECT_LE(range.begin, kAt);
  EXPECT_GE(range.finish, kAt + 4);
  EXPECT_LE(range.finish, kEnd);
  ASSERT_EQ(system::FindData(file.get(), range.finish, kEnd, &range), 0);
  EXPECT_EQ(range.begin, range.finish == kEnd ? range.begin : kEnd) << "a hole to the end";
}

TEST(FindDataTest, StopsAtTheEndThatIsAskedFor) {
  const TestFolder folder;
  const OpenedFile file(folder, "data");
  ASSERT_EQ(pwrite(file.get(), "0123456789", 10, 0), 10);
  DataRange range;
  ASSERT_EQ(system::FindData(file.get(), 2, 5, &range), 0);
  EXPECT_EQ(range.begin, 2u);
  EXPECT_EQ(range.finish, 5u);
  ASSERT_EQ(system::FindData(file.get(), 5, 5, &range), 0);
  EXPECT_EQ(range.begin, range.finish);
  // The file became shorter than its reader believes.
  ASSERT_EQ(system::FindData(file.get(), 50, 60, &range), 0);
  EXPECT_EQ(range.begin, range.finish);
}

TEST(SetDirectTest, LetsOnlyMultiplesThrough) {
  const TestFolder folder;
  const OpenedFile file(folder, "file");
  ASSERT_EQ(pwrite(file.get(), "text", 4, 0), 4);
  if (const int error = system::SetDirect(file.get(), true); error != 0) {
    ASSERT_EQ(error, -ENOTSUP);
    GTEST_SKIP() << "the tests' file system has no direct I/O";
  }
  EXPECT_NE(fcntl(file.get(), F_GETFL) & O_DIRECT, 0);
  ASSERT_EQ(system::SetDirect(file.get(), false), 0);
  EXPECT_EQ(fcntl(file.get(), F_GETFL) & O_DIRECT, 0);
  EXPECT_EQ(fcntl(file.get(), F_GETFL) & O_ACCMODE, O_RDWR);
  EXPECT_EQ(system::SetDirect(-1, true), -EBADF);
}

TEST(MemoryBytesTest, IsWhatAMachineHas) { EXPECT_GT(system::MemoryBytes(), uint64_t{16} << 20); }

TEST(CopyInKernelTest, CopiesAsMuchAsThereIs) {
  const TestFolder folder;
  const OpenedFile from(folder, "from");
  const OpenedFile to(folder, "to");
  ASSERT_EQ(pwrite(from.get(), "0123456789", 10, 0), 10);
  EXPECT_EQ(system::CopyInKernel(from.get(), to.get(), 4), 4);
  EXPECT_EQ(folder.Read("to"), "0123");
  EXPECT_EQ(system::CopyInKernel(from.get(), to.get(), 20), 10);
  EXPECT_EQ(folder.Read("to"), "0123456789");
  EXPECT_EQ(system::CopyInKernel(from.get(), folder.handle(), 4), -ENOTSUP);
}

TEST(OpenBelowTest, FollowsNoLink) {
  const TestFolder folder;
  folder.MakeDirectory("a/b");
  ASSERT_EQ(symlinkat("a", folder.handle(), "link"), 0);
  const int below = system::OpenBelow(folder.handle(), "a/b");
  ASSERT_GE(below, 0);
  close(below);
  EXPECT_EQ(system::OpenBelow(folder.handle(), "link/b"), -ENOTDIR);
  EXPECT_EQ(system::OpenBelow(folder.handle(), "a/c"), -ENOENT);
  const int same = system::OpenBelow(folder.handle(), "");
  ASSERT_GE(same, 0);
  close(same);
}

TEST(CopyMetadataTest, CopiesPermissionsTimesAndAttributes) {
  const TestFolder folder;
  const OpenedFile from(folder, "from");
  const OpenedFile to(folder, "to");
  const timespec times[] = {{1000, 1}, {2000, 2}};
  ASSERT_EQ(fchmod(from.get(), 04751), 0);
  ASSERT_EQ(futimens(from.get(), times), 0);
  const bool has_attributes = fsetxattr(from.get(), "user.key", "value", 5, 0) == 0;
  struct stat info;
  ASSERT_EQ(fstat(from.get(), &info), 0);
  std::string problem;
  ASSERT_EQ(CopyMetadata(from.get(), info, to.get(), &problem), 0);
  struct stat copied;
  ASSERT_EQ(fstat(to.get(), &copied), 0);
  EXPECT_EQ(copied.st_mode, info.st_mode);
  EXPECT_EQ(copied.st_uid, info.st_uid);
  EXPECT_EQ(ModifiedTime(copied).tv_sec, 2000);
  EXPECT_EQ(ModifiedTime(copied).tv_nsec, 2);
  EXPECT_EQ(AccessedTime(copied).tv_sec, 1000);
  if (!has_attributes) return;  // the file system of the tests has none
  char value[8];
  ASSERT_EQ(fgetxattr(to.get(), "user.key", value, sizeof(value)), 5);
  EXPECT_EQ(std::string(value, 5), "value");
}

TEST(CopyMetadataTest, BelievesWhatItIsTold) {
  const TestFolder folder;
  const OpenedFile from(folder, "from");
  const OpenedFile to(folder, "to");
  ASSERT_EQ(fchmod(from.get(), 0640), 0);
  struct stat info;
  ASSERT_EQ(fstat(from.get(), &info), 0);
  std::string problem;
  // No call for what the copy has: it keeps its 0600.
  ASSERT_EQ(CopyMetadata(from.get(), info, to.get(), &problem, &info), 0);
  EXPECT_EQ(folder.Look("to").st_mode & 07777, 0600u);
  struct stat other = info;
  other.st_mode = 0600;
  ASSERT_EQ(CopyMetadata(from.get(), info, to.get(), &problem, &other), 0);
  EXPECT_EQ(folder.Look("to").st_mode & 07777, 0640u);
}

TEST(CopyMetadataTest, OfALinkIsTheLinksOwn) {
  const TestFolder folder;
  folder.Write("target", "text");
  ASSERT_EQ(symlinkat("target", folder.handle(), "link"), 0);
  const struct stat before = folder.Look("target");
  struct stat info = folder.Look("link");
  info.st_mtim = {3000, 3};
  std::string problem;
  ASSERT_EQ(CopyMetadataAt(folder.handle(), "link", info, folder.handle(), "link", &problem), 0);
  EXPECT_EQ(ModifiedTime(folder.Look("link")).tv_sec, 3000);
  EXPECT_EQ(ModifiedTime(folder.Look("target")).tv_sec, ModifiedTime(before).tv_sec);
}

TEST(CopyMetadataTest, FollowsNoLinkThatTookTheNameOfASpecialFile) {
  const TestFolder folder;
  folder.Write("target", "text");
  ASSERT_EQ(fchmodat(folder.handle(), "target", 0600, 0), 0);
  ASSERT_EQ(symlinkat("target", folder.handle(), "fifo"), 0);
  struct stat info = folder.Look("target");
  info.st_mode = S_IFIFO | 0666;
  std::string problem;
  // A link has no permissions to set.
  EXPECT_NE(CopyMetadataAt(folder.handle(), "target", info, folder.handle(), "fifo", &problem), 0);
  EXPECT_EQ(folder.Look("target").st_mode & 07777, 0600u);
}

}  // namespace
}  // namespace ioring::copy
