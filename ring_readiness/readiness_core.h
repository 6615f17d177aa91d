// ReadinessCore: the whole contract of ring/ring.h on top of non-blocking calls, but for
// sleeping, which is a poller's (ring_readiness/poller.h, ring_readiness/readiness_ring.h).
//
// How it works inside. Prepare only notes what is to be done: a connection's receive and
// send in its slot, everything else in the operation table; and writes a reference to it
// into a queue. A *turn* (at each submit and wait) goes through that queue in order, calls
// what may succeed, and then goes through those whose descriptors became ready. A call that
// would block leaves the operation where it is, until an event puts its connection on the
// ready list. Only in a turn do completions come into being, and only while their queue has
// room: what finds none stays on its list.
//
// Each turn does a bounded amount for each connection (one receive, one send, some accepts)
// so that none starves the others; what could do more goes to the end of the ready list,
// and a wait does not sleep while that is not empty.
#ifndef IORING_RING_READINESS_READINESS_CORE_H_
#define IORING_RING_READINESS_READINESS_CORE_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/buffer_table.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/completion_queue.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/owner_thread.h"
#include "ring/ring.h"
#include "ring/statistics.h"
#include "ring/token.h"
#include "ring_posix/calls.h"
#include "ring_posix/errno_table.h"
#include "ring_posix/file_table.h"
#include "ring_readiness/connection_table.h"
#include "ring_readiness/file_threads.h"
#include "ring_readiness/operation.h"
#include "ring_readiness/poller.h"
#include "ring_table/failure_log.h"
#include "ring_table/managed_group.h"
#include "ring_table/slot_array.h"
#include "ring_table/slot_list.h"
#include "ring_table/timer_heap.h"

namespace ioring::readiness {

class ReadinessCore : public Ring {
 public:
  const CapabilityReport& Capabilities() const final { return capabilities_; }

  absl::StatusOr<ListenerId> CreateListener(const Endpoint& endpoint,
                                            const ListenerOptions& options) final;
  absl::Status CloseListener(ListenerId listener) final;
  absl::StatusOr<Endpoint> LocalEndpoint(ListenerId listener) const final;
  absl::StatusOr<ConnectionId> RegisterSocket(NativeHandle handle) final;
  absl::StatusOr<NativeHandle> UnregisterSocket(ConnectionId connection) final;
  absl::StatusOr<ConnectionId> OpenDatagram(const Endpoint& local) final;
  absl::StatusOr<Endpoint> PeerEndpoint(ConnectionId connection) final;
  absl::StatusOr<Endpoint> LocalEndpoint(ConnectionId connection) final;
  absl::StatusOr<BufferId> RegisterBuffer(const RegisteredBufferOptions& options) final;
  absl::Status UnregisterBuffer(BufferId buffer) final;
  bool IsKernelRegistered(BufferId /*buffer*/) const final { return false; }
  std::string_view RegistrationProblem() const final { return {}; }
  uint32_t UsesInFlight(BufferId buffer, uint32_t offset) const final {
    return buffers_.Uses(buffer, offset);
  }
  absl::StatusOr<BufferGroupId> RegisterBufferGroup(const BufferGroupOptions& options) final;
  absl::Status AddBuffers(BufferGroupId group, std::span<std::byte> memory) final;
  absl::Status UnregisterBufferGroup(BufferGroupId group) final;
  uint32_t FreeBuffers(BufferGroupId group) const final;
  absl::StatusOr<FileId> OpenFile(const std::string& path, const FileOptions& options) final;
  absl::Status CloseFile(FileId file) final;

