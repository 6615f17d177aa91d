// Calls of a program besides its rings: descriptors, and functions of the disk; and a disk that
// breaks.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_sim/descriptors.h"
#include "ring_sim/disk.h"
#include "ring_sim/inode.h"
#include "ring_sim/network.h"
#include "ring_sim/simulated_world.h"
#include "ring_sim/testing/two_hosts.h"

namespace ioring::sim {
namespace {

constexpr Token kToken{1};
constexpr FileOptions kNewFile{.access = FileOptions::Access::kReadWrite,
                               .create = FileOptions::Create::kNew};

class Host {
 public:
  explicit Host(uint64_t seed = 1, const WorldOptions& options = {}) : two_(seed, options) {}

  World& world() { return two_.world; }
  HostId number() const { return two_.server_host; }
  Ring& ring() { return *two_.server; }
  Disk& disk() { return two_.world.disk(two_.server_host); }
  Descriptors& descriptors() { return two_.world.descriptors(two_.server_host); }

  Completion Run(Prepared prepared) {
    EXPECT_EQ(prepared, Prepared::kAccepted);
    return Next(ring());
  }
  FileId Open(const char* path) {
    const Completion opened = Run(ring().PrepareOpen(path, kNewFile, kToken));
    EXPECT_TRUE(opened.ok()) << path;
    return opened.ok() ? opened.file() : FileId{};
  }
  void Write(FileId file, uint64_t offset, std::string text) {
    EXPECT_EQ(Run(ring().PrepareWrite(file, offset, AsBytes(text), kToken)).result,
              static_cast<int32_t>(text.size()));
  }

