// EmulatedRing: what the contract of ring/ring.h asks for and no system has to be asked about.
//
// How it works inside. Prepare only notes what is to be done: a connection's receive and send
// in its slot, everything else in the operation table; and writes a reference to it into a
// queue. A *turn* (at each submit and wait) goes through that queue in order and has the backend
// make the calls. Only in a turn do completions come into being, and only while their queue has
// room: what finds none stays where it is.
//
// Each turn does a bounded amount for each connection, so that none starves the others; what
// could do more goes to the end of the ready list, and a wait does not sleep while that is not
// empty.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_RING_H_
#define IORING_RING_CORE_EMULATED_EMULATED_RING_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/buffer_table.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/completion_queue.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/owner_thread.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/statistics.h"
#include "ring/token.h"
#include "ring_core/emulated/connection_table.h"
#include "ring_core/emulated/operation.h"
#include "ring_core/table/failure_log.h"
#include "ring_core/table/linger_table.h"
#include "ring_core/table/managed_group.h"
#include "ring_core/table/operation_table.h"
#include "ring_core/table/slot_array.h"
#include "ring_core/table/slot_list.h"
#include "ring_core/table/timer_heap.h"

namespace ioring::emulated {

// A receive or send, or a file's, as the caller asked for it.
struct TransferRequest {
  std::byte* data;
  uint32_t length;
  TransferFlags flags;
  uint32_t unit = BufferTable::kNoUnit;
  bool in_kernel = false;  // memory that the system has registered
};

// A backend derives from this and makes it its friend, so that no call between the two is
// virtual. `Types` names what is its own:
//   Connection   see ring_core/emulated/connection_table.h
//   Operation    see ring_core/emulated/operation.h
//   Listener     has `generation`, `due`, `accepts` (an AcceptList) and `is_open()`
//   FileTable    has Find, Close, and operator[], which give files with a count of `operations`
//   Address      an address as the system's calls take it
//
// What the backend has, besides what is left of Ring (for each: the operation or the direction
// is begun, there is room for completions, and what cannot be done now is taken up later):
//   static bool ToAddress(const Endpoint&, Address*)           false where it has none
//   void SetUpTransfer(Connection&, const TransferRequest&, bool is_send, Operation*)
//                                  notes what is its own; null: kPlain
//   void SetUpConnect(Connection&, const Endpoint&)            the same
//   void SetUpPoll(Operation&, PollEvents events)              the same
//   void SetUpFile(Operation&, const File&, uint64_t offset, const TransferRequest&, SyncMode)
//   void BeginConnect, BeginShutdown, BeginPoll, BeginFile(Operation&)
//   void RunRecv, RunSend(Connection&)           tries the direction, or ends it if cancelled
//   void RunConnection(Connection&)              it was on the ready list
//   CallResult TryRecv(Connection&, std::byte*, uint32_t bytes)   now, or kWouldBlock
//   CallResult TryPeek(Connection&)              a byte that stays there, or as TryRecv
//   void WaitToRecv(Connection&)                 when there may be something
//   void AfterShot(Connection&, bool is_full)    a managed receive that goes on has bytes
//   static constexpr CallResult kWouldBlock, kNoBufferSpace, kTooLong   its codes; the last: a
//                                  message was longer than the memory, and is gone
//   bool StopRecv, StopSend(Connection&)         asked to end; false: not begun, or past that
//   bool CancelPoll, CancelFile(Operation&)      the same, for one that is begun
//   bool IsStream(const Connection&)
//   bool SendEnd(Connection&)                    of a stream; false: there is no connection
//   CallResult DropUnread(Connection&)           receives, and drops what came
//   Acknowledged AllAcknowledged(Connection&)    what was sent, once the end was
//   void WaitForPeer(Connection&)                runs it when there is something, if it can tell
//   void FreeConnection(Connection&)             closes the socket and frees the slot
//   bool RegisterMemory(uint32_t slot, std::span<std::byte>)   whether the system has it now
//   void DeregisterMemory(uint32_t slot)
//   void Turn()
// and may have its own OnTimer, BeginClose, FreeRecv and FreeSend, which call those here.
template <typename Backend, typename Types>
class EmulatedRing : public Ring {
 public:
  const CapabilityReport& Capabilities() const final { return capabilities_; }

