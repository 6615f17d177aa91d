// UringRing: the ring over Linux's io_uring.
//
// Everything a caller may rely on is said in ring/ring.h. What is particular to this
// backend: kernels from 5.15 on; features are tried when the first ring is made and each
// can be switched off (RingOptions::disabled); the ring is made disabled and is bound to
// the thread that first submits or waits (IORING_SETUP_R_DISABLED, SINGLE_ISSUER).
//
// How it works inside. An entry's user_data says what its completion is for: a
// connection's receive or send (state in one cache line, see ConnectionTable), or a slot
// of the OperationTable. `Harvest` turns the kernel's completions into the caller's, in
// a queue of the ring's own, while that has space. What the ring itself must submit or end
// (arming again, closing, cancelling) waits on a list until the next kernel entry. Timers
// are the ring's own. Nothing completes while the caller prepares.
#ifndef IORING_RING_URING_URING_RING_H_
#define IORING_RING_URING_URING_RING_H_

#if !defined(__linux__)
#error "ring_uring is Linux only: depend on //ring_native, which chooses a backend."
#endif

#include <liburing.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "process/fork_watch.h"
#include "ring/buffer_table.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/completion_queue.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/owner_thread.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring/ring.h"
#include "ring/ring_backend.h"
#include "ring/ring_limits.h"
#include "ring/statistics.h"
#include "ring/token.h"
#include "ring_core/posix/errno_table.h"
#include "ring_core/posix/file_call.h"
#include "ring_core/posix/file_table.h"
#include "ring_core/posix/file_work.h"
#include "ring_core/posix/linger.h"
#include "ring_core/posix/unix_path.h"
#include "ring_core/posix/work_threads.h"
#include "ring_core/table/descriptor_index.h"
#include "ring_core/table/linger_table.h"
#include "ring_core/table/piece_pool.h"
#include "ring_core/table/slot_array.h"
#include "ring_core/table/slot_list.h"
#include "ring_core/table/slot_table.h"
#include "ring_core/table/timer_heap.h"
#include "ring_core/table/wait_plan.h"
#include "ring_core/table/wake_counter.h"
#include "ring_uring/connection_table.h"
#include "ring_uring/operation.h"
#include "ring_uring/provided_group.h"
#include "ring_uring/user_data.h"

namespace ioring {

class UringRing final : public Ring, private RingState {
 public:
  // Unimplemented, PermissionDenied or ResourceExhausted, with the likely cause, where
  // io_uring is not to be had; InvalidArgument for limits that cannot be.
  static absl::StatusOr<std::unique_ptr<UringRing>> Create(const RingOptions& options);
  ~UringRing() override;

  absl::StatusOr<ListenerId> CreateListener(const Endpoint& endpoint,
                                            const ListenerOptions& options) override;
  absl::Status CloseListener(ListenerId listener) override;
  absl::StatusOr<NativeHandle> UnregisterSocket(ConnectionId connection) override;
  absl::StatusOr<BufferGroupId> RegisterBufferGroup(const BufferGroupOptions& options) override;
  absl::Status AddBuffers(BufferGroupId group, std::span<std::byte> memory) override;
  absl::Status UnregisterBufferGroup(BufferGroupId group) override;
  uint32_t FreeBuffers(BufferGroupId group) const override;

  uint32_t SubmissionQueueSpace() const override { return EntrySpace(); }
  void Wake() override;
  void ReturnBuffer(const ManagedBuffer& buffer) override;

  // What Ring calls. A caller who has the final class may, too.
  Prepared StartRecv(ConnectionId connection, std::span<std::byte> memory, TransferTraits traits,
                     Token token) override;
  Prepared StartSend(ConnectionId connection, std::span<std::byte> memory, TransferTraits traits,
                     Token token) override;
  Prepared StartRecvManaged(ConnectionId connection, BufferGroupId group, Shots shots,
                            Token token) override;
  Prepared Start(const Request& request, Token token) override;
  uint32_t Enter(EnterMode mode, const WaitOptions& options) override;
  absl::StatusOr<ConnectionId> AddSocket(const SocketSource& source) override;
  absl::StatusOr<Endpoint> FindAddress(const AddressOf& of) override;
  absl::StatusOr<FileId> AddFile(const FileSource& source) override;
  absl::StatusOr<NativeHandle> FindFile(FileId file, FileUse use) override;
  absl::StatusOr<bool> SetKernelMemory(uint32_t slot,
                                       const RegisteredBufferOptions& options) override;

