// Disks of simulated hosts: what a loss of power leaves, times, space, faults. What every operation
// of files means, the conformance suite tests.
#include "ring_sim/disk.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_sim/random.h"
#include "ring_sim/simulated_world.h"
#include "ring_sim/testing/two_hosts.h"

namespace ioring::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Access = FileOptions::Access;
using Create = FileOptions::Create;

constexpr uint64_t kSeeds = 30;
constexpr Token kToken{1};
constexpr FileOptions kNewFile{.access = Access::kReadWrite, .create = Create::kNew};

// A host, and the operations of files on it, each awaited.
class Host {
 public:
  explicit Host(uint64_t seed, const WorldOptions& options = {}) : two_(seed, options) {}

  World& world() { return two_.world; }
  Ring& ring() { return *two_.server; }
  Disk& disk() { return two_.world.disk(two_.server_host); }
  void LosePower() { two_.world.LosePower(two_.server_host); }
  std::string Contents(const std::string& path) { return disk().Contents(path).value_or("(none)"); }
  bool Has(const std::string& path) { return disk().Find(path) != nullptr; }

  Completion Run(Prepared prepared) {
    EXPECT_EQ(prepared, Prepared::kAccepted);
    return Next(ring());
  }
  Completion TryOpen(const PathAt& path, const FileOptions& options) {
    return Run(ring().PrepareOpen(path, options, kToken));
  }
  FileId Open(const PathAt& path, const FileOptions& options = kNewFile) {
    const Completion completion = TryOpen(path, options);
    EXPECT_TRUE(completion.ok()) << path.path << ErrorName(completion.error());
    return completion.ok() ? completion.file() : FileId{};
  }
  Completion Close(FileId file) { return Run(ring().PrepareCloseFile(file, kToken)); }
  Completion Write(FileId file, uint64_t offset, std::string text) {
    return Run(ring().PrepareWrite(file, offset, AsBytes(text), kToken));
  }
  Completion Sync(FileId file) { return Run(ring().PrepareSync(file, SyncMode::kData, kToken)); }
  void SyncDirectory(const char* path) {
    const FileId directory = Open(path, {.directory = true});
    EXPECT_EQ(Sync(directory).result, 0);
    EXPECT_EQ(Close(directory).result, 0);
  }
  // A file of that content, which is durable; its name may not be.
  void Make(const PathAt& path, const std::string& text) {
    const FileId file = Open(path);
    EXPECT_EQ(Write(file, 0, text).result, static_cast<int32_t>(text.size()));
    EXPECT_EQ(Sync(file).result, 0);
    EXPECT_EQ(Close(file).result, 0);
  }
  Completion Rename(const char* from, const char* to) {
    return Run(ring().PrepareRename(from, to, RenameMode::kReplace, kToken));
  }
  Completion Unlink(const char* path) { return Run(ring().PrepareUnlink(path, kToken)); }
  Completion MakeDirectory(const char* path) {
    return Run(ring().PrepareMakeDirectory(path, 0777, kToken));
  }
  FileInfo Info(const char* path) {
    FileInfo info;
    EXPECT_EQ(Run(ring().PrepareStat(path, FollowLink::kNo, &info, kToken)).result, 0) << path;
    return info;
  }

 private:
  Two two_;
};

// ---- What a loss of power leaves of names.

TEST(Disk, ANewNameNeedsTheSyncOfItsDirectory) {
  int there = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Host host(seed);
    host.Make("/named", "text");
    host.SyncDirectory("/");
    host.Make("/synced_alone", "text");
    host.LosePower();
    EXPECT_EQ(host.Contents("/named"), "text");
    if (host.Has("/synced_alone")) {
      ++there;
      EXPECT_EQ(host.Contents("/synced_alone"), "text");
    }
  }
  EXPECT_GT(there, 0);
  EXPECT_LT(there, static_cast<int>(kSeeds));
}

