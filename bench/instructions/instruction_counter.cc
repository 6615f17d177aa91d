#include "bench/instructions/instruction_counter.h"

#include <elf.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "bench/instructions/processor.h"
#include "bench/instructions/single_stepper.h"

namespace ioring {
namespace {

constexpr int kNotTraced = 121;

// A child process that is traced from its start, and does not outlive this.
class TracedChild {
 public:
  explicit TracedChild(pid_t pid) : pid_(pid), stepper_(pid) {}
  TracedChild(const TracedChild&) = delete;
  TracedChild& operator=(const TracedChild&) = delete;
  ~TracedChild() {
    if (ended_) return;
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, __WALL) < 0 && errno == EINTR) {
    }
  }

  // Waits for its first stop.
  absl::Status Start() {
    if (!Wait() || WSTOPSIG(status_) != SIGSTOP) return Ended();
    if (ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_EXITKILL) < 0) {
      return absl::ErrnoToStatus(errno, "PTRACE_O_EXITKILL");
    }
    return absl::OkStatus();
  }

  // Counts section by section until the program has ended.
  absl::Status CountSections(std::vector<StepCounts>& sections) {
    for (;;) {
      absl::StatusOr<bool> trapped = RunToTrap();
      if (!trapped.ok()) return trapped.status();
      if (!*trapped) return absl::OkStatus();
      stepper_.ResetCounts();
      if (absl::Status status = StepToTrap(); !status.ok()) return status;
      sections.push_back(stepper_.counts());
      // The trap itself.
      trapped = RunToTrap();
      if (!trapped.ok()) return trapped.status();
    }
  }

 private:
  // False when it has ended.
  bool Wait() {
    while (waitpid(pid_, &status_, __WALL) < 0) {
      if (errno != EINTR) return false;
    }
    ended_ = WIFEXITED(status_) || WIFSIGNALED(status_);
    return !ended_;
  }

  absl::Status Ended() const {
    if (WIFEXITED(status_) && WEXITSTATUS(status_) == 0) return absl::OkStatus();
    if (WIFEXITED(status_) && WEXITSTATUS(status_) == kNotTraced) {
      return absl::PermissionDeniedError(
          "processes may not be traced here (ptrace is forbidden: a container's seccomp filter, or "
          "kernel.yama.ptrace_scope = 3)");
    }
    return absl::AbortedError(absl::StrCat("the counted program ended with status ", status_,
                                           " (see waitpid(2)), what it said is above"));
  }

  // At full speed. False when it has ended as it should.
  absl::StatusOr<bool> RunToTrap() {
    int signal = 0;
    for (;;) {
      if (ptrace(PTRACE_CONT, pid_, nullptr, signal) < 0) {
        return absl::ErrnoToStatus(errno, "cannot continue the counted program");
      }
      if (!Wait()) {
        const absl::Status ended = Ended();
        if (!ended.ok()) return ended;
        return false;
      }
      signal = WSTOPSIG(status_);
      if (signal == SIGTRAP) break;
    }
    return SkipTrap();
  }

  absl::StatusOr<bool> SkipTrap() {
    processor::Registers registers;
    iovec vector = {&registers, sizeof(registers)};
    const bool skipped = ptrace(PTRACE_GETREGSET, pid_, NT_PRSTATUS, &vector) == 0 &&
                         (!processor::SkipTrap(registers) ||
                          ptrace(PTRACE_SETREGSET, pid_, NT_PRSTATUS, &vector) == 0);
    if (skipped) return true;
    return absl::ErrnoToStatus(errno, "cannot set the counted program's registers");
  }

  // Stops before the trap.
  absl::Status StepToTrap() {
    for (;;) {
      if (absl::Status status = stepper_.Look(); !status.ok()) return status;
      if (stepper_.next() == processor::Kind::kTrap) return absl::OkStatus();
      if (absl::Status status = stepper_.Step(); !status.ok()) return status;
      if (!Wait() || !stepper_.Stopped(status_)) {
        return absl::AbortedError(
            absl::StrCat("the counted program ended within a section, with status ", status_));
      }
    }
  }

  const pid_t pid_;
  SingleStepper stepper_;
  int status_ = 0;
  bool ended_ = false;
};

[[noreturn]] void RunTraced(const std::function<void(CountedSections&)>& program) {
  if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) < 0) _exit(kNotTraced);
  raise(SIGSTOP);
  CountedSections sections;
  program(sections);
  std::fflush(nullptr);
  _exit(0);
}

}  // namespace

absl::StatusOr<std::vector<StepCounts>> CountInstructions(
    const std::function<void(CountedSections&)>& program) {
  if (!processor::kSupported) {
    return absl::UnimplementedError(
        "instructions are counted on x86-64 and AArch64 only: see bench/instructions/processor.h");
  }
  const OneProcessor for_both;
  std::fflush(nullptr);  // or the child would print it again
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "fork");
  if (pid == 0) RunTraced(program);
  TracedChild child(pid);
  if (absl::Status status = child.Start(); !status.ok()) return status;
  std::vector<StepCounts> sections;
  if (absl::Status status = child.CountSections(sections); !status.ok()) return status;
  return sections;
}

absl::Status CanCountInstructions() {
  return CountInstructions([](CountedSections&) {}).status();
}

}  // namespace ioring
