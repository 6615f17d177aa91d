#include "buffer/handle_counter.h"

#include <windows.h>
#include <winternl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/log/check.h"

namespace ioring {
namespace {

// NtQuerySystemInformation's answer to SystemExtendedHandleInformation, which headers leave
// out: how many there are, a word that is reserved, and one of these for each.
constexpr int kExtendedHandleInformation = 64;
constexpr auto kInformationLengthMismatch = static_cast<NTSTATUS>(0xC0000004);

struct HandleEntry {
  void* object;
  uintptr_t process;
  uintptr_t handle;
  uint32_t access;
  uint16_t creator_backtrace;
  uint16_t type;
  uint32_t attributes;
  uint32_t reserved;
};

using Query = NTSTATUS(NTAPI*)(int, void*, ULONG, ULONG*);

Query FindQuery() {
  const FARPROC found = GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "NtQuerySystemInformation");
  CHECK(found != nullptr);
  return reinterpret_cast<Query>(reinterpret_cast<void*>(found));
}

}  // namespace

size_t OpenHandles() {
  static const Query query = FindQuery();
  constexpr size_t kHeaderBytes = 2 * sizeof(uintptr_t);
  static std::vector<std::byte> answer(size_t{1} << 16);
  NTSTATUS status = kInformationLengthMismatch;
  for (;;) {
    ULONG needed = 0;
    status = query(kExtendedHandleInformation, answer.data(), static_cast<ULONG>(answer.size()),
                   &needed);
    if (status != kInformationLengthMismatch) break;
    answer.resize(2 * answer.size());
  }
  CHECK_EQ(status, 0) << "the system does not tell its handles";
  uintptr_t count = 0;
  std::memcpy(&count, answer.data(), sizeof(count));
  std::vector<HandleEntry> entries(count);
  std::memcpy(entries.data(), answer.data() + kHeaderBytes, count * sizeof(HandleEntry));
  const uintptr_t self = GetCurrentProcessId();
  return static_cast<size_t>(
      std::count_if(entries.begin(), entries.end(),
                    [self](const HandleEntry& entry) { return entry.process == self; }));
}

}  // namespace ioring
