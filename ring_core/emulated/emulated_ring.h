// EmulatedRing: the part of the contract of ring/ring.h that needs nothing of the system.
//
// How it works inside. Prepare only records the operation and writes a reference to it into a
// queue. A connection's receive and send are recorded in its slot, all other operations in the
// operation table. A *turn* is one pass over what was submitted and what is ready. Each submit and
// each wait makes one. A turn goes through the queue in order, and has the backend make the calls.
// Completions come into being only in a turn, and only while their queue has room. An operation
// that finds no room stays where it is.
//
// Each turn does a bounded amount for each connection, so that none starves the others. A
// connection that could do more goes to the end of the ready list. A wait does not sleep while that
// list is not empty.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_RING_H_
#define IORING_RING_CORE_EMULATED_EMULATED_RING_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/buffer_table.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/owner_thread.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring/ring.h"
#include "ring/ring_backend.h"
#include "ring/token.h"
#include "ring_core/emulated/connection_table.h"
#include "ring_core/emulated/operation.h"
#include "ring_core/table/emulated_group.h"
#include "ring_core/table/linger_table.h"
#include "ring_core/table/operation_table.h"
#include "ring_core/table/piece_pool.h"
#include "ring_core/table/slot_array.h"
#include "ring_core/table/slot_list.h"
#include "ring_core/table/slot_table.h"
#include "ring_core/table/timer_heap.h"
#include "ring_core/table/wait_plan.h"
#include "ring_core/table/wake_counter.h"

namespace ioring::emulated {

// A backend derives from this and makes it its friend, so that no call between the two is
// virtual. `Types` names what is its own:
//   Connection   see ring_core/emulated/connection_table.h
//   Operation    see ring_core/emulated/operation.h
//   Listener     a slot of SlotTable that has `due` and `accepts`, a SlotList of operations
//   FileTable    a FileSlots (ring_core/table/file_slots.h)
//   Address      an address as the system's calls take it
//
// The backend implements what is left of Ring and RingBackend, and has the hooks that
// ring_core/emulated/emulated_hooks.h lists and the compiler checks.
// Its functions are templates in further headers: include ring_core/emulated/emulated_parts.h. One
// source of the backend instantiates the class for all others.
//
// Ring comes first among the bases, so that a pointer to it is one to the object.
template <typename Backend, typename Types>
class EmulatedRing : public Ring, protected RingState {
 public:
  absl::StatusOr<BufferGroupId> RegisterBufferGroup(const BufferGroupOptions& options) final;
  absl::Status AddBuffers(BufferGroupId group, std::span<std::byte> memory) final;
  absl::Status UnregisterBufferGroup(BufferGroupId group) final;
  uint32_t FreeBuffers(BufferGroupId group) const final;
  void ReturnBuffer(const ManagedBuffer& buffer) final;
  uint32_t SubmissionQueueSpace() const final { return submission_limit_ - submission_tail_; }

 protected:
  using Connection = typename Types::Connection;
  using Operation = typename Types::Operation;
  using Listener = typename Types::Listener;
  using FileTable = typename Types::FileTable;
  using File = typename FileTable::File;
  using Address = typename Types::Address;
  // Bytes, or the negative of the system's code.
  using CallResult = int64_t;

  struct Group {
    std::unique_ptr<EmulatedGroup> buffers;
    uint16_t generation = 0;
    uint32_t receives = 0;  // managed receives and reads in flight
    // The receives and reads that wait for a buffer, and the number that were promised one.
    SlotList<Connection, &Connection::next_stalled> stalled;
    SlotList<Operation, &Operation::next> stalled_reads;
    uint32_t promised = 0;
    bool is_reads_turn = false;  // where both wait

    bool is_open() const { return buffers != nullptr; }
    bool has_stalled() const { return !stalled.empty() || !stalled_reads.empty(); }
  };

  // Operations that only cancels may take, so that operations that fill the table can be cancelled.
  static constexpr uint32_t kKeptForCancels = 16;
  // Completions that a turn may push without another look for room: those of an operation's end and
  // its deadline's, for both directions of a connection.
  static constexpr uint32_t kHeadroom = 8;
  // Pieces of a kAll transfer in one turn, so that other connections get their share.
  static constexpr int kPiecesPerTurn = 16;

  // As for RingState.
  EmulatedRing(const RingOptions& options, Error (*to_error)(int native),
               std::string (*to_text)(int native));
  // Ends the program if something is in flight, or a buffer is not returned. A destructor calls
  // this first. Does nothing in another process: nothing is in flight there.
  void CheckAtRest() const;

