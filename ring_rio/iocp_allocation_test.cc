// Rule 11 of ring/ring.h, of the ring over a completion port. (Over the fake of Registered I/O
// nothing could be counted: it allocates itself.)
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring_core/emulated/testing/ring_life.h"
#include "ring_rio/rio_ring.h"

namespace ioring {
namespace {

TEST(IocpAllocationTest, NothingOnceItRuns) {
  absl::StatusOr<std::unique_ptr<RioRing>> ring = RioRing::CreateIocp({.max_connections = 16});
  ASSERT_TRUE(ring.ok()) << ring.status();
  emulated::RingLife life(*std::move(ring), testing::TempDir() + "/allocation");
  emulated::ExpectNoAllocations(life);
}

}  // namespace
}  // namespace ioring
