// The two methods by which mirrored buffers are mapped on Windows, and their order. For
// mapper_windows*.cc only.
//
// The views of a region lie as on other systems (mapper_views.h): n + 1 views for n buffers, in
// one row of addresses.
#ifndef IORING_BUFFER_MAPPER_WINDOWS_H_
#define IORING_BUFFER_MAPPER_WINDOWS_H_

#include <windows.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace ioring::mapper {

enum class MirrorMethod {
  // Windows 10 1803 and later. Reserves address space, splits it, and replaces each part with its
  // view in one step (VirtualAlloc2, MapViewOfFile3).
  kPlaceholders,
  // Any Windows. Reserves address space to find a free place, releases it, and maps the views
  // there. Starts again if another thread took a part of the place in between.
  kRetries,
};

// Returns the methods that MapMirrors tries, in this order, until one succeeds. Tests link another
// definition than mapper_windows_methods.cc.
std::span<const MirrorMethod> MirrorMethods();

// A row of addresses with the views of `count` buffers of `size_bytes` bytes, which one memory
// object holds.
struct Row {
  struct View {
    size_t offset_bytes;  // in the row
    size_t bytes;
    uint64_t object_offset_bytes;
  };

  size_t bytes() const { return 2 * size_bytes * count; }
  size_t views() const { return count + 1; }
  View view(size_t index) const {
    const size_t first_half = index == 0 ? 0 : 2 * index - 1;
    const size_t halves = index == 0 || index == count ? 1 : 2;
    const size_t buffer = index == 0 ? 0 : index - 1;
    return {first_half * size_bytes, halves * size_bytes, uint64_t{buffer} * size_bytes};
  }

  size_t size_bytes;
  size_t count;
};

// The result of a mapping: its address, or the call that failed and its error (GetLastError).
struct Mapped {
  std::byte* base = nullptr;
  DWORD error = ERROR_SUCCESS;
  const char* call = "";
};

// Each of these maps the whole row, or leaves nothing mapped.
Mapped MapByPlaceholders(HANDLE object, const Row& row);
Mapped MapByRetries(HANDLE object, const Row& row);

// Unmaps the first `views` views of a row. A failure leaks address space and nothing else, so it
// does not end the program but is said on standard error.
void UnmapViews(std::byte* base, const Row& row, size_t views);

}  // namespace ioring::mapper

#endif  // IORING_BUFFER_MAPPER_WINDOWS_H_
