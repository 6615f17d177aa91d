// KqueueRing: the ring over kqueue(2): macOS, FreeBSD, NetBSD, OpenBSD.
//
// Everything a caller may rely on is said in ring/ring.h, and how it comes about in
// ring_core/readiness: calls are tried first, and the kqueue says when to try again. What is
// particular to this backend is its poller's, ring_kqueue/kqueue_poller.h. Sockets are set up
// by ring_core/posix, which knows what these systems lack (accept4, MSG_NOSIGNAL).
#ifndef IORING_RING_KQUEUE_KQUEUE_RING_H_
#define IORING_RING_KQUEUE_KQUEUE_RING_H_

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring_core/readiness/readiness_ring.h"
#include "ring_kqueue/kqueue_poller.h"

namespace ioring {

class KqueueRing final : public readiness::ReadinessRing<kqueue::KqueuePoller> {
 public:
  // InvalidArgument for limits that cannot be; ResourceExhausted where descriptors or memory
  // are short.
  static absl::StatusOr<std::unique_ptr<KqueueRing>> Create(const RingOptions& options);

 private:
  KqueueRing(const RingOptions& options, std::unique_ptr<kqueue::KqueuePoller> poller)
      : ReadinessRing(options, std::move(poller)) {}
};

}  // namespace ioring

#endif  // IORING_RING_KQUEUE_KQUEUE_RING_H_
