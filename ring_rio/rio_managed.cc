// Managed receives: a buffer is picked when there are bytes.
#include <cstddef>
#include <cstdint>

#include "absl/base/optimization.h"
#include "ring/completion.h"
#include "ring/options.h"
#include "ring_rio/calls.h"
#include "ring_rio/rio_ring.h"

namespace ioring::rio {

void RioRing::RunManagedRecv(Connection& connection) {
  Group& group = groups_[connection.recv_length];
  ManagedGroup& buffers = *group.buffers;
  if (ABSL_PREDICT_FALSE(connection.has(kPromised))) {
    connection.clear(kPromised);
    --group.promised;
  }
  // What comes back is for those that wait already.
  if (ABSL_PREDICT_FALSE(buffers.available() <= group.promised)) {
    return OnNoBuffers(connection, group);
  }
  std::byte* data = buffers.Next();
  statistics_.kernel_submissions.Add(1);
  const CallResult result = RecvNow(connection.socket, data, buffers.buffer_bytes());
  if (result > 0) {
    const ManagedBuffer buffer{data, static_cast<uint32_t>(result), connection.recv_length,
                               buffers.Pick()};
    statistics_.bytes_received.Add(buffer.size);
    if (!connection.has(kRecvMany)) {
      return EndManagedRecv(connection, static_cast<int32_t>(result), &buffer);
    }
    statistics_.completions.Add(1);
    completions_.Push(Completion{Token{connection.recv_token}, static_cast<int32_t>(result),
                                 uint32_t{kBuffer} | kMore},
                      buffer);
    if (ABSL_PREDICT_FALSE(connection.first_poll != 0)) LookAgain(connection, kPollReadable);
    // A full buffer: there may be more. It comes in the next turn, after the others'.
    if (buffer.size == buffers.buffer_bytes()) return PushReady(connection);
    return WaitReadable(connection);
  }
  if (!group.stalled.empty()) ResumeStalled(group);  // the buffer was not needed
  if (result == -WSAEWOULDBLOCK) return WaitReadable(connection);
  const Token token{connection.recv_token};
  EndManagedRecv(connection, result == 0 ? 0 : Fail(token, result, "managed recv"), nullptr);
}

// Only bytes need a buffer: an end or an error is told without one, and an idle connection
// neither fails nor waits in line.
void RioRing::OnNoBuffers(Connection& connection, Group& group) {
  const Token token{connection.recv_token};
  statistics_.kernel_submissions.Add(1);
  const CallResult result = PeekByte(connection.socket);
  if (result == -WSAEWOULDBLOCK) return WaitReadable(connection);
  if (result <= 0) {
    return EndManagedRecv(connection, result == 0 ? 0 : Fail(token, result, "managed recv"),
                          nullptr);
  }
  statistics_.buffer_exhaustions.Add(1);
  if (group.buffers->exhaustion() == ExhaustionPolicy::kFail) {
    Fail(token, -WSAENOBUFS, "managed recv");
    return EndManagedRecv(connection, ToResult(Error::kNoBuffers), nullptr);
  }
  connection.set(kStalled);
  group.stalled.Push(connections_, connection);
}

}  // namespace ioring::rio
