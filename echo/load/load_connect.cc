#include "echo/load/load_connect.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "echo/load/load_connection.h"
#include "echo/load/load_run.h"
#include "echo/load/operation_batch.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {
namespace {

// Connects at once: enough to be quick, and fewer than any server's backlog.
constexpr uint32_t kConnectsInFlightMax = 128;

void PrepareConnects(Ring& ring, const LoadOptions& options, OperationBatch& connects) {
  while (connects.HasNext() && ring.SubmissionQueueSpace() >= 2) {
    const uint32_t next = connects.next();
    const Token connect = MakeToken(ConnectOperation::kConnect, next);
    if (ring.PrepareConnect(options.target, connect) != Prepared::kAccepted) return;
    const bool prepared =
        ring.PrepareDeadline(connect, options.connect_timeout,
                             MakeToken(ConnectOperation::kDeadline, next)) == Prepared::kAccepted;
    CHECK(prepared) << "there was space for a connect but not for its deadline";
    connects.OnPrepared();
  }
}

absl::Status ConnectFailure(const Ring& ring, const LoadOptions& options,
                            const Completion& completion) {
  const std::string target = options.target.ToString();
  switch (completion.error()) {
    case Error::kCanceled:
    case Error::kTimedOut:
      return absl::DeadlineExceededError(
          absl::StrCat(target, " did not take a connection within ",
                       absl::FormatDuration(absl::FromChrono(options.connect_timeout))));
    case Error::kConnectionRefused:
    case Error::kNotFound:
      return absl::UnavailableError(
          absl::StrCat("nothing listens at ", target, ": start the server first"));
    case Error::kTooManyFiles:
      return absl::ResourceExhaustedError(absl::StrCat(
          "too few descriptors for ",
          options.total_connections > 0 ? options.total_connections : options.connections,
          " connections: raise the limit (ulimit -n) or lower --connections"));
    default:
      return absl::UnavailableError(
          absl::StrCat("cannot connect to ", target, ": ", ring.ExplainError(completion)));
  }
}

}  // namespace

absl::StatusOr<std::vector<ConnectionId>> ConnectAll(Ring& ring, const LoadOptions& options,
                                                     const std::atomic<bool>& stop) {
  std::vector<ConnectionId> connections(options.connections);
  OperationBatch connects(options.connections, kConnectsInFlightMax);
  while (!connects.IsOver()) {
    if (stop.load(std::memory_order_relaxed)) {
      return absl::CancelledError("interrupted while connecting");
    }
    PrepareConnects(ring, options, connects);
    ring.SubmitAndWait({.timeout = kStopResolution});
    for (const Completion& completion : ring.Completions()) {
      if (KindOf<ConnectOperation>(completion.token) != ConnectOperation::kConnect) continue;
      if (!completion.ok()) return ConnectFailure(ring, options, completion);
      connections[IndexOf(completion.token)] = completion.connection();
      connects.OnEnded();
    }
  }
  return connections;
}

absl::Status CloseAll(Ring& ring, std::span<const ConnectionId> connections, LoadTime deadline) {
  const uint32_t count = static_cast<uint32_t>(connections.size());
  OperationBatch closes(count, count);
  while (!closes.IsOver() && std::chrono::steady_clock::now() < deadline) {
    while (closes.HasNext() &&
           ring.PrepareClose(connections[closes.next()], CloseMode::kGraceful,
                             MakeToken(ConnectOperation::kClose)) == Prepared::kAccepted) {
      closes.OnPrepared();
    }
    ring.SubmitAndWait({.timeout = kStopResolution});
    for (const Completion& completion : ring.Completions()) {
      if (KindOf<ConnectOperation>(completion.token) == ConnectOperation::kClose) closes.OnEnded();
    }
  }
  return Drain(ring, deadline);
}

}  // namespace ioring