  // Requires: the child of a fork calls this once. Effects: every use of the ring ends the program
  // from then on. In the child, the only ring that a use could harm is the parent's.
  void LeaveProcess();

  // Waiting: emulated_turn.h. `poll(now_ns, until_ns)` sleeps at most until `until_ns` (steady
  // clock; kNever), or not at all where HasWork, and takes what the system has.
  static constexpr int64_t kNever = WaitPlan::kNever;
  template <typename Poll>
  uint32_t DoEnter(EnterMode mode, const WaitOptions& options, Poll poll);

  // Turns: emulated_turn.h.
  // Something could be done in a further turn at once.
  bool HasWork() const {
    return !ready_.empty() || listeners_due_ != 0 || !ending_.empty() || HasSubmissions();
  }
  bool HasRoom() const { return completions_.space() >= kHeadroom; }
  bool HasSubmissions() const { return submission_head_ != submission_end_; }
  void TakeWakes();
  bool HasTimers() const { return !timers_.empty() || !lingers_.empty(); }
  // When the first timer is due; the largest time where there is none.
  int64_t NextTimer() const { return std::min(timers_.next_ns(), lingers_.next_ns()); }
  void RunTimers();
  void RunSubmissions();
  void RunEnding();
  void RunReady();
  void PushReady(Connection& connection);
  void MakeDue(Listener& listener);
  int64_t Now();

  // Managed receives, and ending transfers: emulated_transfer.h.
  void RunManagedRecv(Connection& connection);
  template <bool kIsSend>
  void EndPlain(Connection& connection, CallResult result);
  void EndManagedRecv(Connection& connection, int32_t result, uint32_t flags = 0);
  void EndManagedRecv(Connection& connection, const ManagedBuffer& buffer);
  void EndTransfer(Connection& connection, Operation& operation, bool is_send, CallResult result);
  // The end of a RecvFrom, whose source is in the operation's address where it brought a message.
  void EndRecvFrom(Connection& connection, Operation& operation, CallResult result);
  // The direction ends, if it does anything, with the negative of one of the system's codes. A
  // transfer of all that has moved something ends with that, if `keeps_bytes`.
  void EndHalf(Connection& connection, bool is_send, CallResult result);
  // Nothing is in flight in the direction any more.
  void FreeHalf(Connection& connection, bool is_send) {
    connection.kind(is_send) = Transfer::kIdle;
    connection.clear(is_send ? kSendBegun | kSendCancelled | kSendHasDeadline
                             : kRecvBegun | kRecvCancelled | kRecvHasDeadline | kRecvMultishot);
  }

