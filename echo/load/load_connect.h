// The two ends of a load generator's run: its connections are made, and closed.
//
// Requirements: nobody else takes completions of the ring meanwhile.
// Effects: both functions wait. They take all completions that come, and drop those of other
// operations.
// Cost: ConnectAll allocates what it returns. Both wake up every kStopResolution.
// Threads: the ring's thread.
#ifndef IORING_ECHO_LOAD_LOAD_CONNECT_H_
#define IORING_ECHO_LOAD_LOAD_CONNECT_H_

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "echo/load/load_connection.h"
#include "echo/load/load_run.h"
#include "ring/id.h"
#include "ring/ring.h"

namespace ioring {

// The kinds of these functions' tokens.
enum class ConnectOperation : uint8_t { kConnect = 16, kDeadline, kClose };

// Makes the connections that `options` asks for. Errors are RunLoad's; connects may be in flight
// then. Completions of kind kDeadline may still come when it has returned.
absl::StatusOr<std::vector<ConnectionId>> ConnectAll(Ring& ring, const LoadOptions& options,
                                                     const std::atomic<bool>& stop);

// Closes the connections gracefully, and brings the ring to rest. DeadlineExceeded: not by
// `deadline`.
absl::Status CloseAll(Ring& ring, std::span<const ConnectionId> connections, LoadTime deadline);

}  // namespace ioring

#endif  // IORING_ECHO_LOAD_LOAD_CONNECT_H_
