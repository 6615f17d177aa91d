// ScratchRing: a small ring for finding out what the kernel can do.
#ifndef IORING_RING_URING_SCRATCH_RING_H_
#define IORING_RING_URING_SCRATCH_RING_H_

#include <errno.h>
#include <liburing.h>
#include <time.h>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace ioring::uring {

// Calls `set_up` until its result is no -ENOMEM, for at most a third of a second: the
// kernel gives back the locked memory of rings some time after they were closed.
template <typename SetUp>
int RetryWithoutMemory(SetUp set_up) {
  constexpr int kTriesMax = 300;
  constexpr timespec kBetweenTries = {0, 1'000'000};
  int result = set_up();
  for (int i = 0; i < kTriesMax && result == -ENOMEM; ++i) {
    nanosleep(&kBetweenTries, nullptr);
    result = set_up();
  }
  return result;
}

class ScratchRing {
 public:
  struct Result {
    int result = 0;
    unsigned flags = 0;
  };

  explicit ScratchRing(unsigned setup_flags)
      : status_(RetryWithoutMemory([&] { return io_uring_queue_init(8, &ring_, setup_flags); })) {}
  ScratchRing(const ScratchRing&) = delete;
  ScratchRing& operator=(const ScratchRing&) = delete;
  ~ScratchRing() {
    if (ok()) io_uring_queue_exit(&ring_);
  }

  bool ok() const { return status_ == 0; }
  int status() const { return status_; }  // 0 or a negative errno
  io_uring* get() { return &ring_; }

  // An entry for a new try.
  io_uring_sqe* NewEntry() {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    entry->user_data = ++number_;
    return entry;
  }

  // Submits, and gives the next completion of the newest entry; those of earlier tries may
  // still come and are dropped. Nothing where none comes within a second, which stands for
  // "the kernel does not do this".
  std::optional<Result> Next() {
    constexpr int kStragglersMax = 64;
    for (int i = 0; i < kStragglersMax; ++i) {
      __kernel_timespec second{1, 0};
      io_uring_cqe* completion = nullptr;
      io_uring_submit_and_wait_timeout(&ring_, &completion, 1, &second, nullptr);
      if (io_uring_peek_cqe(&ring_, &completion) != 0) return std::nullopt;
      const bool current = completion->user_data == number_;
      const Result result{completion->res, completion->flags};
      io_uring_cqe_seen(&ring_, completion);
      if (current) return result;
    }
    return std::nullopt;
  }

 private:
  io_uring ring_;
  uint64_t number_ = 0;
  int status_;
};

}  // namespace ioring::uring

#endif  // IORING_RING_URING_SCRATCH_RING_H_
