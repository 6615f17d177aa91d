#include "ring_uring/probe.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "absl/base/const_init.h"
#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "process/mutex_lock.h"
#include "ring_core/posix/errno_table.h"
#include "ring_uring/kernel_abi.h"
#include "ring_uring/scratch_ring.h"

namespace ioring::uring {
namespace {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  void reset(int fd) { fd_ = fd; }

 private:
  int fd_ = -1;
};

// Two connected sockets that need no network.
struct SocketPair {
  Descriptor a, b;

  bool Open() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return false;
    a.reset(fds[0]);
    b.reset(fds[1]);
    return true;
  }
};

struct KernelVersion {
  int major_number = 0;
  int minor_number = 0;
  std::string text;

  bool AtLeast(int major, int minor) const {
    return major_number != major ? major_number > major : minor_number >= minor;
  }
};

KernelVersion RunningKernel() {
  KernelVersion version;
  utsname name;
  if (uname(&name) != 0) return version;
  version.text = name.release;
  std::sscanf(name.release, "%d.%d", &version.major_number, &version.minor_number);
  return version;
}

// A provided-buffer ring of two buffers of 64 bytes.
class ScratchBuffers {
 public:
  ScratchBuffers(io_uring* ring, unsigned flags) : ring_(ring) {
    RetryWithoutMemory([&] {
      int error = 0;
      shared_ = io_uring_setup_buf_ring(ring, 2, kFirstBufferGroup, flags, &error);
      return error;
    });
    if (shared_ == nullptr) return;
    for (uint16_t i = 0; i < 2; ++i) {
      io_uring_buf_ring_add(shared_, &memory_[size_t{i} * 64], 64, i, io_uring_buf_ring_mask(2), i);
    }
    io_uring_buf_ring_advance(shared_, 2);
  }
  ScratchBuffers(const ScratchBuffers&) = delete;
  ScratchBuffers& operator=(const ScratchBuffers&) = delete;
  ~ScratchBuffers() {
    if (shared_ != nullptr) io_uring_free_buf_ring(ring_, shared_, 2, kFirstBufferGroup);
  }
  bool ok() const { return shared_ != nullptr; }

 private:
  io_uring* ring_;
  io_uring_buf_ring* shared_ = nullptr;
  std::array<char, 128> memory_{};
};

enum class RecvKind : uint8_t { kOneShot, kMultishot, kMultishotBundle };

// Receives `text` into a provided buffer; true when the completion is as it should be.
bool TryManagedRecv(ScratchRing& ring, RecvKind kind, unsigned buffer_flags, std::string_view text,
                    unsigned expected_flags) {
  SocketPair pair;
  if (!pair.Open()) return false;
  ScratchBuffers buffers(ring.get(), buffer_flags);
  if (!buffers.ok()) return false;
  io_uring_sqe* entry = ring.NewEntry();
  if (kind == RecvKind::kOneShot) {
    io_uring_prep_recv(entry, pair.a.get(), nullptr, 0, 0);
  } else {
    io_uring_prep_recv_multishot(entry, pair.a.get(), nullptr, 0, 0);
  }
  if (kind == RecvKind::kMultishotBundle) entry->ioprio |= IORING_RECVSEND_BUNDLE;
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = kFirstBufferGroup;
  if (write(pair.b.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return false;
  }
  const std::optional<ScratchRing::Result> result = ring.Next();
  return result.has_value() && result->result == static_cast<int>(text.size()) &&
         (result->flags & expected_flags) == expected_flags;
}

// A listener in Linux's abstract name space, with a name that the kernel chooses, and a
// client that connects to it.
struct ListenerAndClient {
  Descriptor listener, client;

  bool Open() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    listener.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)) != 0) {
      return false;
    }
    return listen(listener.get(), 1) == 0 && Connect(client);
  }

  // A further client.
  bool Connect(Descriptor& from) const {
    sockaddr_un address{};
    sockaddr* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof(address);
    if (getsockname(listener.get(), generic, &size) != 0) return false;
    // A queue that is full fails; it does not wait.
    from.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    return connect(from.get(), generic, size) == 0;
  }
};

bool TryMultishotAccept(ScratchRing& ring) {
  ListenerAndClient sockets;
  if (!sockets.Open()) return false;
  io_uring_prep_multishot_accept(ring.NewEntry(), sockets.listener.get(), nullptr, nullptr,
                                 SOCK_CLOEXEC);
  const auto accepted = ring.Next();
  if (!accepted.has_value() || accepted->result < 0) return false;
  close(accepted->result);
  return (accepted->flags & IORING_CQE_F_MORE) != 0;
}

