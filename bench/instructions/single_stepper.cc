#include "bench/instructions/single_stepper.h"

#include <elf.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "bench/instructions/processor.h"

namespace ioring {

absl::Status SingleStepper::Look() {
  iovec registers = {&registers_, sizeof(registers_)};
  if (ptrace(PTRACE_GETREGSET, thread_, NT_PRSTATUS, &registers) < 0) {
    return absl::ErrnoToStatus(errno, "cannot read the traced thread's registers");
  }
  const uint64_t address = processor::Address(registers_);
  const auto found = code_.find(address);
  if (found != code_.end()) {
    next_ = &found->second;
    return absl::OkStatus();
  }
  errno = 0;
  const long code = ptrace(PTRACE_PEEKTEXT, thread_, address, nullptr);
  if (errno != 0) return absl::ErrnoToStatus(errno, "cannot read the traced thread's code");
  const Instruction instruction = {processor::Classify(static_cast<uint64_t>(code))};
  next_ = &code_.emplace(address, instruction).first->second;
  return absl::OkStatus();
}

absl::Status SingleStepper::Step() {
  const uint64_t address = processor::Address(registers_);
  const bool is_system_call = next_->kind == processor::Kind::kSystemCall;
  // Else: another repetition of the instruction that was counted already.
  if (address != last_address_) {
    ++next_->count;
    ++counts_.instructions;
    if (is_system_call) ++counts_.system_calls;
    if (next_->kind == processor::Kind::kIndirectCall) ++counts_.indirect_calls;
  }
  last_address_ = is_system_call ? 0 : address;
  const int signal = std::exchange(signal_, 0);
  if (ptrace(PTRACE_SINGLESTEP, thread_, nullptr, signal) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, "cannot step the traced thread");
}

bool SingleStepper::Stopped(int wait_status) {
  if (!WIFSTOPPED(wait_status)) return false;
  const bool is_event = wait_status >> 16 != 0;
  if (!is_event && WSTOPSIG(wait_status) != SIGTRAP) {
    signal_ = WSTOPSIG(wait_status);  // it came before the instruction, which is not counted anew
  }
  return true;
}

std::vector<std::pair<uint64_t, uint64_t>> SingleStepper::CountsByAddress() const {
  std::vector<std::pair<uint64_t, uint64_t>> counts;
  for (const auto& [address, instruction] : code_) {
    if (instruction.count != 0) counts.emplace_back(address, instruction.count);
  }
  return counts;
}

void SingleStepper::ResetCounts() {
  counts_ = StepCounts();
  for (auto& [address, instruction] : code_) instruction.count = 0;
}

// Where the system forbids any of it, stepping is slower and as exact.
OneProcessor::OneProcessor() {
  CPU_ZERO(&one_);
  CPU_SET(sched_getcpu(), &one_);
  sched_getaffinity(0, sizeof(before_), &before_);
  Add(0);
}

OneProcessor::~OneProcessor() { sched_setaffinity(0, sizeof(before_), &before_); }

void OneProcessor::Add(pid_t thread) const { sched_setaffinity(thread, sizeof(one_), &one_); }

}  // namespace ioring