 private:
  struct Listener {
    int fd = -1;  // stays open until the last accept has ended, or it would name another file
    uint16_t generation = 0;
    bool closed = false;
    uint32_t accepts = 0;                                 // in flight
    posix::UnixPath path;                                 // removed at the close
    posix::StreamKind stream = posix::StreamKind::kNone;  // of its connections

    bool is_open() const { return fd >= 0; }
  };
  struct Group {
    std::unique_ptr<uring::ProvidedGroup> buffers;
    uint16_t generation = 0;
    bool bundles = false;
    bool to_be_whole = false;  // a socket that keeps messages apart, or a file, fills its buffers
    uint32_t receives = 0;     // managed receives and reads in flight
    // Those of them that wait for a buffer; and which are to be served next.
    SlotList<uring::Connection, &uring::Connection::next_deferred> stalled;
    SlotList<uring::Operation, &uring::Operation::next> stalled_reads;
    bool is_turn_of_reads = false;
    // Buffers that count as available, but are for reads: the kernel takes one when it begins
    // a read, and tells of it when the read has ended.
    uint32_t claims = 0;

    bool is_open() const { return buffers != nullptr; }
    uint32_t free_buffers() const {
      const uint32_t available = buffers->available();
      return available > claims ? available - claims : 0;
    }
    bool has_stalled() const { return !stalled.empty() || !stalled_reads.empty(); }
  };
  // What a transfer is made of. By value, and small: else it would have to be in memory.
  struct Piece {
    std::byte* data;
    uint32_t length;
    TransferTraits traits;

    uint16_t kernel_index() const {
      return static_cast<uint16_t>(BufferTable::SlotOf(traits.unit()));
    }
  };

  // One completion of the kernel becomes at most this many; for bundles see HeadroomOf.
  static constexpr uint32_t kHeadroom = 258;
  static constexpr uint32_t kDroppedBytes = 64 << 10;

  using Connection = uring::Connection;
  using File = posix::FileTable::File;
  using Operation = uring::Operation;
  using OperationKind = uring::OperationKind;
  using SocketKind = uring::SocketKind;
  using Source = uring::Source;
  using Transfer = uring::Transfer;

  UringRing(const RingOptions& options, CapabilityReport capabilities, uint32_t direct);

  // Creation: uring_ring.cc.
  absl::Status Initialise();
  absl::Status SetUpQueues();
  absl::Status SetUpDirectDescriptors();
  absl::Status SetUpOptional();
  absl::Status Restrict();
  unsigned SetupFlags() const;
  bool Has(Capability capability) const { return capabilities_.Has(capability); }

  // Entering the kernel: uring_enter.cc.
  void BindToThread();
  // The ring is bound, and to another thread than this one.
  bool IsOfAnotherThread() const;
  // Called in the child of a fork, which shares the kernel's ring and does not have its queues.
  void LeaveProcess();
  // What the ring has open. `kernel_has_all`: so that it has closed what it was told to close.
  void CloseDescriptors(bool kernel_has_all);
  void ForgetRegisteredRing();
  // Hands over what is prepared and lets completions arrive; sleeps for `wait_for`
  // completions at most until `timeout`. Returns false when the kernel could take no
  // more, because its completions must be taken first.
  struct EnterArguments {
    uint32_t wait_for = 0;
    int64_t timeout_ns = -1;  // below 0: none
    uint32_t batch_delay_us = 0;
    bool submit = true;
  };
  bool EnterKernel(EnterArguments arguments);
  int EnterOnce(const EnterArguments& arguments, uint32_t to_submit);
  // Counts what the caller has prepared, which is about to be handed over.
  uint32_t TakePrepared() {
    statistics_.submissions.Add(prepared_);
    return std::exchange(prepared_, 0);
  }
  uint32_t PublishEntries();
  void FlushDeferred();
  bool HasDeferred() const;
  bool HasOnlyPieces();
  bool HasDeferredButOperations() const;
  static uint32_t HeadroomOf(const CapabilityReport& capabilities);
  // Completions of the kernel that surely fit.
  uint32_t HarvestRoom() const { return completions_.space() / headroom_; }
  // A completion of the kernel may not fit any more: the caller's turn.
  bool CompletionsMustBeTaken() const { return completions_.space() < headroom_; }
  void ArmConnectionAgain(Connection& connection);
  void ArmOperationAgain(Operation& operation);
  void EndCancelled(Operation& operation);
  void OpenSocketsToConnect();
  void BeginOwn();
  void BeginOwnCancel(Operation& cancel);
  // What ends an operation, its deadline and a cancel, or a close, may push.
  static constexpr uint32_t kCompletionsOfOne = 3;
  void RunTimers(int64_t now_ns);
  // When the next of the ring's own timers is due, on the steady clock.
  int64_t NextTimer() const { return std::min({timers_.next_ns(), lingers_.next_ns(), slow_ns_}); }
  bool HasTimers() const { return !timers_.empty() || !lingers_.empty() || !slow_polls_.empty(); }
  uint32_t SubmitNow();
  uint32_t Wait(const WaitOptions& options, bool submit);
  // A wake is to be taken, or nothing more fits, whatever the wait is for.
  bool WaitMustEnd() { return completions_.MarkedWaits() || CompletionsMustBeTaken(); }
  void LookOnce(bool submit);
  void Spin(uint32_t wanted, int64_t until_ns, bool submit);
  inline EnterArguments SleepOf(const WaitPlan& plan, int64_t now_ns, bool submit, bool deaf) const;
  bool KernelHasWork() const;

