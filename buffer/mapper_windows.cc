// The mapper on Windows: a section of the page file (CreateFileMapping) and views of it, which
// mapper_windows_placeholders.cc or mapper_windows_retries.cc puts into a row.
#include "buffer/mapper_windows.h"

#include <windows.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "buffer/concat.h"
#include "buffer/map_result.h"
#include "buffer/mapper.h"
#include "process/standard_error.h"

namespace ioring::mapper {
namespace {

using buffer_internal::Concat;

// The memory object while it is mapped; the views keep it afterwards. Nobody inherits it.
class Section {
 public:
  // The limit of what is promised to all processes is drawn on here.
  explicit Section(uint64_t bytes)
      : handle_(CreateFileMappingW(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE,
                                   static_cast<DWORD>(bytes >> 32), static_cast<DWORD>(bytes),
                                   nullptr)) {}
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;
  ~Section() {
    if (handle_ != nullptr) CloseHandle(handle_);
  }

  HANDLE get() const { return handle_; }

 private:
  const HANDLE handle_;
};

MapError Explain(DWORD error, const char* call, size_t bytes) {
  const auto refusal = [error, call](MapErrorCode code, std::string message) {
    return MapError(code, static_cast<int>(error), call, std::move(message));
  };
  switch (error) {
    case ERROR_COMMITMENT_LIMIT:
    case ERROR_COMMITMENT_MINIMUM:
    case ERROR_DISK_FULL:
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_NO_SYSTEM_RESOURCES:
    case ERROR_OUTOFMEMORY:
      return refusal(
          MapErrorCode::kResourceExhausted,
          Concat("no memory or address space for ", bytes, " bytes (", call, ", Windows error ",
                 error, "): use fewer or smaller buffers, or let the page file be larger"));
    case ERROR_NOT_ENOUGH_QUOTA:
    case ERROR_WORKING_SET_QUOTA:
      return refusal(
          MapErrorCode::kResourceExhausted,
          Concat(bytes, " bytes are more than this process may have (", call, ", Windows error ",
                 error, "): use fewer or smaller buffers, or raise the limit of its job object"));
    case ERROR_INVALID_ADDRESS:
      return refusal(
          MapErrorCode::kResourceExhausted,
          Concat("no ", bytes,
                 " bytes of addresses in a row stayed free for as long as mapping them takes: "
                 "other threads take them; create buffers before starting those, or use fewer at "
                 "once"));
    case ERROR_ACCESS_DENIED:
    case ERROR_PRIVILEGE_NOT_HELD:
      return refusal(MapErrorCode::kPermissionDenied,
                     Concat("Windows denies this process shared memory (", call, ", error ", error,
                            "), which mirrored buffers need: see its sandbox or security policy"));
    case ERROR_INVALID_PARAMETER:
      return refusal(
          MapErrorCode::kInvalidArgument,
          Concat(bytes, " bytes are more than Windows maps at once: use fewer or smaller buffers"));
    default:
      return refusal(MapErrorCode::kOther,
                     Concat("mapping ", bytes, " bytes: ", call, ": Windows error ", error,
                            " (net helpmsg ", error, " says what it means)"));
  }
}

}  // namespace

size_t GranularityBytes() {
  // Pages are smaller (dwPageSize), but views begin at multiples of this: 64 KiB.
  static const size_t granularity_bytes = [] {
    SYSTEM_INFO information;
    GetSystemInfo(&information);
    return size_t{information.dwAllocationGranularity};
  }();
  return granularity_bytes;
}

void UnmapViews(std::byte* base, const Row& row, size_t views) {
  for (size_t i = 0; i < views; ++i) {
    std::byte* const address = base + row.view(i).offset_bytes;
    if (UnmapViewOfFile(address) == 0) {
      const DWORD error = GetLastError();
      process::Complain(
          Concat("UnmapViewOfFile of ", row.view(i).bytes, " bytes: Windows error ", error));
    }
  }
}

MapResult<std::byte*> MapMirrors(size_t size_bytes, size_t count) {
  const Row row{size_bytes, count};
  const Section section(uint64_t{size_bytes} * count);
  if (section.get() == nullptr) return Explain(GetLastError(), "CreateFileMapping", row.bytes());
  Mapped mapped;
  for (const MirrorMethod method : MirrorMethods()) {
    mapped = method == MirrorMethod::kPlaceholders ? MapByPlaceholders(section.get(), row)
                                                   : MapByRetries(section.get(), row);
    if (mapped.base != nullptr) return mapped.base;
  }
  return Explain(mapped.error, mapped.call, row.bytes());
}

void UnmapMirrors(std::byte* base, size_t size_bytes, size_t count) {
  const Row row{size_bytes, count};
  UnmapViews(base, row, row.views());
}

// Large pages are left alone: they take a privilege that processes do not have unless an
// administrator gives it, and cannot be paged out.
MapResult<std::byte*> MapPlain(size_t size_bytes) {
  void* const memory = VirtualAlloc(nullptr, size_bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
  if (memory == nullptr) return Explain(GetLastError(), "VirtualAlloc", size_bytes);
  return static_cast<std::byte*>(memory);
}

void UnmapPlain(std::byte* base, size_t size_bytes) {
  if (VirtualFree(base, 0, MEM_RELEASE) == 0) {
    const DWORD error = GetLastError();
    process::Complain(Concat("VirtualFree of ", size_bytes, " bytes: Windows error ", error));
  }
}

}  // namespace ioring::mapper
