#include "bench/instructions/process_stepper.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/instructions/processor.h"
#include "bench/instructions/single_stepper.h"

namespace ioring {
namespace {

constexpr absl::Duration kLookAgainAfter = absl::Microseconds(50);
// A thread that is neither stopped nor asleep for so long waits for something else, such as a disk.
constexpr absl::Duration kActAnywayAfter = absl::Milliseconds(50);

bool WaitsForEvents(uint64_t system_call) {
  switch (system_call) {
    case SYS_io_uring_enter:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
#ifdef SYS_epoll_wait  // not on AArch64
    case SYS_epoll_wait:
#endif
      return true;
    default:
      return false;
  }
}

bool MaySleep(uint64_t system_call) {
  return WaitsForEvents(system_call) || system_call == SYS_futex ||
         system_call == SYS_clock_nanosleep || system_call == SYS_restart_syscall;
}

// Not: runs, or would if it had a processor.
bool Sleeps(pid_t thread) {
  std::ifstream file(absl::StrCat("/proc/", thread, "/stat"));
  std::string line;
  std::getline(file, line);
  const size_t name_end = line.rfind(')');
  return name_end != std::string::npos && line.compare(name_end, 3, ") S") == 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ProcessStepper>> ProcessStepper::Attach(pid_t process) {
  if (!processor::kSupported) {
    return absl::UnimplementedError("instructions are counted on x86-64 and AArch64 only");
  }
  std::unique_ptr<ProcessStepper> stepper(new ProcessStepper);
  std::error_code error;
  const std::string threads = absl::StrCat("/proc/", process, "/task");
  for (const auto& entry : std::filesystem::directory_iterator(threads, error)) {
    pid_t id = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &id)) continue;
    if (absl::Status status = stepper->AttachThread(id); !status.ok()) return status;
  }
  if (error) return absl::NotFoundError(absl::StrCat(threads, ": ", error.message()));
  return stepper;
}

absl::Status ProcessStepper::AttachThread(pid_t id) {
  if (ptrace(PTRACE_SEIZE, id, nullptr, nullptr) < 0 ||
      ptrace(PTRACE_INTERRUPT, id, nullptr, nullptr) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot trace thread ", id));
  }
  for_all_.Add(id);
  threads_.push_back(std::make_unique<Thread>(id));
  return Await(*threads_.back(), /*block=*/true);
}

ProcessStepper::~ProcessStepper() {
  for (const std::unique_ptr<Thread>& thread : threads_) Detach(*thread);
}

// A thread that sleeps in its step is interrupted. That ends the step, whose SIGTRAP is still to
// be delivered then: left to the thread, it would end the program.
void ProcessStepper::Detach(Thread& thread) {
  if (!thread.stopped) {
    ptrace(PTRACE_INTERRUPT, thread.id, nullptr, nullptr);
    if (!Await(thread, /*block=*/true).ok()) return;
    __ptrace_peeksiginfo_args first = {.off = 0, .flags = 0, .nr = 1};
    siginfo_t pending = {};
    if (ptrace(PTRACE_PEEKSIGINFO, thread.id, &first, &pending) == 1 &&
        pending.si_signo == SIGTRAP) {
      ptrace(PTRACE_CONT, thread.id, nullptr, nullptr);
      if (!Await(thread, /*block=*/true).ok()) return;
    }
  }
  ptrace(PTRACE_DETACH, thread.id, nullptr, nullptr);
}

absl::Status ProcessStepper::Await(Thread& thread, bool block) {
  int status = 0;
  pid_t waited = 0;
  do {
    waited = waitpid(thread.id, &status, __WALL | (block ? 0 : WNOHANG));
  } while (waited < 0 && errno == EINTR);
  if (waited == 0) return absl::OkStatus();
  if (waited < 0 || !thread.stepper.Stopped(status)) {
    return absl::AbortedError(
        absl::StrCat("the server ended while it was measured, with status ", status));
  }
  thread.stopped = true;
  thread.waits = false;
  return absl::OkStatus();
}

// Steps a stopped thread once; waits for it, unless it may sleep.
absl::Status ProcessStepper::Advance(Thread& thread, const Client& client, bool& done) {
  if (absl::Status status = thread.stepper.Look(); !status.ok()) return status;
  if (thread.stepper.next() == processor::Kind::kSystemCall) {
    const uint64_t call = thread.stepper.system_call();
    thread.waits = MaySleep(call);
    if (WaitsForEvents(call)) {
      absl::StatusOr<bool> acted = client();
      if (!acted.ok()) return acted.status();
      done = *acted;
      if (done) return absl::OkStatus();
    }
  }
  if (absl::Status status = thread.stepper.Step(); !status.ok()) return status;
  thread.stopped = false;
  if (thread.uncertain_steps > 0) {
    --thread.uncertain_steps;
    thread.waits = true;
  }
  if (thread.waits) return absl::OkStatus();
  return Await(thread, /*block=*/true);
}

// Steps every thread that is stopped until it enters the system to wait there.
absl::Status ProcessStepper::AdvanceAll(const Client& client, bool& advanced, bool& done) {
  for (const std::unique_ptr<Thread>& thread : threads_) {
    if (!thread->stopped) {
      if (absl::Status status = Await(*thread, /*block=*/false); !status.ok()) return status;
    }
    while (thread->stopped && !done) {
      advanced = true;
      if (absl::Status status = Advance(*thread, client, done); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

bool ProcessStepper::AllSleep() const {
  return std::all_of(threads_.begin(), threads_.end(),
                     [](const auto& thread) { return Sleeps(thread->id); });
}

absl::Status ProcessStepper::Run(const Client& client, absl::Duration sleep_max) {
  bool done = false;
  absl::Time advanced_last = absl::Now();
  while (!done) {
    bool advanced = false;
    if (absl::Status status = AdvanceAll(client, advanced, done); !status.ok()) return status;
    if (advanced) {
      advanced_last = absl::Now();
      continue;
    }
    const absl::Duration idle = absl::Now() - advanced_last;
    if (idle > sleep_max) {
      return absl::DeadlineExceededError(
          "the server sleeps though its clients have had no answer: it may have lost a message");
    }
    if (AllSleep() || idle > kActAnywayAfter) {
      absl::StatusOr<bool> acted = client();
      if (!acted.ok()) return acted.status();
      done = *acted;
    }
    absl::SleepFor(kLookAgainAfter);
  }
  return absl::OkStatus();
}

StepCounts ProcessStepper::counts() const {
  StepCounts all;
  for (const std::unique_ptr<Thread>& thread : threads_) {
    all.instructions += thread->stepper.counts().instructions;
    all.indirect_calls += thread->stepper.counts().indirect_calls;
    all.system_calls += thread->stepper.counts().system_calls;
  }
  return all;
}

std::vector<std::pair<uint64_t, uint64_t>> ProcessStepper::CountsByAddress() const {
  std::vector<std::pair<uint64_t, uint64_t>> all;
  for (const std::unique_ptr<Thread>& thread : threads_) {
    const auto counts = thread->stepper.CountsByAddress();
    all.insert(all.end(), counts.begin(), counts.end());
  }
  return all;
}

void ProcessStepper::ResetCounts() {
  for (const std::unique_ptr<Thread>& thread : threads_) thread->stepper.ResetCounts();
}

}  // namespace ioring
