// Ring: one io_uring-like interface on every platform.
//
// A program *prepares* operations (no system call), *submits* them in one batch,
// and takes *completions* from a queue:
//
//   CreatedRing created = CreateRing(RingOptions{}).value();  // ring_native/create_ring.h
//   Ring* ring = created.ring.get();
//   ListenerId listener = *ring->CreateListener(*Endpoint::Parse("127.0.0.1:0"), {});
//   CHECK(ring->PrepareAccept(listener, Shots::kMultishot, Token{1}) == Prepared::kAccepted);
//   for (;;) {
//     ring->SubmitAndWait();
//     for (const Completion& completion : ring->Completions()) Handle(completion);
//   }
//
// The contract, the same for every backend:
//
//  1. `Prepare…` queues one operation and makes no system call. It returns
//     Prepared::kAccepted, or says what was full and changes nothing:
//     - kSubmissionQueueFull: `Submit` makes room. Prepare once more then.
//     - kOperationTableFull: all RingOptions::max_operations places of the table are in use
//       (options.h says which operations need one). `Submit` frees none. An operation frees
//       its place when it completes. Keep the operation, and prepare it again after you have
//       taken completions.
//     If both are full, Prepare returns kSubmissionQueueFull. After a submit, the same
//     operation may therefore be refused with kOperationTableFull. The loop
//     `while (prepare() != Prepared::kAccepted) Submit();` then never ends. Use Retries
//     (ring/retries.h): it submits, keeps what is still refused, and offers it again.
//     An accepted operation has exactly one final completion. Earlier ones are marked `kMore`.
//     A bad argument is no reason to refuse: the operation is accepted, and completes with the
//     error. The table has a few further places for cancels, so that the operations that fill
//     it can be cancelled.
//  2. The ring uses the memory of an operation (spans, slices, `Endpoint*`) from acceptance on.
//     Keep it valid, and do not touch it, until PeekCompletions or a loop over Completions has
//     shown you the final completion. Arguments passed by reference are copied at once.
//  3. A completion's `result` is a number of bytes, an index, a count, or the negative of one
//     `Error`.
//  4. `Submit` never blocks. The ring never runs a callback.
//  5. An id carries a generation. An operation on a stale id completes with kBadId.
//  6. Per connection at most one receive and one send are in flight; a second one of the
//     same direction completes with kBusy. Receive and send are independent. (The
//     direction of a zero-copy send is free at its first completion, its memory at the last.)
//  7. A cancel is itself an operation, and is best effort. The target still completes:
//     with kCanceled, or with the result of what it truly did.
//  8. A slice that lies outside its buffer, or crosses a unit, completes with kInvalidArgument. The
//     system never sees such an operation.
//  9. No completion is lost. The queues are bounded. If the kernel's completion queue overflows,
//     the ring flushes it and counts each overflow. The completions arrive all the same.
// 10. Threads: a ring belongs to one thread, the one that first submits or waits. Another thread
//     may make the ring and prepare operations before that. Any thread may call `Wake` and
//     `GetStatistics`; a signal handler may call `Wake`.
//     A ring belongs to the process that made it. The child of a fork can destroy its copy; `Wake`
//     does nothing there; every other use that reaches the system ends the program. Make rings
//     after fork(2) or daemon(3). While a child has a copy, a close is not the last one: a peer may
//     see no reset, and a listener still listens. A child that destroys its copy, executes another
//     program or ends gives the copy up. (The ring sees the forks of the C library. It sees neither
//     vfork(2) nor a clone(2) of the program's own.)
// 11. After creation, the hot path (prepare, submit, wait, peek, advance, take and return of
//     buffers) makes no allocation and takes no lock. Only a submit and a wait enter the kernel,
//     once each. (Where the system has no operations, as with epoll, each transfer is a call of its
//     own. Two steps take one further call each: making a socket to connect, and the first step of
//     a graceful close. What a thread of the ring's does takes a lock; operations of files other
//     than reads and writes allocate where more of them are in flight than ever before.)
// 12. Before you destroy a ring, bring it to rest: no operation is in flight (`Drain`,
//     ring/drain.h), and all pools and groups on it are destroyed. If an operation is in flight,
//     the program ends with a message. The destructor closes open connections, listeners and
//     files. A copy in the child of a fork closes its descriptors and does nothing else, even with
//     work in flight: the parent's ring goes on.
//     Two operations can be in flight for long. A zero-copy send waits until the peer takes its
//     bytes, or the connection is reset. A graceful close takes up to RingOptions::linger_time.
// 13. The ring handles interrupted calls, short submits and a busy kernel. (io_uring interrupts the
//     ring's thread to run its work. Other blocking calls of that thread may therefore fail with
//     EINTR where they would not without a ring.)
// 14. The control plane returns NotFound for a stale id, InvalidArgument for wrong options,
//     ResourceExhausted for a limit of the options or of the system, FailedPrecondition for an
//     object in use, and Unimplemented if the system lacks it.
//
// Cost: one virtual call per prepared operation, one per submit or wait, one per managed buffer
// that is returned. Completions are read from memory.
//
// File operations are in ring/ring_files.h. To write a backend, see ring/ring_backend.h.
#ifndef IORING_RING_RING_H_
#define IORING_RING_RING_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/completion_range.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring_backend.h"
#include "ring/ring_files.h"
#include "ring/statistics.h"
#include "ring/token.h"