// Accepts into a slot that the kernel chooses; its number, or a negative one.
int AcceptDirect(ScratchRing& ring, const Descriptor& listener) {
  io_uring_prep_accept_direct(ring.NewEntry(), listener.get(), nullptr, nullptr, 0,
                              IORING_FILE_INDEX_ALLOC);
  return ring.Next().value_or(ScratchRing::Result{-1}).result;
}

// Accepting into a slot that the kernel chooses, taking an ordinary descriptor out of it
// (peer addresses need one), and resets (socket options through the ring).
bool TryDirectDescriptors(ScratchRing& ring) {
  ListenerAndClient sockets;
  if (!sockets.Open()) return false;
  if (io_uring_register_files_sparse(ring.get(), 4) != 0) return false;
  if (io_uring_register_file_alloc_range(ring.get(), 0, 2) != 0) return false;
  const int slot = AcceptDirect(ring, sockets.listener);
  if (slot < 0) return false;
  int buffer_bytes = 4096;
  io_uring_sqe* entry = ring.NewEntry();
  io_uring_prep_cmd_sock(entry, kSocketSetOption, slot, SOL_SOCKET, SO_SNDBUF, &buffer_bytes,
                         sizeof(buffer_bytes));
  entry->flags |= IOSQE_FIXED_FILE;
  const auto option = ring.Next();
  if (!option.has_value() || option->result < 0) return false;
  io_uring_prep_fixed_fd_install(ring.NewEntry(), slot, 0);
  const auto installed = ring.Next();
  if (!installed.has_value() || installed->result < 0) return false;
  close(installed->result);
  io_uring_prep_close_direct(ring.NewEntry(), static_cast<unsigned>(slot));
  const auto closed = ring.Next();
  return closed.has_value() && closed->result == 0;
}

// Whether closing a direct descriptor closes its file, though something waits on another one; after
// TryDirectDescriptors. README.md says of the kernels that do not (before 6.13). Nothing where it
// could not be tried.
std::optional<bool> TryCloseBesideAWait(ScratchRing& ring) {
  ListenerAndClient sockets;
  Descriptor other;
  if (!sockets.Open()) return std::nullopt;
  const int waiting = AcceptDirect(ring, sockets.listener);
  if (waiting < 0 || !sockets.Connect(other)) return std::nullopt;
  const int closing = AcceptDirect(ring, sockets.listener);
  if (closing < 0) return std::nullopt;
  io_uring_sqe* entry = ring.NewEntry();
  io_uring_prep_poll_add(entry, waiting, POLLIN);
  entry->flags |= IOSQE_FIXED_FILE;
  const uint64_t poll = entry->user_data;
  io_uring_prep_close_direct(ring.NewEntry(), static_cast<unsigned>(closing));
  const auto closed = ring.Next();
  char byte;
  const bool at_end = recv(other.get(), &byte, 1, MSG_DONTWAIT) == 0;
  // What waits would keep later tries from changing the ring's tables.
  io_uring_prep_cancel64(ring.NewEntry(), poll, 0);
  const auto cancelled = ring.Next();
  if (!closed.has_value() || closed->result != 0 || !cancelled.has_value()) return std::nullopt;
  return at_end;
}

bool TryRegisteredBuffers(ScratchRing& ring) {
  iovec none[2] = {};
  __u64 tags[2] = {};
  if (io_uring_register_buffers_tags(ring.get(), none, tags, 2) != 0) return false;
  return io_uring_unregister_buffers(ring.get()) == 0;
}

// A socket written to from registered memory, without SIGPIPE should the peer be gone.
bool TryFixedSocketIo(ScratchRing& ring) {
  SocketPair pair;
  if (!pair.Open()) return false;
  alignas(4096) static char page[4096];
  const iovec vector{page, sizeof(page)};
  const int registered =
      RetryWithoutMemory([&] { return io_uring_register_buffers(ring.get(), &vector, 1); });
  if (registered != 0) return false;
  io_uring_sqe* entry = ring.NewEntry();
  io_uring_prep_write_fixed(entry, pair.a.get(), page, 16, 0, 0);
  entry->rw_flags = kRwfNoSignal;
  const auto result = ring.Next();
  io_uring_unregister_buffers(ring.get());
  return result.has_value() && result->result == 16;
}

bool TryRegisteredRing(ScratchRing& ring) {
  if (io_uring_register_ring_fd(ring.get()) != 1) return false;
  return io_uring_unregister_ring_fd(ring.get()) == 1;
}