  bool PrepareAccept(ListenerId listener, Shots shots, Token token) final;
  bool PrepareConnect(const Endpoint& endpoint, Token token) final;
  bool PrepareRecv(ConnectionId connection, std::span<std::byte> memory, Token token,
                   TransferFlags flags = TransferFlags::kNone) final;
  bool PrepareSend(ConnectionId connection, std::span<const std::byte> memory, Token token,
                   TransferFlags flags = TransferFlags::kNone) final;
  bool PrepareRecvBuffer(ConnectionId connection, const BufferSlice& slice, Token token,
                         TransferFlags flags = TransferFlags::kNone) final;
  bool PrepareSendBuffer(ConnectionId connection, const BufferSlice& slice, Token token,
                         TransferFlags flags = TransferFlags::kNone) final;
  bool PrepareRecvManaged(ConnectionId connection, BufferGroupId group, Shots shots,
                          Token token) final;
  bool PrepareRecvFrom(ConnectionId socket, std::span<std::byte> memory, Endpoint* source,
                       Token token) final;
  bool PrepareSendTo(ConnectionId socket, std::span<const std::byte> memory,
                     const Endpoint& destination, Token token) final;
  bool PrepareShutdown(ConnectionId connection, Direction direction, Token token) final;
  bool PrepareClose(ConnectionId connection, CloseMode mode, Token token) final;
  bool PreparePollAdd(ConnectionId connection, uint32_t events, Shots shots, Token token) final;
  bool PreparePollRemove(Token target, Token token) final;
  bool PrepareTimeout(std::chrono::nanoseconds delay, Shots shots, Token token) final;
  bool PrepareTimeoutAt(std::chrono::steady_clock::time_point time, Token token) final;
  bool PrepareDeadline(std::chrono::nanoseconds delay, Token token) final;
  bool PrepareCancel(Token target, Token token) final;
  bool PrepareCancelConnection(ConnectionId connection, Direction direction, Token token) final;
  bool PrepareCancelAll(Token token) final;
  bool PrepareRead(FileId file, uint64_t offset, std::span<std::byte> memory, Token token) final;
  bool PrepareWrite(FileId file, uint64_t offset, std::span<const std::byte> memory,
                    Token token) final;
  bool PrepareReadBuffer(FileId file, uint64_t offset, const BufferSlice& slice, Token token) final;
  bool PrepareWriteBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                          Token token) final;
  bool PrepareSync(FileId file, SyncMode mode, Token token) final;
  bool PrepareNop(Token token) final;

  uint32_t SubmissionQueueSpace() const final { return submission_entries_ - prepared_; }
  uint32_t CompletionQueueCount() const final { return completions_.size(); }
  std::span<const Completion> PeekCompletions() final { return completions_.View(); }
  void AdvanceCompletionQueue(size_t count) final { completions_.Advance(count); }
  ManagedBuffer TakeBuffer(const Completion& completion) final {
    return completions_.TakeBuffer(completion);
  }
  void ReturnBuffer(const ManagedBuffer& buffer) final;
  std::string ExplainError(const Completion& completion) const final {
    return failures_.Explain(completion);
  }

  Statistics GetStatistics() const final { return statistics_.Snapshot(); }
  uint32_t InFlight() const final { return in_flight_; }

  // What a poller calls (PollerSink).
  void OnReady(WatchKey key, uint8_t ready_bits);
  void OnWatchFailed(WatchKey key, int error);
  void OnWake() {}  // the turn that follows looks for what it is about

 protected:
  // What a turn may push without looking again: an operation's end and its deadline's, for
  // both directions of a connection.
  static constexpr uint32_t kHeadroom = 8;

  // `options` must have passed CheckRingOptions. `poller` is how reports name it. `bell` makes
  // the poller's wait return; any thread calls it, until EndThreads.
  ReadinessCore(const RingOptions& options, std::string_view poller,
                absl::AnyInvocable<void() const> bell);
  ~ReadinessCore() override;

  // Checks that nothing is in flight and ends the threads: first thing of a destructor, while
  // what the bell needs is there still.
  void EndThreads();

  // Poller::Forget.
  virtual void ForgetDescriptor(int descriptor) = 0;

  void CheckThread();
  // What is prepared is submitted: the next turn begins it. Returns how many.
  uint32_t TakePrepared();
  void Turn();
  // Something could be done in a further turn at once.
  bool HasWork() const {
    return !ready_.empty() || listeners_due_ != 0 || !ending_.empty() ||
           submission_head_ != submission_end_ || files_done_ != nullptr;
  }
  bool HasRoom() const { return completions_.space() >= kHeadroom; }
  // Steady clock; the largest number where there is no timer.
  int64_t NextTimerNanos() const;
  // Gives the poller what is to be watched.
  template <typename P>
  void WatchNew(P& poller) {
    while (!to_watch_.empty()) {
      Connection& connection = to_watch_.Pop(connections_);
      connection.clear(kOnWatchList);
      connection.set(kWatched);
      const WatchKey key = KeyOf(connection);
      const int error = poller.Watch(connection.descriptor, key);
      if (error != 0) OnWatchFailed(key, error);
    }
    if (!listeners_to_watch_) return;
    listeners_to_watch_ = false;
    for (uint32_t i = 0; i < listeners_.size(); ++i) {
      if (!listeners_[i].to_watch) continue;
      listeners_[i].to_watch = false;
      const int error = poller.Watch(listeners_[i].descriptor, KeyOfListener(i));
      if (error != 0) OnWatchFailed(KeyOfListener(i), error);
    }
  }