// Of changes that were made one after the other the first ones are there.
TEST(Disk, NamesAreKeptInTheOrderOfTheirChanges) {
  constexpr int kFiles = 6;
  std::array<int, kFiles + 1> seen{};
  for (uint64_t seed = 1; seed <= 4 * kSeeds; ++seed) {
    Host host(seed);
    EXPECT_EQ(host.MakeDirectory("/d").result, 0);
    host.SyncDirectory("/");
    std::vector<std::string> paths;
    for (int i = 0; i < kFiles; ++i) paths.push_back(absl::StrCat(i % 2 == 0 ? "/" : "/d/", i));
    for (const std::string& path : paths) host.Make(path.c_str(), "text");
    host.LosePower();
    int kept = 0;
    while (kept < kFiles && host.Has(paths[static_cast<size_t>(kept)])) ++kept;
    for (int i = kept; i < kFiles; ++i) EXPECT_FALSE(host.Has(paths[static_cast<size_t>(i)]));
    ++seen[static_cast<size_t>(kept)];
  }
  for (int i = 0; i <= kFiles; ++i) EXPECT_GT(seen[static_cast<size_t>(i)], 0) << i;
}

// The sync of a directory is for its own changes, and for earlier ones.
TEST(Disk, TheSyncOfAnotherDirectoryDoesNotDo) {
  int lost = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Host host(seed);
    EXPECT_EQ(host.MakeDirectory("/d").result, 0);
    host.Make("/before", "text");
    host.Make("/d/in", "text");
    host.Make("/after", "text");
    host.SyncDirectory("/d");
    host.LosePower();
    EXPECT_TRUE(host.Has("/before"));
    EXPECT_TRUE(host.Has("/d/in"));
    if (!host.Has("/after")) ++lost;
  }
  EXPECT_GT(lost, 0);
}

// Replaces /file by way of a second one. Returns what is there after a loss of power.
std::string Replaced(uint64_t seed, bool syncs_first) {
  const std::string old_text(3 * Disk::kSectorBytes, 'o');
  const std::string new_text(2 * Disk::kSectorBytes, 'n');
  Host host(seed);
  host.Make("/file", old_text);
  host.SyncDirectory("/");
  const FileId file = host.Open("/temporary");
  EXPECT_EQ(host.Write(file, 0, new_text).result, static_cast<int32_t>(new_text.size()));
  if (syncs_first) {
    EXPECT_EQ(host.Sync(file).result, 0);
  }
  EXPECT_EQ(host.Rename("/temporary", "/file").result, 0);
  host.LosePower();
  const std::string left = host.Contents("/file");
  if (left == old_text) return "old";
  EXPECT_FALSE(host.Has("/temporary")) << "the two changes of a rename are one";
  return left == new_text ? "new" : "torn";
}

TEST(Disk, ARenameOfWhatWasSyncedIsWhole) {
  std::map<std::string, int> seen;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) ++seen[Replaced(seed, /*syncs_first=*/true)];
  EXPECT_EQ(seen["torn"], 0);
  EXPECT_GT(seen["old"], 0);
  EXPECT_GT(seen["new"], 0);
}

TEST(Disk, ARenameOfWhatWasNotSyncedMayBeTorn) {
  std::map<std::string, int> seen;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) ++seen[Replaced(seed, /*syncs_first=*/false)];
  EXPECT_GT(seen["torn"], 0);
}

// A removed name may come back, with all names of the file as they were.
TEST(Disk, ARemovedNameMayComeBack) {
  int back = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Host host(seed);
    host.Make("/a", "text");
    EXPECT_EQ(host.Run(host.ring().PrepareLink("/a", "/b", kToken)).result, 0);
    host.SyncDirectory("/");
    EXPECT_EQ(host.Unlink("/a").result, 0);
    host.LosePower();
    EXPECT_EQ(host.Contents("/b"), "text");
    const bool is_back = host.Has("/a");
    EXPECT_EQ(host.Info("/b").links, is_back ? 2u : 1u);
    if (!is_back) continue;
    ++back;
    EXPECT_EQ(host.Info("/a").file_number, host.Info("/b").file_number);
  }
  EXPECT_GT(back, 0);
  EXPECT_LT(back, static_cast<int>(kSeeds));
}

