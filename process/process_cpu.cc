#include "process/process_cpu.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#if defined(_WIN32)
#include <windows.h>

#include <cstdint>
#else
#include <unistd.h>

#include <ctime>
#endif

namespace ioring {

#if defined(_WIN32)

namespace {

// A FILETIME counts by 100 ns.
absl::Duration DurationOf(const FILETIME& time) {
  return absl::Nanoseconds(100) *
         static_cast<int64_t>(uint64_t{time.dwHighDateTime} << 32 | time.dwLowDateTime);
}

bool ReadTimes(HANDLE process, absl::Duration& used) {
  FILETIME created;
  FILETIME ended;
  FILETIME in_kernel;
  FILETIME in_user;
  if (GetProcessTimes(process, &created, &ended, &in_kernel, &in_user) == 0) return false;
  used = DurationOf(in_kernel) + DurationOf(in_user);
  return true;
}

}  // namespace

int OwnProcessId() { return static_cast<int>(GetCurrentProcessId()); }

absl::Duration OwnCpuTime() {
  absl::Duration used;
  ReadTimes(GetCurrentProcess(), used);
  return used;
}

absl::StatusOr<absl::Duration> ProcessCpuTime(int pid) {
  // 0 is the idle process, of which there is one per processor.
  const HANDLE process =
      pid <= 0 ? nullptr
               : OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, static_cast<DWORD>(pid));
  if (process == nullptr) {
    if (pid > 0 && GetLastError() == ERROR_ACCESS_DENIED) {
      return absl::PermissionDeniedError(
          absl::StrCat("Windows does not let this user ask for the CPU time of process ", pid));
    }
    return absl::NotFoundError(absl::StrCat("there is no process ", pid));
  }
  absl::Duration used;
  DWORD exit_code = 0;
  // One that has ended stays as long as somebody has it open.
  const bool runs = GetExitCodeProcess(process, &exit_code) != 0 && exit_code == STILL_ACTIVE &&
                    ReadTimes(process, used);
  CloseHandle(process);
  if (!runs) return absl::NotFoundError(absl::StrCat("there is no process ", pid));
  return used;
}

#else

int OwnProcessId() { return static_cast<int>(getpid()); }

#if defined(_POSIX_CPUTIME) && _POSIX_CPUTIME >= 0

absl::Duration OwnCpuTime() {
  timespec time{};
  // Fails only where there is no such clock.
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return absl::DurationFromTimespec(time);
}

absl::StatusOr<absl::Duration> ProcessCpuTime(int pid) {
  clockid_t clock;
  timespec time;
  // 0 would mean this process, and so would what does not fit into a clock's number on Linux,
  // which is the process's shifted by 3. Processes' numbers are below 2^22 there.
  constexpr int kPidMax = 1 << 28;
  if (pid <= 0 || pid >= kPidMax || clock_getcpuclockid(pid, &clock) != 0 ||
      clock_gettime(clock, &time) != 0) {
    return absl::NotFoundError(absl::StrCat("there is no process ", pid));
  }
  return absl::DurationFromTimespec(time);
}

#else

absl::Duration OwnCpuTime() {
  return absl::Seconds(static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
}

absl::StatusOr<absl::Duration> ProcessCpuTime(int pid) {
  return absl::UnimplementedError(
      absl::StrCat("this system does not tell the CPU time of process ", pid));
}

#endif
#endif

}  // namespace ioring