  // Preparing: uring_prepare.cc and uring_transfer.cc. What is inline, also below, is in
  // uring_ring_inline.h, or in the one file that uses it.
  // As io_uring_sq_space_left, which asks each time whether a polling thread moves the head.
  uint32_t EntrySpace() const {
    const io_uring_sq& queue = ring_.sq;
    const unsigned head = __atomic_load_n(queue.khead, __ATOMIC_ACQUIRE);
    return queue.ring_entries - (queue.sqe_tail - head) - own_count_;
  }
  // Operations kept for cancelling, so that a full table can still be brought to rest.
  static constexpr uint32_t kKeptForCancels = 16;
  bool HasOperations(uint32_t count, uint32_t kept = kKeptForCancels) const {
    return operations_.size() - operations_.in_use() >= count + kept;
  }
  // Whether there is no entry, or no `operations`, for one more.
  inline bool Full(uint32_t operations, uint32_t kept = kKeptForCancels) const;
  // What Prepare returns where that holds.
  Prepared Refused(uint32_t operations, uint32_t kept = kKeptForCancels);
  inline io_uring_sqe* NewEntry(Source source, uint32_t index, uint32_t generation);
  inline io_uring_sqe* NewEntry(Operation& operation);
  // Counts an accepted operation. `last`: its user data, where a deadline may be set on it.
  inline void Accepted(uint64_t last = kNothing);
  static constexpr uint64_t kNothing = ~uint64_t{0};
  // Accepts an operation that does nothing but complete with `result`.
  Prepared AcceptFixedResult(int32_t result, Token token, uint32_t kept = kKeptForCancels);
  Prepared AcceptError(Error error, Token token) {
    return AcceptFixedResult(ToResult(error), token);
  }
  static inline void SetDescriptor(io_uring_sqe* entry, const Connection& connection);
  template <Direction kDirection>
  inline bool AcceptPlain(ConnectionId id, std::byte* data, size_t size, TransferTraits traits,
                          Token token, uint32_t too_long);
  template <Direction kDirection>
  Prepared StartTransferElse(ConnectionId id, std::byte* data, size_t size, TransferTraits traits,
                             Token token);
  template <Direction kDirection>
  Prepared BeginTransfer(Connection& connection, Piece piece, Token token);
  Prepared BeginTransferAll(Connection& connection, Piece piece, Direction direction, Token token);
  Prepared BeginZeroCopySend(Connection& connection, Piece piece, Token token);
  void FillTransferAll(io_uring_sqe* entry, const Operation& operation);
  template <Direction kDirection>
  inline void FillTransfer(io_uring_sqe* entry, const Connection& connection, const Piece& piece);
  Prepared BeginMessage(Connection& connection, OperationKind kind, Piece piece,
                        const posix::SocketAddress* destination, Endpoint* source, Token token);
  void FillMessage(io_uring_sqe* entry, Operation& operation);
  io_uring_sqe* ArmManaged(Connection& connection);
  bool PollsFirst(const Connection& connection) const;
  static void SelectBuffer(io_uring_sqe* entry, const uring::ProvidedGroup& buffers);
  // The direction is busy with an operation of the table.
  void SetOperation(Connection& connection, Direction direction, const Operation& operation);

