#include "pool/test_ring.h"

#include <chrono>
#include <memory>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/create_ring.h"

namespace ioring {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr Token kAcceptToken{0xacce97};
constexpr Token kConnectToken{0xc0e77};

}  // namespace

RingOptions TestRingOptions() {
  return {.submission_entries = 64, .max_connections = 64, .max_operations = 64};
}

std::unique_ptr<Ring> MakeTestRing(const RingOptions& options) {
  absl::StatusOr<CreatedRing> created = CreateRing(options);
  CHECK_OK(created.status());
  return std::move(created->ring);
}

bool RegistersMemory(const Ring& ring) {
  return ring.BackendName() == "io_uring" ||
         ring.Capabilities().Has(Capability::kRegisteredBuffers);
}

ConnectedPair Connect(Ring& ring) {
  absl::StatusOr<ListenerId> listener = ring.CreateListener(Endpoint::Ipv4Loopback(0), {});
  CHECK_OK(listener.status());
  const absl::StatusOr<Endpoint> endpoint = ring.LocalEndpoint(*listener);
  CHECK_OK(endpoint.status());
  CHECK(ring.PrepareAccept(*listener, Shots::kOneShot, kAcceptToken) == Prepared::kAccepted);
  CHECK(ring.PrepareConnect(*endpoint, kConnectToken) == Prepared::kAccepted);
  ConnectedPair pair;
  RunUntil(ring, [&pair](const Completion& completion) {
    CHECK(completion.ok()) << ErrorText(completion.error());
    (completion.token == kAcceptToken ? pair.second : pair.first) = completion.connection();
    return pair.first.is_set() && pair.second.is_set();
  });
  CHECK_OK(ring.CloseListener(*listener));
  return pair;
}

void RunUntil(Ring& ring, absl::FunctionRef<bool(const Completion&)> handle) {
  bool done = false;
  while (!done) {
    CHECK_GT(ring.SubmitAndWait({.timeout = kPatience}), 0u) << "nothing completes";
    for (const Completion& completion : ring.Completions()) done |= handle(completion);
  }
}

void Quiesce(Ring& ring) { CHECK_OK(Drain(ring, std::chrono::steady_clock::now() + kPatience)); }

}  // namespace ioring
