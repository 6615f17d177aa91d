// The mapper on Linux: memfd_create(2), mmap(2).
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

#include "buffer/concat.h"
#include "buffer/map_result.h"
#include "buffer/mapper.h"
#include "buffer/mapper_error.h"
#include "buffer/mapper_views.h"

namespace ioring::mapper {
namespace {

using buffer_internal::Concat;

// Linux 6.3; the headers may be older than the kernel.
constexpr unsigned kNoExecSeal = 0x0008U;
// The smallest huge page of x86-64, and of arm64 with pages of 4 KiB.
constexpr size_t kHugePageBytes = size_t{2} << 20;

// Reads a file of /proc to its end and gives each piece to `take`. No allocation: memory
// may be what is short.
template <typename Take>
bool ReadProc(const char* path, Take take) {
  const Descriptor file(open(path, O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return false;
  std::array<char, 4096> piece;
  ssize_t bytes = 0;
  while ((bytes = read(file.get(), piece.data(), piece.size())) > 0) {
    take(std::string_view(piece.data(), static_cast<size_t>(bytes)));
  }
  return bytes == 0;
}

std::optional<size_t> MappingsInUse() {
  size_t lines = 0;
  const bool read = ReadProc("/proc/self/maps", [&lines](std::string_view piece) {
    lines += static_cast<size_t>(std::count(piece.begin(), piece.end(), '\n'));
  });
  return read ? std::optional<size_t>(lines) : std::nullopt;
}

std::optional<size_t> MappingsAllowed() {
  size_t allowed = 0;
  bool parsed = false;
  ReadProc("/proc/sys/vm/max_map_count", [&](std::string_view piece) {
    const auto [end, error] = std::from_chars(piece.data(), piece.data() + piece.size(), allowed);
    parsed = error == std::errc();
  });
  return parsed ? std::optional<size_t>(allowed) : std::nullopt;
}

// Why the kernel said ENOMEM: it uses that code for three different limits.
MapError OutOfMemoryOrMappings(const FailedCall& call, size_t mappings) {
  const std::optional<size_t> in_use = MappingsInUse();
  const std::optional<size_t> allowed = MappingsAllowed();
  if (in_use.has_value() && allowed.has_value() && *in_use + mappings >= *allowed) {
    return Refusal(
        MapErrorCode::kResourceExhausted, call,
        Concat(mappings, " more memory mappings are needed, and ", *in_use, " of the ", *allowed,
               " that a process may have are in use: raise the limit (sysctl -w vm.max_map_count=",
               std::max(2 * *allowed, *in_use + 2 * mappings), "), or use fewer buffers"));
  }
  return OutOfMemory(call, "use fewer or smaller buffers");
}

MapError Explain(const FailedCall& call, size_t mappings) {
  switch (call.error) {
    case ENOMEM:
      return OutOfMemoryOrMappings(call, mappings);
    case ENFILE:
      return Refusal(
          MapErrorCode::kResourceExhausted, call,
          "the system has no descriptor free: raise the limit (sysctl -w fs.file-max=...)");
    default:
      return CannotMap(call);
  }
}

// Sealed against being made executable, which kernels may insist on
// (vm.memfd_noexec); those before 6.3 do not know the seal.
int OpenMemoryObject() {
  const int sealed = memfd_create("ioring mirror", MFD_CLOEXEC | kNoExecSeal);
  if (sealed >= 0 || errno != EINVAL) return sealed;
  return memfd_create("ioring mirror", MFD_CLOEXEC);
}

}  // namespace

MapResult<std::byte*> MapMirrors(size_t size_bytes, size_t count) {
  const size_t bytes = 2 * size_bytes * count;
  const size_t mappings = count + 1;
  const Descriptor object(OpenMemoryObject());
  if (!object.is_open()) return Explain({errno, "memfd_create", bytes}, mappings);
  if (!SetSize(object.get(), bytes / 2)) return Explain({errno, "ftruncate", bytes / 2}, mappings);
  std::byte* const base = MapViews(object.get(), size_bytes, count);
  if (base == nullptr) return Explain({errno, "mmap", bytes}, mappings);
  // The child of a fork would share what is written; it gets no such memory at all.
  if (madvise(base, bytes, MADV_DONTFORK) != 0) {
    const int error = errno;
    Unmap(base, bytes);
    return Explain({error, "madvise", bytes}, mappings);
  }
  return base;
}

void UnmapMirrors(std::byte* base, size_t size_bytes, size_t count) {
  Unmap(base, 2 * size_bytes * count);
}

MapResult<std::byte*> MapPlain(size_t size_bytes) {
  // Huge pages need the alignment, which kernels before 6.7 do not give by themselves.
  const size_t slack_bytes = size_bytes >= kHugePageBytes ? kHugePageBytes : 0;
  const size_t bytes = size_bytes + slack_bytes;
  if (bytes < size_bytes) return Explain({EOVERFLOW, "mmap", size_bytes}, 1);
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Explain({errno, "mmap", size_bytes}, 1);
  std::byte* base = static_cast<std::byte*>(memory);
  if (slack_bytes != 0) {
    const size_t past = static_cast<size_t>(reinterpret_cast<uintptr_t>(base) % kHugePageBytes);
    const size_t front = (kHugePageBytes - past) % kHugePageBytes;
    if (front != 0) Unmap(base, front);
    base += front;
    if (front != slack_bytes) Unmap(base + size_bytes, slack_bytes - front);
    // Advice: without huge pages the memory works as well.
    madvise(base, size_bytes, MADV_HUGEPAGE);
  }
  // The kernel may hold these pages for input. A child that had them too would make it
  // write to a copy that this process no longer sees.
  if (madvise(base, size_bytes, MADV_DONTFORK) != 0) {
    const int error = errno;
    Unmap(base, size_bytes);
    return Explain({error, "madvise", size_bytes}, 1);
  }
  return base;
}

void UnmapPlain(std::byte* base, size_t size_bytes) { Unmap(base, size_bytes); }

}  // namespace ioring::mapper
