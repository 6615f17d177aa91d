// The mapper on macOS and BSD: POSIX shared memory, shm_open(2), mmap(2).
//
// Compiles on Linux too, where only tests use it: what it asks for, Linux has.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <mach/vm_inherit.h>
#endif

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "buffer/concat.h"
#include "buffer/map_result.h"
#include "buffer/mapper.h"
#include "buffer/mapper_error.h"
#include "buffer/mapper_views.h"

namespace ioring::mapper {
namespace {

#if defined(SHM_ANON)
// FreeBSD: an object that never had a name.
int OpenMemoryObject() { return shm_open(SHM_ANON, O_RDWR | O_CLOEXEC, 0600); }
#elif defined(__OpenBSD__)
// OpenBSD: the system chooses the name.
int OpenMemoryObject() {
  char name[] = "/ioring.XXXXXXXXXX";
  const int object = shm_mkstemp(name);
  if (object >= 0) shm_unlink(name);
  return object;
}
#else
// The name is gone before anybody is told of it. It is never the same twice in a process,
// and the time tells processes with one number apart (containers that share memory); what
// else has the name is left alone. macOS takes 30 characters at most.
int OpenMemoryObject() {
  static std::atomic<uint32_t> made{0};
  constexpr int kTriesMax = 100;
  for (int i = 0; i < kTriesMax; ++i) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    std::array<char, 31> name;
    std::snprintf(name.data(), name.size(), "/ior%08x%08x%08x", static_cast<unsigned>(getpid()),
                  made.fetch_add(1, std::memory_order_relaxed), static_cast<unsigned>(now));
    // Close-on-exec by definition (POSIX).
    const int object = shm_open(name.data(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (object >= 0) {
      shm_unlink(name.data());
      return object;
    }
    if (errno != EEXIST) return -1;
  }
  return -1;
}
#endif

// The child of a fork would share what is written; it gets no such memory at all.
bool KeepFromChildren(std::byte* base, size_t bytes) {
#if defined(__APPLE__)
  return minherit(base, bytes, VM_INHERIT_NONE) == 0;
#elif defined(__NetBSD__) || defined(__OpenBSD__)
  return minherit(base, bytes, MAP_INHERIT_NONE) == 0;
#elif defined(INHERIT_NONE)
  return minherit(base, bytes, INHERIT_NONE) == 0;
#else
  return madvise(base, bytes, MADV_DONTFORK) == 0;
#endif
}

MapError Explain(const FailedCall& call) {
  switch (call.error) {
    case ENOMEM:
    case ENOSPC:
      return OutOfMemory(call, "use fewer or smaller buffers, or raise the process's limits");
    case ENFILE:
      return Refusal(MapErrorCode::kResourceExhausted, call,
                     "the system has no descriptor free: close some elsewhere or raise its limit");
    case EACCES:
    case EPERM:
      return Refusal(MapErrorCode::kPermissionDenied, call,
                     buffer_internal::Concat(
                         "the system denies this process shared memory (", call.name,
                         "), which mirrored buffers need: see its sandbox or security policy"));
    default:
      return CannotMap(call);
  }
}

}  // namespace

MapResult<std::byte*> MapMirrors(size_t size_bytes, size_t count) {
  const size_t bytes = 2 * size_bytes * count;
  const Descriptor object(OpenMemoryObject());
  if (!object.is_open()) return Explain({errno, "shm_open", bytes});
  if (!SetSize(object.get(), bytes / 2)) return Explain({errno, "ftruncate", bytes / 2});
  std::byte* const base = MapViews(object.get(), size_bytes, count);
  if (base == nullptr) return Explain({errno, "mmap", bytes});
  if (!KeepFromChildren(base, bytes)) {
    const int error = errno;
    Unmap(base, bytes);
    return Explain({error, "minherit", bytes});
  }
  return base;
}

void UnmapMirrors(std::byte* base, size_t size_bytes, size_t count) {
  Unmap(base, 2 * size_bytes * count);
}

MapResult<std::byte*> MapPlain(size_t size_bytes) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
  // FreeBSD makes large pages of what is aligned to them; the others choose by themselves.
#if defined(MAP_ALIGNED_SUPER)
  constexpr size_t kSuperPageBytes = size_t{2} << 20;
  if (size_bytes >= kSuperPageBytes) flags |= MAP_ALIGNED_SUPER;
#endif
  void* const memory = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) return Explain({errno, "mmap", size_bytes});
  std::byte* const base = static_cast<std::byte*>(memory);
  // The kernel may hold these pages for input, which a child that had them too would divert.
  if (!KeepFromChildren(base, size_bytes)) {
    const int error = errno;
    Unmap(base, size_bytes);
    return Explain({error, "minherit", size_bytes});
  }
  return base;
}

void UnmapPlain(std::byte* base, size_t size_bytes) { Unmap(base, size_bytes); }

}  // namespace ioring::mapper