  // One for each alternative of Request, where the rest of its operation is.
  // uring_prepare.cc:
  Prepared Begin(const request::Nop& nop, Token token) {
    return AcceptFixedResult(nop.result, token);
  }
  Prepared Begin(const request::Accept& accept, Token token);
  Prepared Begin(const request::Connect& connect, Token token);
  Prepared Begin(const request::Shutdown& shutdown, Token token);
  Prepared Begin(const request::Poll& poll, Token token);
  Prepared Begin(const request::Timer& timer, Token token);
  Prepared Begin(const request::TimerAt& timer, Token token);
  // uring_transfer.cc:
  Prepared Begin(const request::RecvFrom& recv, Token token);
  Prepared Begin(const request::SendTo& send, Token token);
  // uring_file.cc and uring_managed_read.cc:
  Prepared Begin(const request::FileTransfer& transfer, Token token);
  Prepared Begin(const request::FileParts& parts, Token token);
  Prepared Begin(const request::ReadManaged& read, Token token);
  Prepared Begin(const request::FileCall& call, Token token);
  Prepared Begin(const request::Open& open, Token token);
  Prepared Begin(const request::CloseFile& close, Token token);
  Prepared Begin(const request::Work& work, Token token);
  // uring_send_file.cc:
  Prepared Begin(const request::SendFile& send, Token token);
  // uring_cancel.cc, uring_deadline.cc, uring_close.cc:
  Prepared Begin(const request::Cancel& cancel, Token token);
  Prepared Begin(const request::CancelAll& cancel, Token token);
  Prepared Begin(const request::Deadline& deadline, Token token);
  Prepared Begin(const request::Close& close, Token token);

  bool UsesFixed(const Connection& connection, const Piece& piece) const {
    return piece.traits.in_kernel() && piece.length >= fixed_threshold_ &&
           connection.kind == SocketKind::kStream && !connection.has(uring::kNonBlocking);
  }
  // May go as an entry of its own: a stream's, and not to be completed; one test for both.
  static bool IsOrdinary(const Connection& connection, TransferTraits traits) {
    static_assert(static_cast<int>(SocketKind::kStream) == 0);
    static_assert(static_cast<int>(TransferFlags::kNone) == 0);
    return (static_cast<uint8_t>(connection.kind) | static_cast<uint8_t>(traits.flags())) == 0;
  }
  bool SocketsUseRegistrations() const {
    return std::min(fixed_threshold_, zero_copy_threshold_) != kNever;
  }
  void FillAccept(io_uring_sqe* entry, const Listener& listener, const Operation& operation);
  void FillPoll(io_uring_sqe* entry, const Operation& operation);
  Prepared AcceptOwn(Operation& operation, uint64_t last = kNothing);

  // Files: uring_file.cc and uring_managed_read.cc. What the kernel has no operation for is done by
  // the ring's threads.
  struct CallFiles {  // indexes
    uint32_t first = Operation::kNone;
    uint32_t second = Operation::kNone;
  };
  inline Operation& TakeAccess(File& file, uint32_t index, bool is_write, Token token);
  Prepared AcceptOwnPlace(Operation& operation, io_uring_sqe* entry);
  // Whether a write to a broken pipe raises SIGPIPE where the kernel makes it; and whether this
  // may.
  bool WritesRaiseSignals() const { return !Has(Capability::kFixedSocketIo); }
  inline bool IsWrittenOnThread(const File& file, bool own_place) const;
  void NoteWaits(File& file);
  Prepared AcceptWriteOnThread(Operation& operation, const posix::FileTransferWork& write);
  void StartWrite(Operation& operation);
  bool AccessGoesOn(Operation& operation, int32_t* result);
  void FillPollOfFile(io_uring_sqe* entry, const Operation& operation);
  bool FindCallFile(FileId id, bool is_file, uint32_t* index) const;
  bool FindCallFiles(const request::FileCall& call, CallFiles* files) const;
  posix::CallDescriptors DescriptorsOf(const Operation& operation) const;
  Operation& TakeCall(OperationKind kind, const char* name, const CallFiles& files, Token token);
  template <typename Call>
  void SetUpWork(Operation& operation, const Call& call);
  template <typename Call>
  Prepared AcceptOnThread(Operation& operation, const Call& call);
  void MoveToThread(Operation& operation);
  void BeginOwnFile(Operation& operation);
  void ContinueFile(Operation& operation);
  void StartWork(Operation& operation);
  void TakeWork();
  void SubmitFileClose(Operation& close);
  // One of a file's operations has ended.
  inline void DropFile(uint32_t index);
  void OnFileQuiet(uint32_t index);
  void OnFile(Operation& operation, const io_uring_cqe& cqe);
  void OnCallResult(Operation& operation, int32_t result);
  void AwaitWriter(Operation& operation, int32_t fifo);
  void OnOpened(Operation& operation, int32_t descriptor);
  void EndFile(Operation& operation, int32_t result, uint32_t flags = 0);
  void MakeWholeLater(Group& group);
  void ArmReadManaged(Operation& operation);
  void FillReadManaged(io_uring_sqe* entry, const Operation& operation);
  void OnReadManaged(Operation& operation, const io_uring_cqe& cqe);
  void Claim(Operation& read);
  void DropClaim(Operation& read);
  void OnNoBuffers(Operation& read);
  void StallForBuffer(Operation& read);
  void UnstallOperation(Operation& read);
  void CompleteReadManaged(Operation& read, const ManagedBuffer& piece);

