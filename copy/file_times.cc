#include "copy/file_times.h"

#include <sys/stat.h>

#include <cstdint>
#include <ctime>

#include "copy/pending_file.h"
#include "copy/system.h"

namespace ioring::copy {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

bool AreEqual(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

// `nanos` is a divisor of a second, or whole seconds.
timespec CutOff(const timespec& time, int64_t nanos) {
  if (nanos < kSecond) return {time.tv_sec, time.tv_nsec - time.tv_nsec % nanos};
  const int64_t seconds = nanos / kSecond;
  const int64_t rest = (time.tv_sec % seconds + seconds) % seconds;
  return {static_cast<time_t>(time.tv_sec - rest), 0};
}

}  // namespace

TimeGrid FindTimeGrid(int directory) {
  // No digit of it is 0, and its seconds are odd: what is cut off shows.
  constexpr timespec kTime{1'111'111'111, 123'456'789};
  // NTFS has 100 ns, exFAT 10 ms, old ext4 1 s, FAT 2 s (their formats).
  constexpr int64_t kGrids[] = {1,         100,        1'000,   10'000,     100'000,
                                1'000'000, 10'000'000, kSecond, 2 * kSecond};
  const timespec times[] = {kTime, kTime};
  PendingFile file;
  struct stat info;
  if (file.Create(directory, 0600) != 0 || system::SetTimes(file.descriptor(), times) != 0 ||
      system::Stat(file.descriptor(), &info) != 0) {
    return {};
  }
  for (const int64_t nanos : kGrids) {
    if (AreEqual(ModifiedTime(info), CutOff(kTime, nanos))) return {info.st_dev, nanos};
  }
  return {};
}

bool IsSameTime(const timespec& source, const timespec& copy, uint64_t device,
                const TimeGrid& grid) {
  if (AreEqual(source, copy)) return true;
  return device == grid.device && AreEqual(CutOff(source, grid.nanos), copy);
}

}  // namespace ioring::copy
