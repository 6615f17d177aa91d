// Direct I/O where there is none, as Linux's /proc shows it.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "ring/conformance/file_calls.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"

namespace ioring {
namespace {

// A device that has none says so when it is opened, by both ways to open.
TEST_P(RingConformance, FileWithoutDirectIo) {
  TestRing& ring = MakeRing();
  FileCalls calls(ring);
  const FileOptions options{.access = FileOptions::Access::kRead, .direct_io = true};
  const int probe =
#ifdef O_DIRECT
      open("/proc/self/status", O_RDONLY | O_DIRECT | O_CLOEXEC);
#else
      -1;
#endif
  if (probe >= 0 || errno != EINVAL) {
    if (probe >= 0) close(probe);
#ifdef __linux__
    EXPECT_TRUE(SkipsAllowed()) << "files of /proc have direct I/O";
#endif
    GTEST_SKIP() << "SKIPPED: no file without direct I/O is known here";
  }
  EXPECT_EQ(calls.TryOpen("/proc/self/status", options).error(), Error::kNotSupported);
  EXPECT_EQ(ring.OpenFile("/proc/self/status", options).status().code(),
            absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace ioring
