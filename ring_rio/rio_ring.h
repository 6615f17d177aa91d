// RioRing: the ring of Windows, over one completion port; with or without Registered I/O.
//
// How it works inside. Prepare only notes what is to be done: a connection's receive and send
// in its slot, everything else in the operation table; and writes a reference to it into a
// queue. A *turn* (at each submit and wait) goes through that queue in order and makes the
// calls. What Windows keeps gives a packet to the port, and the packet goes on with it. Only in
// a turn do completions come into being, and only while their queue has room: packets that find
// none stay in the port.
//
// What is a completion on Windows, and what is done here:
//  - Receives into the caller's memory are overlapped calls; what is there already comes at
//    once, without a packet. Cancelling one takes no bytes with it.
//  - Sends are made at once. What does not fit waits for the socket to be writable, because an
//    overlapped send that is cancelled does not say how many of its bytes left.
//  - Managed receives and polls wait for readiness: an overlapped receive of no bytes, or a poll
//    of the socket (ring_rio/socket_poll.h).
//  - Registered I/O transfers slices of registered memory. It cannot cancel a request, and the
//    contract is kept so: a receive is handed to it when there is something to receive, so that
//    it ends at once; a send that it has is past stopping (kNotFound), like a zero-copy send,
//    until its connection is closed, which drops it.
//  - A socket that another ring's port has (Windows cannot change that) is polled and called.
//  - A wait sleeps in whole milliseconds, rounded up.
#ifndef IORING_RING_RIO_RIO_RING_H_
#define IORING_RING_RIO_RIO_RING_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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
#include "ring_rio/accept_pool.h"
#include "ring_rio/calls.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/connection_table.h"
#include "ring_rio/file_table.h"
#include "ring_rio/native_error.h"
#include "ring_rio/operation.h"
#include "ring_rio/rio_api.h"
#include "ring_rio/rio_queue.h"
#include "ring_rio/socket_poll.h"
#include "ring_rio/sockets.h"
#include "ring_table/failure_log.h"
#include "ring_table/managed_group.h"
#include "ring_table/slot_array.h"
#include "ring_table/slot_list.h"
#include "ring_table/timer_heap.h"

namespace ioring::rio {

class RioRing final : public Ring {
 public:
  // With the system's Registered I/O ("rio"); Unimplemented where it has none.
  static absl::StatusOr<std::unique_ptr<RioRing>> CreateRio(const RingOptions& options);
  // The same over another table of functions: a double's.
  static absl::StatusOr<std::unique_ptr<RioRing>> CreateRio(const RingOptions& options,
                                                            const RioFunctions& functions);
  // Without it ("iocp").
  static absl::StatusOr<std::unique_ptr<RioRing>> CreateIocp(const RingOptions& options);
  ~RioRing() override;

  std::string_view BackendName() const override { return rio_ != nullptr ? "rio" : "iocp"; }
  const CapabilityReport& Capabilities() const override { return capabilities_; }

  absl::StatusOr<ListenerId> CreateListener(const Endpoint& endpoint,
                                            const ListenerOptions& options) override;
  absl::Status CloseListener(ListenerId listener) override;
  absl::StatusOr<Endpoint> LocalEndpoint(ListenerId listener) const override;
  absl::StatusOr<ConnectionId> RegisterSocket(NativeHandle handle) override;
  absl::StatusOr<NativeHandle> UnregisterSocket(ConnectionId connection) override;
  absl::StatusOr<ConnectionId> OpenDatagram(const Endpoint& local) override;
  absl::StatusOr<Endpoint> PeerEndpoint(ConnectionId connection) override;
  absl::StatusOr<Endpoint> LocalEndpoint(ConnectionId connection) override;
  absl::StatusOr<BufferId> RegisterBuffer(const RegisteredBufferOptions& options) override;
  absl::Status UnregisterBuffer(BufferId buffer) override;
  bool IsKernelRegistered(BufferId buffer) const override { return buffers_.InKernel(buffer); }
  std::string_view RegistrationProblem() const override { return registration_problem_; }
  uint32_t UsesInFlight(BufferId buffer, uint32_t offset) const override {
    return buffers_.Uses(buffer, offset);
  }
  absl::StatusOr<BufferGroupId> RegisterBufferGroup(const BufferGroupOptions& options) override;
  absl::Status AddBuffers(BufferGroupId group, std::span<std::byte> memory) override;
  absl::Status UnregisterBufferGroup(BufferGroupId group) override;
  uint32_t FreeBuffers(BufferGroupId group) const override;
  absl::StatusOr<FileId> OpenFile(const std::string& path, const FileOptions& options) override;
  absl::Status CloseFile(FileId file) override;

