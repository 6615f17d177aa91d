// The threads that make the calls that block.
#include "ring_rio/work_threads.h"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {
namespace {

constexpr uint32_t kThreads = WorkThreads::kThreadsMax;

struct CountingWork : WorkItem {
  CountingWork() {
    run = [](WorkItem& item) { static_cast<CountingWork&>(item).runs += 1; };
    request = &packet;
    packet.Clear();
  }

  Request packet;
  int runs = 0;
};

// Runs until it is told to end, and says when it runs.
struct BlockingWork : WorkItem {
  BlockingWork() {
    run = [](WorkItem& item) {
      BlockingWork& work = static_cast<BlockingWork&>(item);
      work.begun.Notify();
      work.may_end.WaitForNotification();
    };
    request = &packet;
    packet.Clear();
  }

  Request packet;
  absl::Notification begun;
  absl::Notification may_end;
};

class WorkThreadsTest : public testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<CompletionPort>> port = CompletionPort::Create();
    ASSERT_TRUE(port.ok()) << port.status();
    port_ = *std::move(port);
    threads_ = std::make_unique<WorkThreads>(*port_);
  }

  // Takes `count` packets.
  void Take(uint32_t count) {
    std::array<OVERLAPPED_ENTRY, 16> packets;
    while (count != 0) count -= port_->Take(std::span(packets).first(count), INFINITE);
  }
  bool NothingLeft() {
    std::array<OVERLAPPED_ENTRY, 1> packets;
    return port_->Take(packets, 0) == 0;
  }

  std::unique_ptr<CompletionPort> port_;
  std::unique_ptr<WorkThreads> threads_;
};

TEST_F(WorkThreadsTest, EachIsRunOnceAndGivesItsPacket) {
  std::array<CountingWork, 10> work;
  for (CountingWork& item : work) threads_->Start(&item);
  Take(work.size());
  for (const CountingWork& item : work) EXPECT_EQ(item.runs, 1);
  EXPECT_TRUE(NothingLeft());
}

TEST_F(WorkThreadsTest, TakesBackWhatHasNotBegun) {
  std::array<BlockingWork, kThreads> blocking;
  for (BlockingWork& item : blocking) threads_->Start(&item);
  for (BlockingWork& item : blocking) item.begun.WaitForNotification();
  std::array<CountingWork, 3> queued;
  for (CountingWork& item : queued) threads_->Start(&item);
  EXPECT_TRUE(threads_->Withdraw(&queued[1]));
  EXPECT_FALSE(threads_->Withdraw(&queued[1]));
  EXPECT_FALSE(threads_->Withdraw(&blocking[0]));
  EXPECT_TRUE(threads_->Withdraw(&queued[2]));  // the last in line
  threads_->Start(&queued[2]);
  for (BlockingWork& item : blocking) item.may_end.Notify();
  Take(kThreads + 2);
  EXPECT_TRUE(NothingLeft());
  EXPECT_EQ(queued[0].runs, 1);
  EXPECT_EQ(queued[1].runs, 0);
  EXPECT_EQ(queued[2].runs, 1);
}

TEST_F(WorkThreadsTest, ThreadsThatHaveNothingToDoEnd) {
  CountingWork work;
  threads_->Start(&work);
  Take(1);
  threads_.reset();
  EXPECT_EQ(work.runs, 1);
}

}  // namespace
}  // namespace ioring::rio
