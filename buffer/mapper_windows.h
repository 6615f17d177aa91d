// How mirrored buffers are mapped on Windows: two ways, and which of them are tried. For
// mapper_windows*.cc only.
//
// The views of one region lie as on other systems (mapper_views.h): n + 1 views for n
// buffers, in one row of addresses.
#ifndef IORING_BUFFER_MAPPER_WINDOWS_H_
#define IORING_BUFFER_MAPPER_WINDOWS_H_

#include <windows.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace ioring::mapper {

enum class MirrorMethod {
  // Windows 10 1803 and later: address space is reserved, split, and each part replaced by
  // its view in one step (VirtualAlloc2, MapViewOfFile3).
  kPlaceholders,
  // Any Windows: address space is reserved to find a place, given back, and mapped. Another
  // thread may take a part of the place in between, and then it is all done again.
  kRetries,
};

// What MapMirrors tries, in order, until one succeeds. mapper_windows_methods.cc; tests
// link another.
std::span<const MirrorMethod> MirrorMethods();

// A row of addresses that shows `count` buffers of `size_bytes` out of one memory object.
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

// Where a mapping came to: its address, or what call failed and how (GetLastError).
struct Mapped {
  std::byte* base = nullptr;
  DWORD error = ERROR_SUCCESS;
  const char* call = "";
};

// Each maps all of the row or leaves nothing behind.
Mapped MapByPlaceholders(HANDLE object, const Row& row);
Mapped MapByRetries(HANDLE object, const Row& row);

// Takes the first `views` views of a row away. A failure leaks address space and nothing
// else, so it is no reason to end the program: it is logged.
void UnmapViews(std::byte* base, const Row& row, size_t views);

}  // namespace ioring::mapper

#endif  // IORING_BUFFER_MAPPER_WINDOWS_H_
