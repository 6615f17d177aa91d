// How limits are raised on systems that refuse what their hard limits allow: a stand-in for the
// system's calls plays each of them.
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fstream>

#include "gtest/gtest.h"
#include "process/process_limits.h"

namespace ioring {
namespace {

enum class Played { kLinux, kMacOs, kFreeBsd };

struct System {
  Played played;
  rlim_t most;  // that it gives any process
  rlimit limit;
};

System playing{};

int Refuse(int error) {
  errno = error;
  return -1;
}

// Stand in for the C library's.
int Get(rlimit* limit) {
  *limit = playing.limit;
  return 0;
}

int Set(rlimit limit) {
  if (limit.rlim_cur > limit.rlim_max) return Refuse(EINVAL);
  switch (playing.played) {
    case Played::kLinux:
      if (limit.rlim_max > playing.most || limit.rlim_max > playing.limit.rlim_max) {
        return Refuse(EPERM);
      }
      break;
    case Played::kMacOs:
      if (limit.rlim_cur > playing.most) return Refuse(EINVAL);
      break;
    case Played::kFreeBsd:
      limit.rlim_cur = std::min(limit.rlim_cur, playing.most);
      break;
  }
  playing.limit = limit;
  return 0;
}

// What is in force after raising to `wanted`; 0 where something else was told.
uint64_t Raised(const System& system, uint64_t wanted) {
  playing = system;
  return RaiseDescriptorLimit(wanted) == playing.limit.rlim_cur ? playing.limit.rlim_cur : 0;
}

TEST(ProcessLimitsRefusalTest, MacOsGivesLessThanItsHardLimit) {
  const System mac{Played::kMacOs, 10240, {256, 100'000}};
  EXPECT_EQ(Raised(mac, 5000), 5000u);
  EXPECT_EQ(Raised(mac, 10240), 10240u);
  EXPECT_EQ(Raised(mac, 10241), 10240u);
  EXPECT_EQ(Raised(mac, 1'000'000), 10240u);
  EXPECT_EQ(Raised(mac, ~uint64_t{0}), 10240u);
  EXPECT_EQ(playing.limit.rlim_max, 100'000u);
}

TEST(ProcessLimitsRefusalTest, NothingMoreIsToBeHad) {
  EXPECT_EQ(Raised({Played::kMacOs, 256, {256, 100'000}}, 257), 256u);
  EXPECT_EQ(Raised({Played::kMacOs, 256, {256, 100'000}}, 5000), 256u);
}

TEST(ProcessLimitsRefusalTest, FreeBsdTakesTheMostForMore) {
  EXPECT_EQ(Raised({Played::kFreeBsd, 3000, {256, 100'000}}, 5000), 3000u);
}

TEST(ProcessLimitsRefusalTest, LinuxHasAHardLimitThatItNoLongerSets) {
  rlim_t most = 0;
  std::ifstream("/proc/sys/fs/nr_open") >> most;
  ASSERT_GT(most, 256u);
  const System lowered{Played::kLinux, most, {256, 2 * most}};
  EXPECT_EQ(Raised(lowered, ~uint64_t{0}), most);
  EXPECT_EQ(Raised(lowered, 300), 300u);
  EXPECT_EQ(playing.limit.rlim_max, most) << "not lower than it must be";
}

}  // namespace
}  // namespace ioring

// Sanitizers ask for other limits.
extern "C" int getrlimit(__rlimit_resource_t resource, rlimit* limit) noexcept {
  if (resource == RLIMIT_NOFILE) return ioring::Get(limit);
  return static_cast<int>(syscall(SYS_prlimit64, 0, resource, nullptr, limit));
}

extern "C" int setrlimit(__rlimit_resource_t resource, const rlimit* limit) noexcept {
  if (resource == RLIMIT_NOFILE) return ioring::Set(*limit);
  return static_cast<int>(syscall(SYS_prlimit64, 0, resource, limit, nullptr));
}