// Reports `capability` as tried; `since` is the kernel that brought it.
void Report(CapabilityReport& report, Capability capability, bool works,
            const KernelVersion& kernel, std::string_view since) {
  if (works) {
    report.TurnOn(capability);
  } else {
    report.TurnOff(capability, absl::StrCat("Linux ", kernel.text, " lacks it; it came with ",
                                            since, " and did not work when tried"));
  }
}

void ProbeManagedReceives(ScratchRing& ring, CapabilityReport& report,
                          const KernelVersion& kernel) {
  constexpr unsigned kHasBuffer = IORING_CQE_F_BUFFER;
  const std::string longer_than_a_buffer(100, 'x');
  Report(report, Capability::kProvidedBuffers,
         TryManagedRecv(ring, RecvKind::kOneShot, 0, "probe", kHasBuffer), kernel, "5.19");
  Report(report, Capability::kMultishotRecv,
         TryManagedRecv(ring, RecvKind::kMultishot, 0, "probe", kHasBuffer | IORING_CQE_F_MORE),
         kernel, "6.0");
  // Before 6.16 the last completion of a multishot receive could be posted after one that
  // began later. Then neither a partly used buffer's fill nor a bundle's extent can be
  // told from the order of completions, and bytes would be taken from the wrong place.
  if (!kernel.AtLeast(6, 16)) {
    for (Capability capability : {Capability::kIncrementalBuffers, Capability::kBundles}) {
      report.TurnOff(capability, absl::StrCat("Linux ", kernel.text,
                                              " may reorder completions of multishot receives; "
                                              "6.16 does not"));
    }
    return;
  }
  Report(report, Capability::kIncrementalBuffers,
         TryManagedRecv(ring, RecvKind::kMultishot, IOU_PBUF_RING_INC, "probe",
                        kHasBuffer | IORING_CQE_F_MORE | IORING_CQE_F_BUF_MORE),
         kernel, "6.12");
  Report(report, Capability::kBundles,
         TryManagedRecv(ring, RecvKind::kMultishotBundle, 0, longer_than_a_buffer, kHasBuffer),
         kernel, "6.10");
}

void ProbeDirectDescriptors(ScratchRing& ring, CapabilityReport& report,
                            const KernelVersion& kernel) {
  const bool works = TryDirectDescriptors(ring);
  Report(report, Capability::kDirectDescriptors, works, kernel, "6.8");
  if (!works) return;
  const std::optional<bool> closes = TryCloseBesideAWait(ring);
  if (closes == true) return;
  report.TurnOff(
      Capability::kDirectDescriptors,
      closes.has_value()
          ? absl::StrCat("Linux ", kernel.text,
                         " closes no file while something waits that began before; 6.13 does")
          : "whether the kernel closes them beside something that waits could not be tried");
}

void ProbeMultishotAccept(ScratchRing& ring, CapabilityReport& report,
                          const KernelVersion& kernel) {
  // liburing issue 1062: descriptors that do not exist, under load, with DEFER_TASKRUN.
  if (kernel.AtLeast(6, 6) && !kernel.AtLeast(6, 8)) {
    report.TurnOff(
        Capability::kMultishotAccept,
        absl::StrCat("Linux ", kernel.text, " may report wrong descriptors; 6.8 does not"));
    return;
  }
  Report(report, Capability::kMultishotAccept, TryMultishotAccept(ring), kernel, "5.19");
}

// Those of Capability::kFileCalls.
constexpr std::initializer_list<io_uring_op> kFileCallOperations = {
    IORING_OP_OPENAT,  IORING_OP_CLOSE,  IORING_OP_STATX,    IORING_OP_FALLOCATE,
    IORING_OP_FADVISE, IORING_OP_FSYNC,  IORING_OP_RENAMEAT, IORING_OP_UNLINKAT,
    IORING_OP_MKDIRAT, IORING_OP_LINKAT, IORING_OP_SYMLINKAT};

bool Knows(const io_uring_probe* known, std::initializer_list<io_uring_op> operations) {
  return known != nullptr &&
         std::all_of(operations.begin(), operations.end(),
                     [&](io_uring_op one) { return io_uring_opcode_supported(known, one) != 0; });
}

