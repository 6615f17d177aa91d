#include "echo/server/server.h"

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "echo/server/managed_engine.h"
#include "echo/server/mirror_engine.h"
#include "echo/server/server_loop.h"
#include "echo/server/server_options.h"
#include "echo/server/server_statistics.h"
#include "ring/statistics.h"

namespace ioring {

absl::StatusOr<std::unique_ptr<EchoServer>> EchoServer::Create(const ServerOptions& options) {
  switch (options.engine) {
    case EchoEngine::kMirror:
      return ServerLoop<MirrorEngine>::Create(options);
    case EchoEngine::kManaged:
      return ServerLoop<ManagedEngine>::Create(options);
  }
  return absl::InvalidArgumentError("there is no such engine");
}

void EchoServer::Stop() {
  stop_asked_.store(true);
  ring_->Wake();
}

ServerStatistics EchoServer::CommonStatistics() const {
  const Statistics ring = ring_->GetStatistics();
  // What was closed first: so the difference is never below what it was.
  const uint64_t closed = counters_.closed.value();
  const uint64_t accepted = counters_.accepted.value();
  return ServerStatistics{.connections_accepted = accepted,
                          .connections_open = accepted > closed ? accepted - closed : 0,
                          .connections_refused = counters_.refused.value(),
                          .connections_timed_out = counters_.timed_out.value(),
                          .accept_failures = counters_.accept_failures.value(),
                          .messages = counters_.messages.value(),
                          .bytes_received = ring.bytes_received,
                          .bytes_sent = ring.bytes_sent,
                          .kernel_entries = ring.kernel_entries,
                          .overflows = ring.overflows,
                          .buffer_exhaustions = ring.buffer_exhaustions};
}

}  // namespace ioring