  // Files to connections: uring_send_file.cc.
  void FillSendFile(io_uring_sqe* entry, const Operation& operation);
  void OnSendFile(Operation& operation, const io_uring_cqe& cqe);
  bool SendFileGoesOn(Operation& operation, int32_t result);
  void EndSendFile(Operation& operation, int32_t result);

  // Cancelling: uring_cancel.cc.
  uint64_t OperationUserData(const Operation& operation) const;
  uint64_t TransferUserData(const Connection& connection, Direction direction) const;
  bool InKernel(const Connection& connection, Direction direction) const;
  uint32_t EntriesToCancel(const Connection& connection, Direction direction) const;
  void CancelEntry(uint64_t user_data, const Operation::Target& stop);
  Operation::Target TargetOf(const Operation& operation) const;
  Operation::Target TargetOf(const Connection& connection, Direction direction) const;
  bool StopAgain(const Operation::Target& target);
  void StopLater(Connection& connection, uring::ConnectionTasks task);
  void StopTransfersLater(Connection& connection, Direction direction);
  void StopOthers(const Connection& connection);
  void CancelTransfers(Connection& connection, Direction direction);
  void CancelOnConnection(Connection& connection);
  void MarkCancelled(Connection& connection, Direction direction);
  // What a caller names: source kIgnored where there is no such operation.
  Operation::Target FindByToken(Token token);
  Operation::Target FindTransfer(Token token) const;
  bool IsLast(Token token) const;
  Operation::Target TargetOfLast() const;
  void Stop(Operation& operation);
  void StopTarget(const Operation::Target& target);
  Prepared CancelOperation(Operation& target, Token token);
  Prepared CancelTransfer(Connection& connection, Direction direction, Token token);
  Prepared CancelConnection(ConnectionId id, Direction direction, Token token);

  // Deadlines: uring_deadline.cc. They are the ring's own timers.
  bool TakesDeadline(const Operation::Target& target) const;
  uint32_t DeadlineOf(const Operation::Target& target);
  void SetDeadline(const Operation::Target& target, uint32_t link);
  void DropDeadline(const Operation::Target& target);
  // What it is on has ended.
  void EndDeadline(uint32_t link);
  // ... or has completed, and goes on.
  void NoteArrival(uint32_t link);
  void OnDeadline(Operation& deadline);

  // Closing: uring_close.cc.
  void SubmitClose(Connection& connection);
  bool Lingers(const Connection& connection) const {
    return lingers_.is_on() && connection.stream != posix::StreamKind::kNone &&
           (connection.flags & (uring::kReset | uring::kSilentClose | uring::kPeerEnded)) == 0;
  }
  // A receive gave 0 bytes.
  static void NotePeerEnd(Connection& connection) {
    if (!connection.has(uring::kRecvShut)) connection.set(uring::kPeerEnded);
  }
  void BeginLinger(Connection& connection);
  void ContinueLinger(Connection& connection);
  void OnLinger(Connection& connection, int32_t result);
  void OnLingerInstalled(Connection& connection, int descriptor);
  void OnLingerDropped(Connection& connection, int32_t result);
  void OnLingerAsked(Connection& connection, Acknowledged acknowledged);
  void LookAtLinger(Connection& connection, int64_t now_ns);
  void StopLinger(Connection& connection);
  void EndLinger(Connection& connection);
  void ContinueClose(Connection& connection);
  bool IsIdle(const Connection& connection) const;
  uint32_t SendsWithMemoryInUse(const Connection& connection) const;
  void AwaitMemory(Connection& connection);
  void DropUnsent(Connection& connection);
  void OnMemoryFree(Connection& connection);
  void FinishClose(Connection& connection);
  void CloseSilently(Connection& connection);