  StatisticsCounters statistics_;
  CompletionQueue completions_;
  // Calls of Wake that no completion stands for yet.
  std::atomic<uint32_t> wakes_pending_{0};
  bool woken_ = false;  // since the current wait began

 private:
  using AcceptList = SlotList<Operation, &Operation::next>;
  struct Listener {
    int descriptor = -1;
    uint16_t generation = 0;
    bool maybe_ready = false;  // an accept may succeed
    bool watched = false;
    bool to_watch = false;
    bool due = false;            // to be run in the next turn
    Endpoint endpoint;           // as asked for: its Unix-domain path is removed at the close
    bool short_empties = false;  // for its connections, see posix::ShortRecvEmpties
    AcceptList accepts;
  };
  struct Group {
    std::unique_ptr<ManagedGroup> buffers;
    uint16_t generation = 0;
    uint32_t receives = 0;  // managed receives in flight
    // Those of them that wait for a buffer, and how many were promised one.
    SlotList<Connection, &Connection::next_stalled> stalled;
    uint32_t promised = 0;
  };
  struct TransferRequest {
    std::byte* data;
    uint32_t length;
    TransferFlags flags;
    uint32_t unit = BufferTable::kNoUnit;
  };
  // What the submission queue holds.
  enum class Step : uint32_t { kOperation, kRecv, kSend, kClose };

  static constexpr uint32_t kKeptForCancels = 16;

  // Watch keys: a listener's have the top bit set.
  WatchKey KeyOf(const Connection& connection) const {
    return uint64_t{connection.generation} << 32 | connections_.IndexOf(connection);
  }
  static constexpr WatchKey kListenerKey = uint64_t{1} << 63;
  WatchKey KeyOfListener(uint32_t index) const {
    return kListenerKey | uint64_t{listeners_[index].generation} << 32 | index;
  }

  // Preparing: readiness_prepare.cc and readiness_transfer.cc.
  bool Full(uint32_t operations, uint32_t kept = kKeptForCancels);
  void Accepted(Step step, uint32_t index, Target target = {});
  void Accepted(const Operation& operation, bool may_have_deadline);
  Target TargetOf(const Operation& operation) const;
  Target TargetOf(const Connection& connection, Target::Kind direction) const;
  bool AcceptFixedResult(int32_t result, Token token, uint32_t kept = kKeptForCancels);
  bool AcceptError(Error error, Token token) { return AcceptFixedResult(ToResult(error), token); }
  bool PrepareRecvRequest(ConnectionId id, const TransferRequest& request, Token token);
  bool PrepareSendRequest(ConnectionId id, const TransferRequest& request, Token token);
  bool PrepareTransferAll(Connection& connection, const TransferRequest& request, bool is_send,
                          Token token);
  Operation* PrepareMessage(ConnectionId id, OperationKind kind, Token token, bool* accepted);
  bool PrepareFile(FileId id, FileRequest::Kind kind, uint64_t offset,
                   const TransferRequest& request, Token token);
  bool PrepareFileBuffer(FileId id, FileRequest::Kind kind, uint64_t offset,
                         const BufferSlice& slice, Token token);
  bool PrepareTimer(OperationKind kind, int64_t delay_ns, Token token, Operation** made);
  bool PrepareCancelTarget(Target target, Token target_token, Token token);

  // Turns: readiness_turn.cc.
  void RunSubmissions();
  void RunEnding();
  void RunTimers();
  void RunReady();
  void RunConnection(Connection& connection);
  void FailWaiting(Connection& connection);
  void RunListener(Listener& listener);
  void TakeWakes();
  void TakeFileResults();
  void Begin(Operation& operation);
  void PushReady(Connection& connection);
  void MakeDue(Listener& listener);
  void WaitForEvents(Connection& connection);
  int64_t Now();