namespace ioring {

class Ring : public RingFiles {
 public:
  ~Ring() override = default;

  // ---- Control plane: may allocate and make system calls; errors are statuses whose
  // message says what was wrong and what to do. Ring's thread only, once it is bound; when
  // that thread has ended, another may still unregister, and destroy the ring.

  // "io_uring", "epoll", "kqueue", "rio", "iocp", "sim".
  std::string_view BackendName() const { return state_.backend_name_; }
  const CapabilityReport& Capabilities() const { return state_.capabilities_; }

  // Binds and listens. Port 0 takes a free port: see LocalEndpoint. Accepted connections
  // inherit: no Nagle delay, no SIGPIPE, close-on-exec. A Unix-domain path must not exist,
  // unless it is a socket that nothing is bound to any more: that is removed first.
  // CloseListener and the ring's destructor remove the path, wherever the working directory is by
  // then, but only if it still names the file that this listener made. A successor that was
  // renamed over it keeps it.
  // Errors: AlreadyExists if the port or the path is in use. PermissionDenied. NotFound if the
  // path's folder does not exist. InvalidArgument if the address is not this machine's. On Windows,
  // Unimplemented for a Unix-domain path.
  virtual absl::StatusOr<ListenerId> CreateListener(const Endpoint& endpoint,
                                                    const ListenerOptions& options) = 0;
  // Stops accepting at once: later connects are refused, and accepts in flight complete with
  // kCanceled. Connections that the ring had accepted before complete first. They are the caller's
  // to close.
  virtual absl::Status CloseListener(ListenerId listener) = 0;
  absl::StatusOr<Endpoint> LocalEndpoint(ListenerId listener);

