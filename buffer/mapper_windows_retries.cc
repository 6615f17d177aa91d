// The way of Windows before 10 1803: VirtualAlloc, VirtualFree, MapViewOfFileEx, and again.
#include <windows.h>

#include <cstddef>

#include "buffer/mapper_windows.h"

namespace ioring::mapper {
namespace {

constexpr int kTriesMax = 100;

// Where there is room for the row at this moment; nullptr where there is none.
std::byte* FindPlace(size_t bytes, DWORD direction) {
  void* const place = VirtualAlloc(nullptr, bytes, MEM_RESERVE | direction, PAGE_NOACCESS);
  if (place != nullptr) VirtualFree(place, 0, MEM_RELEASE);
  return static_cast<std::byte*>(place);
}

}  // namespace

Mapped MapByRetries(HANDLE object, const Row& row) {
  Mapped mapped;
  for (int i = 0; i < kTriesMax; ++i) {
    // Other threads' memory comes to the lowest free place, too; each second try looks from
    // the other end.
    std::byte* const base = FindPlace(row.bytes(), i % 2 == 0 ? 0 : MEM_TOP_DOWN);
    if (base == nullptr) return {nullptr, GetLastError(), "VirtualAlloc"};
    size_t views = 0;
    while (views < row.views()) {
      const Row::View view = row.view(views);
      // Never puts a view over what is mapped already: it fails.
      if (MapViewOfFileEx(object, FILE_MAP_READ | FILE_MAP_WRITE,
                          static_cast<DWORD>(view.object_offset_bytes >> 32),
                          static_cast<DWORD>(view.object_offset_bytes), view.bytes,
                          base + view.offset_bytes) == nullptr) {
        mapped = {nullptr, GetLastError(), "MapViewOfFileEx"};
        break;
      }
      ++views;
    }
    if (views == row.views()) return {base};
    UnmapViews(base, row, views);
    // Anything but a place that is taken would fail again.
    if (mapped.error != ERROR_INVALID_ADDRESS) return mapped;
  }
  return mapped;
}

}  // namespace ioring::mapper
