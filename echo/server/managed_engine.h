// ManagedEngine: one group of buffers for all connections.
#ifndef IORING_ECHO_SERVER_MANAGED_ENGINE_H_
#define IORING_ECHO_SERVER_MANAGED_ENGINE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "echo/server/managed_connection.h"
#include "echo/server/server_options.h"
#include "pool/buffer_group.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring {

class ManagedEngine {
 public:
  using Connection = ManagedConnection;
  // Connections can take one another's buffers: see Starved.
  static constexpr bool kSharesBuffers = true;

  static void SetRingLimits(const ServerOptions& options, RingOptions& ring_options);
  // `ring` was made with such limits, and outlives the engine.
  static absl::StatusOr<std::unique_ptr<ManagedEngine>> Create(Ring& ring,
                                                               const ServerOptions& options,
                                                               uint32_t connections_max);

  absl::Status Open(Connection& connection, ConnectionId id);
  // The group has no buffer left for the next receive, and cannot grow. O(1).
  bool Starved() const { return ring_.FreeBuffers(group_->id()) == 0; }

  uint32_t buffer_bytes() const { return group_->options().buffer_bytes; }
  // Any thread.
  uint64_t buffers_in_use() const { return group_->Statistics().leases; }
  std::string Report() const;

 private:
  ManagedEngine(Ring& ring, std::unique_ptr<BufferGroup> group, uint32_t connections_max);

  Ring& ring_;
  std::unique_ptr<BufferGroup> group_;
  ManagedContext context_;
};

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_MANAGED_ENGINE_H_