// All on one ring: each is charged to locked memory, and given back only some time after it
// was closed.
CapabilityReport ProbeWith(ScratchRing& ring, bool deferred_task_run, const KernelVersion& kernel) {
  CapabilityReport report;
  ProbeManagedReceives(ring, report, kernel);
  ProbeMultishotAccept(ring, report, kernel);
  ProbeDirectDescriptors(ring, report, kernel);
  Report(report, Capability::kRegisteredBuffers, TryRegisteredBuffers(ring), kernel, "5.13");
  Report(report, Capability::kFixedSocketIo, TryFixedSocketIo(ring), kernel, "6.17");
  Report(report, Capability::kRegisteredRing, TryRegisteredRing(ring), kernel, "5.18");
  Report(report, Capability::kDeferredTaskRun, deferred_task_run, kernel, "6.1");
  Report(report, Capability::kBatchWait, (ring.get()->features & IORING_FEAT_MIN_TIMEOUT) != 0,
         kernel, "6.12");
  Report(report, Capability::kNoIoWait, (ring.get()->features & kFeatureNoIoWait) != 0, kernel,
         "6.15");
  io_uring_probe* const known = io_uring_get_probe_ring(ring.get());
  Report(report, Capability::kZeroCopySend, Knows(known, {IORING_OP_SEND_ZC}), kernel, "6.0");
  Report(report, Capability::kFileCalls, Knows(known, kFileCallOperations), kernel, "5.15");
  Report(report, Capability::kFileTruncate, Knows(known, {IORING_OP_FTRUNCATE}), kernel, "6.9");
  io_uring_free_probe(known);
  // Tried when the options ask for them.
  report.TurnOn(Capability::kSubmissionPolling);
  report.TurnOn(Capability::kBusyPolling);
  report.TurnOn(Capability::kRestrictions);
  return report;
}

// The value of kernel.io_uring_disabled, or -1 where the kernel has no such setting.
int DisabledSetting() {
  std::ifstream file("/proc/sys/kernel/io_uring_disabled");
  int value = -1;
  file >> value;
  return file.fail() ? -1 : value;
}

// Whether the kernel has what came with Linux 5.15. Older ones start a ring, and some of what is
// asked of it ends otherwise: a receive with the end of a stream that has not ended.
bool IsSupported(ScratchRing& ring) {
  io_uring_probe* known = io_uring_get_probe_ring(ring.get());
  const bool supported = Knows(known, {IORING_OP_LINKAT});
  io_uring_free_probe(known);
  return supported;
}

absl::Mutex cache_mutex(absl::kConstInit);
CapabilityReport* cache ABSL_GUARDED_BY(cache_mutex) = nullptr;

}  // namespace

absl::Status ExplainSetupFailure(int error) {
  switch (error) {
    case ENOSYS:
      return posix::ErrnoStatus(
          error,
          "io_uring is not there: the kernel is older than 5.1, was built without it, or "
          "a seccomp filter hides it (container runtimes do since 2023); allow "
          "io_uring_setup, io_uring_enter and io_uring_register, or use another backend");
    case EPERM:
    case EACCES:
      return posix::ErrnoStatus(
          error,
          absl::StrCat("io_uring is forbidden: ",
                       DisabledSetting() > 0
                           ? absl::StrCat("kernel.io_uring_disabled is ", DisabledSetting(),
                                          "; set it to 0 with sysctl")
                           : std::string("a seccomp filter or security module denies it; allow "
                                         "io_uring_setup, io_uring_enter and io_uring_register"),
                       ", or use another backend"));
    case ENOMEM:
      return posix::ErrnoStatus(error,
                                "not enough (locked) memory for an io_uring: raise ulimit -l, or "
                                "lower RingOptions::submission_entries");
    case EMFILE:
    case ENFILE:
      return posix::ErrnoStatus(error, "no descriptor left for an io_uring: raise ulimit -n");
    default:
      return posix::ErrnoStatus(error, "io_uring could not be set up");
  }
}

absl::StatusOr<CapabilityReport> ProbeKernel() {
  process::MutexLock lock(cache_mutex);
  if (cache != nullptr) return *cache;
  ScratchRing ring(0);
  if (!ring.ok()) return ExplainSetupFailure(-ring.status());
  if (!IsSupported(ring)) {
    return absl::UnimplementedError(absl::StrCat("Linux ", RunningKernel().text,
                                                 " is too old: the io_uring that this library "
                                                 "relies on came with 5.15; use another backend"));
  }
  const ScratchRing deferred(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                             IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED);
  if (deferred.status() == -ENOMEM) return ExplainSetupFailure(ENOMEM);
  cache = new CapabilityReport(ProbeWith(ring, deferred.ok(), RunningKernel()));
  return *cache;
}

}  // namespace ioring::uring
