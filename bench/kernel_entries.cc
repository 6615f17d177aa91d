#include "bench/kernel_entries.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ioring {
namespace {

constexpr char kTracepoint[] = "events/raw_syscalls/sys_enter/id";

std::optional<uint64_t> ReadNumber(int folder, const char* path) {
  const int file = openat(folder, path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  char text[32];
  const ssize_t length = read(file, text, sizeof(text));
  close(file);
  uint64_t number = 0;
  if (length <= 0) return std::nullopt;
  if (!absl::SimpleAtoi(std::string_view(text, static_cast<size_t>(length)), &number)) {
    return std::nullopt;
  }
  return number;
}

// The tracing file system, mounted for nobody but the caller: -1, or a descriptor of its root.
// It is gone when that is closed (fsmount(2), Linux 5.2).
int MountTracing() {
  const int context = static_cast<int>(syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC));
  if (context < 0) return -1;
  const absl::Cleanup closer = [context] { close(context); };
  if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0) return -1;
  return static_cast<int>(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0));
}

// The tracepoint's number in this kernel.
std::optional<uint64_t> TracepointId() {
  for (const char* folder : {"/sys/kernel/tracing/", "/sys/kernel/debug/tracing/"}) {
    const std::optional<uint64_t> id =
        ReadNumber(AT_FDCWD, absl::StrCat(folder, kTracepoint).c_str());
    if (id.has_value()) return id;
  }
  const int tracing = MountTracing();
  if (tracing < 0) return std::nullopt;
  const std::optional<uint64_t> id = ReadNumber(tracing, kTracepoint);
  close(tracing);
  return id;
}

// What perf_event_open(2) refuses to everybody here, and other failures, which say nothing of that.
absl::Status CannotOpen(int error) {
  constexpr std::string_view kWhat = "system calls cannot be counted: perf_event_open";
  const bool never =
      error == EACCES || error == EPERM || error == ENOSYS || error == ENOENT || error == ENODEV;
  if (!never) return absl::ErrnoToStatus(error, kWhat);
  return absl::PermissionDeniedError(
      absl::StrCat(kWhat, ": ", std::generic_category().message(error)));
}

}  // namespace

absl::StatusOr<KernelEntryCounter> KernelEntryCounter::Attach(pid_t process) {
  const std::optional<uint64_t> id = TracepointId();
  if (!id.has_value()) {
    return absl::PermissionDeniedError(
        "system calls cannot be counted: no tracepoint raw_syscalls:sys_enter to be read (run as "
        "root, on a kernel with tracefs)");
  }
  perf_event_attr event = {};
  event.type = PERF_TYPE_TRACEPOINT;
  event.size = sizeof(event);
  event.config = *id;
  event.inherit = 1;  // threads that are made later
  KernelEntryCounter counter;
  std::error_code error;
  const std::filesystem::path threads = absl::StrCat("/proc/", process, "/task");
  for (const auto& entry : std::filesystem::directory_iterator(threads, error)) {
    int thread = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &thread)) continue;
    const long file = syscall(SYS_perf_event_open, &event, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (file < 0 && errno == ESRCH) continue;  // the thread has ended meanwhile
    if (file < 0) return CannotOpen(errno);
    counter.counters_.push_back(static_cast<int>(file));
  }
  if (!counter.counters_.empty()) return counter;
  return absl::FailedPreconditionError(absl::StrCat("process ", process, " does not run"));
}

KernelEntryCounter::KernelEntryCounter(KernelEntryCounter&& other) noexcept
    : counters_(std::exchange(other.counters_, {})) {}

KernelEntryCounter::~KernelEntryCounter() {
  for (const int counter : counters_) close(counter);
}

uint64_t KernelEntryCounter::Count() const {
  uint64_t sum = 0;
  for (const int counter : counters_) {
    uint64_t count = 0;
    if (read(counter, &count, sizeof(count)) == sizeof(count)) sum += count;
  }
  return sum;
}

}  // namespace ioring