  // Takes over a descriptor made elsewhere: a connected or bound socket, or on POSIX anything that
  // can be polled. Receives and sends on a descriptor that is no socket complete with
  // kNotSupported.
  // Effects: on success the ring owns the descriptor; on failure it stays the caller's, unchanged.
  // Until it is given back or closed, a socket is close-on-exec, and a TCP socket has no Nagle
  // delay. Its blocking mode does not change, because other processes may share it; either mode
  // works. (On macOS and Windows the ring's sockets are non-blocking meanwhile.) The ring changes
  // nothing on a descriptor that can only be polled (no socket, or a listening one; on Windows that
  // is non-blocking, too).
  // Errors: AlreadyExists if the ring has the descriptor already, or made it.
  // Two descriptors of one socket (dup) are two connections that share its bytes. A close of one,
  // or a cancel of all its operations, may also end operations in flight on the other (io_uring
  // finds operations by the file), and undoes the changes of registering for both. The stream ends
  // when both are closed or one is shut down. A close changes SO_LINGER for all copies of the
  // socket.
  absl::StatusOr<ConnectionId> RegisterSocket(NativeHandle handle);
  // Gives the descriptor of a connection back to the caller, who owns it from then on.
  // Effects: undoes the changes of RegisterSocket. (Windows does not tell whether a socket was in
  // blocking mode; there each that was registered comes back blocking. It also stays with the
  // ring's completion port, and cannot be given to another. A socket that the ring made itself
  // comes back as its backend makes them.) May submit queued operations, and so bind the
  // ring to this thread.
  // Errors: FailedPrecondition while operations are in flight on it; ResourceExhausted if the
  // queues are full, or descriptors are short.
  virtual absl::StatusOr<NativeHandle> UnregisterSocket(ConnectionId connection) = 0;
  // A datagram socket bound to `local` (port 0: any; kNone is InvalidArgument). A Unix-domain path
  // that it is bound to stays when it is closed, and is the caller's to remove. Errors: as
  // CreateListener.
  absl::StatusOr<ConnectionId> OpenDatagram(const Endpoint& local);
  // Both may submit, as UnregisterSocket may. NotFound for a stale id.
  absl::StatusOr<Endpoint> PeerEndpoint(ConnectionId connection);
  absl::StatusOr<Endpoint> LocalEndpoint(ConnectionId connection);

  // Registers memory once, for any number of slices of it. If the kernel refuses (locked memory,
  // limits), the buffer still works, by plain operations: IsKernelRegistered tells, statistics
  // count it under `fallbacks`, and `RegistrationProblem` gives the reason. The ring does not ask
  // the kernel if nothing would gain by it (BufferUse, or a system that registers no memory).
  // Errors: ResourceExhausted at RingOptions::max_buffers.
  absl::StatusOr<BufferId> RegisterBuffer(const RegisteredBufferOptions& options);
  // FailedPrecondition while slices of it are in flight.
  absl::Status UnregisterBuffer(BufferId buffer);
  bool IsKernelRegistered(BufferId buffer) const { return state_.buffers_.InKernel(buffer); }
  // The reason of the last refusal of a registration by the kernel; empty if there was none. Valid
  // until the next RegisterBuffer.
  std::string_view RegistrationProblem() const { return state_.registration_problem_; }
  // Operations in flight that use the unit in which `offset` lies. O(1), also meant for
  // the hot path. 0 for a stale id.
  uint32_t UsesInFlight(BufferId buffer, uint32_t offset) const {
    return state_.buffers_.Uses(buffer, offset);
  }

  virtual absl::StatusOr<BufferGroupId> RegisterBufferGroup(const BufferGroupOptions& options) = 0;
  // Adds buffers to the group, up to BufferGroupOptions::max_buffers.
  virtual absl::Status AddBuffers(BufferGroupId group, std::span<std::byte> memory) = 0;
  // FailedPrecondition while receives or reads use it or buffers of it are not returned.
  virtual absl::Status UnregisterBufferGroup(BufferGroupId group) = 0;
  // Buffers with room that the ring holds; 0: the next managed receive or read finds none. O(1).
  virtual uint32_t FreeBuffers(BufferGroupId group) const = 0;

  // ---- Preparing. Every one: no system call; tells what is full, if anything is (rule 1);
  // ring's thread only.

  // Completes with the new connection (`Completion::connection`), already set up.
  // Errors: kTooManyIds if max_connections are open; the ring has closed the new connection.
  // kTooManyFiles if descriptors are short; the new connection waits in the listener's queue.
  // After an error, a multishot accept goes on only where `more()` is true. Else prepare another.
  Prepared PrepareAccept(ListenerId listener, Shots shots, Token token);
  // Makes a socket and connects it; completes with the new connection. If the endpoint's scope is a
  // name, this resolves it by a system call: give a number. If a Unix-domain listener's queue is
  // full, the connect waits (Linux; elsewhere: kConnectionRefused). Until there is room, it costs
  // an attempt every 100 ms on epoll, and on io_uring a place among
  // RingOptions::max_worker_threads. Connects that find no place wait without a thread.
  Prepared PrepareConnect(const Endpoint& endpoint, Token token);

