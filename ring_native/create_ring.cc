#include "ring_native/create_ring.h"

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring/ring_limits.h"
#include "ring_native/backends.h"

namespace ioring {
namespace {

constexpr std::array kKinds = {BackendKind::kAuto,   BackendKind::kIoUring, BackendKind::kEpoll,
                               BackendKind::kKqueue, BackendKind::kRio,     BackendKind::kIocp};

const Backend* FindBackend(BackendKind kind) {
  for (const Backend& backend : PlatformBackends()) {
    if (backend.kind == kind) return &backend;
  }
  return nullptr;
}

absl::Status NotOnThisPlatform(BackendKind kind) {
  return absl::InvalidArgumentError(
      absl::StrCat("the backend ", BackendKindName(kind),
                   " is not built for this platform, which has: ", AvailableBackends()));
}

}  // namespace

std::string_view BackendKindName(BackendKind kind) {
  switch (kind) {
    case BackendKind::kAuto:
      return "auto";
    case BackendKind::kIoUring:
      return "io_uring";
    case BackendKind::kEpoll:
      return "epoll";
    case BackendKind::kKqueue:
      return "kqueue";
    case BackendKind::kRio:
      return "rio";
    case BackendKind::kIocp:
      return "iocp";
  }
  return "(no backend)";
}

std::string AvailableBackends() {
  return absl::StrJoin(PlatformBackends(), ", ", [](std::string* out, const Backend& backend) {
    absl::StrAppend(out, BackendKindName(backend.kind));
  });
}

absl::StatusOr<BackendKind> ParseBackendKind(std::string_view name) {
  for (const BackendKind kind : kKinds) {
    if (name != BackendKindName(kind)) continue;
    if (kind != BackendKind::kAuto && FindBackend(kind) == nullptr) return NotOnThisPlatform(kind);
    return kind;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", name, "\" is no backend; this platform has: auto, ", AvailableBackends()));
}

absl::StatusOr<CreatedRing> CreateRing(const RingOptions& options, BackendKind kind) {
  if (kind != BackendKind::kAuto) {
    const Backend* backend = FindBackend(kind);
    if (backend == nullptr) return NotOnThisPlatform(kind);
    absl::StatusOr<std::unique_ptr<Ring>> ring = backend->create(options);
    if (!ring.ok()) return ring.status();
    return CreatedRing{*std::move(ring), absl::StrCat(BackendKindName(kind), " (asked for)")};
  }
  // What no ring can have is told once, and not by each backend. Any other refusal is the system's,
  // whatever its code: a filter of system calls may answer EINVAL.
  if (absl::Status status = CheckRingOptions(options); !status.ok()) return status;
  std::vector<std::string> failures;
  absl::Status last = absl::UnimplementedError("this platform has no backend");
  for (const Backend& backend : PlatformBackends()) {
    absl::StatusOr<std::unique_ptr<Ring>> ring = backend.create(options);
    if (ring.ok()) {
      const std::string why =
          failures.empty() ? "the platform's best" : absl::StrJoin(failures, "; ");
      return CreatedRing{*std::move(ring),
                         absl::StrCat(BackendKindName(backend.kind), " (", why, ")")};
    }
    last = ring.status();
    failures.push_back(absl::StrCat("not ", BackendKindName(backend.kind), ": ", last.message()));
  }
  return failures.empty() ? last : absl::Status(last.code(), absl::StrJoin(failures, "; "));
}

}  // namespace ioring
