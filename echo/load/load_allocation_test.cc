// The load generator allocates when it starts and ends, and not per message.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "echo/load/load_run.h"
#include "echo/load/load_threads.h"
#include "echo/testing/load_test_peer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace {

std::atomic<uint64_t> allocations = 0;
// The system has no more in one piece.
std::atomic<size_t> largest_bytes = ~size_t{0};

}  // namespace

void* operator new(size_t size, const std::nothrow_t&) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (size > largest_bytes) return nullptr;
  return std::malloc(size);
}
void* operator new[](size_t size, const std::nothrow_t& nothrow) noexcept {
  return operator new(size, nothrow);
}
void* operator new(size_t size) {
  void* memory = operator new(size, std::nothrow);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
// By default it calls the one above; AddressSanitizer's does not.
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace ioring {
namespace {

// What the whole process allocates for a run, the peer included, which allocates per connection.
uint64_t AllocationsOfRun(LoadOptions options, uint64_t messages) {
  LoadTestPeer peer;
  options.target = peer.endpoint();
  options.messages = messages;
  LoadControl control(1);
  const uint64_t before = allocations;
  const absl::StatusOr<LoadResult> result = RunLoad(options, control);
  peer.Stop();
  const uint64_t count = allocations - before;
  CHECK(result.ok()) << result.status();
  CHECK(result->messages == messages);
  return count;
}

TEST(LoadAllocationTest, MoreMessagesNeedNoMoreAllocations) {
  LoadOptions options;
  options.connections = 4;
  for (uint32_t depth : {1u, 8u}) {
    for (double rate : {0.0, 50'000.0}) {
      options.shape.depth = depth;
      options.rate = rate;
      // The first run pays for what the process allocates once.
      AllocationsOfRun(options, 100);
      const uint64_t few = AllocationsOfRun(options, 100);
      const uint64_t many = AllocationsOfRun(options, 10'000);
      EXPECT_GT(few, 0u);
      EXPECT_EQ(few, many) << "depth " << depth << ", rate " << rate;
    }
  }
}

// It is no abort, and nothing is connected first.
TEST(LoadAllocationTest, TooLittleMemoryIsAnError) {
  LoadOptions options;
  options.connections = 10'000;
  options.shape.depth = 65'536;
  options.threads = 2;
  LoadControl control(2);
  largest_bytes = size_t{64} << 20;
  const absl::StatusOr<LoadResult> result = RunLoadThreads(options, control);
  largest_bytes = ~size_t{0};
  ASSERT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted) << result.status();
  EXPECT_THAT(std::string(result.status().message()), ::testing::HasSubstr("too little memory"));
}

}  // namespace
}  // namespace ioring
