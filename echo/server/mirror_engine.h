// MirrorEngine: a mirrored buffer of a pool for each connection.
#ifndef IORING_ECHO_SERVER_MIRROR_ENGINE_H_
#define IORING_ECHO_SERVER_MIRROR_ENGINE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "echo/server/connection.h"
#include "echo/server/server_options.h"
#include "pool/slab_pool.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring {

class MirrorEngine {
 public:
  using Connection = MirrorConnection;
  static constexpr bool kSharesBuffers = false;

  // Sets what a ring for this engine must have.
  static void SetRingLimits(const ServerOptions& options, RingOptions& ring_options);
  // `ring` was made with such limits, and outlives the engine.
  static absl::StatusOr<std::unique_ptr<MirrorEngine>> Create(Ring& ring,
                                                              const ServerOptions& options,
                                                              uint32_t connections_max);

  // ResourceExhausted where there is no memory for it.
  absl::Status Open(Connection& connection, ConnectionId id);

  uint32_t buffer_bytes() const { return pool_->options().buffer_bytes; }
  // Any thread.
  uint64_t buffers_in_use() const;
  std::string Report() const { return pool_->Statistics().ToString(); }

 private:
  explicit MirrorEngine(std::unique_ptr<SlabPool> pool) : pool_(std::move(pool)) {}

  std::unique_ptr<SlabPool> pool_;
};

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_MIRROR_ENGINE_H_
