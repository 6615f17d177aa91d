#include <libproc.h>
#include <sys/proc_info.h>

#include <cstddef>
#include <vector>

#include "echo/testing/footprint.h"

namespace ioring {

Footprint FootprintOf(pid_t pid) {
  Footprint footprint;
  proc_taskinfo task = {};
  if (proc_pidinfo(pid, PROC_PIDTASKINFO, 0, &task, sizeof(task)) == sizeof(task)) {
    footprint.resident_bytes = task.pti_resident_size;
    footprint.threads = task.pti_threadnum;
  }
  // Without a buffer the answer is how many bytes there might be, with some to spare.
  const int bytes_max = proc_pidinfo(pid, PROC_PIDLISTFDS, 0, nullptr, 0);
  if (bytes_max <= 0) return footprint;
  std::vector<std::byte> list(static_cast<size_t>(bytes_max));
  const int bytes = proc_pidinfo(pid, PROC_PIDLISTFDS, 0, list.data(), bytes_max);
  footprint.descriptors = bytes / static_cast<int>(PROC_PIDLISTFD_SIZE);
  return footprint;
}

}  // namespace ioring