  // The operation table: emulated_operation.h.
  void EndOperation(Operation& operation, int32_t result, uint32_t flags = 0);
  // The end of a request::Open that opened a file.
  void EndOpen(Operation& operation, FileId file) {
    EndOperation(operation, static_cast<int32_t>(file.index), uint32_t{file.generation} << 16);
  }
  void LinkPoll(Operation& operation);
  // These hold of what the poll asks for: some of poll(2)'s events. True when it ended.
  bool TellPoll(Operation& operation, int32_t events);
  // Has the polls look that are due. `edges` are what came since the last time;
  // `concerns(edges, operation)` says whether they make a poll due. For backends with LookAtPoll,
  // whose connections have `poll_edges`, and whose polls have `due`.
  template <typename Concerns>
  void RunDuePolls(Connection& connection, Concerns concerns);
  void OnTimer(Operation& operation);
  // The operation ends. `flags` are without kMore.
  void Complete(Token token, int32_t result, uint32_t flags) {
    --in_flight_;
    completions_.Push(Completion{token, result, flags});
  }
  // The operation goes on.
  void CompleteShot(Operation& operation, int32_t result, uint32_t flags = 0);
  // Notes why a call failed; returns the completion's result.
  int32_t Fail(Token token, CallResult result, const char* what) {
    return RingState::Fail(token, static_cast<int>(-result), what);
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

  WakeCounter wakes_;

  emulated::ConnectionTable<Connection> connections_;
  OperationTable<Operation> operations_;
  SlotTable<Listener, ListenerId> listeners_;
  FileTable files_;
  SlotTable<Group, BufferGroupId> groups_;
  TimerHeap<Operation> timers_;
  LingerTable lingers_;
  SlotList<Connection, &Connection::next_ready> ready_;
  SlotList<Operation, &Operation::next_ending> ending_;
  uint32_t listeners_due_ = 0;
  int64_t now_ns_ = 0;  // in a turn, once somebody asked; else 0
  // What is in flight never completes, and uses nothing (a simulated host that has stopped).
  bool is_abandoned_ = false;

 private:
  // An entry of the submission queue.
  enum class Step : uint32_t { kOperation, kRecv, kSend, kClose };

  // emulated_hooks.h. Nothing at run time.
  static constexpr void CheckPreparing();
  static constexpr void CheckPreparingFiles();
  static constexpr void CheckTurns();
  static constexpr void CheckEnding();
  Backend& backend() { return static_cast<Backend&>(*this); }

  // RingBackend.
  Prepared StartRecv(ConnectionId connection, std::span<std::byte> memory, TransferTraits traits,
                     Token token) final {
    const bool accepted = AcceptPlain</*kIsSend=*/false>(connection, memory, traits, token);
    return accepted ? Prepared::kAccepted : StartRecvElse(connection, memory, traits, token);
  }
  Prepared StartSend(ConnectionId connection, std::span<std::byte> memory, TransferTraits traits,
                     Token token) final {
    const bool accepted = AcceptPlain</*kIsSend=*/true>(connection, memory, traits, token);
    return accepted ? Prepared::kAccepted : StartSendElse(connection, memory, traits, token);
  }
  Prepared StartRecvManaged(ConnectionId connection, BufferGroupId group, Shots shots,
                            Token token) final;
  Prepared Start(const Request& request, Token token) final;
  absl::StatusOr<bool> SetKernelMemory(uint32_t slot, const RegisteredBufferOptions& options) final;

  // Whether the submission queue is full.
  bool QueueFull() const { return submission_tail_ == submission_limit_; }
  // Whether it is, or the table of operations, of which the last `kept` are for others.
  bool Full(uint32_t kept = kKeptForCancels) const {
    return QueueFull() || operations_.size() - operations_.in_use() <= kept;
  }
  // What is returned where that holds.
  Prepared Refused();
  void Accepted(Step step, uint32_t index);
  Prepared Accepted(const Operation& operation);
  Prepared AcceptFixedResult(int32_t result, Token token, uint32_t kept = kKeptForCancels);
  Prepared AcceptError(Error error, Token token) {
    return AcceptFixedResult(ToResult(error), token);
  }

  // Transfers of connections: emulated_prepare_transfer.h.
  template <bool kIsSend>
  bool AcceptPlain(ConnectionId id, std::span<std::byte> memory, TransferTraits traits,
                   Token token);
  Prepared StartRecvElse(ConnectionId id, std::span<std::byte> memory, TransferTraits traits,
                         Token token);
  Prepared StartSendElse(ConnectionId id, std::span<std::byte> memory, TransferTraits traits,
                         Token token);
  template <bool kIsSend>
  Prepared StartTransfer(ConnectionId id, std::span<std::byte> memory, TransferTraits traits,
                         Token token);
  template <bool kIsSend>
  void BeginPlain(Connection& connection, uint32_t index, std::span<std::byte> memory,
                  TransferTraits traits, Token token);
  Prepared StartTransferAll(Connection& connection, std::span<std::byte> memory,
                            TransferTraits traits, bool is_send, Token token);
  Operation* TakeMessage(ConnectionId id, OperationKind kind, Token token, Prepared* prepared);

  // Everything else: emulated_prepare.h.
  Prepared Begin(const request::Nop& nop, Token token);
  Prepared Begin(const request::Accept& accept, Token token);
  Prepared Begin(const request::Connect& connect, Token token);
  Prepared Begin(const request::RecvFrom& recv, Token token);
  Prepared Begin(const request::SendTo& send, Token token);
  Prepared Begin(const request::Shutdown& shutdown, Token token);
  Prepared Begin(const request::Close& close, Token token);
  Prepared Begin(const request::Poll& poll, Token token);
  Prepared Begin(const request::Timer& timer, Token token);
  Prepared Begin(const request::TimerAt& timer, Token token);
  Prepared Begin(const request::Deadline& deadline, Token token);
  Prepared Begin(const request::Cancel& cancel, Token token);
  Prepared Begin(const request::CancelAll& cancel, Token token);
  Prepared StartCancel(OperationKind kind, const OperationHead::Cancel& cancel, Token token);

  // Operations of files: emulated_file.h.
  Prepared Begin(const request::FileTransfer& transfer, Token token);
  Prepared Begin(const request::FileParts& transfer, Token token);
  Prepared Begin(const request::ReadManaged& read, Token token);
  Prepared Begin(const request::Open& open, Token token);
  Prepared Begin(const request::CloseFile& close, Token token);
  Prepared Begin(const request::Work& work, Token token);
  Prepared Begin(const request::FileCall& call, Token token);
  bool FindIfSet(FileId id, File** file);
  uint32_t UseFile(File* file);
  void DropFile(uint32_t index);
  Prepared AcceptFile(Operation& operation, File& file);
  void BeginRead(Operation& operation);
  void BeginPickedRead(Operation& operation, Group& group);
  void BeginPromisedRead(Operation& operation);
  void BeginCloseFile(Operation& operation);
  void EndFile(Operation& operation, int32_t result, uint32_t flags);
  void EndManagedRead(Operation& operation, int32_t result);
  bool CancelManagedRead(Operation& operation);

  // Files to connections: emulated_send_file.h.
  Prepared Begin(const request::SendFile& send, Token token);
  void BeginSendFile(Operation& operation);
  void ReadPiece(Operation& operation);
  void OnPieceRead(Operation& read, int32_t result);
  void OnPieceSent(Operation& operation, int32_t result);
  void EndSendFile(Operation& operation, int32_t result);
  bool StopSend(Connection& connection);

  // The target of a cancel or a deadline: emulated_target.h.
  Target TargetOf(const Operation& operation) const;
  Target TargetOf(const Connection& connection, bool is_send) const;
  Target TargetIn(Connection& connection, bool is_send);
  Target FindTarget(Token token);
  Target FindLast(Token token);
  Error FindForDeadline(const request::Target& named, Target* target);
  uint32_t* DeadlineOf(const Target& target);
  static bool HasTransfer(Connection& connection, bool is_send, Token token) {
    return connection.half(is_send).token == token.value &&
           IsInConnection(connection.kind(is_send));
  }
  bool IsCurrent(const Target& target, Token token);
  bool CancelTarget(const Target& target);

  // Of a receive's completion with 0.
  static uint32_t FlagsOfNothing(const Connection& connection) {
    return connection.is_datagram() ? uint32_t{kEmptyDatagram} : 0;
  }
  template <bool kIsSend>
  void EndPlainElse(Connection& connection, CallResult result);
  uint32_t FreeManagedRecv(Connection& connection);
  void OnNoBytes(Connection& connection, Group& group, CallResult result);
  void OnNoBuffers(Connection& connection, Group& group);
  bool OnUselessMessage(Connection& connection, CallResult result);
  void ResumeStalled(Group& group);

  void BeginOperation(Operation& operation);
  void BeginAccept(Operation& operation);
  void BeginTimer(Operation& operation);
  void BeginCancel(Operation& operation);
  void BeginCancelConnection(Operation& operation);
  void BeginCancelAll(Operation& operation);
  void UnlinkPoll(Operation& operation);
  uint32_t StopPolls(Connection& connection);

  // Deadlines: emulated_deadline.h.
  void EndDeadline(uint32_t link);
  void OnDeadline(Operation& deadline);
  void DetachDeadline(Operation& deadline);
  // The operation that the deadline is on has completed once, and continues.
  void NoteShot(uint32_t deadline) { operations_[deadline - 1].watch.heard_ns = Now(); }

  void RunLingers();
  void FinishClose(Connection& connection);
  // A receive gave 0 bytes.
  static void NotePeerEnd(Connection& connection) { connection.peer_ended = !connection.recv_shut; }

  void RunSubmission(uint32_t reference);
  void CheckThread();
  uint32_t TakePrepared();
  template <typename Poll>
  void PollAndTurn(Poll& poll, int64_t now_ns, int64_t until_ns);
  template <typename Poll>
  void LookNowAndThen(Poll& poll);
  template <typename Poll>
  uint32_t Wait(const WaitOptions& options, Poll& poll);
  // A wake is to be taken, or there is no room for more, whatever the wait is for.
  bool WaitMustEnd() { return completions_.MarkedWaits() || !HasRoom(); }

  OwnerThread owner_;
  uint32_t turns_without_poll_ = 0;
  PiecePool pieces_;
  // By a file's index: a link to the close that waits for its operations to end.
  SlotArray<uint32_t> waiting_closes_;

  // References to the prepared operations, in order: begun up to `submission_head_`, submitted up
  // to `submission_end_`. The queue has a place for everything that can be in flight. Submitting
  // therefore makes room for `submission_entries_` more even while completions are not taken.
  SlotArray<uint32_t> submissions_;
  const uint32_t submission_mask_ = submissions_.size() - 1;
  const uint32_t submission_entries_;
  uint32_t submission_head_ = 0;
  uint32_t submission_end_ = 0;
  uint32_t submission_tail_ = 0;
  uint32_t submission_limit_ = submission_entries_;  // of the tail, until the next submit
};

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_RING_H_
