#include "echo/testing/system_call_counter.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "process/mutex_lock.h"

namespace ioring {
namespace {

// Set in a stop's signal when it is a system call's (PTRACE_O_TRACESYSGOOD).
constexpr int kSystemCallStop = SIGTRAP | 0x80;

}  // namespace

SystemCallCounter::SystemCallCounter(pid_t process)
    : process_(process), tracer_([this] { Trace(); }) {
  attached_.WaitForNotification();
}

SystemCallCounter::~SystemCallCounter() {
  ending_ = true;
  tracer_.join();
}

void SystemCallCounter::Begin() { counting_ = true; }

void SystemCallCounter::End() { counting_ = false; }

std::map<pid_t, SystemCallCounter::Counts> SystemCallCounter::counts() const {
  process::MutexLock lock(mutex_);
  return counts_;
}

// The kernel lets go of what a thread traces when the thread ends.
void SystemCallCounter::Trace() {
  status_ = Attach();
  if (status_.ok()) HandleStops();
  if (!attached_.HasBeenNotified()) attached_.Notify();
}

absl::Status SystemCallCounter::Attach() {
  std::error_code error;
  const std::string threads = absl::StrCat("/proc/", process_, "/task");
  for (const auto& entry : std::filesystem::directory_iterator(threads, error)) {
    pid_t thread = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &thread)) continue;
    if (ptrace(PTRACE_SEIZE, thread, nullptr, PTRACE_O_TRACESYSGOOD) < 0 ||
        ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) < 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot trace thread ", thread));
    }
    unseen_.insert(thread);
  }
  return error ? absl::NotFoundError(threads) : absl::OkStatus();
}

void SystemCallCounter::HandleStops() {
  while (!ending_) {
    int status = 0;
    const pid_t thread = waitpid(-1, &status, __WALL | WNOHANG);
    if (thread < 0 && errno != EINTR) return;  // it has ended
    if (thread > 0) {
      HandleStop(thread, status);
    } else {
      absl::SleepFor(absl::Microseconds(20));  // nothing has stopped
    }
  }
}

void SystemCallCounter::HandleStop(pid_t thread, int status) {
  if (!WIFSTOPPED(status)) return;
  int signal = 0;
  if (WSTOPSIG(status) == kSystemCallStop) {
    __ptrace_syscall_info info = {};
    const long bytes = ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info);
    if (bytes > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY) HandleEntry(thread, info.entry.nr);
  } else if (status >> 16 == 0) {
    signal = WSTOPSIG(status);  // one of its own: passed on
  }
  ptrace(PTRACE_SYSCALL, thread, nullptr, signal);
}

void SystemCallCounter::HandleEntry(pid_t thread, uint64_t system_call) {
  if (counting_) {
    process::MutexLock lock(mutex_);
    ++counts_[thread][system_call];
  }
  unseen_.erase(thread);
  if (unseen_.empty() && !attached_.HasBeenNotified()) attached_.Notify();
}

}  // namespace ioring