// A file without a name is gone, and so is its space.
TEST(Disk, AnUnnamedFileIsGoneWithThePower) {
  Host host(1);
  const FileId file = host.Open("/", {.access = Access::kWrite, .create = Create::kUnnamed});
  EXPECT_EQ(host.Write(file, 0, "text").result, 4);
  EXPECT_EQ(host.disk().used_bytes(), Disk::kSectorBytes);
  EXPECT_EQ(host.Sync(file).result, 0);
  host.LosePower();
  EXPECT_EQ(host.disk().used_bytes(), 0u);
}

// What is on the disk after a sync that failed, a second one, and a loss of power.
std::string SyncedTwice(uint64_t seed, bool writes_again) {
  const std::string text(32 * Disk::kSectorBytes, 'n');
  Host host(seed);
  host.Make("/a", std::string(text.size(), 'o'));
  host.SyncDirectory("/");
  const FileId file = host.Open("/a", {.access = Access::kWrite});
  EXPECT_EQ(host.Write(file, 0, text).result, static_cast<int32_t>(text.size()));
  host.disk().FailOnceAfter(0);
  EXPECT_EQ(host.Sync(file).error(), Error::kInputOutput);
  if (writes_again) host.Write(file, 0, text);
  EXPECT_EQ(host.Sync(file).result, 0);
  EXPECT_EQ(host.Contents("/a"), text);
  host.LosePower();
  return host.Contents("/a");
}

// As on Linux, where what could not be written counts as written. Each sector is old or new.
TEST(Disk, ASyncThatFailsIsNotMadeGoodByTheNext) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const std::string contents = SyncedTwice(seed, /*writes_again=*/false);
    EXPECT_NE(contents.find('o'), std::string::npos) << seed;
    EXPECT_NE(contents.find('n'), std::string::npos) << seed;
  }
}

TEST(Disk, WhatIsWrittenAgainAfterASyncThatFailedIsSynced) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    EXPECT_EQ(SyncedTwice(seed, /*writes_again=*/true).find('o'), std::string::npos) << seed;
  }
}

// Files that share their sectors do not see each other's writes, and lose them apart.
TEST(Disk, SharedSectorsAreApart) {
  const std::string text(2 * Disk::kSectorBytes, 'a');
  Host host(1);
  host.Make("/from", text);
  const FileId from = host.Open("/from", {.access = Access::kReadWrite});
  const FileId to = host.Open("/to");
  EXPECT_EQ(
      host.Run(host.ring().PrepareCopyRange(from, 0, to, 0, 0, CopyMode::kReflink, kToken)).result,
      0);
  EXPECT_EQ(host.Sync(to).result, 0);
  host.SyncDirectory("/");
  EXPECT_EQ(host.Write(from, 0, "b").result, 1);
  EXPECT_EQ(host.Contents("/to"), text);
  EXPECT_EQ(host.Contents("/from"), "b" + text.substr(1));
  host.LosePower();
  EXPECT_EQ(host.Contents("/to"), text);
}

// ---- Times and space.

FileTime TimeOf(World& world) {
  const auto now = std::chrono::nanoseconds(world.Now().time_since_epoch());
  return {now.count() / 1'000'000'000, static_cast<uint32_t>(now.count() % 1'000'000'000)};
}

bool IsEarlier(const FileTime& a, const FileTime& b) {
  return a.seconds != b.seconds ? a.seconds < b.seconds : a.nanos < b.nanos;
}

TEST(Disk, TimesAreTheWorlds) {
  Host host(1);
  host.world().RunFor(seconds{5});
  const FileTime start = TimeOf(host.world());
  const FileId file = host.Open("/a");
  const FileInfo made = host.Info("/a");
  EXPECT_FALSE(IsEarlier(made.born, start));
  EXPECT_FALSE(IsEarlier(TimeOf(host.world()), made.born));
  EXPECT_EQ(made.modified, made.born);

  host.world().RunFor(seconds{3});
  EXPECT_EQ(host.Write(file, 0, "text").result, 4);
  const FileInfo written = host.Info("/a");
  EXPECT_EQ(written.modified.seconds, made.modified.seconds + 3);
  EXPECT_EQ(written.accessed, made.accessed);

  host.world().RunFor(seconds{3});
  std::string memory(4, '\0');
  EXPECT_EQ(host.Run(host.ring().PrepareRead(file, 0, AsBytes(memory), kToken)).result, 4);
  EXPECT_EQ(host.Rename("/a", "/b").result, 0);
  const FileInfo renamed = host.Info("/b");
  EXPECT_EQ(renamed.accessed.seconds, made.accessed.seconds + 6);
  EXPECT_EQ(renamed.modified, written.modified);
  EXPECT_EQ(renamed.changed.seconds, made.changed.seconds + 6);
  EXPECT_EQ(renamed.born, made.born);
}

