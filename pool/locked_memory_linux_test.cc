// Slabs and groups where the process may lock hardly any memory.
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "pool/buffer_group.h"
#include "pool/slab_pool.h"
#include "pool/test_ring.h"
#include "ring/await.h"
#include "ring/completion.h"
#include "ring/id.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {
namespace {

using ::testing::HasSubstr;

constexpr Token kRecv{1};
constexpr Token kSend{2};

// From here on the limit of locked memory holds for this process, and is charged to rings
// made from here on. capset(2) itself, because libcap is not at hand everywhere.
bool DropTheRightToLockMemory() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &= ~CAP_TO_MASK(CAP_IPC_LOCK);
  data[CAP_TO_INDEX(CAP_IPC_LOCK)].permitted &= ~CAP_TO_MASK(CAP_IPC_LOCK);
  return syscall(SYS_capset, &header, data) == 0;
}

// The limit counts what all processes of the user have locked. So the ring comes first,
// and then nothing more is allowed, whatever other tests do at the time.
std::unique_ptr<Ring> MakeRingThatMayLockNothing() {
  EXPECT_TRUE(DropTheRightToLockMemory());
  std::unique_ptr<Ring> ring = MakeTestRing();
  const rlimit limit{0, 0};
  EXPECT_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
  return ring;
}

// What cannot be taken back happens in this program started anew: a death test that
// succeeds by exiting with 0.
#define EXPECT_SUCCESS_IN_CHILD(statement)            \
  EXPECT_EXIT(                                        \
      {                                               \
        statement;                                    \
        _exit(::testing::Test::HasFailure() ? 1 : 0); \
      },                                              \
      ::testing::ExitedWithCode(0), "")

class LockedMemoryLinuxTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

void TransferThroughUnregisteredSlab() {
  const std::unique_ptr<Ring> ring = MakeRingThatMayLockNothing();
  const ConnectedPair pair = Connect(*ring);
  auto pool = SlabPool::Create(*ring, {.buffers_per_slab = 16, .initial_slabs = 2});
  ASSERT_TRUE(pool.ok()) << pool.status();
  EXPECT_EQ((*pool)->Statistics().unregistered_slabs, 2u);
  EXPECT_THAT((*pool)->Statistics().ToString(), HasSubstr("unregistered slabs 2"));
  EXPECT_EQ(ring->RegistrationProblem().empty(), ring->BackendName() != "io_uring");

  std::optional<BufferLease> from = (*pool)->TryAcquire();
  std::optional<BufferLease> to = (*pool)->TryAcquire();
  const std::string text = "works all the same";
  const size_t offset = from->size_bytes() - 5;
  std::memcpy(from->Span(offset, text.size()).data(), text.data(), text.size());
  ASSERT_EQ(ring->PrepareSendBuffer(pair.first, from->Slice(offset, text.size()), kSend),
            Prepared::kAccepted);
  EXPECT_EQ(Await(*ring, Prepared::kAccepted, kSend).result, static_cast<int32_t>(text.size()));
  ASSERT_EQ(ring->PrepareRecvBuffer(pair.second, to->Slice(offset, text.size()), kRecv),
            Prepared::kAccepted);
  EXPECT_EQ(Await(*ring, Prepared::kAccepted, kRecv).result, static_cast<int32_t>(text.size()));
  EXPECT_EQ(std::memcmp(to->Span(offset, text.size()).data(), text.data(), text.size()), 0);
}

TEST_F(LockedMemoryLinuxTest, ASlabThatCannotBeRegisteredWorksAllTheSame) {
  EXPECT_SUCCESS_IN_CHILD(TransferThroughUnregisteredSlab());
}

void TransferThroughUnregisteredGroup() {
  const std::unique_ptr<Ring> ring = MakeRingThatMayLockNothing();
  const ConnectedPair pair = Connect(*ring);
  auto group = BufferGroup::Create(*ring, {});
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_EQ((*group)->Statistics().unregistered_slabs, 1u);

  const std::string text = "works all the same";
  ASSERT_EQ(ring->PrepareSend(pair.first, std::as_bytes(std::span(text)), kSend),
            Prepared::kAccepted);
  ASSERT_EQ(ring->PrepareRecvManaged(pair.second, (*group)->id(), Shots::kOneShot, kRecv),
            Prepared::kAccepted);
  ManagedLease lease;
  RunUntil(*ring, [&](const Completion& completion) {
    if (completion.token != kRecv) return false;
    lease = (*group)->Take(completion);
    return true;
  });
  ASSERT_EQ(lease.size_bytes(), text.size());
  ASSERT_EQ(ring->PrepareSendBuffer(pair.second, lease.Slice(), kSend), Prepared::kAccepted);
  EXPECT_EQ(Await(*ring, Prepared::kAccepted, kSend).result, static_cast<int32_t>(text.size()));
  lease.Release();
}

TEST_F(LockedMemoryLinuxTest, AGroupThatCannotBeRegisteredWorksAllTheSame) {
  EXPECT_SUCCESS_IN_CHILD(TransferThroughUnregisteredGroup());
}

}  // namespace
}  // namespace ioring
