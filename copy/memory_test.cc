// A copy's memory does not grow with the number of entries, but for files that have further names
// elsewhere (copy/README.md).
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "copy/engine.h"
#include "copy/options.h"
#include "copy/test_folder.h"
#include "gtest/gtest.h"
#include "process/testing/forked_child.h"
#include "ring_native/create_ring.h"

namespace ioring::copy {
namespace {

constexpr int kFew = 20'000;
constexpr int kMany = 100'000;
// By which the peak for kMany may be larger than that for kFew: what threads and the allocator do
// differently each time. 26 bytes for each further entry are more.
constexpr int64_t kNoiseKib = 2048;

// In memory, where there is such a file system with room: a disk takes its time for so many files.
const char* Base() {
  constexpr const char* kInMemory = "/dev/shm";
  struct statvfs info;
  const bool has_room = access(kInMemory, W_OK) == 0 && statvfs(kInMemory, &info) == 0 &&
                        info.f_favail >= fsfilcnt_t{4} * kMany;
  return has_room ? kInMemory : nullptr;
}

// A line of the process's status (proc(5)), in KiB.
int64_t StatusKib(std::string_view name) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kib = 0;
    if (word == name && status >> kib) return kib;
  }
  LOG(FATAL) << "no " << name;
}

class MemoryTest : public testing::TestWithParam<BackendKind> {
 protected:
  MemoryTest() : folder_(Base()) {}

  void MakeFile(const std::string& name) const {
    const int file = openat(folder_.handle(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
    PCHECK(file >= 0) << name;
    close(file);
  }
  void MakeFlat(const std::string& name, int entries) const {
    folder_.MakeDirectory(name);
    for (int i = 0; i < entries; ++i) MakeFile(absl::StrCat(name, "/entry ", i));
  }
  // A directory and four files for each five entries.
  void MakeDirectories(const std::string& name, int entries) const {
    for (int i = 0; i < entries; i += 5) {
      folder_.MakeDirectory(absl::StrCat(name, "/", i));
      for (int j = 1; j < 5; ++j) MakeFile(absl::StrCat(name, "/", i, "/", j));
    }
  }
  // Files that each have another name, in `elsewhere`.
  void MakeLinked(const std::string& name, const std::string& elsewhere, int entries) const {
    MakeFlat(name, entries);
    folder_.MakeDirectory(elsewhere);
    for (int i = 0; i < entries; ++i) {
      PCHECK(linkat(folder_.handle(), absl::StrCat(name, "/entry ", i).c_str(), folder_.handle(),
                    absl::StrCat(elsewhere, "/", i).c_str(), 0) == 0);
    }
  }

  // By how many KiB a process that copies it grows at most. So many entries are in it.
  int64_t PeakKib(const std::string& name, int entries) {
    const std::string answer = AnswerOfChild([&]() -> std::string {
      // A huge page for a thread's stack would be more than what is measured.
      PCHECK(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
      Engine engine(
          [](const RingOptions& wanted) -> absl::StatusOr<std::unique_ptr<Ring>> {
            absl::StatusOr<CreatedRing> created = CreateRing(wanted, GetParam());
            if (!created.ok()) return created.status();
            return std::move(created->ring);
          },
          Options{.rings = 1});
      // Of the peak; the parent's is none of the copy's.
      std::ofstream("/proc/self/clear_refs") << "5" << std::flush;
      const int64_t before = StatusKib("VmRSS:");
      const absl::Status status = engine.Run({folder_.Path(name)}, folder_.Path("to"));
      const int64_t peak = StatusKib("VmHWM:");
      if (!status.ok()) return status.ToString();
      if (engine.report().counters.problems != 0) return engine.report().problems[0].reason;
      const uint64_t found = engine.report().counters.found;
      if (found != static_cast<uint64_t>(entries) + 1) return absl::StrCat(found, " entries");
      return absl::StrCat(peak - before);
    });
    std::filesystem::remove_all(folder_.Path("to"));
    int64_t kib = 0;
    EXPECT_TRUE(absl::SimpleAtoi(answer, &kib)) << answer;
    RecordProperty(absl::StrCat("peak_kib_", name), answer);
    return kib;
  }

  TestFolder folder_;
};

TEST_P(MemoryTest, DoesNotGrowWithADirectory) {
  MakeFlat("few", kFew);
  MakeFlat("many", kMany);
  const int64_t few = PeakKib("few", kFew);
  EXPECT_LE(PeakKib("many", kMany), few + kNoiseKib) << few << " KiB for the few";
}

TEST_P(MemoryTest, DoesNotGrowWithDirectories) {
  MakeDirectories("few", kFew);
  MakeDirectories("many", kMany);
  const int64_t few = PeakKib("few", kFew);
  EXPECT_LE(PeakKib("many", kMany), few + kNoiseKib) << few << " KiB for the few";
}

TEST_P(MemoryTest, GrowsALittleWithFilesThatHaveNamesElsewhere) {
  MakeFlat("none", kFew);
  MakeLinked("linked", "elsewhere", kFew);
  const int64_t none = PeakKib("none", kFew);
  const int64_t linked = PeakKib("linked", kFew);
  // A record with a path of 13 bytes for each, which also shows that what grows is seen here.
  EXPECT_LE(linked, none + kNoiseKib + int64_t{kFew} * 256 / 1024) << none << " KiB without";
  EXPECT_GT(linked, none + int64_t{kFew} * 64 / 1024) << none << " KiB without";
}

INSTANTIATE_TEST_SUITE_P(Backends, MemoryTest,
                         testing::Values(BackendKind::kAuto, BackendKind::kEpoll),
                         [](const testing::TestParamInfo<BackendKind>& backend) {
                           return std::string(BackendKindName(backend.param));
                         });

}  // namespace
}  // namespace ioring::copy
