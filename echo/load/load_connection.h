// LoadConnection: the state of one connection of a load generator, without its socket.
//
// It knows which messages were admitted, how far they are sent and how far they came back. A
// run (load_run.h) moves the bytes:
//
//   connection.Admit(now);                             // one more message may be sent
//   std::span<const std::byte> bytes = connection.NextSend();
//   if (ring.PrepareSend(id, bytes, token) == Prepared::kAccepted) {
//     connection.OnSendPrepared(bytes.size());
//   }
//   connection.OnSent(completion.result);              // at the send's completion
//   connection.OnReceived(received, now, &histogram);  // at a receive's completion
//
// Messages lie in the stream without gaps, so what was admitted while a send was in flight goes
// out as one send afterwards. At most `depth` messages are on their way at once.
//
// Ownership: none of the memory, which must outlive it. No allocation but for error messages, no
// system call, no clock. Not thread-safe.
#ifndef IORING_ECHO_LOAD_LOAD_CONNECTION_H_
#define IORING_ECHO_LOAD_LOAD_CONNECTION_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "echo/load/histogram.h"
#include "echo/load/message.h"

namespace ioring {

using LoadTime = std::chrono::steady_clock::time_point;

// What the connections of a run have in common.
struct LoadShape {
  uint32_t message_bytes = 64;
  // Messages of one connection that may be on their way at once.
  uint32_t depth = 1;
  // Whether every byte that comes back is compared.
  bool verify = true;
};

class LoadConnection {
 public:
  // `number`: tells its bytes from those of the others and names it in errors.
  // `send_memory`: at least a byte; the most that is sent at once.
  // `start_times`: `depth` of them.
  LoadConnection(uint32_t number, const LoadShape& shape, std::span<std::byte> send_memory,
                 std::span<LoadTime> start_times);

  uint32_t number() const { return number_; }
  // Messages admitted so far, and of these how many are not back yet.
  uint64_t admitted() const { return admitted_; }
  uint32_t in_flight() const { return in_flight_; }
  // Messages that may be admitted now.
  uint32_t Window() const { return shape_.depth - in_flight_; }
  // Allows one more message, whose latency counts from `start`. Needs a window.
  void Admit(LoadTime start);

  // What to send next; empty where nothing is admitted or a send is in flight. Valid until it is
  // sent. May be asked for again where the send could not be prepared.
  std::span<const std::byte> NextSend();
  void OnSendPrepared(size_t bytes);
  // The send in flight sent so many bytes, perhaps fewer than prepared.
  void OnSent(size_t bytes);

  // Takes what came back, verifies it, and records the latency of every message that is complete
  // (in `histogram`, unless null). Returns how many are. DataLoss, in a sentence with the
  // connection and the byte, where something else than what was sent came back.
  absl::StatusOr<uint32_t> OnReceived(std::span<const std::byte> bytes, LoadTime now,
                                      LatencyHistogram* histogram);

  // DataLoss, for so many bytes that come back although all that was sent has.
  absl::Status TooManyBytes(size_t bytes) const;

  // Records the ages of the messages that are on their way. O(n) in these.
  void RecordInFlight(LoadTime now, LatencyHistogram& histogram) const;

  // Bytes given to sends, and bytes that came back.
  uint64_t bytes_sent() const { return send_position_ + bytes_in_send_; }
  uint64_t bytes_received() const { return receive_position_; }

 private:
  absl::Status WrongByte(uint64_t position, std::byte got) const;
  uint32_t CompleteMessages(size_t bytes, LoadTime now, LatencyHistogram* histogram);

  const uint32_t number_;
  const LoadShape shape_;
  const StreamPattern pattern_;
  const std::span<std::byte> send_memory_;
  // When the messages in flight started: a circle from `oldest_start_` on.
  const std::span<LoadTime> start_times_;
  uint32_t oldest_start_ = 0;
  uint32_t in_flight_ = 0;
  uint64_t admitted_ = 0;

  // Positions in the stream. Sent and done with; with those in the send in flight, given away.
  uint64_t send_position_ = 0;
  size_t bytes_in_send_ = 0;
  // Where the last admitted message ends.
  uint64_t send_limit_ = 0;
  uint64_t receive_position_ = 0;
  // Of the message that is being received.
  uint32_t bytes_missing_;
};

}  // namespace ioring

#endif  // IORING_ECHO_LOAD_LOAD_CONNECTION_H_
