// Creation and destruction.
#include "ring_uring/uring_ring.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ring/ring_limits.h"
#include "ring_core/posix/calls.h"
#include "ring_core/posix/errno_table.h"
#include "ring_core/posix/sockets.h"
#include "ring_uring/kernel_abi.h"
#include "ring_uring/probe.h"
#include "ring_uring/scratch_ring.h"

namespace ioring {
namespace {

// IORING_MAX_ENTRIES and IORING_MAX_CQ_ENTRIES; closing and cancelling take up to three.
static_assert(kSubmissionEntriesMax == 32768 && kCompletionEntriesMax == 65536);
constexpr uint32_t kEntriesMin = kSubmissionEntriesMin;

// How many direct descriptors the process may have; the kernel bounds the table by
// RLIMIT_NOFILE (io_uring_register_files_sparse(3)).
uint32_t DirectDescriptorsAllowed(uint32_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  return static_cast<uint32_t>(std::min<rlim_t>(wanted, limit.rlim_cur));
}

void MaskCapabilities(const RingOptions& options, CapabilityReport& report) {
  for (int i = 0; i < kCapabilityCount; ++i) {
    const Capability capability = static_cast<Capability>(i);
    if (report.Has(capability) && options.disabled.Has(capability)) {
      report.TurnOff(capability, "switched off by the options");
    }
  }
  const auto require = [&](Capability capability, Capability needed) {
    if (report.Has(capability) && !report.Has(needed)) {
      report.TurnOff(capability, absl::StrCat("needs ", CapabilityName(needed), ", which is off"));
    }
  };
  require(Capability::kMultishotRecv, Capability::kProvidedBuffers);
  require(Capability::kIncrementalBuffers, Capability::kProvidedBuffers);
  require(Capability::kBundles, Capability::kProvidedBuffers);
  require(Capability::kFixedSocketIo, Capability::kRegisteredBuffers);
  require(Capability::kFileTruncate, Capability::kFileCalls);
  const auto opt_in = [&](Capability capability, bool asked_for) {
    if (!asked_for) report.TurnOff(capability, "not asked for");
  };
  opt_in(Capability::kZeroCopySend, options.zero_copy_threshold_bytes.has_value());
  opt_in(Capability::kSubmissionPolling, options.submission_polling_idle.has_value());
  opt_in(Capability::kBusyPolling, options.busy_poll.has_value());
  opt_in(Capability::kRestrictions, options.restrict_operations);
  if (report.Has(Capability::kSubmissionPolling)) {
    report.TurnOff(Capability::kDeferredTaskRun, "excluded by submission polling");
  }
}

// What a ring with these capabilities registers once it runs.
std::vector<uint8_t> RegistrationsOf(const CapabilityReport& capabilities) {
  std::vector<uint8_t> registrations = {IORING_REGISTER_ENABLE_RINGS};
  const auto add = [&](Capability capability, std::initializer_list<uint8_t> needed) {
    if (!capabilities.Has(capability)) return;
    registrations.insert(registrations.end(), needed);
  };
  add(Capability::kRegisteredBuffers, {IORING_REGISTER_BUFFERS2, IORING_REGISTER_BUFFERS_UPDATE});
  add(Capability::kProvidedBuffers, {IORING_REGISTER_PBUF_RING, IORING_UNREGISTER_PBUF_RING});
  add(Capability::kRegisteredRing, {IORING_REGISTER_RING_FDS, IORING_UNREGISTER_RING_FDS});
  return registrations;
}

}  // namespace

absl::StatusOr<std::unique_ptr<UringRing>> UringRing::Create(const RingOptions& options) {
  if (absl::Status status = CheckRingOptions(options); !status.ok()) return status;
  absl::StatusOr<CapabilityReport> capabilities = uring::ProbeKernel();
  if (!capabilities.ok()) return capabilities.status();
  MaskCapabilities(options, *capabilities);
  uint32_t direct = 0;
  if (capabilities->Has(Capability::kDirectDescriptors)) {
    direct = DirectDescriptorsAllowed(options.max_connections);
  }
  std::unique_ptr<UringRing> ring(new UringRing(options, *std::move(capabilities), direct));
  if (absl::Status status = ring->Initialise(); !status.ok()) return status;
  return ring;
}

// A bundle fills several buffers. The kernel takes at most 256 of a group at a time
// (PEEK_MAX_IMPORT), and does so once more for the same completion where there is more to receive
// (io_uring/net.c, IORING_RECV_RETRY). Groups of incremental buffers have no bundles.
uint32_t UringRing::HeadroomOf(const CapabilityReport& capabilities) {
  constexpr uint32_t kBundleHeadroom = 2 * 256 + 2;
  const bool has_bundles =
      capabilities.Has(Capability::kBundles) && !capabilities.Has(Capability::kIncrementalBuffers);
  return has_bundles ? kBundleHeadroom : kHeadroom;
}

UringRing::UringRing(const RingOptions& options, CapabilityReport capabilities, uint32_t direct)
    : Ring(static_cast<RingState&>(*this)),
      RingState(options, std::bit_ceil(CompletionEntries(options) + HeadroomOf(capabilities)),
                &posix::ErrorFromErrno, &posix::ErrnoText),
      headroom_(HeadroomOf(capabilities)),
      fixed_threshold_(capabilities.Has(Capability::kFixedSocketIo)
                           ? options.fixed_socket_io_threshold_bytes.value_or(kNever)
                           : kNever),
      zero_copy_threshold_(capabilities.Has(Capability::kZeroCopySend)
                               ? options.zero_copy_threshold_bytes.value_or(kNever)
                               : kNever),
      connections_(direct, options.max_connections),
      operations_(options.max_operations + kKeptForCancels),
      listeners_(options.max_listeners, "listeners", "max_listeners"),
      files_(options.max_files),
      file_closes_(options.max_files),
      groups_(options.max_buffer_groups, "buffer groups", "max_buffer_groups"),
      timers_(operations_.size()),
      lingers_(connections_.size(), options.linger_time, options.linger_bytes),
      dropped_(std::make_unique_for_overwrite<std::byte[]>(kDroppedBytes)) {
  backend_name_ = "io_uring";
  capabilities_ = std::move(capabilities);
  fork_observer_.emplace([](void* ring) { static_cast<UringRing*>(ring)->LeaveProcess(); }, this);
}

absl::Status UringRing::Initialise() {
  if (absl::Status status = SetUpQueues(); !status.ok()) return status;
  wake_fd_ = eventfd(0, EFD_CLOEXEC);
  if (wake_fd_ < 0) {
    return posix::ErrnoStatus(errno, "no descriptor for waking the ring: raise ulimit -n");
  }
  to_connect_.reserve(ring_.sq.ring_entries);
  if (absl::Status status = SetUpDirectDescriptors(); !status.ok()) return status;
  return SetUpOptional();
}

unsigned UringRing::SetupFlags() const {
  unsigned flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  if (Has(Capability::kDeferredTaskRun)) {
    flags |= IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
             IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL;
  }
  if (Has(Capability::kSubmissionPolling)) flags |= IORING_SETUP_SQPOLL;
  if (Has(Capability::kRestrictions)) flags |= IORING_SETUP_R_DISABLED;
  return flags;
}

// Where locked memory is short, smaller queues may still fit.
absl::Status UringRing::SetUpQueues() {
  uint32_t entries = std::max(std::bit_ceil(options_.submission_entries), kEntriesMin);
  uint32_t completions = CompletionEntries(options_);
  const auto set_up = [&] {
    io_uring_params parameters{};
    parameters.flags = SetupFlags();
    parameters.cq_entries = std::max(completions, 2 * entries);
    if (options_.submission_polling_idle.has_value()) {
      parameters.sq_thread_idle = static_cast<unsigned>(options_.submission_polling_idle->count());
    }
    return io_uring_queue_init_params(entries, &ring_, &parameters);
  };
  int error = set_up();
  for (; error == -ENOMEM && entries > kEntriesMin; error = set_up()) {
    entries /= 2;
    completions /= 2;
  }
  if (error == -ENOMEM) error = uring::RetryWithoutMemory(set_up);
  if (error != 0) return uring::ExplainSetupFailure(-error);
  ring_made_ = true;
  // A child of fork must not see the queues: both processes would use them.
  io_uring_ring_dontfork(&ring_);
  if (Has(Capability::kNoIoWait)) enter_flags_ |= uring::kEnterNoIoWait;
  return absl::OkStatus();
}

absl::Status UringRing::SetUpDirectDescriptors() {
  const uint32_t direct = connections_.direct();
  if (direct == 0) return absl::OkStatus();
  int error = io_uring_register_files_sparse(&ring_, direct);
  if (error == 0) error = io_uring_register_file_alloc_range(&ring_, 0, direct);
  if (error == 0) return absl::OkStatus();
  capabilities_.TurnOff(
      Capability::kDirectDescriptors,
      absl::StrCat("the kernel refused a table of ", direct, " (", posix::ErrnoText(-error), ")"));
  return absl::OkStatus();
}

absl::Status UringRing::SetUpOptional() {
  // Of threads that work for files, and of those for everything else. A kernel that refuses has its
  // own bounds.
  unsigned workers[2] = {options_.max_worker_threads, options_.max_worker_threads};
  io_uring_register_iowq_max_workers(&ring_, workers);
  if (Has(Capability::kBusyPolling)) {
    io_uring_napi napi{};
    napi.busy_poll_to = static_cast<uint32_t>(options_.busy_poll->count());
    napi.prefer_busy_poll = 1;
    const int error = io_uring_register_napi(&ring_, &napi);
    if (error != 0) {
      capabilities_.TurnOff(Capability::kBusyPolling,
                            absl::StrCat("the kernel refused it (", posix::ErrnoText(-error), ")"));
    }
  }
  if (Has(Capability::kRestrictions)) return Restrict();
  return absl::OkStatus();
}

// All that this library ever submits or registers once the ring runs; nothing else can be
// done with the ring's descriptor, whoever gets hold of it. Only what this kernel knows is
// listed: it refuses a list with anything else in it.
absl::Status UringRing::Restrict() {
  constexpr std::array kOperations = {IORING_OP_NOP,
                                      IORING_OP_READ_FIXED,
                                      IORING_OP_WRITE_FIXED,
                                      IORING_OP_POLL_ADD,
                                      IORING_OP_SENDMSG,
                                      IORING_OP_RECVMSG,
                                      IORING_OP_ACCEPT,
                                      IORING_OP_CONNECT,
                                      IORING_OP_ASYNC_CANCEL,
                                      IORING_OP_CLOSE,
                                      IORING_OP_READ,
                                      IORING_OP_WRITE,
                                      IORING_OP_READV,
                                      IORING_OP_WRITEV,
                                      IORING_OP_SEND,
                                      IORING_OP_RECV,
                                      IORING_OP_SHUTDOWN,
                                      IORING_OP_FSYNC,
                                      IORING_OP_OPENAT,
                                      IORING_OP_STATX,
                                      IORING_OP_FALLOCATE,
                                      IORING_OP_FADVISE,
                                      IORING_OP_FTRUNCATE,
                                      IORING_OP_RENAMEAT,
                                      IORING_OP_UNLINKAT,
                                      IORING_OP_MKDIRAT,
                                      IORING_OP_LINKAT,
                                      IORING_OP_SYMLINKAT,
                                      IORING_OP_SEND_ZC,
                                      IORING_OP_URING_CMD,
                                      IORING_OP_FIXED_FD_INSTALL};
  io_uring_probe* const known = io_uring_get_probe_ring(&ring_);
  if (known == nullptr) {
    return absl::UnavailableError("the kernel does not tell which operations can be restricted");
  }
  std::vector<io_uring_restriction> rules;
  for (const auto operation : kOperations) {
    if (io_uring_opcode_supported(known, operation) == 0) continue;
    io_uring_restriction rule{};
    rule.opcode = IORING_RESTRICTION_SQE_OP;
    rule.sqe_op = static_cast<uint8_t>(operation);
    rules.push_back(rule);
  }
  io_uring_free_probe(known);
  for (const uint8_t registration : RegistrationsOf(capabilities_)) {
    io_uring_restriction rule{};
    rule.opcode = IORING_RESTRICTION_REGISTER_OP;
    rule.register_op = registration;
    rules.push_back(rule);
  }
  io_uring_restriction flags{};
  flags.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
  flags.sqe_flags = IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK | IOSQE_BUFFER_SELECT;
  rules.push_back(flags);
  const int error =
      io_uring_register_restrictions(&ring_, rules.data(), static_cast<unsigned>(rules.size()));
  if (error == 0) return absl::OkStatus();
  return posix::ErrnoStatus(-error, "the kernel refused to restrict the ring's operations");
}

// Every look at the queues finds them full, or empty: so that no check is needed on the way, and
// what uses the ring comes to one in the end.
void UringRing::LeaveProcess() {
  of_another_process_ = true;
  OwnerThread::Disown();
  if (!ring_made_) return;
  io_uring_sq& submissions = ring_.sq;
  io_uring_cq& completions = ring_.cq;
  submissions.sqe_head = submissions.sqe_tail = no_entries_ = 0;
  for (unsigned** pointer :
       {&submissions.khead, &submissions.ktail, &submissions.kflags, &submissions.kdropped,
        &completions.khead, &completions.ktail, &completions.kflags, &completions.koverflow}) {
    *pointer = &no_entries_;
  }
  submissions.ring_entries = 0;
  own_count_ = 0;
  threads_.LeaveProcess();
  for (Group& group : groups_) {
    if (group.buffers != nullptr) group.buffers->LeaveProcess();
  }
}

UringRing::~UringRing() {
  fork_observer_.reset();
  if (of_another_process_) {
    // The queues are not mapped here, something else may be.
    if (ring_made_) close(ring_.ring_fd);
    CloseDescriptors(/*kernel_has_all=*/true);
    return;
  }
  CHECK_EQ(in_flight_, 0u) << "a ring was destroyed with operations in flight, whose memory the "
                              "kernel may still write to: call Drain (ring/drain.h) first";
  for (const Group& group : groups_) {
    CHECK(group.buffers == nullptr || group.buffers->taken() == 0)
        << "a ring was destroyed while buffers of a group were not returned";
  }
  threads_.Stop();  // they ring the bell
  if (IsOfAnotherThread()) ForgetRegisteredRing();
  // Before the ring that they are registered with.
  for (Group& group : groups_) group.buffers.reset();
  const bool kernel_has_all = ring_made_ && io_uring_sq_ready(&ring_) == 0;
  if (ring_made_) io_uring_queue_exit(&ring_);
  for (Listener& listener : listeners_) listener.path.Remove().IgnoreError();
  for (uint32_t i = connections_.direct(); i < connections_.used_end(false); ++i) {
    const Connection& connection = connections_[i];
    if (connection.state == uring::ConnectionState::kFree || connection.descriptor < 0) continue;
    if (connection.state == uring::ConnectionState::kCloseSubmitted) continue;
    if (connection.has(uring::kHasLinger)) posix::StopLingering(connection.descriptor);
    posix::GiveBackShared(connection.descriptor, connection.changes());
  }
  CloseDescriptors(kernel_has_all);
}

void UringRing::CloseDescriptors(bool kernel_has_all) {
  for (const Listener& listener : listeners_) {
    if (listener.fd >= 0) close(listener.fd);
  }
  for (uint32_t i = connections_.direct(); i < connections_.used_end(false); ++i) {
    const Connection& connection = connections_[i];
    if (connection.state == uring::ConnectionState::kFree || connection.descriptor < 0) continue;
    // The kernel may have closed it, and the number be somebody else's by now.
    if (connection.state == uring::ConnectionState::kCloseSubmitted && kernel_has_all) continue;
    close(connection.descriptor);
  }
  if (wake_fd_ >= 0) close(wake_fd_);
}

}  // namespace ioring