// What was removed has its space until nobody has it open any more.
TEST(Disk, ARemovedFileHasItsSpaceUntilItIsClosed) {
  Host host(1, {.disk_bytes = 4 * Disk::kSectorBytes});
  const FileId removed = host.Open("/a");
  EXPECT_EQ(host.Write(removed, 0, std::string(4 * Disk::kSectorBytes, 'a')).result,
            static_cast<int32_t>(4 * Disk::kSectorBytes));
  EXPECT_EQ(host.Unlink("/a").result, 0);
  const FileId other = host.Open("/b");
  EXPECT_EQ(host.Write(other, 0, "text").error(), Error::kNoSpace);
  EXPECT_EQ(host.Close(removed).result, 0);
  EXPECT_EQ(host.Write(other, 0, "text").result, 4);
}

TEST(Disk, HolesTakeNoSpace) {
  Host host(1, {.disk_bytes = 4 * Disk::kSectorBytes});
  const FileId file = host.Open("/a");
  Ring& ring = host.ring();
  EXPECT_EQ(host.Run(ring.PrepareTruncate(file, uint64_t{1} << 40, kToken)).result, 0);
  EXPECT_EQ(host.Write(file, uint64_t{1} << 39, "text").result, 4);
  EXPECT_EQ(host.Info("/a").size, uint64_t{1} << 40);
  EXPECT_EQ(host.Info("/a").allocated_bytes, Disk::kSectorBytes);
  const auto allocate = [&](AllocateMode mode, uint64_t offset, uint64_t length) {
    return host.Run(ring.PrepareAllocate(file, mode, offset, length, kToken)).error();
  };
  EXPECT_EQ(allocate(AllocateMode::kExtend, 0, uint64_t{1} << 40), Error::kNoSpace);
  EXPECT_EQ(allocate(AllocateMode::kExtend, 0, 3 * Disk::kSectorBytes), Error::kOk);
  EXPECT_EQ(host.Write(file, uint64_t{1} << 38, "text").error(), Error::kNoSpace);
  EXPECT_EQ(allocate(AllocateMode::kPunchHole, 0, 3 * Disk::kSectorBytes), Error::kOk);
  EXPECT_EQ(host.disk().used_bytes(), Disk::kSectorBytes);
}

// As an operation of a system, one transfers no more than its result can tell. Little memory does:
// the parts are the same, and the file is a hole.
TEST(Disk, AVectorOfManyBytesIsTransferredInPart) {
  constexpr uint64_t kBytes = uint64_t{1} << 32;
  Host host(1);
  const FileId file = host.Open("/a");
  EXPECT_EQ(host.Run(host.ring().PrepareTruncate(file, kBytes, kToken)).result, 0);
  std::vector<std::byte> memory(kBytes / kMemoryPartsMax);
  const std::vector<MemoryPart> parts(kMemoryPartsMax, {memory.data(), memory.size()});
  EXPECT_EQ(host.Run(host.ring().PrepareReadVector(file, kOwnPosition, parts, kToken)).result,
            static_cast<int32_t>(kTransferBytesMax));
  EXPECT_EQ(host.Write(file, kOwnPosition, "next").result, 4);
  EXPECT_EQ(host.Run(host.ring().PrepareRead(file, kTransferBytesMax, memory, kToken)).result,
            static_cast<int32_t>(memory.size()));
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(memory.data()), 4), "next");
}

