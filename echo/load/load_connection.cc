#include "echo/load/load_connection.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "echo/load/histogram.h"

namespace ioring {

LoadConnection::LoadConnection(uint32_t number, const LoadShape& shape,
                               std::span<std::byte> send_memory, std::span<LoadTime> start_times)
    : number_(number),
      shape_(shape),
      pattern_(number),
      send_memory_(send_memory),
      start_times_(start_times),
      bytes_missing_(shape.message_bytes) {
  CHECK(shape.message_bytes > 0);
  CHECK(shape.depth > 0);
  CHECK(!send_memory.empty());
  CHECK(start_times.size() == shape.depth);
  // Without verification the same bytes are sent again and again.
  if (!shape.verify) pattern_.Fill(0, send_memory_);
}

void LoadConnection::Admit(LoadTime start) {
  DCHECK(Window() > 0);
  uint32_t slot = oldest_start_ + in_flight_;
  if (slot >= shape_.depth) slot -= shape_.depth;
  start_times_[slot] = start;
  ++in_flight_;
  ++admitted_;
  send_limit_ += shape_.message_bytes;
}

std::span<const std::byte> LoadConnection::NextSend() {
  if (bytes_in_send_ > 0) return {};
  const size_t bytes =
      static_cast<size_t>(std::min<uint64_t>(send_limit_ - send_position_, send_memory_.size()));
  const std::span<std::byte> memory = send_memory_.first(bytes);
  if (shape_.verify) pattern_.Fill(send_position_, memory);
  return memory;
}

void LoadConnection::OnSendPrepared(size_t bytes) {
  DCHECK(bytes_in_send_ == 0);
  bytes_in_send_ = bytes;
}

void LoadConnection::OnSent(size_t bytes) {
  DCHECK(bytes <= bytes_in_send_);
  send_position_ += bytes;
  bytes_in_send_ = 0;
}

absl::StatusOr<uint32_t> LoadConnection::OnReceived(std::span<const std::byte> bytes, LoadTime now,
                                                    LatencyHistogram* histogram) {
  const uint64_t owed = bytes_sent() - receive_position_;
  if (shape_.verify) {
    const size_t comparable = static_cast<size_t>(std::min<uint64_t>(bytes.size(), owed));
    const std::optional<size_t> mismatch =
        pattern_.FirstMismatch(receive_position_, bytes.first(comparable));
    if (mismatch.has_value()) return WrongByte(receive_position_ + *mismatch, bytes[*mismatch]);
  }
  if (bytes.size() > owed) return TooManyBytes(bytes.size());
  receive_position_ += bytes.size();
  return CompleteMessages(bytes.size(), now, histogram);
}

void LoadConnection::RecordInFlight(LoadTime now, LatencyHistogram& histogram) const {
  uint32_t slot = oldest_start_;
  for (uint32_t i = 0; i < in_flight_; ++i) {
    histogram.Record(now - start_times_[slot]);
    if (++slot == shape_.depth) slot = 0;
  }
}

absl::Status LoadConnection::TooManyBytes(size_t bytes) const {
  return absl::DataLossError(
      absl::StrFormat("connection %d: %d bytes came back, of which only %d had been sent", number_,
                      receive_position_ + bytes, bytes_sent()));
}

absl::Status LoadConnection::WrongByte(uint64_t position, std::byte got) const {
  return absl::DataLossError(absl::StrFormat(
      "connection %d: the echo is wrong at byte %d: expected 0x%02x, got 0x%02x", number_, position,
      std::to_integer<int>(pattern_.At(position)), std::to_integer<int>(got)));
}

uint32_t LoadConnection::CompleteMessages(size_t bytes, LoadTime now, LatencyHistogram* histogram) {
  uint32_t complete = 0;
  while (bytes >= bytes_missing_) {
    // More messages than were admitted cannot come: the caller compared with what was sent.
    DCHECK(in_flight_ > 0);
    bytes -= bytes_missing_;
    bytes_missing_ = shape_.message_bytes;
    if (histogram != nullptr) histogram->Record(now - start_times_[oldest_start_]);
    if (++oldest_start_ == shape_.depth) oldest_start_ = 0;
    --in_flight_;
    ++complete;
  }
  bytes_missing_ -= static_cast<uint32_t>(bytes);
  return complete;
}

}  // namespace ioring
