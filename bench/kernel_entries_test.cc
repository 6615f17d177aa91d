#include "bench/kernel_entries.h"

#include <unistd.h>

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "process/testing/forked_child.h"

namespace ioring {
namespace {

// A child that answers each byte on its standard input with `calls` calls and a byte.
class Caller {
 public:
  explicit Caller(int calls) {
    int in[2];
    int out[2];
    EXPECT_EQ(pipe(in), 0);
    EXPECT_EQ(pipe(out), 0);
    child_.emplace([&] { Serve(in[0], out[1], calls); });
    close(in[0]);
    close(out[1]);
    to_ = in[1];
    from_ = out[0];
  }
  ~Caller() {
    close(to_);
    close(from_);
  }

  void Ask() const {
    char byte = 0;
    EXPECT_EQ(write(to_, &byte, 1), 1);
    EXPECT_EQ(read(from_, &byte, 1), 1);
  }
  pid_t process() const { return child_->pid(); }

 private:
  static void Serve(int in, int out, int calls) {
    char byte = 0;
    while (read(in, &byte, 1) == 1) {
      for (int i = 0; i < calls; ++i) getppid();
      if (write(out, &byte, 1) != 1) break;
    }
  }

  std::optional<RunningChild> child_;
  int to_ = -1;
  int from_ = -1;
};

TEST(KernelEntryCounterTest, CountsEveryCall) {
  constexpr int kCalls = 1000;
  const Caller caller(kCalls);
  caller.Ask();  // so that it waits for the next byte, or is about to
  const auto counter = KernelEntryCounter::Attach(caller.process());
  if (!counter.ok()) {
    EXPECT_EQ(counter.status().code(), absl::StatusCode::kPermissionDenied);
    GTEST_SKIP() << counter.status().message();
  }
  caller.Ask();
  // Its calls and the write; the reads before and after fall to one side or the other.
  EXPECT_GE(counter->Count(), uint64_t{kCalls} + 1);
  EXPECT_LE(counter->Count(), uint64_t{kCalls} + 3);
}

TEST(KernelEntryCounterTest, RefusesAProcessThatIsGone) {
  RunningChild child([] {});
  child.Kill();
  const absl::Status gone = KernelEntryCounter::Attach(child.pid()).status();
  if (absl::IsPermissionDenied(gone)) GTEST_SKIP() << gone.message();
  EXPECT_EQ(gone.code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace ioring