TEST(Disk, DirectIoIsOfWholeSectors) {
  Host host(1);
  const FileId file =
      host.Open("/a", {.access = Access::kReadWrite, .create = Create::kNew, .direct_io = true});
  alignas(Disk::kSectorBytes) std::array<std::byte, 2 * Disk::kSectorBytes> memory{};
  const std::span<std::byte> sector(memory.data(), Disk::kSectorBytes);
  const auto write = [&](uint64_t offset, std::span<const std::byte> span) {
    return host.Run(host.ring().PrepareWrite(file, offset, span, kToken)).result;
  };
  EXPECT_EQ(write(Disk::kSectorBytes, sector), static_cast<int32_t>(Disk::kSectorBytes));
  EXPECT_EQ(write(1, sector), ToResult(Error::kInvalidArgument));
  EXPECT_EQ(write(0, sector.first(511)), ToResult(Error::kInvalidArgument));
  EXPECT_EQ(write(0, std::span(memory.data() + 1, Disk::kSectorBytes)),
            ToResult(Error::kInvalidArgument));
  EXPECT_EQ(host.Info("/a").direct_io_offset_alignment, Disk::kSectorBytes);
}

// ---- Paths, where systems differ in what the conformance suite leaves open.

TEST(Disk, PathsAreAsOnLinux) {
  Host host(1);
  Ring& ring = host.ring();
  EXPECT_EQ(host.MakeDirectory("/d/").result, 0);
  host.Make("/d/file", "text");
  EXPECT_EQ(host.Run(ring.PrepareSymlink("d", "/link", kToken)).result, 0);
  EXPECT_EQ(host.Run(ring.PrepareSymlink("/loop", "/loop", kToken)).result, 0);
  const auto remove = [&](const char* path) {
    return host.Run(ring.PrepareRemoveDirectory(path, kToken)).error();
  };
  EXPECT_EQ(host.Info("//d/.././link//file").size, 4u);
  EXPECT_EQ(host.TryOpen("/loop/x", {}).error(), Error::kSymbolicLink);
  EXPECT_EQ(host.TryOpen("/d/file/", {}).error(), Error::kNotDirectory);
  EXPECT_EQ(host.TryOpen("/d/new/", kNewFile).error(), Error::kIsDirectory);
  EXPECT_EQ(host.TryOpen("/none", {.access = Access::kWrite, .create = Create::kUnnamed}).error(),
            Error::kNotFound);
  EXPECT_EQ(remove("/link/"), Error::kNotDirectory) << "not the directory that it leads to";
  EXPECT_EQ(remove("/"), Error::kBusy);
  EXPECT_EQ(remove("/d/."), Error::kInvalidArgument);
  EXPECT_EQ(host.Rename("/d", "/d").result, 0);
  EXPECT_EQ(host.Rename("/d", "/d/x").error(), Error::kInvalidArgument);
  EXPECT_EQ(host.Rename("/d/.", "/e").error(), Error::kBusy);
  EXPECT_EQ(host.Rename("/link/", "/e").error(), Error::kNotDirectory);
}

// A directory that was removed, and is still open, takes no new names.
TEST(Disk, ARemovedDirectoryTakesNoNames) {
  Host host(1);
  EXPECT_EQ(host.MakeDirectory("/d").result, 0);
  const FileId directory = host.Open("/d", {.directory = true});
  host.Make("/file", "text");
  EXPECT_EQ(host.Run(host.ring().PrepareRemoveDirectory("/d", kToken)).result, 0);
  EXPECT_EQ(host.TryOpen({directory, "new"}, kNewFile).error(), Error::kNotFound);
  EXPECT_EQ(
      host.Run(host.ring().PrepareRename("/file", {directory, "new"}, RenameMode::kReplace, kToken))
          .error(),
      Error::kNotFound);
  EXPECT_EQ(host.TryOpen({directory, "../file"}, {}).error(), Error::kOk);
}

// ---- Faults and delays.