  // Completes with the bytes received; 0: the peer sent its end (FIN). An empty span is
  // kInvalidArgument, and so is one above kTransferBytesMax with TransferFlags::kAll; without it at
  // most kTransferBytesMax bytes are transferred.
  // On a datagram socket a receive takes one datagram. An empty one completes with 0 and
  // kEmptyDatagram. One longer than the memory loses its rest and completes with kMessageTooLong.
  // A socket of sequenced packets (SOCK_SEQPACKET) is like one, but 0 is its end, as on a stream;
  // an empty packet looks the same.
  Prepared PrepareRecv(ConnectionId connection, std::span<std::byte> memory, Token token,
                       TransferFlags flags = TransferFlags::kNone);
  // Completes with the bytes sent, which may be fewer than given. An empty span is
  // kInvalidArgument. On a datagram socket a send is one datagram, whole or not at all:
  // kMessageTooLong where the network takes none of that size. (From a file: PrepareSendFile.)
  Prepared PrepareSend(ConnectionId connection, std::span<const std::byte> memory, Token token,
                       TransferFlags flags = TransferFlags::kNone);
  // The same on a slice of a registered buffer.
  Prepared PrepareRecvBuffer(ConnectionId connection, const BufferSlice& slice, Token token,
                             TransferFlags flags = TransferFlags::kNone);
  Prepared PrepareSendBuffer(ConnectionId connection, const BufferSlice& slice, Token token,
                             TransferFlags flags = TransferFlags::kNone);
  // Managed: when bytes arrive, the ring picks a buffer of the group for them (kBuffer
  // is set: TakeBuffer). An idle connection holds no memory. kMultishot ends at the end of
  // the stream (result 0), at an error, when cancelled, or with kNoBuffers (by policy).
  // On a datagram socket each datagram has a completion and a buffer of its own. An empty one
  // completes with 0 and kEmptyDatagram, one longer than a buffer with kMessageTooLong: both
  // without a buffer, and neither ends kMultishot.
  Prepared PrepareRecvManaged(ConnectionId connection, BufferGroupId group, Shots shots,
                              Token token);

  // Datagrams. A receive writes the sender to `*source` (which may not be null) before
  // it completes; otherwise it is PrepareRecv on a datagram socket. A send completes with the
  // bytes of the datagram, which may be 0.
  Prepared PrepareRecvFrom(ConnectionId socket, std::span<std::byte> memory, Endpoint* source,
                           Token token);
  Prepared PrepareSendTo(ConnectionId socket, std::span<const std::byte> memory,
                         const Endpoint& destination, Token token);

  // kSend: sends FIN after the bytes of completed sends; receives are not affected. kRecv: later
  // receives find the end of the stream. kBoth: both. Result 0.
  Prepared PrepareShutdown(ConnectionId connection, Direction direction, Token token);
  // Cancels the operations in flight on the connection. They complete. Then the ring closes the
  // socket, and this operation completes with 0. The id is stale from acceptance on.
  // kReset drops all bytes that were not delivered, and the peer gets a reset.
  // kGraceful delivers the bytes of completed sends. The ring sends FIN after them. Then it reads
  // and drops the bytes of the peer. It closes the socket at the first of these:
  //  - the peer sends its FIN, or the connection fails;
  //  - the peer has acknowledged everything, and is silent (for 100 ms, if bytes were dropped);
  //  - RingOptions::linger_time has passed, or linger_bytes were dropped.
  // Until then the socket counts as a connection. No cancel ends this sooner.
  // The socket is closed at once if a receive reported the peer's end, or if it is no stream. (A
  // Unix-domain stream takes nothing more from the close on. If receiving was shut down before,
  // some systems themselves answer later bytes with a reset. The ring closes two kinds of sockets
  // at once: those whose id it never reported, and those that are open when it is destroyed.)
  Prepared PrepareClose(ConnectionId connection, CloseMode mode, Token token);