  // Completions: uring_harvest.cc (dispatch, transfers) and uring_complete.cc (operations).
  void Harvest();
  inline bool HarvestQueue();
  inline void Dispatch(const io_uring_cqe& cqe);
  void DispatchOther(const io_uring_cqe& cqe);
  template <Direction kDirection>
  inline void OnTransfer(uint32_t index, const io_uring_cqe& cqe);
  template <Direction kDirection>
  inline void OnTransfer(Connection& connection, const io_uring_cqe& cqe);
  void OnTransferElse(Connection& connection, const io_uring_cqe& cqe, Direction direction);
  inline void OnRecvManaged(uint32_t index, const io_uring_cqe& cqe);
  inline void OnManagedBytes(Connection& connection, const io_uring_cqe& cqe);
  void OnBundle(Connection& connection, const io_uring_cqe& cqe);
  inline void CompleteManaged(Connection& connection, const io_uring_cqe& cqe,
                              const ManagedBuffer& piece, bool is_last);
  void OnManagedPoll(uint32_t index, const io_uring_cqe& cqe);
  void OnManagedRead(uint32_t index, const io_uring_cqe& cqe);
  void OnNoBuffers(Connection& connection);
  void ContinueManaged(Connection& connection);
  void OnManagedNothing(Connection& connection, const io_uring_cqe& cqe);
  void OnManagedMessage(Connection& connection, const io_uring_cqe& cqe);
  void GiveBackUnfilled(const Connection& connection, const io_uring_cqe& cqe);
  uint32_t BytesToCome(uint32_t group, uint32_t buffer, const io_uring_cqe& cqe) const;
  bool SeesAllCompletions() const;
  bool AgreesWithKernel(uint32_t group, uint32_t buffer, const io_uring_cqe& cqe) const;
  void PollAgain(Connection& connection);
  void PollSlowly(Connection& connection);
  void ResumeSlowPolls();
  void ReadAfterPoll(Connection& connection);
  void EndManagedRecv(Connection& connection, int32_t result, uint32_t flags = 0);
  void OnWake(const io_uring_cqe& cqe);
  void TakeWakes();
  // Makes the kernel complete the wait for `wake_fd_`. Any thread; safe in signal handlers.
  void RingBell();
  // One of a connection's kernel entries has had its last completion.
  inline void DropKernelEntry(Connection& connection);
  void OnOperation(Operation& operation, const io_uring_cqe& cqe);
  void OnAccept(Operation& operation, const io_uring_cqe& cqe);
  int32_t AddAccepted(int descriptor, const Listener& listener, uint32_t* flags);
  void OnConnect(Operation& operation, const io_uring_cqe& cqe);
  void OnTransferAll(Operation& operation, const io_uring_cqe& cqe);
  void OnZeroCopySend(Operation& operation, const io_uring_cqe& cqe);
  void OnMessage(Operation& operation, const io_uring_cqe& cqe);
  bool SendGoesOn(Operation& operation, int result);
  void OnPoll(Operation& operation, const io_uring_cqe& cqe);
  void OnPollEnded(Operation& operation, int events);
  void OnTimer(Operation& timer, int64_t now_ns);
  void OnFileTransfer(Operation& operation, const io_uring_cqe& cqe);
  void OnCancel(Operation& operation, const io_uring_cqe& cqe);
  void EndTransfer(Operation& operation, int32_t result, uint32_t flags = 0);
  void EndOperation(Operation& operation, int32_t result, uint32_t flags = 0);
  inline void FreeOperation(Operation& operation, int32_t result, uint32_t flags = 0);
  void CompleteMore(const Operation& operation, int32_t result, uint32_t flags = 0);
  inline void Complete(Token token, int32_t result, uint32_t flags);

