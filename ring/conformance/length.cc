// Spans that are longer than what one operation transfers.
#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

// A result could not tell of all of it. (The memory is not there; nobody touches it.)
TEST_P(RingConformance, AllOfMoreThanATransferIsRefused) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  std::byte* const start = ring.Memory(1).data();
  for (const uint64_t bytes : {uint64_t{kTransferBytesMax} + 1, uint64_t{1} << 31,
                               uint64_t{3} << 30, uint64_t{1} << 32, (uint64_t{1} << 32) + 8}) {
    const std::span<std::byte> memory(start, static_cast<size_t>(bytes));
    EXPECT_EQ(ring.Await(ring.StartRecv(pair.server, memory, TransferFlags::kAll)).error(),
              Error::kInvalidArgument)
        << bytes;
    EXPECT_EQ(ring.Await(ring.StartSend(pair.server, memory, TransferFlags::kAll)).error(),
              Error::kInvalidArgument)
        << bytes;
  }
  ring.ExpectAlive(pair);
}

// The same of a group's buffers.
TEST_P(RingConformance, BuffersOfMoreThanATransferAreRefused) {
  TestRing& ring = MakeRing();
  BufferGroupOptions options;
  options.buffer_bytes = static_cast<uint32_t>(kTransferBytesMax) + 1;
  options.max_buffers = 1;
  EXPECT_EQ(ring.RegisterBufferGroup(options).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ioring