  // Completes with the PollEvents that hold (`Completion::poll_events`). kMultishot completes each
  // time one of the events comes to hold, with all that hold then. An event that holds already is
  // reported once where the poll begins. One that continues to hold is reported again when more
  // bytes arrive (readable) and when the connection's state changes. It may be reported again when
  // more room is made (writable). New bytes alone do not cause a report of room, and new room does
  // not cause one of bytes; but each report has all events that hold at that time. After a report,
  // read until the connection has no more bytes, or write until it has no more room: nothing else
  // need be reported before. An event that always holds (on a regular file) is reported once. A
  // poll of a descriptor that the system cannot watch (kqueue: some devices) ends with an error.
  // (Windows does not see other readers and writers of the socket. There an event is reported again
  // only after the ring received or sent on the connection.)
  // Errors: kInvalidArgument for no events, or unknown ones.
  Prepared PreparePollAdd(ConnectionId connection, PollEvents events, Shots shots, Token token);
  // Cancels the poll with the token `target`; 0, or kNotFound.
  Prepared PreparePollRemove(Token target, Token token);

  // Completes with 0 after `delay`, or every `delay` (kMultishot, marked kMore). Late ticks are not
  // made up for. Errors: kInvalidArgument for a negative delay, or a period of 0.
  Prepared PrepareTimeout(std::chrono::nanoseconds delay, Shots shots, Token token);
  // Completes with 0 at `time`, at once if it is past.
  Prepared PrepareTimeoutAt(std::chrono::steady_clock::time_point time, Token token);
  // Sets a deadline on the operation in flight that has the token `target`. If several have it and
  // the operation prepared last is one of them, the deadline is on that one.
  // Effects: `delay` after the submit, the ring cancels the operation, which completes with
  // kCanceled or with its true result. On a multishot operation the delay is the longest silence:
  // each completion starts it anew. The deadline completes after the operation: with kTimedOut if
  // the ring cancelled the operation for it, whatever the operation completed with; else with 0. A
  // cancelled deadline completes with 0. So does one on the operation prepared last if that is a
  // nop, or had a bad argument.
  // A program that looks late may find a receive cancelled although its bytes had come: the next
  // receive gets them.
  // Errors: kBusy if the operation has a deadline already. kNotFound if there is no such operation,
  // or none that can be cancelled, as the close of a file. kInvalidArgument for a negative delay.
  // Cost: O(1). If `target` is a receive or send of a connection that was not prepared last, the
  // cost is O(max_connections), as for PrepareCancel.
  Prepared PrepareDeadline(Token target, std::chrono::nanoseconds delay, Token token);
  // The same on the receive (kRecv) or the send (kSend) of a connection; kNotFound if it has none,
  // kInvalidArgument for kBoth. O(1).
  Prepared PrepareDeadline(ConnectionId connection, Direction direction,
                           std::chrono::nanoseconds delay, Token token);

  // Cancels an operation that has this token (one of them, if several have it). Result 0: it was
  // asked to stop. kNotFound: there is none, or it is past stopping, as each close of a file. Cost:
  // O(1), and O(log n) for timers. A connection's receive or send costs O(max_connections): cancel
  // those by connection.
  Prepared PrepareCancel(Token target, Token token);
  // Cancels receive, send or all operations of a connection. Result: how many there were.
  Prepared PrepareCancelConnection(ConnectionId connection, Direction direction, Token token);
  // Cancels all operations in flight except closes. Result: 0.
  Prepared PrepareCancelAll(Token token);

  // Completes with 0.
  Prepared PrepareNop(Token token);

  // ---- Submitting and waiting. Ring's thread only.