  // Transfers: readiness_transfer.cc.
  void RunRecv(Connection& connection);
  void RunSend(Connection& connection);
  void RunPlainRecv(Connection& connection);
  void RunManagedRecv(Connection& connection);
  void OnNoBuffers(Connection& connection, Group& group);
  void RunTransferAll(Connection& connection, Operation& operation, bool is_send);
  void RunRecvFrom(Connection& connection, Operation& operation);
  void RunSendTo(Connection& connection, Operation& operation);
  void NoteRecv(Connection& connection, posix::CallResult result, size_t asked);
  // Ends a direction; `result` is bytes, or the negative of errno.
  void EndRecv(Connection& connection, posix::CallResult result);
  void EndSend(Connection& connection, posix::CallResult result);
  void EndManagedRecv(Connection& connection, int32_t result, const ManagedBuffer* buffer);
  void EndTransfer(Connection& connection, Operation& operation, bool is_send,
                   posix::CallResult result);
  void CancelRecv(Connection& connection);
  void CancelSend(Connection& connection);
  void FreeRecv(Connection& connection);
  void FreeSend(Connection& connection);
  void ResumeStalled(Group& group);

  // The operation table: readiness_operation.cc.
  void BeginConnect(Operation& operation);
  void RunConnect(Connection& connection, Operation& operation);
  void OnConnectCall(Connection& connection, Operation& operation, posix::CallResult result);
  void EndConnect(Operation& operation, int32_t result);
  void BeginAccept(Operation& operation);
  int32_t AddAccepted(int descriptor, const Listener& listener, uint32_t* flags);
  void BeginPoll(Operation& operation);
  bool LookAtPoll(Operation& operation);
  void UnlinkPoll(Connection& connection, Operation& operation);
  void RunPolls(Connection& connection);
  void BeginShutdown(Operation& operation);
  void BeginTimer(Operation& operation);
  void OnTimer(Operation& operation);
  void BeginFile(Operation& operation);
  void OnFile(Operation& operation);
  void EndOperation(Operation& operation, int32_t result, uint32_t flags = 0);
  void EndDeadline(uint32_t link);
  void Complete(Token token, int32_t result, uint32_t flags);
  int32_t Fail(Token token, posix::CallResult result, const char* what);

  // Cancelling and closing: readiness_cancel.cc.
  bool CancelTarget(const Target& target);
  bool IsCurrent(const Target& target, Token token) const;
  bool CancelOperation(Operation& operation);
  void EndSoon(Operation& operation, int32_t result);
  void DetachDeadline(Operation& deadline);
  bool StopRecv(Connection& connection);
  bool StopSend(Connection& connection);
  uint32_t StopPolls(Connection& connection);
  void BeginCancelConnection(Operation& operation);
  void BeginCancelAll(Operation& operation);
  void BeginClose(Connection& connection);
  void FinishClose(Connection& connection);
  void FreeConnection(Connection& connection);

  // Control plane: readiness_control.cc.
  Listener* FindListener(ListenerId id);
  Group* FindGroup(BufferGroupId id);
  absl::StatusOr<ConnectionId> AddSocket(int descriptor, bool short_empties);

  const RingOptions options_;
  CapabilityReport capabilities_;
  OwnerThread owner_;

  ConnectionTable connections_;
  OperationTable operations_;
  BufferTable buffers_;
  std::vector<Listener> listeners_;
  posix::FileTable files_;
  std::vector<Group> groups_;
  FileThreads threads_;
  FileRequest* files_done_ = nullptr;  // those for which there was no room
  TimerHeap<Operation> timers_;
  FailureLog failures_{&posix::ErrorFromErrno, &posix::ErrnoText};

  // References to what was prepared, in order: begun up to `submission_head_`, submitted up to
  // `submission_end_`. It has a place for everything that can be in flight, so that submitting
  // makes room for `submission_entries_` more even while completions are not taken.
  SlotArray<uint32_t> submissions_;
  const uint32_t submission_entries_;
  uint32_t submission_head_ = 0;
  uint32_t submission_end_ = 0;
  uint32_t submission_tail_ = 0;
  uint32_t prepared_ = 0;  // caller's operations since the last submit
  uint32_t in_flight_ = 0;
  Target last_target_{};  // what a deadline would be set on

  SlotList<Connection, &Connection::next_ready> ready_;
  SlotList<Connection, &Connection::next_watch> to_watch_;
  SlotList<Operation, &Operation::next_ending> ending_;
  uint32_t listeners_due_ = 0;
  bool listeners_to_watch_ = false;
  int64_t now_ns_ = 0;  // in a turn, once somebody asked; else 0
};

}  // namespace ioring::readiness

#endif  // IORING_RING_READINESS_READINESS_CORE_H_
