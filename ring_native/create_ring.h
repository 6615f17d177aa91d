// CreateRing: makes the best ring that this platform offers.
//
//   absl::StatusOr<CreatedRing> created = CreateRing(RingOptions{});
//   if (!created.ok()) return created.status();
//   Ring& ring = *created->ring;
//
// A build has the backends of its platform: one `select()` in this package's BUILD file names them.
// CreateRing chooses among those when the program runs.
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

// The backend with this name, for a flag of a program.
// Errors: InvalidArgument if no backend has the name, or this platform's build lacks it. The
// message lists the backends that it has.
absl::StatusOr<BackendKind> ParseBackendKind(std::string_view name);

struct CreatedRing {
  std::unique_ptr<Ring> ring;
  // One line that says which backend was chosen, and why: "io_uring (the platform's best)", "epoll
  // (not io_uring: io_uring is forbidden: a seccomp filter ...)".
  std::string report;
};

// Makes a ring. kAuto takes the first backend of AvailableBackends that works. Any other kind is
// that backend, or an error.
// Errors: InvalidArgument for options that no ring can have, and for a backend that this platform's
// build lacks. Another code if the system denies the ring, or is short of memory or descriptors.
// The message says why, and what to do. Cost: allocates all memory of the ring. The first ring over
// io_uring tries what the kernel can do. Threads: any. The ring belongs to the thread that first
// submits or waits.
absl::StatusOr<CreatedRing> CreateRing(const RingOptions& options,
                                       BackendKind kind = BackendKind::kAuto);

}  // namespace ioring

#endif  // IORING_RING_NATIVE_CREATE_RING_H_