TEST(Disk, FaultsReachEveryKindOfOperation) {
  Host host(1);
  host.Make("/a", "text");
  FileInfo info;
  host.world().faults().disk_error = 1'000'000;
  EXPECT_EQ(host.TryOpen("/a", {}).error(), Error::kInputOutput);
  EXPECT_EQ(host.Run(host.ring().PrepareStat("/a", FollowLink::kNo, &info, kToken)).error(),
            Error::kInputOutput);
  EXPECT_EQ(host.Rename("/a", "/b").error(), Error::kInputOutput);
  host.world().faults() = {.disk_full = 1'000'000};
  EXPECT_EQ(host.MakeDirectory("/d").error(), Error::kNoSpace);
  EXPECT_EQ(host.TryOpen("/new", kNewFile).error(), Error::kNoSpace);
  EXPECT_EQ(host.Info("/a").size, 4u);
  EXPECT_EQ(host.Unlink("/a").result, 0);
  host.world().faults() = {.no_descriptor = 1'000'000};
  EXPECT_EQ(host.TryOpen("/b", kNewFile).error(), Error::kTooManyFiles);
  EXPECT_FALSE(host.Has("/b")) << "nothing was done";
}

int32_t CountUp(void* argument) { return ++*static_cast<int32_t*>(argument); }

// Work runs in its turn, at the end of the time that it is drawn to take.
TEST(Disk, WorkTakesTime) {
  Host host(1, {.faults = {.disk_delay_min_ns = 5'000'000, .disk_delay_max_ns = 5'000'000}});
  int32_t count = 0;
  Submit(host.ring(), host.ring().PrepareWork(&CountUp, &count, kToken));
  const auto start = host.world().Now();
  host.world().RunFor(milliseconds{4});
  EXPECT_EQ(count, 0);
  EXPECT_EQ(Next(host.ring()).result, 1);
  EXPECT_GE(host.world().Now() - start, milliseconds{5} - std::chrono::microseconds{10});
}

// An open that is cancelled before its time makes no file, and uses no id.
TEST(Disk, ACancelledOpenDoesNothing) {
  Host host(1, {.faults = {.disk_delay_min_ns = 5'000'000, .disk_delay_max_ns = 5'000'000}});
  Submit(host.ring(), host.ring().PrepareOpen("/a", kNewFile, Token{2}));
  Submit(host.ring(), host.ring().PrepareCancel(Token{2}, Token{3}));
  for (int i = 0; i < 2; ++i) {
    const Completion completion = Next(host.ring());
    EXPECT_EQ(completion.result, completion.token == Token{2} ? ToResult(Error::kCanceled) : 0);
  }
  host.world().RunFor(seconds{1});
  EXPECT_FALSE(host.Has("/a"));
}

// ---- Runs can be had again.

// Changes a tree by the dice of the test, on a disk that fails by those of the world.
uint64_t DigestOfRandomTree(uint64_t seed) {
  constexpr std::array<const char*, 6> kPaths = {"/a", "/b", "/d", "/d/a", "/d/b", "/d/d"};
  Host host(seed, {.faults = {.short_file_transfer = 200'000,
                              .disk_error = 50'000,
                              .disk_full = 50'000,
                              .disk_delay_max_ns = 1'000'000}});
  Random random(7);  // the same program for all seeds
  for (int step = 0; step < 200; ++step) {
    const char* path = kPaths[random.Below(kPaths.size())];
    const char* other = kPaths[random.Below(kPaths.size())];
    switch (random.Below(6)) {
      case 0:
        host.MakeDirectory(path);
        break;
      case 1:
        host.Rename(path, other);
        break;
      case 2:
        host.Unlink(path);
        break;
      case 3:
        host.Run(host.ring().PrepareLink(path, other, kToken));
        break;
      default: {
        const Completion opened =
            host.TryOpen(path, {.access = Access::kReadWrite, .create = Create::kIfNeeded});
        if (!opened.ok()) break;
        host.Write(opened.file(), random.Below(3'000), std::string(1'000, 'x'));
        host.Sync(opened.file());
        host.Close(opened.file());
      }
    }
    if (step == 100) host.LosePower();
  }
  return host.world().digest();
}

TEST(Disk, ARunIsTheSameAgain) {
  EXPECT_EQ(DigestOfRandomTree(1), DigestOfRandomTree(1));
  EXPECT_NE(DigestOfRandomTree(1), DigestOfRandomTree(2));
}

}  // namespace
}  // namespace ioring::sim