  bool PrepareAccept(ListenerId listener, Shots shots, Token token) override;
  bool PrepareConnect(const Endpoint& endpoint, Token token) override;
  bool PrepareRecv(ConnectionId connection, std::span<std::byte> memory, Token token,
                   TransferFlags flags = TransferFlags::kNone) override;
  bool PrepareSend(ConnectionId connection, std::span<const std::byte> memory, Token token,
                   TransferFlags flags = TransferFlags::kNone) override;
  bool PrepareRecvBuffer(ConnectionId connection, const BufferSlice& slice, Token token,
                         TransferFlags flags = TransferFlags::kNone) override;
  bool PrepareSendBuffer(ConnectionId connection, const BufferSlice& slice, Token token,
                         TransferFlags flags = TransferFlags::kNone) override;
  bool PrepareRecvManaged(ConnectionId connection, BufferGroupId group, Shots shots,
                          Token token) override;
  bool PrepareRecvFrom(ConnectionId socket, std::span<std::byte> memory, Endpoint* source,
                       Token token) override;
  bool PrepareSendTo(ConnectionId socket, std::span<const std::byte> memory,
                     const Endpoint& destination, Token token) override;
  bool PrepareShutdown(ConnectionId connection, Direction direction, Token token) override;
  bool PrepareClose(ConnectionId connection, CloseMode mode, Token token) override;
  bool PreparePollAdd(ConnectionId connection, uint32_t events, Shots shots, Token token) override;
  bool PreparePollRemove(Token target, Token token) override;
  bool PrepareTimeout(std::chrono::nanoseconds delay, Shots shots, Token token) override;
  bool PrepareTimeoutAt(std::chrono::steady_clock::time_point time, Token token) override;
  bool PrepareDeadline(std::chrono::nanoseconds delay, Token token) override;
  bool PrepareCancel(Token target, Token token) override;
  bool PrepareCancelConnection(ConnectionId connection, Direction direction, Token token) override;
  bool PrepareCancelAll(Token token) override;
  bool PrepareRead(FileId file, uint64_t offset, std::span<std::byte> memory, Token token) override;
  bool PrepareWrite(FileId file, uint64_t offset, std::span<const std::byte> memory,
                    Token token) override;
  bool PrepareReadBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                         Token token) override;
  bool PrepareWriteBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                          Token token) override;
  bool PrepareSync(FileId file, SyncMode mode, Token token) override;
  bool PrepareNop(Token token) override;

  uint32_t SubmissionQueueSpace() const override { return submission_entries_ - prepared_; }
  uint32_t Submit() override;
  uint32_t SubmitAndWait(const WaitOptions& options) override;
  uint32_t WaitCompletions(const WaitOptions& options) override;
  void Wake() override;
  uint32_t CompletionQueueCount() const override { return completions_.size(); }
  std::span<const Completion> PeekCompletions() override { return completions_.View(); }
  void AdvanceCompletionQueue(size_t count) override { completions_.Advance(count); }
  ManagedBuffer TakeBuffer(const Completion& completion) override {
    return completions_.TakeBuffer(completion);
  }
  void ReturnBuffer(const ManagedBuffer& buffer) override;
  std::string ExplainError(const Completion& completion) const override {
    return failures_.Explain(completion);
  }
  Statistics GetStatistics() const override { return statistics_.Snapshot(); }
  uint32_t InFlight() const override { return in_flight_; }

  // Requests that Windows has: OVERLAPPEDs and requests of Registered I/O, those of idle
  // listeners included. For tests.
  uint32_t RequestsOutstanding() const {
    return requests_out_ + (rio_ != nullptr ? rio_->in_flight() : 0);
  }

 private:
  using AcceptList = SlotList<Operation, &Operation::next>;

  struct Listener {
    SOCKET socket = INVALID_SOCKET;
    uint16_t generation = 0;
    int family = 0;
    bool due = false;  // to be run in this turn or the next
    AcceptList accepts;
    AcceptedList accepted;   // connections that no accept has taken yet
    uint32_t in_flight = 0;  // AcceptEx, and connections that no accept has taken yet
    uint32_t pool = 0;       // how many there are to be
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
    bool by_rio = false;     // Registered I/O may transfer it
    bool falls_back = true;  // ... and would, if the memory were registered
  };
  // What a plain or kAll transfer is to move next.
  struct Piece {
    std::byte* data;
    uint32_t length;
    uint32_t unit;  // of registered memory that Registered I/O may transfer, or kNoUnit
  };
  struct RegisteredMemory {
    RIO_BUFFERID id;
    std::byte* data;
  };
  // What the submission queue holds.
  enum class Step : uint32_t { kOperation, kRecv, kSend, kClose };

  static constexpr uint32_t kKeptForCancels = 16;
  // What a turn may push without looking again: an operation's end and its deadline's, for
  // both directions of a connection.
  static constexpr uint32_t kHeadroom = 8;
  // What a packet may push: an operation's end, its deadline's, and a close's.
  static constexpr uint32_t kPerPacket = 4;
  static constexpr uint32_t kPacketsMax = 64;
  // AcceptEx in flight per listener: more, when all of them have brought something in one turn.
  static constexpr uint32_t kAcceptsAtFirst = 8;
  static constexpr uint32_t kAcceptsMax = 64;

  RioRing(const RingOptions& options, std::unique_ptr<CompletionPort> port,
          std::unique_ptr<SocketPoller> poller, const SocketFunctions& functions);
  static absl::StatusOr<std::unique_ptr<RioRing>> Create(const RingOptions& options,
                                                         const RioFunctions* functions);
  void Report();

  // Preparing: rio_prepare.cc and rio_prepare_transfer.cc.
  bool Full(uint32_t operations, uint32_t kept = kKeptForCancels);
  void Accepted(Step step, uint32_t index, Target target = {});
  void Accepted(const Operation& operation, bool may_have_deadline);
  Target TargetOf(const Operation& operation) const;
  Target TargetOf(const Connection& connection, Target::Kind direction) const;
  bool AcceptFixedResult(int32_t result, Token token, uint32_t kept = kKeptForCancels);
  bool AcceptError(Error error, Token token) { return AcceptFixedResult(ToResult(error), token); }
  Error Resolve(const BufferSlice& slice, TransferFlags flags, TransferRequest* request) const;
  bool PrepareRecvRequest(ConnectionId id, const TransferRequest& request, Token token);
  bool PrepareSendRequest(ConnectionId id, const TransferRequest& request, Token token);
  bool PrepareTransferAll(Connection& connection, const TransferRequest& request, bool is_send,
                          Token token);
  void CountFallback(const Connection& connection, const TransferRequest& request);
  Operation* PrepareMessage(ConnectionId id, OperationKind kind, Token token, bool* accepted);
  bool PrepareFile(FileId id, OperationKind kind, uint64_t offset, const TransferRequest& request,
                   Token token);
  bool PrepareTimer(OperationKind kind, int64_t delay_ns, Token token, Operation** made);
  bool PrepareCancelTarget(Target target, Token target_token, Token token);

  // Turns: rio_turn.cc.
  void CheckThread();
  uint32_t TakePrepared();
  void Turn();
  bool HasRoom() const { return completions_.space() >= kHeadroom; }
  bool HasWork() const {
    return !ready_.empty() || listeners_due_ != 0 || !ending_.empty() ||
           submission_head_ != submission_end_;
  }
  void RunSubmissions();
  void RunEnding();
  void RunTimers();
  void RunReady();
  void RunConnection(Connection& connection);
  void TakeWakes();
  void PushReady(Connection& connection);
  int64_t Now();

  // Waiting: rio_wait.cc.
  uint32_t Wait(const WaitOptions& options);
  void LookNowAndThen();
  void TakePackets(int64_t now_ns, int64_t until_ns);
  void OnPacket(const OVERLAPPED_ENTRY& packet);
  void OnRecvPacket(Connection& connection, const OVERLAPPED_ENTRY& packet);
  void OnSendPacket(Connection& connection, const OVERLAPPED_ENTRY& packet);
  void AfterPacket(Connection& connection);

  // Transfers: rio_transfer.cc, rio_managed.cc.
  void RunRecv(Connection& connection);
  void RunSend(Connection& connection);
  void RunStreamRecv(Connection& connection);
  void RunStreamSend(Connection& connection);
  void RunManagedRecv(Connection& connection);
  void OnNoBuffers(Connection& connection, Group& group);
  void RunRecvFrom(Connection& connection, Operation& operation);
  void RunSendTo(Connection& connection, Operation& operation);
  Piece PieceOf(const Operation& operation) const;
  Piece RecvPiece(const Connection& connection) const;
  Piece SendPiece(const Connection& connection) const;
  bool OnReceived(Connection& connection, CallResult result);
  bool OnSent(Connection& connection, CallResult result);
  void WaitReadable(Connection& connection);
  void WaitWritable(Connection& connection);
  void FailRecv(Connection& connection, CallResult result);
  void FailSend(Connection& connection, CallResult result);
  void EndRecv(Connection& connection, CallResult result);
  void EndSend(Connection& connection, CallResult result);
  void EndManagedRecv(Connection& connection, int32_t result, const ManagedBuffer* buffer);
  void EndTransfer(Connection& connection, Operation& operation, bool is_send, CallResult result);
  void CancelRecv(Connection& connection);
  void CancelSend(Connection& connection);
  void FreeRecv(Connection& connection);
  void FreeSend(Connection& connection);
  void ResumeStalled(Group& group);

  // Registered I/O: rio_registered.cc.
  bool UsesRio(Connection& connection, const Piece& piece);
  bool StartRioRecv(Connection& connection, const Piece& piece);
  bool StartRioSend(Connection& connection, const Piece& piece);
  RIO_BUF SliceOf(const Piece& piece) const;
  void CommitLater(Connection& connection, RequestFlags direction);
  void Commit(Connection& connection);
  void CommitAll();
  void TakeRioResults();
  void OnRioResult(const RIORESULT& result);

  // Listeners, accepting and connecting: rio_accept.cc.
  Listener* FindListener(ListenerId id);
  void BeginAccept(Operation& operation);
  void FillPool(Listener& listener, uint32_t index);
  void OnAcceptPacket(AcceptRequest& request);
  int32_t AddAccepted(AcceptRequest& request, Listener& listener, uint32_t* flags);
  void MakeDue(Listener& listener);
  void RunListener(Listener& listener, uint32_t index);
  void BeginConnect(Operation& operation);
  CallResult StartConnect(Connection& connection, const SocketAddress& address);
  void OnConnect(Connection& connection, Operation& operation, CallResult result);
  void EndConnect(Operation& operation, int32_t result);
  void Join(Connection& connection);

  // The operation table: rio_operation.cc, rio_poll.cc, rio_file.cc.
  void Begin(Operation& operation);
  void BeginShutdown(Operation& operation);
  void BeginTimer(Operation& operation);
  void OnTimer(Operation& operation);
  void BeginPoll(Operation& operation);
  void StartPoll(Operation& operation);
  void OnPollPacket(Operation& operation);
  void UnlinkPoll(Connection& connection, Operation& operation);
  void LookAgain(Connection& connection, uint32_t events);
  void BeginFile(Operation& operation);
  void BeginSync(Operation& operation);
  void OnFilePacket(Operation& operation, const OVERLAPPED_ENTRY& packet);
  void EndFile(Operation& operation, CallResult result);
  void EndOperation(Operation& operation, int32_t result, uint32_t flags = 0);
  void EndDeadline(uint32_t link);
  void Complete(Token token, int32_t result, uint32_t flags);
  int32_t Fail(Token token, CallResult result, const char* what);

  // Cancelling and closing: rio_cancel.cc.
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
  void CloseNow(Connection& connection);
  void FreeConnection(Connection& connection);

  // Control plane: rio_control.cc.
  Group* FindGroup(BufferGroupId id);
  absl::StatusOr<ConnectionId> AddSocket(SOCKET socket, bool is_stream);

  const RingOptions options_;
  CapabilityReport capabilities_;
  OwnerThread owner_;
  StatisticsCounters statistics_;
  CompletionQueue completions_;
  std::atomic<uint32_t> wakes_pending_{0};  // calls of Wake that no completion stands for yet
  bool woken_ = false;                      // since the current wait began

  const std::unique_ptr<CompletionPort> port_;
  const std::unique_ptr<SocketPoller> poller_;
  const SocketFunctions functions_;
  Request notify_{};
  std::unique_ptr<RioQueue> rio_;       // null: without Registered I/O
  bool socket_rio_ = false;             // sockets use it for registered memory
  const uint32_t rio_threshold_bytes_;  // ... for slices of at least this size
  uint32_t requests_out_ = 0;           // OVERLAPPEDs that Windows has

  ConnectionTable connections_;
  OperationTable operations_;
  BufferTable buffers_;
  std::vector<RegisteredMemory> registered_;
  std::string registration_problem_;
  std::vector<Listener> listeners_;
  AcceptPool accepts_;
  FileTable files_;
  std::vector<Group> groups_;
  TimerHeap<Operation> timers_;
  FailureLog failures_{&ErrorFromNative, &NativeErrorText};

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
  SlotList<Connection, &Connection::next_commit> to_commit_;
  SlotList<Operation, &Operation::next_ending> ending_;
  uint32_t listeners_due_ = 0;
  uint32_t turns_without_packets_ = 0;
  int64_t now_ns_ = 0;  // in a turn, once somebody asked; else 0
  std::array<OVERLAPPED_ENTRY, kPacketsMax> packets_;
  std::array<RIORESULT, kPacketsMax> rio_results_;
};

}  // namespace ioring::rio

namespace ioring {

using RioRing = rio::RioRing;

}  // namespace ioring

#endif  // IORING_RING_RIO_RIO_RING_H_