  // Operations that can still be prepared before the next submit.
  virtual uint32_t SubmissionQueueSpace() const = 0;
  // Hands everything prepared to the kernel; also lets completions arrive. Never blocks.
  // Returns how many operations were handed over.
  uint32_t Submit() { return Enter(EnterMode::kSubmit, kNoWaitOptions); }
  // Submits and waits, in one kernel entry. Returns the number of completions that are ready. It is
  // below `min_completions` only if the time is up, `batch_delay` has passed, a Wake came, or the
  // completion queue has no room for more; it is 0 only if the time is up.
  uint32_t SubmitAndWait(const WaitOptions& options) {
    return Enter(EnterMode::kSubmitAndWait, options);
  }
  // Waits for one completion, without a limit.
  uint32_t SubmitAndWait() { return Enter(EnterMode::kSubmitAndWait, kNoWaitOptions); }
  // Waits without submitting what is prepared. Some operations go on by a further step of the
  // ring's (on io_uring: the close of a file after its last read, a managed read after its wait,
  // the next piece of a file that is sent, what a deadline ends). Such a step does not overtake
  // what is prepared: it is made by the next submit.
  uint32_t WaitCompletions(const WaitOptions& options) { return Enter(EnterMode::kWait, options); }
  // Yields one completion with the wake token. Its `result` is the number of calls that it stands
  // for. A wait in progress returns, and so does every later wait, until the caller consumes that
  // completion. A wait with `batch_delay` may last that much longer. Cost: one system call.
  // Threads: any, and signal handlers.
  virtual void Wake() = 0;

  // ---- Completions. Ring's thread only; no system call, unless the kernel's queue
  // has overflowed.

  // Returns the completions that are ready now, oldest first, as a range for one loop (see
  // ring/completion_range.h). The loop takes each completion at the end of its iteration.
  // Completions that arrive meanwhile are for the next loop. PeekCompletions and
  // AdvanceCompletionQueue do the same by hand.
  CompletionRange Completions() { return CompletionRange(*this); }
  // Completions that are ready.
  uint32_t CompletionQueueCount() const { return state_.completions_.size(); }
  // A view of completions that are ready, oldest first, at most CompletionQueueCount()
  // (fewer where the queue wraps, and at most 65,536). The view stays until AdvanceCompletionQueue
  // consumes it: operations may be prepared and submitted while it is read, so that a caller who
  // finds the submission queue full submits and goes on where it was. (That does not help where the
  // table of operations is full: see rule 1.)
  inline std::span<const Completion> PeekCompletions();
  // Consumes the oldest `count` completions, at most the size of the last view.
  void AdvanceCompletionQueue(size_t count) { state_.completions_.Advance(count); }
  // The bytes of a completion that has kBuffer; once per completion. `completion` may be a copy.
  // The original must be in the current view: seen, and not advanced over. Anything else ends the
  // program. O(1).
  ManagedBuffer TakeBuffer(const Completion& completion) {
    return state_.completions_.TakeBuffer(completion);
  }
  // Gives the memory back to its group: once for each TakeBuffer, with its `group_index`
  // and `buffer`, which stands for the same memory as long as the group lives. O(1), no
  // kernel entry.
  virtual void ReturnBuffer(const ManagedBuffer& buffer) = 0;
  // Describes the failure. The text has the system's code if the failure is one of the ring's last
  // 64: "send: the peer reset the connection (ECONNRESET, 104: Connection reset by peer)".
  std::string ExplainError(const Completion& completion) const {
    return state_.failures_.Explain(completion);
  }

  // Operations accepted whose final completion is not in the completion queue yet.
  uint32_t InFlight() const { return state_.in_flight_; }

  // ---- Any thread.

  Statistics GetStatistics() const { return state_.statistics_.Snapshot(); }

 protected:
  // For backends, and for rings around a ring, which have the state of that one.
  explicit Ring(RingState& state) : RingFiles(state) {}
  static RingState& StateOf(Ring& ring) { return ring.state_; }
  static RingBackend& BackendOf(Ring& ring) { return ring; }
  static const CompletionQueue& QueueOf(const Ring& ring) { return ring.state_.completions_; }

 private:
  static constexpr WaitOptions kNoWaitOptions{};
};

}  // namespace ioring

#include "ring/ring_inline.h"

#endif  // IORING_RING_RING_H_
