// CreateRing: the best ring that this platform offers.
//
// The only place that knows every backend. Which ones are built in is decided by one
// `select()` in this package's BUILD file; which of those is used, when the program runs.
#ifndef IORING_RING_NATIVE_CREATE_RING_H_
#define IORING_RING_NATIVE_CREATE_RING_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring {

enum class BackendKind : uint8_t { kAuto, kIoUring, kEpoll, kKqueue, kRio, kIocp };

// "auto", "io_uring", "epoll", "kqueue", "rio", "iocp".
std::string_view BackendKindName(BackendKind kind);

// The backends that this platform's build has, such as "io_uring, epoll".
std::string AvailableBackends();

// InvalidArgument for a name that is none, and for a backend that this platform lacks;
// the message lists those it has.
absl::StatusOr<BackendKind> ParseBackendKind(std::string_view name);

struct CreatedRing {
  std::unique_ptr<Ring> ring;
  // What was chosen and why, one line: "io_uring (the platform's best)", "epoll (not io_uring:
  // io_uring is forbidden: a seccomp filter ...)".
  std::string report;
};

// kAuto takes the first that works; any other kind is that one or an error. Errors say in
// a sentence why, and what to do. May be called from any thread; the ring belongs to the
// thread that first submits or waits.
absl::StatusOr<CreatedRing> CreateRing(const RingOptions& options,
                                       BackendKind kind = BackendKind::kAuto);

}  // namespace ioring

#endif  // IORING_RING_NATIVE_CREATE_RING_H_
