#include "copy/batch.h"

#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "copy/metadata.h"
#include "copy/options.h"
#include "copy/system.h"
#include "copy/test_folder.h"
#include "copy/visit.h"
#include "gtest/gtest.h"
#include "process/testing/forked_child.h"

namespace ioring::copy {
namespace {

class BatchTest : public testing::Test {
 protected:
  // Copies the entry `name` of from_ to to_.
  BatchEntry Copy(std::string_view name, bool is_file = false) {
    return Copy({.name = std::string(name), .is_file = is_file});
  }
  BatchEntry Copy(BatchEntry entry) {
    Batch batch{.from = from_.handle(), .to = to_.handle()};
    batch.options = &options_;
    batch.stop = &stop_;
    batch.entries.push_back(std::move(entry));
    CopyBatch(batch);
    return batch.entries[0];
  }

  TestFolder from_;
  TestFolder to_;
  Options options_;
  std::atomic<bool> stop_ = false;
};

TEST_F(BatchTest, CopiesSmallFilesWhetherOrNotItKnowsThatTheyAre) {
  from_.Write("small", "text");
  from_.Write("empty", "");
  ASSERT_EQ(fchmodat(from_.handle(), "small", 0640, 0), 0);
  for (const bool is_file : {false, true}) {
    EXPECT_EQ(Copy("small", is_file).outcome, Outcome::kFile);
    EXPECT_EQ(Copy("empty", is_file).outcome, Outcome::kFile);
  }
  EXPECT_EQ(to_.Read("small"), "text");
  EXPECT_EQ(to_.Look("small").st_mode, from_.Look("small").st_mode);
  EXPECT_EQ(ModifiedTime(to_.Look("small")).tv_nsec, ModifiedTime(from_.Look("small")).tv_nsec);
  EXPECT_EQ(to_.Count(), 2);
}

TEST_F(BatchTest, PassesOnWhatOthersCopy) {
  from_.Write("most", std::string(kSmallFileBytes, 'x'));
  from_.Write("large", std::string(kMediumFileBytes + 1, 'x'));
  from_.Write("linked", "text");
  ASSERT_EQ(linkat(from_.handle(), "linked", from_.handle(), "also", 0), 0);
  from_.Write("holes", "");
  ASSERT_EQ(truncate(from_.Path("holes").c_str(), 30000), 0);
  from_.MakeDirectory("directory");
  EXPECT_EQ(Copy("most").outcome, Outcome::kFile);
  EXPECT_EQ(Copy("large").outcome, Outcome::kLargeFile);
  EXPECT_EQ(Copy("linked").outcome, Outcome::kLargeFile);
  EXPECT_EQ(Copy("holes").outcome, Outcome::kLargeFile);
  EXPECT_EQ(Copy("directory").outcome, Outcome::kDirectory);
  EXPECT_EQ(to_.Count(), 1);
}

TEST_F(BatchTest, CopiesMediumFilesWhereTheMethodIsItsChoice) {
  std::string content(kMediumFileBytes, 'x');
  content[kSmallFileBytes] = 'y';
  from_.Write("medium", content);
  for (const bool reflink : {true, false}) {
    options_.reflink = reflink;
    const BatchEntry entry = Copy("medium");
    EXPECT_EQ(entry.outcome, Outcome::kFile);
    EXPECT_EQ(entry.bytes, content.size());
    EXPECT_EQ(entry.reason, "");
    EXPECT_TRUE(to_.Read("medium") == content);
    ASSERT_EQ(unlinkat(to_.handle(), "medium", 0), 0);
  }
  options_.method = Method::kFixed;
  EXPECT_EQ(Copy("medium").outcome, Outcome::kLargeFile);
  options_.method = Method::kAuto;
  options_.verify = true;
  EXPECT_EQ(Copy("medium").outcome, Outcome::kLargeFile);
  options_.verify = false;
  options_.direct = Direct::kAlways;
  EXPECT_EQ(Copy("medium").outcome, Outcome::kLargeFile);
}

TEST_F(BatchTest, PassesMediumFilesOnOnceItHasCopiedMuch) {
  Batch batch{.from = from_.handle(), .to = to_.handle(), .options = &options_, .stop = &stop_};
  batch.entries.resize(5);
  for (size_t i = 0; i < 4; ++i) {
    batch.entries[i].name = std::string(1, static_cast<char>('a' + i));
    from_.Write(batch.entries[i].name, std::string(kMediumFileBytes, 'x'));
  }
  batch.entries[4].name = "small";
  from_.Write("small", "text");
  CopyBatch(batch);
  EXPECT_EQ(batch.entries[1].outcome, Outcome::kFile);
  EXPECT_EQ(batch.entries[2].outcome, Outcome::kLargeFile);
  EXPECT_EQ(batch.entries[4].outcome, Outcome::kFile);
}

TEST_F(BatchTest, PermissionsAreTheSourcesWhateverTheUmask) {
  Batch batch{.from = from_.handle(), .to = to_.handle(), .options = &options_, .stop = &stop_};
  const mode_t modes[] = {0644, 0400, 0666, 04755, 0002, 0700};
  for (const mode_t mode : modes) {
    BatchEntry entry;
    entry.name = std::to_string(mode);
    from_.Write(entry.name, "text");
    ASSERT_EQ(fchmodat(from_.handle(), entry.name.c_str(), mode, 0), 0);
    batch.entries.push_back(entry);
  }
  const mode_t before = umask(027);
  CopyBatch(batch);
  umask(before);
  for (const BatchEntry& entry : batch.entries) {
    if (geteuid() != 0 && entry.outcome == Outcome::kFailed) continue;  // it cannot be read
    ASSERT_EQ(entry.outcome, Outcome::kFile) << entry.reason;
    EXPECT_EQ(to_.Look(entry.name).st_mode, from_.Look(entry.name).st_mode);
    EXPECT_EQ(to_.Look(entry.name).st_uid, from_.Look(entry.name).st_uid);
    EXPECT_EQ(to_.Look(entry.name).st_gid, from_.Look(entry.name).st_gid);
  }
}

TEST_F(BatchTest, FilesThatNobodyMayWriteKeepTheirAttributes) {
  Batch batch{.from = from_.handle(), .to = to_.handle(), .options = &options_, .stop = &stop_};
  for (const char* const name : {"first", "second"}) {
    from_.Write(name, "text");
    if (setxattr(from_.Path(name).c_str(), "user.key", "value", 5, 0) != 0) {
      GTEST_SKIP() << "the tests' file system has no attributes";
    }
    ASSERT_EQ(fchmodat(from_.handle(), name, 0444, 0), 0);
    BatchEntry entry;
    entry.name = name;
    batch.entries.push_back(entry);
  }
  CopyBatch(batch);
  for (const char* const name : {"first", "second"}) {
    char value[8];
    EXPECT_EQ(getxattr(to_.Path(name).c_str(), "user.key", value, sizeof(value)), 5) << name;
    EXPECT_EQ(to_.Look(name).st_mode & 07777, 0444u) << name;
  }
}

TEST_F(BatchTest, ADefaultListOfAccessControlIsNotTheCopys) {
  // acl(5), as the system has it: a version, and a tag, permissions and an id for each entry.
  struct Entry {
    uint16_t tag, permissions;
    uint32_t id;
  };
  const struct {
    uint32_t version = 2;
    Entry entries[5] = {{1, 7, ~0u}, {2, 7, 1}, {4, 5, ~0u}, {16, 7, ~0u}, {32, 5, ~0u}};
  } list;
  if (fsetxattr(to_.handle(), "system.posix_acl_default", &list, sizeof(list), 0) != 0) {
    GTEST_SKIP() << "the tests' file system has no lists";
  }
  Batch batch{.from = from_.handle(), .to = to_.handle(), .options = &options_, .stop = &stop_};
  for (const mode_t mode : {0640, 0604, 0660}) {
    BatchEntry entry;
    entry.name = std::to_string(mode);
    if (mode == 0660) {
      ASSERT_EQ(mkfifoat(from_.handle(), entry.name.c_str(), 0600), 0);
    } else {
      from_.Write(entry.name, "text");
    }
    ASSERT_EQ(fchmodat(from_.handle(), entry.name.c_str(), mode, 0), 0);
    batch.entries.push_back(entry);
  }
  CopyBatch(batch);
  for (const BatchEntry& entry : batch.entries) {
    const std::string path = to_.Path(entry.name);
    EXPECT_LT(getxattr(path.c_str(), "system.posix_acl_access", nullptr, 0), 0) << entry.name;
    EXPECT_EQ(to_.Look(entry.name).st_mode, from_.Look(entry.name).st_mode);
  }
}

TEST_F(BatchTest, OwnersAreTheSources) {
  from_.Write("given", "");
  if (fchownat(from_.handle(), "given", 3, 1, 0) != 0) {
    GTEST_SKIP() << "only root gives files away";
  }
  Batch batch{.from = from_.handle(), .to = to_.handle(), .options = &options_, .stop = &stop_};
  for (uid_t owner = 0; owner < 4; ++owner) {
    BatchEntry entry;
    entry.name = std::to_string(owner);
    from_.Write(entry.name, "text");
    ASSERT_EQ(fchownat(from_.handle(), entry.name.c_str(), owner, owner / 2, 0), 0);
    batch.entries.push_back(entry);
  }
  // New files get this group, which is none of the process's.
  ASSERT_EQ(fchown(to_.handle(), 0, 5), 0);
  ASSERT_EQ(fchmod(to_.handle(), 02777), 0);
  CopyBatch(batch);
  for (const BatchEntry& entry : batch.entries) {
    EXPECT_EQ(to_.Look(entry.name).st_uid, from_.Look(entry.name).st_uid);
    EXPECT_EQ(to_.Look(entry.name).st_gid, from_.Look(entry.name).st_gid);
    EXPECT_EQ(to_.Look(entry.name).st_mode, from_.Look(entry.name).st_mode);
  }
}

// Who may not give a file away may still be in its group, which its permissions are meant for.
TEST_F(BatchTest, TheGroupIsTheSourcesAlsoWhereTheOwnerCannotBe) {
  constexpr uid_t kNobody = 65534;
  constexpr gid_t kGroup = 5;
  from_.Write("given", "text");
  to_.Write("given", "text");
  if (fchownat(from_.handle(), "given", 3, kGroup, 0) != 0) {
    GTEST_SKIP() << "only root gives files away";
  }
  ASSERT_EQ(fchmodat(from_.handle(), "given", 06660, 0), 0);
  ASSERT_EQ(fchownat(to_.handle(), "given", kNobody, kNobody, 0), 0);
  const int from = openat(from_.handle(), "given", O_RDONLY | O_CLOEXEC);
  const int to = openat(to_.handle(), "given", O_RDWR | O_CLOEXEC);
  ExpectInChild([&] {
    struct stat info;
    std::string problem;
    return fstat(from, &info) == 0 && setgroups(1, &kGroup) == 0 &&
           setresgid(kNobody, kNobody, kNobody) == 0 && setresuid(kNobody, kNobody, kNobody) == 0 &&
           CopyMetadata(from, info, to, &problem) == 0 && problem.empty();
  });
  close(from);
  close(to);
  EXPECT_EQ(to_.Look("given").st_uid, kNobody);
  EXPECT_EQ(to_.Look("given").st_gid, kGroup);
  EXPECT_EQ(to_.Look("given").st_mode & 07777, 0660u) << "no set-id bits of another owner";
}

// As an earlier run has left it: it has the permissions of its source.
TEST_F(BatchTest, TheOwnerCopiesIntoADirectoryForReadingAgain) {
  constexpr uid_t kNobody = 65534;
  from_.MakeDirectory("d");
  from_.Write("d/file", "text");
  to_.MakeDirectory("d");
  for (const TestFolder* const folder : {&from_, &to_}) {
    ASSERT_EQ(fchmod(folder->handle(), 0711), 0);
    ASSERT_EQ(fchmodat(folder->handle(), "d", 0555, 0), 0);
    if (fchownat(folder->handle(), "d", kNobody, kNobody, 0) != 0) {
      GTEST_SKIP() << "only root gives files away";
    }
  }
  Visit visit;
  visit.parent_from = from_.handle();
  visit.parent_to = to_.handle();
  visit.trail = {nullptr, "d", "d"};
  visit.batch.options = &options_;
  visit.batch.stop = &stop_;
  ExpectInChild([&] {
    if (setgroups(0, nullptr) != 0 || setresgid(kNobody, kNobody, kNobody) != 0 ||
        setresuid(kNobody, kNobody, kNobody) != 0) {
      return false;
    }
    VisitDirectory(visit);
    return visit.is_finished && visit.reason.empty() &&
           visit.batch.entries[0].outcome == Outcome::kFile;
  });
  EXPECT_EQ(to_.Read("d/file"), "text");
  EXPECT_EQ(to_.Look("d").st_mode & 07777, 0555u);
}

// As files of /proc are: with bytes, and of size 0.
TEST_F(BatchTest, CopiesAllOfAFileThatDoesNotTellItsSize) {
  constexpr size_t kPages = 4000;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  // Every second page with other rights, so that /proc tells of each.
  void* const memory =
      mmap(nullptr, kPages * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  for (size_t i = 0; i < kPages; i += 2) {
    ASSERT_EQ(mprotect(static_cast<std::byte*>(memory) + i * page, page, PROT_READ), 0);
  }
  const int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (const bool verify : {false, true}) {
    options_.verify = verify;
    Batch batch{.from = self, .to = to_.handle(), .options = &options_, .stop = &stop_};
    batch.entries = {{.name = "maps"}, {.name = "limits"}};
    CopyBatch(batch);
    for (const BatchEntry& entry : batch.entries) {
      ASSERT_EQ(entry.outcome, Outcome::kFile);
      EXPECT_EQ(entry.reason, "") << entry.name;
      EXPECT_EQ(entry.bytes, static_cast<uint64_t>(to_.Look(entry.name).st_size));
    }
    const std::string maps = to_.Read("maps");
    EXPECT_GT(maps.size(), kSmallFileBytes);
    EXPECT_GT(std::count(maps.begin(), maps.end(), '\n'), ptrdiff_t{kPages});
    EXPECT_NE(maps.find("[stack]"), std::string::npos) << "its end";
  }
  close(self);
  munmap(memory, kPages * page);
}

TEST_F(BatchTest, CopiesLinksAndSpecialFiles) {
  ASSERT_EQ(symlinkat("no where", from_.handle(), "link"), 0);
  ASSERT_EQ(mkfifoat(from_.handle(), "fifo", 0604), 0);
  ASSERT_EQ(fchmodat(from_.handle(), "fifo", 0624, 0), 0);
  EXPECT_EQ(Copy("link").outcome, Outcome::kSymbolicLink);
  EXPECT_EQ(Copy("fifo").outcome, Outcome::kSpecialFile);
  char target[16];
  ASSERT_EQ(readlinkat(to_.handle(), "link", target, sizeof(target)), 8);
  EXPECT_EQ(to_.Look("fifo").st_mode, from_.Look("fifo").st_mode);
  options_.resume = true;
  EXPECT_EQ(Copy("link").outcome, Outcome::kSkipped);
  EXPECT_EQ(Copy("fifo").outcome, Outcome::kSkipped);
}

TEST_F(BatchTest, ReplacesWhatIsThereButNoDirectory) {
  from_.Write("name", "new");
  to_.Write("name", "old text");
  EXPECT_EQ(Copy("name").outcome, Outcome::kFile);
  EXPECT_EQ(to_.Read("name"), "new");
  ASSERT_EQ(unlinkat(to_.handle(), "name", 0), 0);
  to_.MakeDirectory("name");
  EXPECT_EQ(Copy("name").reason, "the destination is a directory");
  EXPECT_EQ(to_.Count(), 1);
}

TEST_F(BatchTest, ALinkAtTheDestinationIsReplacedAndNotFollowed) {
  from_.Write("name", "new");
  to_.Write("outside", "old");
  ASSERT_EQ(symlinkat("outside", to_.handle(), "name"), 0);
  EXPECT_EQ(Copy("name").outcome, Outcome::kFile);
  EXPECT_TRUE(S_ISREG(to_.Look("name").st_mode));
  EXPECT_EQ(to_.Read("outside"), "old");
}

TEST_F(BatchTest, ResumeLeavesAloneWhatIsComplete) {
  from_.Write("name", "text");
  ASSERT_EQ(Copy("name").outcome, Outcome::kFile);
  options_.resume = true;
  EXPECT_EQ(Copy("name").outcome, Outcome::kSkipped);
  // The same size and time, and other content: only a comparison sees it.
  const struct stat info = to_.Look("name");
  to_.Write("name", "TEXT");
  const timespec times[] = {AccessedTime(info), ModifiedTime(info)};
  ASSERT_EQ(utimensat(to_.handle(), "name", times, 0), 0);
  EXPECT_EQ(Copy("name").outcome, Outcome::kSkipped);
  options_.verify = true;
  EXPECT_EQ(Copy("name").outcome, Outcome::kFile);
  EXPECT_EQ(to_.Read("name"), "text");
  EXPECT_EQ(Copy("name").outcome, Outcome::kSkipped);
}

TEST_F(BatchTest, ADryRunWritesNothing) {
  options_.dry_run = true;
  from_.Write("name", "text");
  EXPECT_EQ(Copy("name", /*is_file=*/true).outcome, Outcome::kFile);
  EXPECT_EQ(to_.Count(), 0);
}

TEST_F(BatchTest, TellsWhatVanishedAndWhatIsTheSame) {
  EXPECT_EQ(Copy("none").reason, "it vanished before it was copied");
  EXPECT_EQ(Copy("none", /*is_file=*/true).reason, "it vanished before it was copied");
  from_.Write("name", "text");
  ASSERT_EQ(linkat(from_.handle(), "name", to_.handle(), "name", 0), 0);
  ASSERT_EQ(symlinkat("x", from_.handle(), "link"), 0);
  ASSERT_EQ(linkat(from_.handle(), "link", to_.handle(), "link", 0), 0);
  EXPECT_EQ(Copy("link").outcome, Outcome::kNamedNode);
  EXPECT_EQ(Copy({.name = "link", .is_named = true}).reason,
            "the source and the destination are the same file");
}

TEST_F(BatchTest, TellsThatAFileOfTheSameSizeChangesMeanwhile) {
  from_.Write("name", "text");
  std::atomic<bool> ends = false;
  std::thread writer([&] {
    for (time_t now = 0; !ends; ++now) {
      const timespec times[] = {{now, 0}, {now, 0}};
      ASSERT_EQ(utimensat(from_.handle(), "name", times, 0), 0);
    }
  });
  std::string reason;
  for (int tries = 0; tries < 10000 && reason.empty(); ++tries) reason = Copy("name").reason;
  ends = true;
  writer.join();
  EXPECT_EQ(reason, "it changed while it was copied: it had 4 bytes, and 4 were copied");
}

// As on a file system for which upper and lower case are the same.
TEST_F(BatchTest, NoEntryOfADirectoryThatTheCopyMadeReplacesAnother) {
  from_.Write("file", "first");
  from_.Write("other", "second");
  ASSERT_EQ(symlinkat("x", from_.handle(), "link"), 0);
  Batch batch{.from = from_.handle(), .to = to_.handle(), .is_new = true};
  batch.options = &options_;
  batch.stop = &stop_;
  batch.entries = {{.name = "file", .target_name = "same"},
                   {.name = "other", .target_name = "same"},
                   {.name = "link", .target_name = "same"}};
  CopyBatch(batch);
  EXPECT_EQ(batch.entries[0].outcome, Outcome::kFile);
  for (int i = 1; i < 3; ++i) {
    EXPECT_EQ(batch.entries[i].outcome, Outcome::kFailed);
    EXPECT_EQ(batch.entries[i].reason, kNameIsTaken);
  }
  EXPECT_EQ(to_.Read("same"), "first");
  EXPECT_EQ(to_.Count(), 1);
}

// Servers of network file systems have leases on files, and give them up when somebody else opens
// the file.
TEST_F(BatchTest, WaitsForTheEndOfALease) {
  from_.Write("leased", "text");
  const int leased = openat(from_.handle(), "leased", O_RDWR | O_CLOEXEC);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGIO);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &signals, nullptr), 0);
  if (fcntl(leased, F_SETLEASE, F_WRLCK) != 0) {
    close(leased);
    GTEST_SKIP() << "the tests' file system has no leases";
  }
  std::thread giver([&] {
    int number = 0;
    sigwait(&signals, &number);
    fcntl(leased, F_SETLEASE, F_UNLCK);
  });
  for (const bool is_file : {false, true}) EXPECT_EQ(Copy("leased", is_file).reason, "");
  giver.join();
  close(leased);
  EXPECT_EQ(to_.Read("leased"), "text");
}

TEST_F(BatchTest, FilesOfTheSystemMayHaveFewerBytesThanTheySay) {
  const int kernel = open("/sys/kernel", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat info;
  if (fstatat(kernel, "uevent_seqnum", &info, 0) != 0) {
    close(kernel);
    GTEST_SKIP() << "the tests' system has no /sys";
  }
  ASSERT_GT(info.st_size, 100);
  Batch batch{.from = kernel, .to = to_.handle(), .options = &options_, .stop = &stop_};
  batch.entries = {{.name = "uevent_seqnum"}};
  CopyBatch(batch);
  EXPECT_EQ(batch.entries[0].outcome, Outcome::kFile);
  EXPECT_EQ(batch.entries[0].reason, "");
  EXPECT_GT(to_.Read("uevent_seqnum").size(), 0u);
  EXPECT_LT(to_.Read("uevent_seqnum").size(), 100u);
  close(kernel);
}

TEST_F(BatchTest, TriesNothingOnceItIsStopped) {
  from_.Write("name", "text");
  stop_ = true;
  EXPECT_EQ(Copy("name").outcome, Outcome::kNotTried);
  EXPECT_EQ(to_.Count(), 0);
}

}  // namespace
}  // namespace ioring::copy
