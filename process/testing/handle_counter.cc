#include "process/testing/handle_counter.h"

#include <windows.h>
#include <winternl.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
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

// NtQueryObject's answer to this begins with the name of the object's type.
constexpr int kObjectTypeInformation = 2;

using QuerySystem = NTSTATUS(NTAPI*)(int, void*, ULONG, ULONG*);
using QueryObject = NTSTATUS(NTAPI*)(HANDLE, int, void*, ULONG, ULONG*);

template <typename Function>
Function InNtdll(const char* name) {
  const FARPROC found = GetProcAddress(GetModuleHandleW(L"ntdll.dll"), name);
  CHECK(found != nullptr);
  return reinterpret_cast<Function>(reinterpret_cast<void*>(found));
}

// False as well for what another thread has closed in the meantime.
bool IsLock(uintptr_t handle) {
  static const auto query = InNtdll<QueryObject>("NtQueryObject");
  alignas(UNICODE_STRING) std::array<std::byte, 1024> answer;
  ULONG needed = 0;
  const NTSTATUS status = query(reinterpret_cast<HANDLE>(handle), kObjectTypeInformation,
                                answer.data(), static_cast<ULONG>(answer.size()), &needed);
  if (status != 0) return false;
  UNICODE_STRING name;
  std::memcpy(&name, answer.data(), sizeof(name));
  const std::wstring_view type(name.Buffer, name.Length / sizeof(wchar_t));
  return type == L"Event" || type == L"Semaphore";
}

}  // namespace

size_t OpenHandles(CountedHandles counted) {
  static const auto query = InNtdll<QuerySystem>("NtQuerySystemInformation");
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
      std::count_if(entries.begin(), entries.end(), [&](const HandleEntry& entry) {
        if (entry.process != self) return false;
        return counted == CountedHandles::kAll || !IsLock(entry.handle);
      }));
}

}  // namespace ioring
