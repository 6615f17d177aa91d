// Files of a POSIX system: descriptors from elsewhere, devices, what is open and changes, and
// errors that only such a system has.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "process/testing/open_descriptors.h"
#include "ring/completion.h"
#include "ring/conformance/file_tree.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

using Access = FileOptions::Access;
using Create = FileOptions::Create;

std::string PathOf(const FileTree& tree, const char* name) {
  return absl::StrCat(tree.path(), "/", name);
}

// ---- Descriptors from elsewhere.

// On success the ring owns the descriptor, on failure the caller still does.
TEST_P(RingConformance, RegisterFileTakesOver) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  const int descriptor = open(PathOf(tree, "a").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  const absl::StatusOr<FileId> file = ring.RegisterFile(descriptor);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*ring.FileHandle(*file), NativeHandle{descriptor});
  EXPECT_EQ(ring.RegisterFile(descriptor).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(tree.Read(*file, 0, 10), "content");
  tree.Close(*file);
  EXPECT_EQ(fcntl(descriptor, F_GETFD), -1) << "it is open still";
  EXPECT_EQ(ring.FileHandle(*file).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ring.RegisterFile(kNoNativeHandle).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(ring.RegisterFile(descriptor).ok()) << "it is closed";
}

TEST_P(RingConformance, RegisterFileRefusesSockets) {
  TestRing& ring = MakeRing();
  std::array<int, 2> ends{-1, -1};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  for (const int end : ends) {
    EXPECT_EQ(ring.RegisterFile(end).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(close(end), 0) << "it stays the caller's";
  }
}

// A directory of the caller's serves paths. What a refused one was stays open.
TEST_P(RingConformance, RegisterFileOfDirectory) {
  RingOptions options = Options();
  options.max_files = 2;
  TestRing& ring = MakeRing(options);
  FileTree tree(ring);
  tree.MakeFolder("folder");
  const int descriptor = open(PathOf(tree, "folder").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  const absl::StatusOr<FileId> folder = ring.RegisterFile(descriptor);
  ASSERT_TRUE(folder.ok()) << folder.status();
  tree.Name("folder/inner");
  EXPECT_EQ(tree.MakeDirectory({*folder, "inner"}).error(), Error::kOk);
  EXPECT_EQ(tree.Info("folder/inner").type, FileType::kDirectory);
  const int other = dup(descriptor);
  EXPECT_EQ(ring.RegisterFile(other).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(close(other), 0);
  tree.Close(*folder);
}

// Opens that fail, or find no place, and closes of all sorts leave no descriptor behind.
TEST_P(RingConformance, FilesLeaveNothingOpen) {
  RingOptions options = Options();
  options.max_files = 2;
  TestRing& ring = MakeRing(options);
  FileTree tree(ring);
  tree.Make("a", "content");
  tree.MakeFolder("folder");
  const std::vector<int> before = OpenDescriptors();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(tree.TryOpen(tree.Name("folder"), {}).error(), Error::kIsDirectory);
    const FileId file = tree.Open("a");
    EXPECT_EQ(tree.TryOpen(tree.Name("a"), {}).error(), Error::kTooManyIds);
    const PathAt path = tree.Name("a");
    const Token open =
        ring.Start([&](Token token) { return ring.PrepareOpen(path, FileOptions{}, token); });
    const Token cancel = ring.StartCancel(open);
    EXPECT_FALSE(ring.Await(open).ok());
    ring.Await(cancel);
    if (i % 2 == 0) {
      EXPECT_TRUE(ring.CloseFile(file).ok());
    } else {
      tree.Close(file);
    }
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

// What a ring opens is no other program's.
TEST_P(RingConformance, FilesCloseOnExec) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const FileId file = tree.OpenNew("a");
  for (const FileId id : {file, tree.directory()}) {
    const absl::StatusOr<NativeHandle> handle = ring.FileHandle(id);
    ASSERT_TRUE(handle.ok()) << handle.status();
    EXPECT_EQ(fcntl(static_cast<int>(*handle), F_GETFD), FD_CLOEXEC);
  }
  tree.Close(file);
}

// kTooManyFiles, where the process may have no more descriptors.
TEST_P(RingConformance, FileOpenOutOfDescriptors) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const int next = dup(STDOUT_FILENO);
  ASSERT_GE(next, 0);
  close(next);
  const rlimit none_left{.rlim_cur = static_cast<rlim_t>(next), .rlim_max = limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none_left), 0);
  const Error error = tree.TryOpen(tree.Name("a"), {}).error();
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(error, Error::kTooManyFiles);
  EXPECT_EQ(tree.Content("a"), "content");
}

// Offsets that no file reaches, and that are none.
TEST_P(RingConformance, FileOffsetsOutOfRange) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  const FileId file = tree.Open("a", {.access = Access::kReadWrite});
  constexpr uint64_t kFar = uint64_t{1} << 62;
  EXPECT_EQ(tree.Read(file, kFar, 8), "");
  // A file system in memory may have room for it.
  if (tree.Write(file, kFar, "x").ok()) {
    EXPECT_TRUE(tree.Truncate(file, 7).ok());
  }
  for (const uint64_t offset : {uint64_t{1} << 63, kOwnPosition - 1}) {
    EXPECT_EQ(tree.ReadError(file, offset), Error::kInvalidArgument);
    EXPECT_EQ(tree.Write(file, offset, "x").error(), Error::kInvalidArgument);
  }
  // Those that end there, and the last one that does not.
  EXPECT_EQ(tree.ReadError(file, (uint64_t{1} << 63) - 1), Error::kInvalidArgument);
  EXPECT_EQ(tree.Read(file, (uint64_t{1} << 63) - 9, 8), "");
  EXPECT_EQ(tree.Content("a"), "content");
  tree.Close(file);
}

// ---- Devices.

TEST_P(RingConformance, FileOfFullDevice) {
  TestRing& ring = MakeRing();
  FileCalls calls(ring);
  const Arrival opened = calls.TryOpen("/dev/full", {.access = Access::kReadWrite});
  if (opened.error() == Error::kNotFound) {
#ifdef __linux__
    EXPECT_TRUE(SkipsAllowed()) << "no /dev/full";
#endif
    GTEST_SKIP() << "SKIPPED: this system has no /dev/full";
  }
  ASSERT_EQ(opened.error(), Error::kOk);
  const FileId full = opened.completion.file();
  EXPECT_EQ(calls.Write(full, 0, "x").error(), Error::kNoSpace);
  EXPECT_EQ(calls.Write(full, kOwnPosition, "x").error(), Error::kNoSpace);
  EXPECT_EQ(calls.Read(full, 0, 4), std::string(4, '\0'));
  EXPECT_EQ(calls.CloseFile(full).result(), 0);
}

TEST_P(RingConformance, FileInfoOfDevice) {
  TestRing& ring = MakeRing();
  FileCalls calls(ring);
  struct stat expected;
  ASSERT_EQ(stat("/dev/null", &expected), 0);
  FileInfo* info = calls.NewInfo();
  EXPECT_EQ(calls.Stat("/dev/null", FollowLink::kYes, info).error(), Error::kOk);
  EXPECT_EQ(info->type, FileType::kCharacterDevice);
  EXPECT_EQ(info->special_device, static_cast<uint64_t>(expected.st_rdev));
  EXPECT_EQ(info->device, static_cast<uint64_t>(expected.st_dev));
  EXPECT_EQ(info->file_number, static_cast<uint64_t>(expected.st_ino));
}

// ---- What a stat says, against stat(2).

TEST_P(RingConformance, FileInfoIsTheSystems) {
  constexpr size_t kMiB = 1 << 20;
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const mode_t mask = umask(0);
  umask(mask);
  const FileId file =
      tree.Open("a", {.access = Access::kReadWrite, .create = Create::kNew, .permissions = 0751});
  EXPECT_EQ(tree.Write(file, 10 * kMiB, "end").result(), 3);
  EXPECT_EQ(tree.Sync(file, SyncMode::kDataAndMeta).result(), 0);
  EXPECT_EQ(tree.Link(tree.Name("a"), tree.Name("b")).error(), Error::kOk);
  struct stat expected;
  ASSERT_EQ(stat(PathOf(tree, "a").c_str(), &expected), 0);
  const FileInfo by_path = tree.Info("a");
  const FileInfo by_id = tree.InfoOf(file);
  for (const FileInfo* info : {&by_path, &by_id}) {
    EXPECT_EQ(info->permissions, 0751 & ~mask);
    EXPECT_EQ(info->owner, expected.st_uid);
    EXPECT_EQ(info->group, expected.st_gid);
    EXPECT_EQ(info->links, 2u);
    EXPECT_EQ(info->size, 10 * kMiB + 3);
    EXPECT_EQ(info->allocated_bytes, static_cast<uint64_t>(expected.st_blocks) * 512);
    EXPECT_LT(info->allocated_bytes, kMiB) << "it has a hole";
    EXPECT_EQ(info->device, static_cast<uint64_t>(expected.st_dev));
    EXPECT_EQ(info->file_number, static_cast<uint64_t>(expected.st_ino));
    const auto now = static_cast<int64_t>(time(nullptr));
    for (const FileTime& at : {info->accessed, info->modified, info->changed}) {
      EXPECT_LE(std::abs(now - at.seconds), 60);
    }
    if (info->born != FileTime{}) {
      EXPECT_LE(std::abs(now - info->born.seconds), 60);
    }
  }
  tree.Close(file);
}

// A directory's permissions are what was asked for, but for the umask.
TEST_P(RingConformance, FileDirectoryPermissions) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const mode_t mask = umask(0);
  umask(mask);
  EXPECT_EQ(tree.MakeDirectory(tree.Name("folder"), 0751).error(), Error::kOk);
  EXPECT_EQ(tree.Info("folder").permissions & 0777, 0751 & ~mask);
}

