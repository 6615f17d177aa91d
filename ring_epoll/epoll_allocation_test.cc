// Rule 11 of ring/ring.h, of the epoll ring.
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring_core/emulated/testing/ring_life.h"
#include "ring_core/posix/work_threads.h"
#include "ring_epoll/epoll_ring.h"

namespace ioring {
namespace {

ptrdiff_t CountThreads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

// Threads for files are made when all that there are have something to do.
void MakeAllThreads(emulated::RingLife& life) {
  constexpr int kThreads = posix::WorkThreads::kThreadsMax;
  const ptrdiff_t all = CountThreads() + kThreads;
  while (CountThreads() < all && life.Files(2 * kThreads)) {
  }
}

TEST(EpollAllocationTest, NothingOnceItRuns) {
  absl::StatusOr<std::unique_ptr<EpollRing>> ring = EpollRing::Create({.max_connections = 16});
  ASSERT_TRUE(ring.ok()) << ring.status();
  emulated::RingLife life(*std::move(ring),
                          testing::TempDir() + "/allocation" + std::to_string(getpid()));
  MakeAllThreads(life);
  emulated::ExpectNoAllocations(life);
}

}  // namespace
}  // namespace ioring
