#include "copy/file_copier.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "copy/options.h"
#include "copy/report.h"
#include "copy/scheduler.h"
#include "copy/task.h"
#include "copy/test_folder.h"
#include "gtest/gtest.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_native/create_ring.h"

namespace ioring::copy {
namespace {

class OpenRegularTest : public testing::TestWithParam<BackendKind> {
 protected:
  // What is wrong with the entry `name`; empty: it is open.
  std::string Open(const char* name) {
    absl::StatusOr<CreatedRing> created = CreateRing(RingOptions{}, GetParam());
    CHECK_OK(created.status());
    Ring& ring = *created->ring;
    const absl::StatusOr<FileId> directory =
        ring.RegisterFile(fcntl(folder_.handle(), F_DUPFD_CLOEXEC, 0));
    CHECK_OK(directory.status());
    Scheduler scheduler(ring);
    FileCopier copier(scheduler, options_, report_.counters, stop_);
    FileId file;
    std::string reason;
    Group group(scheduler.ready());
    group.Spawn(copier.OpenRegular(*directory, name, &file, &reason));
    scheduler.Run(group);
    EXPECT_EQ(file.is_set(), reason.empty());
    if (file.is_set()) {
      EXPECT_EQ(fcntl(static_cast<int>(*ring.FileHandle(file)), F_GETFL) & O_NONBLOCK, 0);
      CHECK_OK(ring.CloseFile(file));
    }
    CHECK_OK(ring.CloseFile(*directory));
    return reason;
  }

  TestFolder folder_;
  Options options_;
  Report report_;
  std::atomic<bool> stop_ = false;
};

TEST_P(OpenRegularTest, WaitsForNobodyWhoWritesToAFifo) {
  folder_.Write("file", "text");
  ASSERT_EQ(mkfifoat(folder_.handle(), "fifo", 0600), 0);
  ASSERT_EQ(symlinkat("file", folder_.handle(), "link"), 0);
  EXPECT_EQ(Open("file"), "");
  EXPECT_EQ(Open("fifo"), "it became another kind of file meanwhile");
  EXPECT_NE(Open("link"), "");
  EXPECT_EQ(Open("none"), "it vanished before it was copied");
}

INSTANTIATE_TEST_SUITE_P(Backends, OpenRegularTest,
                         testing::Values(BackendKind::kAuto, BackendKind::kEpoll));

}  // namespace
}  // namespace ioring::copy