// ---- Names, as POSIX has them.

TEST_P(RingConformance, FileNameTooLong) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  const std::string component(300, 'x');
  const std::string path = std::string(10'000, '/') + "x";
  for (const std::string& name : {component, path}) {
    const PathAt at(tree.directory(), name.c_str());
    EXPECT_EQ(tree.TryOpen(at, {}).error(), Error::kNameTooLong);
    EXPECT_EQ(tree.Stat(at, FollowLink::kNo, tree.NewInfo()).error(), Error::kNameTooLong);
    EXPECT_EQ(tree.MakeDirectory(at).error(), Error::kNameTooLong);
    EXPECT_EQ(tree.Rename(tree.Name("a"), at).error(), Error::kNameTooLong);
    EXPECT_EQ(tree.Unlink(at).error(), Error::kNameTooLong);
  }
  EXPECT_TRUE(tree.Exists("a"));
}

// Renames that POSIX defines, and others leave to the system.
TEST_P(RingConformance, FileRenameAsPosix) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "one");
  tree.MakeFolder("folder");
  tree.MakeFolder("folder/inner");
  EXPECT_EQ(tree.Rename(tree.Name("a"), tree.Name("a")).error(), Error::kOk);
  EXPECT_EQ(tree.Link(tree.Name("a"), tree.Name("b")).error(), Error::kOk);
  EXPECT_EQ(tree.Rename(tree.Name("a"), tree.Name("b")).error(), Error::kOk);
  EXPECT_TRUE(tree.Exists("a")) << "two names of one file: nothing is to be done";
  EXPECT_EQ(tree.Rename(tree.Name("folder"), tree.Name("a")).error(), Error::kNotDirectory);
  EXPECT_EQ(tree.Rename(tree.Name("a"), tree.Name("folder")).error(), Error::kIsDirectory);
  EXPECT_EQ(tree.Rename(tree.Name("folder"), tree.Name("folder/inner/x")).error(),
            Error::kInvalidArgument);
  tree.MakeFolder("empty");
  EXPECT_EQ(tree.Rename(tree.Name("folder"), tree.Name("empty")).error(), Error::kOk);
  EXPECT_EQ(tree.Info("empty/inner").type, FileType::kDirectory);
}

// A name that is gone, or another file's, takes nothing from who has the file open.
TEST_P(RingConformance, FileOpenOutlivesName) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "one");
  tree.Make("b", "two");
  const FileId a = tree.Open("a");
  const FileId b = tree.Open("b");
  EXPECT_EQ(tree.Rename(tree.Name("b"), tree.Name("a")).error(), Error::kOk);
  EXPECT_EQ(tree.Unlink(tree.Name("a")).error(), Error::kOk);
  EXPECT_EQ(tree.Read(a, 0, 10), "one");
  EXPECT_EQ(tree.Read(b, 0, 10), "two");
  EXPECT_EQ(tree.InfoOf(a).links, 0u);
  tree.Close(a);
  tree.Close(b);
}

}  // namespace
}  // namespace ioring
