// ProcessStepper: steps through a server while a client talks to it, in lockstep.
//
//   auto server = ServerProcess::Start(...);
//   auto stepper = ProcessStepper::Attach((*server)->pid());
//   absl::Status status = (*stepper)->Run([&] { return client.Act(); });
//   (*stepper)->counts()
//
// The client acts whenever a thread is about to wait for events (epoll_wait, io_uring_enter), and
// again and again while all threads sleep in the system. So the server finds everything that the
// client did at its next wait, and what it executes does not depend on the speed of either: counts
// are the same on every run.
//
// Linux only. Thread rule: one thread, which is the tracer.
#ifndef IORING_BENCH_INSTRUCTIONS_PROCESS_STEPPER_H_
#define IORING_BENCH_INSTRUCTIONS_PROCESS_STEPPER_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bench/instructions/single_stepper.h"

namespace ioring {

class ProcessStepper {
 public:
  // Stops all threads that the process has. It must make no others, and be a child of this one
  // or otherwise traceable.
  static absl::StatusOr<std::unique_ptr<ProcessStepper>> Attach(pid_t process);
  ProcessStepper(const ProcessStepper&) = delete;
  ProcessStepper& operator=(const ProcessStepper&) = delete;
  // The process goes on untraced.
  ~ProcessStepper();

  // What the client does when it may: true when it is done, which ends Run.
  using Client = std::function<absl::StatusOr<bool>()>;
  // Steps until the client is done or fails. DeadlineExceeded where all sleep for
  // `sleep_max` though the client acts: the server waits for something else.
  absl::Status Run(const Client& client, absl::Duration sleep_max = absl::Seconds(10));

  // Of all threads, since the last reset.
  StepCounts counts() const;
  std::vector<std::pair<uint64_t, uint64_t>> CountsByAddress() const;
  void ResetCounts();

 private:
  struct Thread {
    explicit Thread(pid_t thread) : id(thread), stepper(thread) {}
    const pid_t id;
    SingleStepper stepper;
    bool stopped = false;
    // It was interrupted, perhaps in a system call: its first steps may begin that again, and
    // sleep, though its address is behind it.
    int uncertain_steps = 8;
    bool waits = false;  // was let go at a system call that may sleep
  };

  ProcessStepper() = default;
  absl::Status AttachThread(pid_t id);
  absl::Status AdvanceAll(const Client& client, bool& advanced, bool& done);
  bool AllSleep() const;
  absl::Status Advance(Thread& thread, const Client& client, bool& done);
  void Detach(Thread& thread);
  absl::Status Await(Thread& thread, bool block);

  const OneProcessor for_all_;
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace ioring

#endif  // IORING_BENCH_INSTRUCTIONS_PROCESS_STEPPER_H_
