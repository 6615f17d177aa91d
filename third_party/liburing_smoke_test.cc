// Proves that liburing compiles with its bundled kernel header, links, and talks to the kernel.

#include <liburing.h>

#include <cstdint>

#include "gtest/gtest.h"

namespace {

TEST(LiburingTest, IsTheVersionItWasPinnedTo) {
  EXPECT_EQ(io_uring_major_version(), IO_URING_VERSION_MAJOR);
  EXPECT_EQ(io_uring_minor_version(), IO_URING_VERSION_MINOR);
}

TEST(LiburingTest, NopCompletes) {
  io_uring ring;
  const int created = io_uring_queue_init(8, &ring, 0);
  if (created == -ENOSYS || created == -EPERM || created == -EACCES) {
    GTEST_SKIP() << "io_uring is not allowed here: error " << -created;
  }
  ASSERT_EQ(created, 0);

  constexpr std::uint64_t kToken = 0x1234;
  io_uring_sqe* submission = io_uring_get_sqe(&ring);
  ASSERT_NE(submission, nullptr);
  io_uring_prep_nop(submission);
  io_uring_sqe_set_data64(submission, kToken);
  ASSERT_EQ(io_uring_submit_and_wait(&ring, 1), 1);

  io_uring_cqe* completion = nullptr;
  ASSERT_EQ(io_uring_peek_cqe(&ring, &completion), 0);
  EXPECT_EQ(completion->res, 0);
  EXPECT_EQ(io_uring_cqe_get_data64(completion), kToken);
  io_uring_cqe_seen(&ring, completion);

  io_uring_queue_exit(&ring);
}

}  // namespace