  absl::StatusOr<BufferId> RegisterBuffer(const RegisteredBufferOptions& options) final;
  absl::Status UnregisterBuffer(BufferId buffer) final;
  bool IsKernelRegistered(BufferId buffer) const final { return buffers_.InKernel(buffer); }
  uint32_t UsesInFlight(BufferId buffer, uint32_t offset) const final {
    return buffers_.Uses(buffer, offset);
  }
  absl::StatusOr<BufferGroupId> RegisterBufferGroup(const BufferGroupOptions& options) final;
  absl::Status AddBuffers(BufferGroupId group, std::span<std::byte> memory) final;
  absl::Status UnregisterBufferGroup(BufferGroupId group) final;
  uint32_t FreeBuffers(BufferGroupId group) const final;
  absl::Status CloseFile(FileId file) final {
    CheckProcess();
    return files_.Close(file);
  }

  Prepared PrepareAccept(ListenerId listener, Shots shots, Token token) final;
  Prepared PrepareConnect(const Endpoint& endpoint, Token token) final;
  Prepared PrepareRecv(ConnectionId connection, std::span<std::byte> memory, Token token,
                       TransferFlags flags = TransferFlags::kNone) final;
  Prepared PrepareSend(ConnectionId connection, std::span<const std::byte> memory, Token token,
                       TransferFlags flags = TransferFlags::kNone) final;
  Prepared PrepareRecvBuffer(ConnectionId connection, const BufferSlice& slice, Token token,
                             TransferFlags flags = TransferFlags::kNone) final;
  Prepared PrepareSendBuffer(ConnectionId connection, const BufferSlice& slice, Token token,
                             TransferFlags flags = TransferFlags::kNone) final;
  Prepared PrepareRecvManaged(ConnectionId connection, BufferGroupId group, Shots shots,
                              Token token) final;
  Prepared PrepareRecvFrom(ConnectionId socket, std::span<std::byte> memory, Endpoint* source,
                           Token token) final;
  Prepared PrepareSendTo(ConnectionId socket, std::span<const std::byte> memory,
                         const Endpoint& destination, Token token) final;
  Prepared PrepareShutdown(ConnectionId connection, Direction direction, Token token) final;
  Prepared PrepareClose(ConnectionId connection, CloseMode mode, Token token) final;
  Prepared PreparePollAdd(ConnectionId connection, PollEvents events, Shots shots,
                          Token token) final;
  Prepared PreparePollRemove(Token target, Token token) final;
  Prepared PrepareTimeout(std::chrono::nanoseconds delay, Shots shots, Token token) final;
  Prepared PrepareTimeoutAt(std::chrono::steady_clock::time_point time, Token token) final;
  Prepared PrepareDeadline(std::chrono::nanoseconds delay, Token token) final;
  Prepared PrepareCancel(Token target, Token token) final;
  Prepared PrepareCancelConnection(ConnectionId connection, Direction direction, Token token) final;
  Prepared PrepareCancelAll(Token token) final;
  Prepared PrepareRead(FileId file, uint64_t offset, std::span<std::byte> memory,
                       Token token) final;
  Prepared PrepareWrite(FileId file, uint64_t offset, std::span<const std::byte> memory,
                        Token token) final;
  Prepared PrepareReadBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                             Token token) final;
  Prepared PrepareWriteBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                              Token token) final;
  Prepared PrepareSync(FileId file, SyncMode mode, Token token) final;
  Prepared PrepareNop(Token token) final { return AcceptFixedResult(0, token); }

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

 protected:
  using Connection = typename Types::Connection;
  using Operation = typename Types::Operation;
  using Listener = typename Types::Listener;
  using FileTable = typename Types::FileTable;
  using Address = typename Types::Address;
  // Bytes, or the negative of the system's code.
  using CallResult = int64_t;

  struct Group {
    std::unique_ptr<ManagedGroup> buffers;
    uint16_t generation = 0;
    uint32_t receives = 0;  // managed receives in flight
    // Those of them that wait for a buffer, and how many were promised one.
    SlotList<Connection, &Connection::next_stalled> stalled;
    uint32_t promised = 0;
  };

  // Operations that only cancels may take, so that what fills the table can be cancelled.
  static constexpr uint32_t kKeptForCancels = 16;
  // What a turn may push without looking again: an operation's end and its deadline's, for
  // both directions of a connection.
  static constexpr uint32_t kHeadroom = 8;
  // Pieces of a kAll transfer in one turn, so that others get theirs.
  static constexpr int kPiecesPerTurn = 16;

  // `options` must have passed CheckRingOptions. The functions are the backend's table of native
  // codes, see FailureLog.
  EmulatedRing(const RingOptions& options, Error (*to_error)(int native),
               std::string (*to_text)(int native));
  // Ends the program where something is in flight, or a buffer not returned: first thing of a
  // destructor. Not in another process: nothing is in flight there.
  void CheckAtRest() const;

  // To be called once in the child of a fork: what uses the ring ends the program from then on.
  // Here there is only the parent's ring to be harmed.
  void LeaveProcess();
  bool IsOfAnotherProcess() const { return of_another_process_; }
  // Ends the program where this is not the process that made the ring.
  void CheckProcess() const;

  // Null where the id is stale.
  Listener* FindListener(ListenerId id);
  Group* FindGroup(BufferGroupId id);
  // The index of a listener that is not open; their number where all are.
  uint32_t FreeListener() const;

  // Waiting: emulated_turn.h. `poll(now_ns, until_ns)` sleeps at most until `until_ns` (steady
  // clock; kNever), or not at all where HasWork, and takes what the system has.
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  template <typename Poll>
  uint32_t DoSubmit(Poll poll);
  template <typename Poll>
  uint32_t DoSubmitAndWait(const WaitOptions& options, Poll poll);
  template <typename Poll>
  uint32_t DoWait(const WaitOptions& options, Poll poll);

  // Turns: emulated_turn.h.
  // Something could be done in a further turn at once.
  bool HasWork() const {
    return !ready_.empty() || listeners_due_ != 0 || !ending_.empty() || HasSubmissions();
  }
  bool HasRoom() const { return completions_.space() >= kHeadroom; }
  bool HasSubmissions() const { return submission_head_ != submission_end_; }
  bool WakesPending() const { return wakes_pending_.load(std::memory_order_relaxed) != 0; }
  void TakeWakes();
  bool HasTimers() const { return !timers_.empty() || !lingers_.empty(); }
  void RunTimers();
  void RunSubmissions();
  void RunEnding();
  void RunReady();
  void PushReady(Connection& connection);
  void MakeDue(Listener& listener);
  int64_t Now();

  // Managed receives, and ending transfers: emulated_transfer.h.
  void RunManagedRecv(Connection& connection);
  void EndRecv(Connection& connection, CallResult result);
  void EndSend(Connection& connection, CallResult result);
  void EndManagedRecv(Connection& connection, int32_t result, const ManagedBuffer* buffer,
                      uint32_t flags = 0);
  void EndTransfer(Connection& connection, Operation& operation, bool is_send, CallResult result);
  void FreeRecv(Connection& connection);
  void FreeSend(Connection& connection);

  // The operation table: emulated_operation.h.
  void EndOperation(Operation& operation, int32_t result, uint32_t flags = 0);
  void LinkPoll(Operation& operation);
  void OnTimer(Operation& operation);
  void Complete(Token token, int32_t result, uint32_t flags);
  // Notes why it failed; returns the completion's result.
  int32_t Fail(Token token, CallResult result, const char* what) {
    return failures_.Note(token, static_cast<int>(-result), what);
  }
  // Cancelling: emulated_cancel.h.
  // It ends with `result` in this turn, or the first that has room.
  void EndSoon(Operation& operation, int32_t result);
  bool CancelOperation(Operation& operation);
  void CancelAccepts(Listener& listener);
  // Closing: emulated_close.h.
  void BeginClose(Connection& connection);
  void ContinueClose(Connection& connection);
  void RunLinger(Connection& connection);

  const RingOptions options_;
  CapabilityReport capabilities_;
  StatisticsCounters statistics_;
  CompletionQueue completions_;
  // Calls of Wake that no completion stands for yet.
  std::atomic<uint32_t> wakes_pending_{0};

  emulated::ConnectionTable<Connection> connections_;
  OperationTable<Operation> operations_;
  BufferTable buffers_;
  std::vector<Listener> listeners_;
  FileTable files_;
  std::vector<Group> groups_;
  TimerHeap<Operation> timers_;
  LingerTable lingers_;
  SlotList<Connection, &Connection::next_ready> ready_;
  SlotList<Operation, &Operation::next_ending> ending_;
  uint32_t listeners_due_ = 0;
  uint32_t in_flight_ = 0;
  int64_t now_ns_ = 0;  // in a turn, once somebody asked; else 0

 private:
  // What the submission queue holds.
  enum class Step : uint32_t { kOperation, kRecv, kSend, kClose };

  Backend& backend() { return static_cast<Backend&>(*this); }

  // Whether there is no place in the queue, or no `operations`, for one more.
  bool Full(uint32_t operations, uint32_t kept = kKeptForCancels) const;
  // What Prepare returns where that holds.
  Prepared Refused();
  void Accepted(Step step, uint32_t index, Target target = {});
  void Accepted(const Operation& operation, bool may_have_deadline);
  Target TargetOf(const Operation& operation) const;
  Target TargetOf(const Connection& connection, Target::Kind direction) const;
  Prepared AcceptFixedResult(int32_t result, Token token, uint32_t kept = kKeptForCancels);
  Prepared AcceptError(Error error, Token token) {
    return AcceptFixedResult(ToResult(error), token);
  }
  // Null where it is full.
  Operation* TakeTimer(OperationKind kind, int64_t delay_ns, Token token);
  Prepared PrepareCancelTarget(Target target, Token target_token, Token token);

  static uint32_t LengthOf(size_t size, TransferFlags flags = TransferFlags::kNone);
  // Of a receive's completion with 0.
  static uint32_t FlagsOfNothing(const Connection& connection) {
    return connection.is_datagram() ? uint32_t{kEmptyDatagram} : 0;
  }
  void OnNoBuffers(Connection& connection, Group& group);
  bool OnUselessMessage(Connection& connection, CallResult result);
  void ResumeStalled(Group& group);
  Error Resolve(const BufferSlice& slice, TransferFlags flags, TransferRequest* request) const;
  Prepared PrepareRecvRequest(ConnectionId id, const TransferRequest& request, Token token);
  Prepared PrepareSendRequest(ConnectionId id, const TransferRequest& request, Token token);
  Prepared PrepareTransferAll(Connection& connection, const TransferRequest& request, bool is_send,
                              Token token);
  Operation* PrepareMessage(ConnectionId id, OperationKind kind, Token token, Prepared* prepared);
  Prepared PrepareFile(FileId id, OperationKind kind, uint64_t offset,
                       const TransferRequest& request, Token token,
                       SyncMode mode = SyncMode::kData);
  Prepared PrepareFileBuffer(FileId id, OperationKind kind, uint64_t offset,
                             const BufferSlice& slice, Token token);

  void Begin(Operation& operation);
  void BeginAccept(Operation& operation);
  void BeginTimer(Operation& operation);
  void BeginCancelConnection(Operation& operation);
  void BeginCancelAll(Operation& operation);
  void EndDeadline(uint32_t link);
  void UnlinkPoll(Operation& operation);
  bool IsCurrent(const Target& target, Token token) const;
  bool CancelTarget(const Target& target);
  void DetachDeadline(Operation& deadline);
  void RunLingers();
  void FinishClose(Connection& connection);
  // A receive gave 0 bytes.
  static void NotePeerEnd(Connection& connection) { connection.peer_ended = !connection.recv_shut; }
  uint32_t StopPolls(Connection& connection);

  void CheckThread();
  uint32_t TakePrepared();
  template <typename Poll>
  void PollAndTurn(Poll& poll, int64_t now_ns, int64_t until_ns);
  template <typename Poll>
  void LookNowAndThen(Poll& poll);
  template <typename Poll>
  uint32_t Wait(const WaitOptions& options, Poll& poll);

  OwnerThread owner_;
  bool of_another_process_ = false;
  uint32_t turns_without_poll_ = 0;
  FailureLog failures_;

  // References to what was prepared, in order: begun up to `submission_head_`, submitted up to
  // `submission_end_`. It has a place for everything that can be in flight, so that submitting
  // makes room for `submission_entries_` more even while completions are not taken.
  SlotArray<uint32_t> submissions_;
  const uint32_t submission_entries_;
  uint32_t submission_head_ = 0;
  uint32_t submission_end_ = 0;
  uint32_t submission_tail_ = 0;
  uint32_t prepared_ = 0;  // caller's operations since the last submit
  Target last_target_{};   // what a deadline would be set on
};

}  // namespace ioring::emulated

#include "ring_core/emulated/emulated_cancel.h"
#include "ring_core/emulated/emulated_close.h"
#include "ring_core/emulated/emulated_control.h"
#include "ring_core/emulated/emulated_operation.h"
#include "ring_core/emulated/emulated_prepare.h"
#include "ring_core/emulated/emulated_prepare_transfer.h"
#include "ring_core/emulated/emulated_transfer.h"
#include "ring_core/emulated/emulated_turn.h"

#endif  // IORING_RING_CORE_EMULATED_EMULATED_RING_H_
