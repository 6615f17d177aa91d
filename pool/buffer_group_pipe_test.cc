// Groups of buffers that reads of pipes hold, on a ring that does not fill the buffers by itself:
// the system tells nobody that such a read has taken the last one.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "pool/buffer_group.h"
#include "pool/test_ring.h"
#include "ring/completion.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/create_ring.h"

namespace ioring {
namespace {

using WhenEmpty = BufferGroup::WhenEmpty;

constexpr Token kRecv{1};
constexpr Token kSend{2};
constexpr Token kRead{3};

std::unique_ptr<Ring> MakeEmulatingRing() {
  const bool has_epoll = ParseBackendKind("epoll").ok();
  absl::StatusOr<CreatedRing> created =
      CreateRing(TestRingOptions(), has_epoll ? BackendKind::kEpoll : BackendKind::kAuto);
  CHECK_OK(created.status());
  return std::move(created->ring);
}

class BufferGroupPipeTest : public ::testing::Test {
 protected:
  BufferGroupPipeTest() : ring_(MakeEmulatingRing()), pair_(Connect(*ring_)) {}

  void MakeGroup(uint32_t max_buffers, WhenEmpty when_empty) {
    absl::StatusOr<std::unique_ptr<BufferGroup>> group =
        BufferGroup::Create(*ring_, {.buffer_bytes = 64,
                                     .initial_buffers = 1,
                                     .max_buffers = max_buffers,
                                     .when_empty = when_empty});
    ASSERT_TRUE(group.ok()) << group.status();
    group_ = *std::move(group);
  }
  void TearDown() override {
    lease_ = ManagedLease();
    Quiesce(*ring_);
    for (const int writer : writers_) close(writer);
  }

  // Prepares a read of an empty pipe.
  void ReadPipe() {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    writers_.push_back(ends[1]);
    const absl::StatusOr<FileId> file = ring_->RegisterFile(ends[0]);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_EQ(ring_->PrepareReadManaged(*file, kOwnPosition, group_->id(), kRead),
              Prepared::kAccepted);
  }
  // Prepares a receive, and has bytes for it.
  void Receive() {
    ASSERT_EQ(ring_->PrepareRecvManaged(pair_.second, group_->id(), Shots::kOneShot, kRecv),
              Prepared::kAccepted);
    ASSERT_EQ(ring_->PrepareSend(pair_.first, std::as_bytes(std::span("bytes")), kSend),
              Prepared::kAccepted);
  }
  // As a program does before it waits.
  void SubmitAndGrow() {
    ring_->Submit();
    while (group_->GrowIfEmpty()) ring_->Submit();
  }
  void TakeWhatComes(Token token) {
    RunUntil(*ring_, [&](const Completion& completion) {
      if (completion.token == token) lease_ = group_->Take(completion);
      return completion.token == token;
    });
  }

  std::unique_ptr<Ring> ring_;
  ConnectedPair pair_;
  std::unique_ptr<BufferGroup> group_;
  std::vector<int> writers_;
  ManagedLease lease_;
};

TEST_F(BufferGroupPipeTest, AReadThatHoldsTheLastBufferDoesNotHoldUpAReceive) {
  MakeGroup(4, WhenEmpty::kGrow);
  ReadPipe();
  Receive();
  SubmitAndGrow();
  TakeWhatComes(kRecv);
  EXPECT_EQ(lease_.size_bytes(), sizeof("bytes"));
  // The read still has its own.
  ASSERT_EQ(write(writers_.front(), "text", 4), 4);
  TakeWhatComes(kRead);
  EXPECT_EQ(lease_.size_bytes(), 4u);
}

// What is added may go to a read.
TEST_F(BufferGroupPipeTest, SeveralReadsDoNotEither) {
  MakeGroup(8, WhenEmpty::kGrow);
  for (int i = 0; i < 3; ++i) ReadPipe();
  Receive();
  SubmitAndGrow();
  TakeWhatComes(kRecv);
}

TEST_F(BufferGroupPipeTest, GrowsAsFarAsItMay) {
  MakeGroup(2, WhenEmpty::kGrow);
  for (int i = 0; i < 3; ++i) ReadPipe();
  SubmitAndGrow();
  EXPECT_EQ(group_->Statistics().buffers, 2u);
  EXPECT_EQ(group_->Statistics().free, 0u);
  EXPECT_FALSE(group_->GrowIfEmpty());
}

TEST_F(BufferGroupPipeTest, GrowsByNoOtherPolicy) {
  MakeGroup(4, WhenEmpty::kWait);
  ReadPipe();
  SubmitAndGrow();
  EXPECT_EQ(group_->Statistics().buffers, 1u);
  EXPECT_EQ(group_->Statistics().free, 0u);
}

TEST_F(BufferGroupPipeTest, DoesNotGrowWhileThereIsABuffer) {
  MakeGroup(4, WhenEmpty::kGrow);
  EXPECT_FALSE(group_->GrowIfEmpty());
  EXPECT_EQ(group_->Statistics().buffers, 1u);
}

}  // namespace
}  // namespace ioring
