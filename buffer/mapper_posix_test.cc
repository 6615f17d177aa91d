// How the mapper of macOS and BSD uses names of shared memory, seen from between it and the system.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "buffer/map_result.h"
#include "buffer/mirrored_region.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

struct Call {
  std::string name;
  int flags;
  mode_t mode;
};

// What the mapper called, and what the next calls answer.
std::vector<Call> opened;
std::vector<std::string> unlinked;
int refusals = 0;
int refusal_code = 0;

void Forget() {
  opened.clear();
  unlinked.clear();
  refusals = 0;
}

// Stand in for the C library's.
int OpenSharedMemory(const char* name, int flags, mode_t mode) {
  opened.push_back({name, flags, mode});
  if (refusals > 0) {
    --refusals;
    errno = refusal_code;
    return -1;
  }
  return open(("/dev/shm" + std::string(name)).c_str(), flags | O_CLOEXEC, mode);
}

int UnlinkSharedMemory(const char* name) {
  unlinked.push_back(name);
  return unlink(("/dev/shm" + std::string(name)).c_str());
}

class MapperPosixTest : public ::testing::Test {
 protected:
  MapperPosixTest() { Forget(); }
};

TEST_F(MapperPosixTest, NamesAreGoneAtOnce) {
  const MapResult<MirroredRegion> region = MirroredRegion::Create(MirrorGranularity(), 3);
  ASSERT_TRUE(region.ok()) << region.error().message();
  ASSERT_THAT(opened, SizeIs(1));
  ASSERT_THAT(unlinked, SizeIs(1));
  EXPECT_EQ(unlinked[0], opened[0].name);
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
    EXPECT_NE("/" + entry.path().filename().string(), opened[0].name);
  }
}

// TRAPS "kqueue, macOS, BSD": names of shared memory have at most about 30 characters.
TEST_F(MapperPosixTest, NamesAreShortAndNeverTheSameTwice) {
  constexpr size_t kNameCharactersMax = 30;
  std::set<std::string> names;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(MirroredRegion::Create(MirrorGranularity(), 1).ok());
    ASSERT_LE(opened.back().name.size(), kNameCharactersMax) << opened.back().name;
    EXPECT_EQ(opened.back().name[0], '/');
    EXPECT_EQ(opened.back().name.find('/', 1), std::string::npos);
    names.insert(opened.back().name);
  }
  EXPECT_THAT(names, SizeIs(1000));
}

TEST_F(MapperPosixTest, NobodyElseCanHaveTheMemory) {
  ASSERT_TRUE(MirroredRegion::Create(MirrorGranularity(), 1).ok());
  EXPECT_NE(opened[0].flags & O_EXCL, 0);
  EXPECT_EQ(opened[0].mode, mode_t{0600});
}

TEST_F(MapperPosixTest, ANameThatIsTakenIsLeftAlone) {
  refusals = 3;
  refusal_code = EEXIST;
  ASSERT_TRUE(MirroredRegion::Create(MirrorGranularity(), 1).ok());
  ASSERT_THAT(opened, SizeIs(4));
  EXPECT_NE(opened[2].name, opened[3].name);
  ASSERT_THAT(unlinked, SizeIs(1));
  EXPECT_EQ(unlinked[0], opened[3].name);
}

TEST_F(MapperPosixTest, RefusalsAreSaid) {
  const auto refused = [](int code) {
    refusals = 1;
    refusal_code = code;
    const auto region = MirroredRegion::Create(MirrorGranularity(), 1);
    EXPECT_FALSE(region.ok());
    return region.error();
  };
  EXPECT_THAT(refused(EMFILE).message(), HasSubstr("ulimit -n"));
  EXPECT_THAT(refused(ENFILE).message(), HasSubstr("the system has no descriptor free"));
  EXPECT_EQ(refused(ENFILE).code(), MapErrorCode::kResourceExhausted);
  EXPECT_THAT(refused(EACCES).message(), HasSubstr("denies this process shared memory (shm_open)"));
  EXPECT_EQ(refused(EACCES).code(), MapErrorCode::kPermissionDenied);
  const MapError other = refused(EIO);
  EXPECT_THAT(other.message(), HasSubstr("shm_open"));
  EXPECT_EQ(other.code(), MapErrorCode::kOther);
  EXPECT_EQ(other.system_code(), EIO);
  EXPECT_STREQ(other.call(), "shm_open");
  EXPECT_THAT(unlinked, SizeIs(0));
}

}  // namespace
}  // namespace ioring

extern "C" int shm_open(const char* name, int flags, mode_t mode) {
  return ioring::OpenSharedMemory(name, flags, mode);
}

extern "C" int shm_unlink(const char* name) { return ioring::UnlinkSharedMemory(name); }
