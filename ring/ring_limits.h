// What RingOptions' limits may be, what a backend makes of them, and the sentences with which
// every backend's control plane refuses what they, or work in flight, forbid.
#ifndef IORING_RING_RING_LIMITS_H_
#define IORING_RING_RING_LIMITS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/options.h"

namespace ioring {

inline constexpr uint32_t kSubmissionEntriesMin = 8;
inline constexpr uint32_t kSubmissionEntriesMax = 32768;
inline constexpr uint32_t kCompletionEntriesMax = 65536;
inline constexpr uint32_t kConnectionsMax = 1u << 20;
inline constexpr uint32_t kGroupBuffersMax = 32768;  // also io_uring_register_buf_ring(3)

// InvalidArgument names the first limit that cannot be, and its bounds.
absl::Status CheckRingOptions(const RingOptions& options);

// RingOptions::completion_entries, or what is chosen where that is 0; a power of two.
uint32_t CompletionEntries(const RingOptions& options);

// The same for a buffer group: how many buffers it is to hold, a power of two.
absl::StatusOr<uint32_t> CheckBufferGroup(const BufferGroupOptions& options);
// Whether `bytes` more fit into a group that holds `count` of `entries` buffers.
absl::Status CheckAddedBuffers(size_t bytes, uint32_t buffer_bytes, size_t count, uint32_t entries);

// A registered buffer's size and units.
absl::Status CheckRegisteredBuffer(const RegisteredBufferOptions& options);

// ResourceExhausted: "all 16 listeners are in use: raise RingOptions::max_listeners".
absl::Status AllInUse(size_t count, std::string_view kind, std::string_view option);
// NotFound: what control-plane calls say of an id that names nothing (any more).
absl::Status StaleId(std::string_view kind);
// FailedPrecondition.
absl::Status ConnectionInFlight();
absl::Status BufferInFlight();
absl::Status GroupInUse(uint32_t receives, uint32_t taken);

}  // namespace ioring

#endif  // IORING_RING_RING_LIMITS_H_
