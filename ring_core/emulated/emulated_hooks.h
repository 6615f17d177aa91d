// The hooks that EmulatedRing requires of a backend. To add a backend, read this.
// A part of EmulatedRing. Backends include ring_core/emulated/emulated_parts.h.
//
// When a hook begins, runs or cancels an operation or a direction, that operation or direction is
// submitted, and there is room for completions (HasRoom). The backend takes up later what it cannot
// do at once.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_HOOKS_H_
#define IORING_RING_CORE_EMULATED_EMULATED_HOOKS_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_core/emulated/emulated_ring.h"
#include "ring_core/table/linger_table.h"

namespace ioring::emulated {

// These are requirements of a class's private members, which a concept outside of it cannot see.
template <typename Backend, typename Types>
constexpr void EmulatedRing<Backend, Types>::CheckPreparing() {
  using std::same_as;
  // Each records the backend's own part. No system call.
  static_assert(requires(Backend & backend, const Endpoint& endpoint, Address* address,
                         Connection& connection, Operation& operation, uint32_t length,
                         TransferTraits traits, bool is_send, PollEvents events) {
    // False where there is no such address.
    { Backend::ToAddress(endpoint, address) } -> same_as<bool>;
    // The other way round, of what a receive stored there.
    { Backend::ToEndpoint(*address) } -> same_as<Endpoint>;
    // One of the connection itself (kPlain), or, where the operation is not null, of that (kAll,
    // and each piece of a kSendFile).
    { backend.SetUpTransfer(connection, length, traits, is_send, &operation) } -> same_as<void>;
    // The connection is new.
    { backend.SetUpConnect(connection, endpoint) } -> same_as<void>;
    { backend.SetUpPoll(operation, events) } -> same_as<void>;
  });
  CheckPreparingFiles();
}

template <typename Backend, typename Types>
constexpr void EmulatedRing<Backend, Types>::CheckPreparingFiles() {
  using std::same_as;
  // As above: values that are pointed to stay until the end of the operation.
  static_assert(requires(Backend & backend, Operation & operation, File & file,
                         const request::FileTransfer& transfer, const request::FileParts& parts) {
    // Also for a managed read, when it begins, with the buffer that was picked; and for each piece
    // of a kSendFile.
    { backend.SetUpFile(operation, file, transfer) } -> same_as<void>;
    { backend.SetUpParts(operation, file, parts) } -> same_as<void>;
    // The file has no operations left, and its id is stale. Before the operation ends, the file is
    // closed, and its slot says so (is_open), whatever the result.
    { backend.SetUpClose(operation, file) } -> same_as<void>;
  });
  static_assert(requires(Backend & backend, Operation & operation, File * file,
                         const request::FileCall& call, const request::Open& open,
                         const request::Work& work) {
    // The files of request::FilesOf; null where the call has none.
    { backend.SetUpCall(operation, call, file, file) } -> same_as<void>;
    // Null: from the working directory. It ends with EndOpen, or an error.
    { backend.SetUpOpen(operation, open, file) } -> same_as<void>;
    { backend.SetUpWork(operation, work) } -> same_as<void>;
  });
}

template <typename Backend, typename Types>
constexpr void EmulatedRing<Backend, Types>::CheckTurns() {
  using std::same_as;
  static_assert(
      requires(Backend & backend, Connection & connection, Operation & operation, bool is_send) {
        // Begins what was submitted, and goes on with what can go on, by the functions of
        // EmulatedRing.
        { backend.Turn() } -> same_as<void>;
        // What timers and waits count in: the steady clock's time, unless the backend has its own.
        { backend.ClockNanos() } -> same_as<int64_t>;
        { backend.BeginConnect(operation) } -> same_as<void>;
        { backend.BeginShutdown(operation) } -> same_as<void>;
        { backend.BeginPoll(operation) } -> same_as<void>;
        // Hands over what the hooks of files set up. It may end at once.
        { backend.BeginFile(operation) } -> same_as<void>;
        // A timer is due. (EmulatedRing's will do.)
        { backend.OnTimer(operation) } -> same_as<void>;
        // Tries what the direction is to do, or ends it where it is cancelled.
        { backend.RunRecv(connection) } -> same_as<void>;
        { backend.RunSend(connection) } -> same_as<void>;
        // It was on the ready list.
        { backend.RunConnection(connection) } -> same_as<void>;
        // Nothing is in flight in the direction any more. (EmulatedRing's will do.)
        { backend.FreeHalf(connection, is_send) } -> same_as<void>;
      });
  static_assert(requires(Backend & backend, Connection & connection, std::byte * data,
                         uint32_t bytes, bool is_full) {
    // For managed receives. Receives now, or returns kWouldBlock.
    { backend.TryRecv(connection, data, bytes) } -> same_as<CallResult>;
    // The same, but leaves the bytes in the socket.
    { backend.TryPeek(connection) } -> same_as<CallResult>;
    // Runs the receive when there may be something.
    { backend.WaitToRecv(connection) } -> same_as<void>;
    // A multishot receive brought bytes, which filled the buffer or did not; it continues.
    { backend.AfterShot(connection, is_full) } -> same_as<void>;
    // The system's codes. kTooLong: a message was longer than the memory, and is gone.
    // kWasCancelled: what was asked to stop has.
    requires same_as<decltype(Backend::kWouldBlock), const CallResult>;
    requires same_as<decltype(Backend::kWasCancelled), const CallResult>;
    requires same_as<decltype(Backend::kTooLong), const CallResult>;
  });
}

template <typename Backend, typename Types>
constexpr void EmulatedRing<Backend, Types>::CheckEnding() {
  using std::same_as;
  static_assert(requires(Backend & backend, Connection & connection, Operation & operation,
                         bool is_send, int32_t result) {
    // Asks what is in flight in the direction to end. False: it is not begun, or past that.
    { backend.Stop(connection, is_send) } -> same_as<bool>;
    { backend.CancelPoll(operation) } -> same_as<bool>;
    // A connect failed with a completion's result: frees the connection, ends the operation.
    { backend.EndConnect(operation, result) } -> same_as<void>;
    // True where it was taken back before it began: then it was given to EndSoon. Of what may
    // wait for ever (kOwnPosition of a pipe) also while it waits.
    { backend.CancelFile(operation) } -> same_as<bool>;
    // (EmulatedRing's will do.)
    { backend.BeginClose(connection) } -> same_as<void>;
    { backend.IsStream(connection) } -> same_as<bool>;
    // Of a stream. False: there is no connection any more.
    { backend.SendEnd(connection) } -> same_as<bool>;
    // Receives, and drops the bytes.
    { backend.DropUnread(connection) } -> same_as<CallResult>;
    // Whether the peer has what was sent, once the end was.
    { backend.AllAcknowledged(connection) } -> same_as<Acknowledged>;
    // Runs the connection when the peer sends something, if the system tells.
    { backend.WaitForPeer(connection) } -> same_as<void>;
    // Closes the socket and frees the slot.
    { backend.FreeConnection(connection) } -> same_as<void>;
  });
  static_assert(requires(Backend & backend, uint32_t slot, std::span<std::byte> memory) {
    // Whether the system has the memory from now on.
    { backend.RegisterMemory(slot, memory) } -> same_as<bool>;
    { backend.DeregisterMemory(slot) } -> same_as<void>;
  });
}

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_HOOKS_H_
