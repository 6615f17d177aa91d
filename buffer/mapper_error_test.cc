// What the refusals of a POSIX system become.
#include "buffer/mapper_error.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "buffer/map_result.h"
#include "buffer/map_status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ioring::mapper {
namespace {

using ::testing::HasSubstr;

constexpr int kErrnoMax = 200;

MapError Error(int error) { return CannotMap({error, "mmap", 4096}); }

TEST(MapperErrorTest, WhatTheSystemSaidIsKept) {
  for (int error = 1; error <= kErrnoMax; ++error) {
    EXPECT_EQ(Error(error).system_code(), error);
    EXPECT_STREQ(Error(error).call(), "mmap");
  }
}

TEST(MapperErrorTest, AnErrorWithoutASentenceOfItsOwnHasTheSystems) {
  EXPECT_EQ(Error(EIO).message(), std::string("mapping 4096 bytes: mmap: ") + std::strerror(EIO));
  EXPECT_EQ(Error(EIO).code(), MapErrorCode::kOther);
}

// Abseil's opinion of every errno, except where ours is better: these are sizes and limits here.
TEST(MapperErrorTest, StatusesHaveTheCodeOfTheErrno) {
  for (int error = 1; error <= kErrnoMax; ++error) {
    absl::StatusCode code = absl::ErrnoToStatusCode(error);
    if (error == EFBIG || error == EOVERFLOW) code = absl::StatusCode::kInvalidArgument;
    if (error == EAGAIN) code = absl::StatusCode::kResourceExhausted;
    EXPECT_EQ(ToStatus(Error(error)).code(), code) << std::strerror(error);
  }
}

TEST(MapperErrorTest, LimitsAreNamed) {
  EXPECT_THAT(Error(EMFILE).message(), HasSubstr("ulimit -n"));
  EXPECT_THAT(Error(EAGAIN).message(), HasSubstr("4096 bytes more are over the limit"));
  EXPECT_THAT(Error(EINVAL).message(), HasSubstr("4096 bytes are more than the system maps"));
  const MapError out_of_memory = OutOfMemory({ENOMEM, "mmap", 4096}, "buy some");
  EXPECT_EQ(out_of_memory.code(), MapErrorCode::kResourceExhausted);
  EXPECT_EQ(out_of_memory.system_code(), ENOMEM);
  EXPECT_THAT(out_of_memory.message(), HasSubstr("for 4096 bytes"));
}

}  // namespace
}  // namespace ioring::mapper
