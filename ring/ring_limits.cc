#include "ring/ring_limits.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ring/buffer_table.h"
#include "ring/options.h"

namespace ioring {
namespace {

constexpr uint64_t kRegisteredBytesMax = uint64_t{1} << 30;

}  // namespace

absl::Status CheckRingOptions(const RingOptions& options) {
  const auto check = [](std::string_view name, uint64_t value, uint64_t min, uint64_t max) {
    if (value >= min && value <= max) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("RingOptions::", name, " is ", value, ", but must be ", min, " to ", max));
  };
  absl::Status status;
  status.Update(check("submission_entries", options.submission_entries, 1, kSubmissionEntriesMax));
  status.Update(check("completion_entries", options.completion_entries, 0, kCompletionEntriesMax));
  status.Update(check("max_connections", options.max_connections, 1, kConnectionsMax));
  status.Update(check("max_operations", options.max_operations, 1, 1u << 24));
  status.Update(check("max_buffers", options.max_buffers, 0, BufferTable::kBuffersMax));
  status.Update(check("max_buffer_groups", options.max_buffer_groups, 0, 1u << 15));
  status.Update(check("max_listeners", options.max_listeners, 0, 1u << 16));
  status.Update(check("max_files", options.max_files, 0, 1u << 20));
  status.Update(check("max_worker_threads", options.max_worker_threads, 1, 1u << 16));
  const auto check_time = [](std::string_view name, int64_t count) {
    if (count >= 0 && count <= std::numeric_limits<uint32_t>::max()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("RingOptions::", name, " is ", count,
                                                   " of its unit, but must be 0 to ",
                                                   std::numeric_limits<uint32_t>::max()));
  };
  if (options.submission_polling_idle.has_value()) {
    status.Update(check_time("submission_polling_idle", options.submission_polling_idle->count()));
  }
  if (options.busy_poll.has_value()) {
    status.Update(check_time("busy_poll", options.busy_poll->count()));
  }
  if (options.linger_time.count() < 0) {
    status.Update(absl::InvalidArgumentError("RingOptions::linger_time must not be negative"));
  }
  return status;
}

uint32_t CompletionEntries(const RingOptions& options) {
  const uint64_t wanted =
      options.completion_entries != 0
          ? options.completion_entries
          : uint64_t{2} * options.submission_entries + uint64_t{2} * options.max_connections;
  return std::bit_ceil(static_cast<uint32_t>(
      std::clamp<uint64_t>(wanted, uint64_t{2} * kSubmissionEntriesMin, kCompletionEntriesMax)));
}

absl::StatusOr<uint32_t> CheckBufferGroup(const BufferGroupOptions& options) {
  if (options.buffer_bytes == 0) {
    return absl::InvalidArgumentError("a buffer group needs a buffer_bytes above 0");
  }
  if (options.buffer_bytes > kTransferBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a buffer group's buffers have at most ", kTransferBytesMax, " bytes, not ",
                     options.buffer_bytes, ": make more of them, and smaller"));
  }
  const uint64_t initial = options.memory.size() / options.buffer_bytes;
  const uint64_t wanted = std::max<uint64_t>(initial, options.max_buffers);
  if (wanted == 0 || wanted > kGroupBuffersMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a buffer group holds 1 to ", kGroupBuffersMax, " buffers, not ", wanted,
                     ": give it memory for fewer, or larger, buffers"));
  }
  return std::bit_ceil(static_cast<uint32_t>(wanted));
}

absl::Status CheckAddedBuffers(size_t bytes, uint32_t buffer_bytes, size_t count,
                               uint32_t entries) {
  if (bytes % buffer_bytes != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("a buffer group's memory (", bytes,
                     " bytes) must be a multiple of its buffer size (", buffer_bytes, ")"));
  }
  const size_t added = bytes / buffer_bytes;
  if (count + added > entries) {
    return absl::ResourceExhaustedError(absl::StrCat("the buffer group has room for ",
                                                     entries - count, " more buffers, not ", added,
                                                     ": raise BufferGroupOptions::max_buffers"));
  }
  return absl::OkStatus();
}

absl::Status CheckRegisteredBuffer(const RegisteredBufferOptions& options) {
  const uint64_t bytes = options.memory.size();
  if (bytes == 0 || bytes > kRegisteredBytesMax || options.unit_bytes > bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a registered buffer has 1 byte to 1 GiB, and units no larger than itself; got ", bytes,
        " bytes in units of ", options.unit_bytes));
  }
  if (options.unit_bytes != 0 && bytes / options.unit_bytes >= BufferTable::kUnitsMax) {
    return absl::InvalidArgumentError(absl::StrCat("too many units: ", bytes / options.unit_bytes,
                                                   ", at most ", BufferTable::kUnitsMax));
  }
  return absl::OkStatus();
}

absl::Status AllInUse(size_t count, std::string_view kind, std::string_view option) {
  return absl::ResourceExhaustedError(
      absl::StrCat("all ", count, " ", kind, " are in use: raise RingOptions::", option));
}

absl::Status StaleId(std::string_view kind) {
  return absl::NotFoundError(
      absl::StrCat("no such ", kind, ": its id is stale, or of another ring"));
}

absl::Status ConnectionInFlight() {
  return absl::FailedPreconditionError(
      "operations are in flight on the connection: cancel them and take their completions");
}

absl::Status BufferInFlight() {
  return absl::FailedPreconditionError(
      "slices of the buffer are in flight: take their completions first");
}

absl::Status GroupInUse(uint32_t receives, uint32_t taken) {
  return absl::FailedPreconditionError(absl::StrCat("the buffer group is in use: ", receives,
                                                    " receives in flight, ", taken,
                                                    " buffers not returned"));
}

}  // namespace ioring