  // What waits for the next kernel entry, or for a buffer.
  void DeferConnection(Connection& connection);
  void DeferOperation(Operation& operation);
  void UndeferConnection(Connection& connection);
  void UndeferOperation(Operation& operation);
  void StallForBuffer(Connection& connection);
  void ResumeStalled(Group& group);
  void UnstallConnection(Connection& connection);
  void MakeGroupsWhole();

  // Control plane: uring_control.cc.
  void DropAccept(Listener& listener);
  Listener* FindListener(ListenerId id) {
    Listener* listener = listeners_.Find(id);
    return listener != nullptr && !listener->closed ? listener : nullptr;
  }
  absl::Status RefuseOwn(int fd);
  absl::StatusOr<ConnectionId> RegisterDescriptor(int fd);
  absl::StatusOr<ConnectionId> BindDatagram(const Endpoint& local);
  absl::StatusOr<ConnectionId> AddDescriptor(int fd);
  absl::StatusOr<int> InstallDescriptor(const Connection& connection);
  int RunSynchronously(io_uring_sqe* entry);
  void NoteRegistrationProblem(int error, size_t bytes);
  absl::Status EnsureBufferTable();
  bool RegisterInKernel(uint32_t slot, std::span<std::byte> memory);

  io_uring ring_{};
  bool ring_made_ = false;
  OwnerThread owner_;
  unsigned no_entries_ = 0;  // what the queues' pointers point to then
  unsigned enter_flags_ = 0;
  uint32_t overflows_seen_ = 0;
  static constexpr uint32_t kNever = std::numeric_limits<uint32_t>::max();
  const uint32_t headroom_;  // places in the queue that a completion of the kernel may take
  uint32_t fixed_threshold_;
  uint32_t zero_copy_threshold_;

  uring::ConnectionTable connections_;
  DescriptorIndex by_descriptor_;  // connections with ordinary descriptors
  uring::OperationTable operations_;
  bool kernel_buffer_table_ = false;
  SlotTable<Listener, ListenerId> listeners_;
  posix::FileTable files_;
  // By a file's index: the operation that closes it once it is quiet, index plus 1; 0: none.
  SlotArray<uint32_t> file_closes_;
  SlotTable<Group, BufferGroupId> groups_;

  uint32_t prepared_ = 0;     // caller's operations since the last submit
  uint64_t last_ = kNothing;  // user data of the operation prepared last, since then
  // The time of the harvest that goes on, once somebody asked; outside of a harvest nobody knows.
  static constexpr int64_t kNotAsked = 0;
  static constexpr int64_t kNoHarvest = -1;
  int64_t harvest_ns_ = kNoHarvest;
  // Operations whose sockets are opened at the next submit; their entries wait for it.
  std::vector<std::pair<io_uring_sqe*, uint32_t>> to_connect_;
  // What the ring does by itself, timers and cancels of them, and begins with the next submit, in
  // order. These operations have no entries, but take places in the queue, so that a caller can
  // count.
  SlotArray<uint32_t> own_{kSubmissionEntriesMax};
  uint32_t own_count_ = 0;
  TimerHeap<Operation> timers_;
  LingerTable lingers_;
  std::vector<ConnectionId> slow_polls_;  // of connections, some of before, that are polled then:
  int64_t slow_ns_ = WaitPlan::kNever;
  // Where what is dropped goes, of all closes. Never read; TCP sockets do not even write it.
  const std::unique_ptr<std::byte[]> dropped_;

  // What the ring must submit by itself.
  SlotList<Connection, &Connection::next_deferred> deferred_connections_;
  SlotList<Operation, &Operation::next> deferred_operations_;

  uint32_t stalled_ = 0;  // managed receives and reads that wait for a buffer, of all groups
  uint32_t groups_to_be_whole_ = 0;

  int wake_fd_ = -1;
  WakeCounter wakes_;  // the descriptor only rings the bell, and is never read
  bool wake_armed_ = false;

  uint32_t synchronous_number_ = 0;  // of the operation that is waited for
  bool synchronous_done_ = true;
  int synchronous_result_ = 0;

  PiecePool pieces_;
  posix::FileWorkPool work_;
  posix::WorkThreads threads_{[this] { RingBell(); }};
  posix::WorkItem* done_work_ = nullptr;  // taken from the threads, not yet completed

  std::optional<process::ForkObserver> fork_observer_;  // while the ring is whole
};

}  // namespace ioring

#endif  // IORING_RING_URING_URING_RING_H_
