#include "ring_rio/file_table.h"

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/native_error.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {
namespace {

using Access = FileOptions::Access;
using Create = FileOptions::Create;

DWORD AccessBits(Access access) {
  switch (access) {
    case Access::kRead:
      return GENERIC_READ;
    case Access::kWrite:
      return GENERIC_WRITE;
    case Access::kReadWrite:
      return GENERIC_READ | GENERIC_WRITE;
  }
  return GENERIC_READ;
}

DWORD Disposition(Create create) {
  switch (create) {
    case Create::kNever:
      return OPEN_EXISTING;
    case Create::kIfNeeded:
      return OPEN_ALWAYS;
    case Create::kTruncate:
      return CREATE_ALWAYS;
    case Create::kNew:
      return CREATE_NEW;
  }
  return OPEN_EXISTING;
}

// Empty where it is no UTF-8.
std::wstring WidePath(const std::string& path) {
  const int bytes = static_cast<int>(path.size());
  const int size =
      MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path.data(), bytes, nullptr, 0);
  std::wstring wide(static_cast<size_t>(size), L'\0');
  MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path.data(), bytes, wide.data(), size);
  return wide;
}

bool IsDirectory(const std::wstring& path) {
  const DWORD attributes = GetFileAttributesW(path.c_str());
  return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

std::string_view WhyRefused(DWORD code) {
  switch (code) {
    case ERROR_FILE_NOT_FOUND:
      return "there is no such file; check the path, or open it for creating";
    case ERROR_PATH_NOT_FOUND:
      return "a part of the path is no folder; check the path";
    case ERROR_FILE_EXISTS:
    case ERROR_ALREADY_EXISTS:
      return "the file exists already; remove it or choose another path";
    case ERROR_DIRECTORY:
      return "it is a directory; choose a file";
    case ERROR_ACCESS_DENIED:
      return "no permission; check the permissions and attributes of the file and its folders";
    case ERROR_SHARING_VIOLATION:
      return "another program has it open for itself alone";
    case ERROR_TOO_MANY_OPEN_FILES:
      return "the process is out of handles; open fewer";
    default:
      return "the system refuses";
  }
}

absl::Status Refused(const std::string& path, DWORD code) {
  return NativeStatus(static_cast<int>(code),
                      absl::StrCat("cannot open ", path, ": ", WhyRefused(code)));
}

}  // namespace

void FileSlot::Close() {
  CloseHandle(handle);
  handle = INVALID_HANDLE_VALUE;
}

absl::StatusOr<FileId> FileTable::Open(const std::string& path, const FileOptions& options,
                                       CompletionPort& port) {
  const absl::StatusOr<FileId> id = FreeId();
  if (!id.ok()) return id;
  const std::wstring wide = WidePath(path);
  if (wide.empty() || wide.find(L'\0') != std::wstring::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot open ", absl::CHexEscape(path), ": the path is empty, no UTF-8, or holds a NUL"));
  }
  const DWORD flags = FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OVERLAPPED |
                      (options.direct_io ? FILE_FLAG_NO_BUFFERING : 0);
  const HANDLE handle = CreateFileW(wide.c_str(), AccessBits(options.access),
                                    FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
                                    Disposition(options.create), flags, nullptr);
  if (handle == INVALID_HANDLE_VALUE) {
    const DWORD code = GetLastError();
    return Refused(path, IsDirectory(wide) ? ERROR_DIRECTORY : code);
  }
  if (!port.Associate(handle)) {
    const DWORD code = GetLastError();
    CloseHandle(handle);
    return Refused(path, code);
  }
  (*this)[id->index].handle = handle;
  return id;
}

}  // namespace ioring::rio
