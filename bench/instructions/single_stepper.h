// SingleStepper: runs a traced thread one instruction at a time and counts what it does.
//
// Exact, and the same on every run of the same program: it needs neither hardware counters,
// which virtual machines often lack, nor Valgrind. What counts as one instruction:
//  - A system call's instruction is one; what the kernel does for it is not counted.
//  - An x86 string instruction with `rep` traps after each repetition; it counts once, because
//    steps that leave the address as it was are not counted. (So would a one-instruction loop.)
// Cost: 20 us for each instruction in a virtual machine (each trap leaves it), if both threads
// share a processor (OneProcessor), else 60 us. On AArch64 an exclusive load and its store never
// get through when they are stepped: the traced program must use the atomic instructions of
// ARMv8.1.
//
// The caller's thread must be the tracer of `thread`. Thread rule: one thread. Linux only.
#ifndef IORING_BENCH_INSTRUCTIONS_SINGLE_STEPPER_H_
#define IORING_BENCH_INSTRUCTIONS_SINGLE_STEPPER_H_

#include <sched.h>
#include <sys/types.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "bench/instructions/processor.h"

namespace ioring {

struct StepCounts {
  uint64_t instructions = 0;    // in user space
  uint64_t indirect_calls = 0;  // of those: virtual functions and pointers to functions
  uint64_t system_calls = 0;    // of those
};

class SingleStepper {
 public:
  explicit SingleStepper(pid_t thread) : thread_(thread) {}
  SingleStepper(const SingleStepper&) = delete;
  SingleStepper& operator=(const SingleStepper&) = delete;

  // The thread must be stopped. Reads where it stands; `next` and `system_call` then say what
  // it is about to do.
  absl::Status Look();
  processor::Kind next() const { return next_->kind; }
  // Its number. Only where next() is one.
  uint64_t system_call() const { return processor::SystemCall(registers_); }

  // Counts the instruction that Look has found and lets the thread execute it. The thread must
  // then be waited for, and what was waited for given to Stopped.
  absl::Status Step();
  // False when the thread has ended.
  bool Stopped(int wait_status);

  const StepCounts& counts() const { return counts_; }
  // How often the instruction at each address was executed.
  std::vector<std::pair<uint64_t, uint64_t>> CountsByAddress() const;
  void ResetCounts();

 private:
  struct Instruction {
    processor::Kind kind;
    uint64_t count = 0;
  };

  const pid_t thread_;
  processor::Registers registers_ = {};
  Instruction* next_ = nullptr;
  uint64_t last_address_ = 0;  // of the last instruction stepped; 0 after a system call
  int signal_ = 0;             // the thread's own, to be delivered with the next step
  StepCounts counts_;
  absl::flat_hash_map<uint64_t, Instruction> code_;  // by address
};

// As long as it lives, the calling thread stays on the processor that it is on; and so do the
// threads that it makes, and those that are added, to their ends.
class OneProcessor {
 public:
  OneProcessor();
  OneProcessor(const OneProcessor&) = delete;
  OneProcessor& operator=(const OneProcessor&) = delete;
  ~OneProcessor();

  void Add(pid_t thread) const;

 private:
  cpu_set_t before_;
  cpu_set_t one_;
};

}  // namespace ioring

#endif  // IORING_BENCH_INSTRUCTIONS_SINGLE_STEPPER_H_