 private:
  Two two_;
};

TEST(DiskPlain, AFileOfTheRingHasADescriptor) {
  Host host;
  Descriptors& descriptors = host.descriptors();
  const FileId file = host.Open("/a");
  const NativeHandle handle = *host.ring().FileHandle(file);
  EXPECT_EQ(*host.ring().FileHandle(file), handle);
  EXPECT_EQ(host.ring().RegisterFile(handle).status().code(), absl::StatusCode::kAlreadyExists);
  const auto opened = descriptors.Find(static_cast<int>(handle));
  ASSERT_NE(opened, nullptr);
  EXPECT_EQ(opened->inode.get(), host.disk().Find("/a"));
  EXPECT_TRUE(host.ring().CloseFile(file).ok());
  EXPECT_EQ(host.ring().FileHandle(file).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(descriptors.Find(static_cast<int>(handle)), nullptr);
  EXPECT_EQ(descriptors.size(), 0u);
}

TEST(DiskPlain, TheRingTakesADescriptorOver) {
  Host host;
  auto opened = std::make_shared<OpenedFile>();
  ASSERT_EQ(host.disk().Open(nullptr, "/a", kNewFile, opened.get()), 0);
  const int descriptor = host.descriptors().Add(std::move(opened));
  const absl::StatusOr<FileId> file = host.ring().RegisterFile(descriptor);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*host.ring().FileHandle(*file), descriptor);
  EXPECT_TRUE(host.ring().CloseFile(*file).ok());
  EXPECT_EQ(host.ring().RegisterFile(descriptor).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(DiskPlain, ListsNamesAndSetsAttributes) {
  Host host;
  for (const char* const path : {"/b", "/a"})
    EXPECT_TRUE(host.ring().CloseFile(host.Open(path)).ok());
  host.world().MakeDirectories(host.number(), "/c");
  OpenedFile root;
  ASSERT_EQ(host.disk().Open(nullptr, "/", {.directory = true}, &root), 0);
  std::string names;
  std::string name;
  FileType type = FileType::kUnknown;
  while (host.disk().NextName(root, &name, &type) == 1) names += name;
  EXPECT_EQ(names, "abc");
  EXPECT_EQ(type, FileType::kDirectory);
  ASSERT_EQ(
      host.disk().SetAttributes(&root, "a", {.permissions = 0600, .modified = FileTime{7, 5}}), 0);
  EXPECT_EQ(host.disk().Find("/a")->permissions, 0600u);
  EXPECT_EQ(host.disk().Find("/a")->modified_ns, 7'000'000'005);
  EXPECT_EQ(host.disk().Find("/b")->permissions, 0644u);
}

TEST(DiskPlain, FindsDataBetweenHoles) {
  Host host;
  const FileId file = host.Open("/a");
  host.Write(file, 1024, std::string(600, 'x'));
  EXPECT_EQ(host.Run(host.ring().PrepareTruncate(file, 4096, kToken)).result, 0);
  const auto opened = host.descriptors().Find(static_cast<int>(*host.ring().FileHandle(file)));
  uint64_t begin = 0;
  uint64_t finish = 0;
  ASSERT_EQ(host.disk().FindData(*opened, 0, 4096, &begin, &finish), 0);
  EXPECT_EQ(begin, 1024u);
  EXPECT_EQ(finish, 2048u);
  ASSERT_EQ(host.disk().FindData(*opened, finish, 4096, &begin, &finish), 0);
  EXPECT_EQ(begin, finish);
  ASSERT_EQ(host.disk().FindData(*opened, 1100, 1200, &begin, &finish), 0);
  EXPECT_EQ(begin, 1100u);
  EXPECT_EQ(finish, 1200u);
}

// The first change is made, the second is not, and nothing is after it.
TEST(DiskPlain, ABrokenDiskDoesNotChange) {
  Host host;
  const FileId file = host.Open("/a");
  bool is_told = false;
  host.disk().BreakAfter(1, [&] { is_told = true; });
  host.Write(file, 0, "first");
  EXPECT_FALSE(is_told);
  EXPECT_EQ(host.Run(host.ring().PrepareUnlink("/a", kToken)).error(), Error::kInputOutput);
  EXPECT_TRUE(is_told);
  EXPECT_EQ(host.Run(host.ring().PrepareTruncate(file, 0, kToken)).error(), Error::kInputOutput);
  EXPECT_EQ(host.disk().Contents("/a"), "first");
  host.disk().Repair();
  EXPECT_EQ(host.Run(host.ring().PrepareTruncate(file, 0, kToken)).result, 0);
  EXPECT_EQ(host.disk().Contents("/a"), "");
  EXPECT_TRUE(host.ring().CloseFile(file).ok());
}

TEST(DiskPlain, ThereMayBeNoUnnamedFiles) {
  World world(1, {.unnamed_files = false});
  OpenedFile file;
  const FileOptions options{.access = FileOptions::Access::kReadWrite,
                            .create = FileOptions::Create::kUnnamed};
  EXPECT_EQ(world.disk(world.AddHost("host")).Open(nullptr, "/", options, &file),
            Failed(Error::kNotSupported));
}

TEST(DiskPlain, OneCallFails) {
  Host host;
  const FileId file = host.Open("/a");
  const uint64_t calls = host.disk().calls();
  host.disk().FailOnceAfter(1);
  host.Write(file, 0, "first");
  EXPECT_EQ(host.Run(host.ring().PrepareUnlink("/a", kToken)).error(), Error::kInputOutput);
  EXPECT_EQ(host.disk().Contents("/a"), "first");
  EXPECT_EQ(host.Run(host.ring().PrepareUnlink("/a", kToken)).result, 0);
  EXPECT_EQ(host.disk().calls(), calls + 3);
  EXPECT_TRUE(host.ring().CloseFile(file).ok());
}

TEST(DiskPlain, ALossOfPowerTakesNothingOfWhatWasSynced) {
  Host host;
  const FileId file = host.Open("/a");
  host.Write(file, 0, "text");
  host.disk().SyncAll();
  EXPECT_TRUE(host.ring().CloseFile(file).ok());
  host.world().LosePower(host.number());
  EXPECT_EQ(host.disk().Contents("/a"), "text");
}

// ---- Where the simulation was once kinder than Linux, or stricter.

FileInfo Info(Host& host, const char* path) {
  FileInfo info;
  EXPECT_EQ(host.Run(host.ring().PrepareStat(path, FollowLink::kNo, &info, kToken)).result, 0);
  return info;
}

TEST(DiskPlain, TimesMayLieBefore1970AndFarAway) {
  Host host;
  host.Open("/file");
  const auto set = [&](const FileTime& time) {
    EXPECT_EQ(host.disk().SetAttributes(nullptr, "/file", {.accessed = time, .modified = time}), 0);
    return Info(host, "/file").modified;
  };
  const FileTime before = set({-1, 5});
  EXPECT_EQ(before.seconds, -1);
  EXPECT_EQ(before.nanos, 5u);
  const FileTime whole = set({-7, 0});
  EXPECT_EQ(whole.seconds, -7);
  EXPECT_EQ(whole.nanos, 0u);
  constexpr int64_t kYear2200 = 7'258'118'400;
  EXPECT_GT(set({int64_t{1} << 60, 1}).seconds, kYear2200);
  EXPECT_LT(set({-(int64_t{1} << 60), 1}).seconds, -kYear2200);
}

TEST(DiskPlain, AttributesAreLostLikeNames) {
  int lost = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Host host(seed);
    const FileId file = host.Open("/file");
    ASSERT_EQ(host.disk().SetAttributes(nullptr, "/file", {.permissions = 0600}), 0);
    ASSERT_EQ(host.Run(host.ring().PrepareSync(file, SyncMode::kData, kToken)).result, 0);
    host.disk().MakeDirectories("/some");  // a sync of the root
    ASSERT_EQ(host.disk().SetAttributes(nullptr, "/file", {.permissions = 0640}), 0);
    host.world().LosePower(host.number());
    const uint32_t permissions = Info(host, "/file").permissions;
    EXPECT_TRUE(permissions == 0600 || permissions == 0640) << permissions;
    if (permissions == 0600) ++lost;
  }
  EXPECT_GT(lost, 5);
  EXPECT_LT(lost, 35);
}

TEST(DiskPlain, NothingIsCopiedIntoAFileThatAppends) {
  Host host;
  const FileId from = host.Open("/from");
  host.Write(from, 0, std::string(512, 'x'));
  FileOptions options = kNewFile;
  options.append = true;
  const FileId to = host.Run(host.ring().PrepareOpen("/to", options, kToken)).file();
  for (const CopyMode mode : {CopyMode::kCopy, CopyMode::kReflink}) {
    EXPECT_EQ(host.Run(host.ring().PrepareCopyRange(from, 0, to, 0, 512, mode, kToken)).error(),
              Error::kBadId);
  }
}

TEST(DiskPlain, SharedHolesTakeNoSpace) {
  Host host(1, {.disk_bytes = 1 << 20});
  const FileId from = host.Open("/from");
  const FileId to = host.Open("/to");
  host.Write(from, 4'096, std::string(4'096, 'x'));
  ASSERT_EQ(host.Run(host.ring().PrepareTruncate(from, 1 << 30, kToken)).result, 0);
  const uint64_t used = host.disk().used_bytes();
  EXPECT_EQ(
      host.Run(host.ring().PrepareCopyRange(from, 0, to, 0, 0, CopyMode::kReflink, kToken)).result,
      0);
  EXPECT_EQ(host.disk().used_bytes(), used + 4'096);
  // But bytes do.
  host.Write(from, 8'192, std::string((1 << 20) - used - 4'096, 'y'));
  EXPECT_EQ(
      host.Run(host.ring().PrepareCopyRange(from, 0, to, 0, 0, CopyMode::kReflink, kToken)).error(),
      Error::kNoSpace);
}

TEST(DiskPlain, ALinkWithASlashIsNoNewName) {
  Host host;
  Ring& ring = host.ring();
  for (const char* const path : {"/empty", "/directory"}) host.disk().MakeDirectories(path);
  ASSERT_EQ(host.Run(ring.PrepareSymlink("/empty", "/link", kToken)).result, 0);
  ASSERT_EQ(host.Run(ring.PrepareSymlink("/nowhere", "/dangling", kToken)).result, 0);
  for (const char* const path : {"/link/", "/dangling/"}) {
    EXPECT_EQ(
        host.Run(ring.PrepareRename("/directory", path, RenameMode::kReplace, kToken)).error(),
        Error::kNotDirectory);
    EXPECT_EQ(host.Run(ring.PrepareMakeDirectory(path, 0777, kToken)).error(),
              Error::kAlreadyExists);
    EXPECT_EQ(host.Run(ring.PrepareSymlink("/x", path, kToken)).error(), Error::kAlreadyExists);
  }
  EXPECT_NE(host.disk().Find("/empty"), nullptr);
}

TEST(DiskPlain, AMadeDirectoryStaysThoughTheOneAroundItIsNew) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Host host(seed);
    EXPECT_EQ(host.Run(host.ring().PrepareMakeDirectory("/new", 0777, kToken)).result, 0);
    host.disk().MakeDirectories("/new/one");
    host.world().LosePower(host.number());
    EXPECT_NE(host.disk().Find("/new/one"), nullptr) << seed;
  }
}

}  // namespace
}  // namespace ioring::sim
