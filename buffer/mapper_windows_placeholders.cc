// The way of Windows 10 1803 and later: placeholders. The functions are looked up, since a
// program that names them does not start on older systems.
// https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-virtualalloc2
#include <windows.h>

#include <cstddef>

#include "buffer/mapper_windows.h"

namespace ioring::mapper {
namespace {

// The headers may be older than the system.
constexpr DWORD kPreservePlaceholder = 0x00000002;
constexpr DWORD kReplacePlaceholder = 0x00004000;
constexpr DWORD kReservePlaceholder = 0x00040000;

// The last two arguments are extended parameters, of which none is used.
using VirtualAlloc2Function = PVOID(WINAPI*)(HANDLE, PVOID, SIZE_T, ULONG, ULONG, void*, ULONG);
using MapViewOfFile3Function = PVOID(WINAPI*)(HANDLE, HANDLE, PVOID, ULONG64, SIZE_T, ULONG, ULONG,
                                              void*, ULONG);

template <typename Function>
Function Find(const char* name) {
  const HMODULE library = GetModuleHandleW(L"kernelbase.dll");
  if (library == nullptr) return nullptr;
  return reinterpret_cast<Function>(reinterpret_cast<void*>(GetProcAddress(library, name)));
}

void Release(std::byte* placeholder) { VirtualFree(placeholder, 0, MEM_RELEASE); }

}  // namespace

Mapped MapByPlaceholders(HANDLE object, const Row& row) {
  static const auto virtual_alloc_2 = Find<VirtualAlloc2Function>("VirtualAlloc2");
  static const auto map_view_of_file_3 = Find<MapViewOfFile3Function>("MapViewOfFile3");
  if (virtual_alloc_2 == nullptr || map_view_of_file_3 == nullptr) {
    return {nullptr, ERROR_CALL_NOT_IMPLEMENTED, "VirtualAlloc2"};
  }
  void* const reservation = virtual_alloc_2(
      nullptr, nullptr, row.bytes(), MEM_RESERVE | kReservePlaceholder, PAGE_NOACCESS, nullptr, 0);
  if (reservation == nullptr) return {nullptr, GetLastError(), "VirtualAlloc2"};
  std::byte* const base = static_cast<std::byte*>(reservation);

  for (size_t i = 0; i < row.views(); ++i) {
    const Row::View view = row.view(i);
    std::byte* const place = base + view.offset_bytes;
    const bool last = i + 1 == row.views();
    // Splits the view's part off from the rest of the reservation.
    if (!last && VirtualFree(place, view.bytes, MEM_RELEASE | kPreservePlaceholder) == 0) {
      const Mapped failed = {nullptr, GetLastError(), "VirtualFree"};
      Release(place);
      UnmapViews(base, row, i);
      return failed;
    }
    if (map_view_of_file_3(object, nullptr, place, view.object_offset_bytes, view.bytes,
                           kReplacePlaceholder, PAGE_READWRITE, nullptr, 0) == nullptr) {
      const Mapped failed = {nullptr, GetLastError(), "MapViewOfFile3"};
      Release(place);
      if (!last) Release(place + view.bytes);
      UnmapViews(base, row, i);
      return failed;
    }
  }
  return {base};
}

}  // namespace ioring::mapper
